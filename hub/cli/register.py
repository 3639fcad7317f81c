"""`rollcall-hub register`: the register of a day, on the screen or as a file."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hub.adapters import csv_files
from hub.cli import console, lesson_page, naming
from hub.cli.console import Column, JsonFlag
from hub.cli.register_rebuild import rebuild
from hub.core.register_sheet import Mark, Occasion, Sheet, SheetStudent
from hub.core.roster_times import local_iso, school_day
from hub.office import lesson_pages, marking, marks, register

app = typer.Typer(no_args_is_help=True, help="The register: students by lessons, a status in each.")

DateOption = Annotated[str | None, typer.Option("--date", help="The day, like 2026-09-01. Default: today.")]
SectionOption = Annotated[str | None, typer.Option("--section", help="Only this section.")]
RoomOption = Annotated[str | None, typer.Option("--room", help="Only what happened in this room.")]

_SHOW_EXAMPLE = (
    "Not seen: the camera watched and did not find the student. Not observed: nobody could tell, or has marked yet; "
    "that is no absence.\n\nExample:\n\nrollcall-hub register show --date 2026-09-01 --section 7b"
)
_LESSON_EXAMPLE = "Example:\n\nrollcall-hub register lesson --section 7b --at 08:00"
_EXPORT_EXAMPLE = (
    "Examples:\n\n"
    "rollcall-hub register export --date 2026-09-01 register.csv\n\n"
    "rollcall-hub register export --bom register.csv    (for Excel)\n\n"
    "rollcall-hub register export - | less"
)


_STATES = {"open": "Not closed yet", "held": "Held, a person has to look", "closed": "Closed"}


@app.command("show", epilog=_SHOW_EXAMPLE)
def show(
    ctx: typer.Context,
    date: DateOption = None,
    section: SectionOption = None,
    room: RoomOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show the register of a day in the school's time."""
    office = console.office(ctx)
    day = register.today(office) if date is None else school_day(date)
    sheet = register.read_register(office, day, section=section, room=room)
    if as_json:
        console.emit_json(_as_json(sheet))
        return
    header, lines = sheet.table()
    # The columns are named by number: two lessons may have one title.
    headings = ("Serial", "Name", "Section", *header[3:])
    columns = [Column(str(number), title) for number, title in enumerate(headings)]
    rows = [{str(number): cell for number, cell in enumerate(line)} for line in lines]
    console.say(f"{day} ({sheet.zone})" + (f": {sheet.free}" if sheet.free else ""))
    console.emit(rows, columns, as_json=False, empty="Nobody is expected on this day.")
    if counts := sheet.counts():
        console.say(", ".join(f"{status}: {count}" for status, count in counts.items()))
    for state, titles in sheet.states().items():
        console.say(f"{_STATES[state]}: {', '.join(titles)}")
    naming.say_waiting(sheet.waiting)


@app.command("export", epilog=_EXPORT_EXAMPLE)
def export(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The CSV file to write; - writes to standard output.")],
    date: DateOption = None,
    section: SectionOption = None,
    room: RoomOption = None,
    bom: Annotated[
        bool, typer.Option("--bom", help="Mark the file as UTF-8 so that Excel shows every script.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Write the register of a day to a CSV file. That it was taken away stands in the audit log."""
    office = console.office(ctx)
    day = register.today(office) if date is None else school_day(date)
    exported = register.export_register(office, day, section=section, room=room, bom=bom)
    csv_files.write_file(file, exported.content)
    sheet = exported.sheet
    if not as_json or file == csv_files.STREAM:
        naming.say_waiting(sheet.waiting)
    if file == csv_files.STREAM:
        return
    if as_json:
        counted = {"students": len(sheet.students), "occasions": len(sheet.occasions), "counts": sheet.counts()}
        told = {"free": sheet.free or None, "waiting": sheet.waiting}
        console.emit_json({"file": str(file), "day": day, **counted, **told})
    else:
        console.say(f"Wrote {len(sheet.students)} students, {len(sheet.occasions)} columns to {file}.")
        if sheet.free:
            console.say(f"{day}: {sheet.free}.")


@app.command("lesson", epilog=_LESSON_EXAMPLE)
def lesson(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    lesson_id: Annotated[
        str | None, typer.Argument(metavar="[LESSON]", help="The lesson's id; or name it by section or room and time.")
    ] = None,
    section: naming.SectionOption = None,
    room: naming.RoomOption = None,
    at: naming.AtOption = None,
    date: naming.DateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show a lesson: every student with the reason, who closed it, and what changed after it was closed."""
    office = console.office(ctx)
    page = lesson_pages.lesson_page(office, naming.named(office, lesson_id, section, room, at, date))
    zone = office.settings.zone
    if as_json:
        console.emit_json(lesson_page.as_json(page, zone))
    else:
        lesson_page.show(page, zone)


@app.command("csv-rebuild", epilog="Example:\n\nrollcall-hub register csv-rebuild")
def csv_rebuild(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """Write the hub's attendance.csv anew from the marks that stand: after it could not be written, or was changed."""
    office = console.office(ctx)
    lines, file = marks.rebuild_csv(office), marking.csv_file(office).path
    if as_json:
        console.emit_json({"file": file, "marks": lines})
    else:
        console.say(f"Wrote {lines} marks to {file}.")


app.command("rebuild")(rebuild)


def _as_json(sheet: Sheet) -> dict[str, Any]:
    titles = dict(zip((occasion.key for occasion in sheet.occasions), sheet.titles(), strict=True))
    return {
        "day": sheet.day,
        "time_zone": str(sheet.zone),
        "free": sheet.free or None,
        "occasions": [_occasion(sheet, occasion, titles[occasion.key]) for occasion in sheet.occasions],
        "students": [
            {
                "serial_number": student.serial_number,
                "name": student.name,
                "section": student.section,
                "marks": [
                    _mark(sheet, student, occasion)
                    for occasion in sheet.occasions
                    if _belongs(sheet, student, occasion)
                ],
            }
            for student in sheet.students
        ],
        "counts": sheet.counts(),
        "waiting": sheet.waiting,
    }


def _belongs(sheet: Sheet, student: SheetStudent, occasion: Occasion) -> bool:
    return (student.student_id, occasion.key) in sheet.marks


def _occasion(sheet: Sheet, occasion: Occasion, title: str) -> dict[str, Any]:
    return {
        "occasion": occasion.key,
        "title": title,
        "label": occasion.label,
        "section": occasion.section,
        "room": occasion.room,
        "starts_at": occasion.starts_at and local_iso(occasion.starts_at, sheet.zone),
        "ends_at": occasion.ends_at and local_iso(occasion.ends_at, sheet.zone),
        "state": occasion.state or None,
    }


def _mark(sheet: Sheet, student: SheetStudent, occasion: Occasion) -> dict[str, Any]:
    mark: Mark | None = sheet.marks[student.student_id, occasion.key]
    # "" would read as a status: before a lesson begins there is none.
    shown: dict[str, Any] = {"occasion": occasion.key, "status": sheet.status(student, occasion) or None}
    if mark is not None:
        shown |= {
            "method": mark.method,
            "at": local_iso(mark.at, sheet.zone),
            "left_early_at": mark.left_early_at and local_iso(mark.left_early_at, sheet.zone),
            "notes": mark.notes,
            "rule": mark.rule,
        }
    return shown
