"""`rollcall-hub lesson`: the timetable."""

from datetime import timedelta, tzinfo
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.adapters import csv_files
from hub.cli import console
from hub.cli.console import Column, JsonFlag
from hub.core.csv_reading import MAX_CSV_BYTES
from hub.core.roster_lessons import LESSON_COLUMNS, LessonFields
from hub.core.roster_times import local_iso, school_day
from hub.office import lessons, register

app = typer.Typer(no_args_is_help=True, help="Lessons: who is taught where, and when.")

COLUMNS = (
    Column("when", "When"),
    Column("room", "Room"),
    Column("section", "Section"),
    Column("label", "Label"),
)
CHANGE_COLUMNS = (Column("what", "What"), *COLUMNS)
_WEEK = timedelta(days=6)

_ADD_EXAMPLE = (
    "Times are the school's own unless an offset is written.\n\n"
    "Example:\n\n"
    'rollcall-hub lesson add --room "Room 12" --section 7b --label Maths '
    "--starts-at 2026-09-01T08:00 --ends-at 2026-09-01T08:45"
)
_IMPORT_HELP = (
    f"The file is CSV in UTF-8; its first line is:\n\n{LESSON_COLUMNS.example}\n\n"
    "Times like 2026-09-01T08:00 are the school's own; with an offset (2026-09-01T08:00+02:00) they are exact.\n\n"
    "Examples:\n\n"
    "rollcall-hub lesson import autumn.csv --dry-run\n\n"
    "rollcall-hub lesson import autumn.csv"
)


@app.command("add", epilog=_ADD_EXAMPLE)
def add(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    room: Annotated[str, typer.Option("--room", help="An existing room.")],
    section: Annotated[str, typer.Option("--section", help="An existing section.")],
    starts_at: Annotated[str, typer.Option("--starts-at", help="Like 2026-09-01T08:00.")],
    ends_at: Annotated[str, typer.Option("--ends-at", help="Like 2026-09-01T08:45.")],
    label: Annotated[str, typer.Option("--label", help="What is taught.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Add one lesson. A lesson that overlaps with another in its room is refused."""
    form = {"room": room, "section": section, "label": label, "starts_at": starts_at, "ends_at": ends_at}
    office = console.office(ctx)
    lesson = lessons.add_lesson(office, form)
    zone = office.settings.zone
    if as_json:
        console.emit_json({"lesson_id": lesson.lesson_id, **_row(lesson.fields, zone)})
    else:
        console.say(f"Added lesson {lesson.fields.described(zone)}.")


@app.command("list", epilog="Example:\n\nrollcall-hub lesson list --from 2026-09-01 --to 2026-09-30 --section 7b")
def list_some(
    ctx: typer.Context,
    first: Annotated[str | None, typer.Option("--from", help="First day. Default: today.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day. Default: six days after the first.")] = None,
    room: Annotated[str | None, typer.Option("--room", help="Only lessons in this room.")] = None,
    section: Annotated[str | None, typer.Option("--section", help="Only lessons of this section.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """List lessons: the coming week, unless days are given."""
    office = console.office(ctx)
    start = register.today(office) if first is None else school_day(first)
    end = start + _WEEK if last is None else school_day(last)
    zone = office.settings.zone
    rows = [
        {"lesson_id": lesson.lesson_id, **_row(lesson.fields, zone)}
        for lesson in lessons.list_lessons(office, start, end, room=room, section=section)
    ]
    console.emit(rows, COLUMNS, as_json=as_json, empty=f"There are no lessons from {start} to {end}.")


@app.command("import", epilog=_IMPORT_HELP)
def import_timetable(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The CSV file; - reads standard input.")],
    update: Annotated[
        bool, typer.Option("--update", help="Change label and end of lessons on record where the file differs.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Import lessons from a CSV file: all of it or, if any row is bad, nothing. Lessons not in the file stay."""
    data = csv_files.read_bounded(file, MAX_CSV_BYTES)
    office = console.office(ctx)
    outcome = lessons.import_lessons(office, data, update=update, dry_run=dry_run)
    zone = office.settings.zone
    changes = [{"what": "add", **_row(fields, zone)} for fields in outcome.added]
    changes += [{"what": "change", **_row(change.after, zone)} for change in outcome.changed]
    counted = {"added": len(outcome.added), "changed": len(outcome.changed), "unchanged": outcome.unchanged}
    if as_json:
        console.emit_json({"dry_run": dry_run, **counted, "lessons": changes})
        return
    if dry_run and changes:
        console.emit(changes, CHANGE_COLUMNS, as_json=False)
    console.say(
        f"{'Would add' if dry_run else 'Added'} {counted['added']}, "
        f"{'would change' if dry_run else 'changed'} {counted['changed']}, unchanged {counted['unchanged']}."
    )


def _row(fields: LessonFields, zone: tzinfo) -> dict[str, Any]:
    start, end = fields.starts_at.astimezone(zone), fields.ends_at.astimezone(zone)
    return {
        "room": fields.room,
        "section": fields.section,
        "label": fields.label,
        "starts_at": local_iso(fields.starts_at, zone),
        "ends_at": local_iso(fields.ends_at, zone),
        "when": f"{start:%a %Y-%m-%d %H:%M}-{end:%H:%M}",
    }
