"""`rollcall-hub close` and `reopen`: a teacher says that a lesson's register is right."""

from collections.abc import Sequence
from datetime import tzinfo
from typing import Annotated, Any

import typer

from hub.cli import console, lesson_page, naming
from hub.cli.console import JsonFlag
from hub.cli.marks import mark_row, say_csv_problem
from hub.cli.naming import AtOption, DateOption, RoomOption, SectionOption
from hub.office import closings
from hub.office.closings import Closed, CloseRequest
from hub.office.lesson_pages import LessonPage, PageLine

app = typer.Typer()
_FEW = 12

LessonArgument = Annotated[
    str | None, typer.Argument(metavar="[LESSON]", help="The lesson's id; or name it by section or room and time.")
]
_CLOSE_EXAMPLE = (
    "Whoever is Not seen becomes Absent. Whoever is Not observed stays so, since nobody knows: mark them.\n\n"
    "Examples:\n\n"
    "rollcall-hub close --section 7b --at 08:00\n\n"
    "rollcall-hub close --section 7b --at 08:00 --absent 0012 --absent 0031\n\n"
    "rollcall-hub close --section 7b --date 2026-09-01 --yes    (all lessons that have begun)"
)
_REOPEN_EXAMPLE = "Example:\n\nrollcall-hub reopen --section 7b --at 08:00"


@app.command("close", epilog=_CLOSE_EXAMPLE)
def close(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    lesson: LessonArgument = None,
    section: SectionOption = None,
    room: RoomOption = None,
    at: AtOption = None,
    date: DateOption = None,
    absent: Annotated[
        list[str] | None, typer.Option("--absent", help="Mark this serial number absent with it.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask. With --json nobody is asked.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Close lessons: say that the register is right. What is closed can be opened again with `reopen`."""
    office = console.office(ctx)
    named = naming.named(office, lesson, section, room, at, date)
    zone = office.settings.zone
    if not yes and not as_json:
        pages = closings.preview(office, named)
        for page in pages:
            _say_before(page, zone, absent or ())
        if any(page.state != "closed" for page in pages):
            console.need_yes("Close?")
    closed = closings.close(office, CloseRequest(named, tuple(absent or ())))
    if as_json:
        console.emit_json(_as_json(closed, zone))
    else:
        for one in closed.lessons:
            _say_closed(one.page, zone, new=one.new)
        if closed.absent:
            serials = ", ".join(dict.fromkeys(line.student.fields.serial_number for line in closed.absent))
            undo = f" Take it back: rollcall-hub unmark --batch {closed.batch_id}" if closed.batch_id else ""
            console.say(f"Marked absent: {serials}.{undo}")
    say_csv_problem(closed.csv_problem)


@app.command("reopen", epilog=_REOPEN_EXAMPLE)
def reopen(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    lesson: LessonArgument = None,
    section: SectionOption = None,
    room: RoomOption = None,
    at: AtOption = None,
    date: DateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Open lessons again: whoever is absent only because the lesson was closed is Not seen again."""
    office = console.office(ctx)
    zone = office.settings.zone
    opened = closings.reopen(office, naming.named(office, lesson, section, room, at, date))
    if as_json:
        console.emit_json(
            {
                "opened": [naming.lesson_json(one, zone) for one in opened.lessons],
                "open_before": [naming.lesson_json(one, zone) for one in opened.open_before],
            }
        )
        return
    for one in opened.lessons:
        console.say(f"Open again: {one.described(zone)}.")
    for one in opened.open_before:
        console.say(f"Was not closed: {one.described(zone)}.")


def _say_before(page: LessonPage, zone: tzinfo, absent: Sequence[str]) -> None:
    console.say(f"{page.lesson.described(zone)}: {lesson_page.counts(page)}.")
    if page.state == "closed":
        console.say(f"  {lesson_page.closed_by(page, zone)}")
        return
    if page.state == "held" and page.counted is not None:
        console.say(
            f"  Held: of {page.counted.seen + page.counted.unseen} whom a camera could have seen, only "
            f"{page.counted.seen} were. Was the class there? If not, mark the section instead."
        )
    if page.state == "running":
        console.say("  It still runs: whoever the camera has not found so far becomes Absent.")
    if page.missing:
        console.say(f"  Will be Absent: {_names(page.missing)}.")
    unknown = [line for line in page.unknown if line.student.serial_number not in absent]
    if unknown:
        console.say(f"  Stays Not observed: {_names(unknown)}.")
        serials = " ".join(f"--serial {line.student.serial_number}" for line in unknown[:_FEW])
        console.say(f"  If you know: rollcall-hub mark --status present {serials} --lesson {page.lesson.lesson_id}")
    if page.waiting:
        console.say(f"  The register of {page.waiting} is being derived again; is serve running?")


def _names(lines: Sequence[PageLine]) -> str:
    shown = ", ".join(f"{line.student.name} ({line.student.serial_number})" for line in lines[:_FEW])
    return shown + (f" and {len(lines) - _FEW} more" if len(lines) > _FEW else "")


def _say_closed(page: LessonPage, zone: tzinfo, *, new: bool) -> None:
    if new:
        console.say(f"Closed: {page.lesson.described(zone)}.")
    else:
        console.say(f"{page.lesson.described(zone)} was closed already: {lesson_page.closed_by(page, zone)}")


def _as_json(closed: Closed, zone: tzinfo) -> dict[str, Any]:
    return {
        "lessons": [
            {
                **naming.lesson_json(one.page.lesson, zone),
                "new": one.new,
                "closed_at": naming.iso(one.page.closing.closed_at, zone) if one.page.closing else None,
                "closed_by": one.page.closing.closed_by if one.page.closing else None,
                "not_seen": [line.student.serial_number for line in one.page.missing],
                "not_observed": [line.student.serial_number for line in one.page.unknown],
            }
            for one in closed.lessons
        ],
        "absent": [mark_row(line, zone) for line in closed.absent],
        "batch_id": closed.batch_id or None,
        "csv_problem": closed.csv_problem or None,
    }
