"""`rollcall-hub lesson`: single lessons."""

from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from hub.adapters import csv_files
from hub.cli import console, replanned
from hub.cli.console import Column, JsonFlag
from hub.cli.replanned import DryRunFlag, TeacherFlag
from hub.core.csv_reading import MAX_CSV_BYTES
from hub.core.errors import BadInput
from hub.core.roster_lessons import LESSON_COLUMNS, Lesson
from hub.core.roster_times import school_day, school_time
from hub.office import lesson_changes, lessons, register
from hub.office.context import Office
from hub.office.lesson_changes import LessonChanged, LessonChoice, LessonEdit

app = typer.Typer(no_args_is_help=True, help="Lessons: who is taught where, and when.")

COLUMNS = (
    *replanned.LESSON_COLUMNS[1:],
    Column("state", "State"),
    Column("note", "Note"),
)
_WEEK = timedelta(days=6)

RoomChoice = Annotated[str | None, typer.Option("--room", help="The room it is in.")]
SectionChoice = Annotated[str | None, typer.Option("--section", help="The section it is for.")]
AtChoice = Annotated[str | None, typer.Option("--at", help="A time while it goes on, like 2026-09-01T08:00.")]
IdChoice = Annotated[str | None, typer.Option("--id", help="What `lesson list --json` calls lesson_id.")]

_ADD_EXAMPLE = (
    "Times are the school's own unless an offset is written.\n\n"
    "Example:\n\n"
    'rollcall-hub lesson add --room "Room 12" --section 7b --label Maths '
    "--starts-at 2026-09-01T08:00 --ends-at 2026-09-01T08:45"
)
_IMPORT_HELP = (
    "The file is CSV in UTF-8; its first line is (group and teacher may be missing):\n\n"
    f"{LESSON_COLUMNS.example}\n\n"
    "Times like 2026-09-01T08:00 are the school's own; with an offset (2026-09-01T08:00+02:00) they are exact.\n\n"
    "What comes again every week is imported with `timetable import`.\n\n"
    "Examples:\n\n"
    "rollcall-hub lesson import autumn.csv --dry-run\n\n"
    "rollcall-hub lesson import autumn.csv"
)
_CANCEL_HELP = (
    "Nobody is expected in a cancelled lesson, and its room's units recognise nobody for it. What was said about it is "
    "kept.\n\nExample:\n\n"
    'rollcall-hub lesson cancel --room "Room 12" --at 2026-09-01T08:00 --note "teacher ill"'
)
_CHANGE_HELP = (
    "What is changed here stays whatever the weekly timetable says, as long as it has a lesson on that day.\n\n"
    "Examples:\n\n"
    'rollcall-hub lesson change --section 7b --at 2026-09-01T08:00 --to-room "Room 14"\n\n'
    'rollcall-hub lesson change --section 7b --at 2026-09-01T08:00 --teacher "Mr Cole" --note substitute'
)


@app.command("add", epilog=_ADD_EXAMPLE)
def add(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    room: Annotated[str, typer.Option("--room", help="An existing room.")],
    section: Annotated[str, typer.Option("--section", help="An existing section.")],
    starts_at: Annotated[str, typer.Option("--starts-at", help="Like 2026-09-01T08:00.")],
    ends_at: Annotated[str, typer.Option("--ends-at", help="Like 2026-09-01T08:45.")],
    label: Annotated[str, typer.Option("--label", help="What is taught.")] = "",
    group: Annotated[str, typer.Option("--group", help="Only this group of the section.")] = "",
    teacher: Annotated[str, typer.Option("--teacher", help="Who teaches.")] = "",
    allow_teacher_conflict: TeacherFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Add one lesson. A lesson that overlaps with another in its room, or of its students or teacher, is refused."""
    form = {
        "room": room,
        "section": section,
        "label": label,
        "starts_at": starts_at,
        "ends_at": ends_at,
        "group": group,
        "teacher": teacher,
    }
    office = console.office(ctx)
    lesson = lessons.add_lesson(office, form, teacher_conflicts=allow_teacher_conflict)
    if as_json:
        console.emit_json(_row(office, lesson))
    else:
        console.say(f"Added lesson {lesson.fields.described(office.settings.zone)}.")


@app.command("list", epilog="Example:\n\nrollcall-hub lesson list --from 2026-09-01 --to 2026-09-30 --section 7b")
def list_some(
    ctx: typer.Context,
    first: Annotated[str | None, typer.Option("--from", help="First day. Default: today.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day. Default: six days after the first.")] = None,
    room: Annotated[str | None, typer.Option("--room", help="Only lessons in this room.")] = None,
    section: Annotated[str | None, typer.Option("--section", help="Only lessons of this section.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """List lessons, also cancelled ones: the coming week, unless days are given."""
    office = console.office(ctx)
    start, end = _days(office, first, last)
    rows = [_row(office, one) for one in lessons.list_lessons(office, start, end, room=room, section=section)]
    console.emit(rows, COLUMNS, as_json=as_json, empty=f"There are no lessons from {start} to {end}.")


@app.command("export", epilog="Example:\n\nrollcall-hub lesson export september.csv --from 2026-09-01 --to 2026-09-30")
def export(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The CSV file to write; - writes standard output.")],
    first: Annotated[str | None, typer.Option("--from", help="First day. Default: today.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day. Default: six days after the first.")] = None,
    room: Annotated[str | None, typer.Option("--room", help="Only lessons in this room.")] = None,
    section: Annotated[str | None, typer.Option("--section", help="Only lessons of this section.")] = None,
    bom: Annotated[
        bool, typer.Option("--bom", help="Mark the file as UTF-8 so that Excel shows every script.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Write the lessons that take place as a CSV file, which `lesson import` reads."""
    office = console.office(ctx)
    start, end = _days(office, first, last)
    exported = lessons.export_lessons(office, start, end, room=room, section=section, bom=bom)
    csv_files.write_file(file, exported.content)
    if file == csv_files.STREAM:
        return
    if as_json:
        console.emit_json({"file": str(file), "first_day": start, "last_day": end, "lessons": exported.lessons})
    else:
        console.say(f"Wrote {exported.lessons} lessons to {file}.")


@app.command("import", epilog=_IMPORT_HELP)
def import_file(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The CSV file; - reads standard input.")],
    update: Annotated[bool, typer.Option("--update", help="Change lessons on record where the file differs.")] = False,
    allow_teacher_conflict: TeacherFlag = False,
    dry_run: DryRunFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Import lessons from a CSV file: all of it or, if any row is bad, nothing. Lessons not in the file stay."""
    data = csv_files.read_bounded(file, MAX_CSV_BYTES)
    office = console.office(ctx)
    outcome = lessons.import_lessons(
        office, data, update=update, dry_run=dry_run, teacher_conflicts=allow_teacher_conflict
    )
    zone = office.settings.zone
    changes = [{"what": "add", **replanned.lesson_row(fields, zone)} for fields in outcome.added]
    changes += [{"what": "change", **replanned.lesson_row(change.after, zone)} for change in outcome.changed]
    counted = {"added": len(outcome.added), "changed": len(outcome.changed), "unchanged": outcome.unchanged}
    if as_json:
        console.emit_json({"dry_run": dry_run, **counted, "lessons": changes})
        return
    if dry_run and changes:
        console.emit(changes, replanned.LESSON_COLUMNS, as_json=False)
    console.say(
        f"{'Would add' if dry_run else 'Added'} {counted['added']}, "
        f"{'would change' if dry_run else 'changed'} {counted['changed']}, unchanged {counted['unchanged']}."
    )


@app.command("cancel", epilog=_CANCEL_HELP)
def cancel(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    room: RoomChoice = None,
    section: SectionChoice = None,
    at: AtChoice = None,
    lesson_id: IdChoice = None,
    note: Annotated[str | None, typer.Option("--note", help="Why; shown with the lesson.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Let a lesson not take place."""
    office = console.office(ctx)
    done = lesson_changes.cancel_lesson(office, _choice(office, room, section, at, lesson_id), note=note)
    _tell(office, done, "is cancelled", as_json=as_json)


@app.command("restore", epilog="Example:\n\nrollcall-hub lesson restore --section 7b --at 2026-09-01T08:00")
def restore(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    room: RoomChoice = None,
    section: SectionChoice = None,
    at: AtChoice = None,
    lesson_id: IdChoice = None,
    allow_teacher_conflict: TeacherFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Let a cancelled lesson take place after all."""
    office = console.office(ctx)
    choice = _choice(office, room, section, at, lesson_id)
    done = lesson_changes.restore_lesson(office, choice, teacher_conflicts=allow_teacher_conflict)
    _tell(office, done, "takes place", as_json=as_json)


@app.command("change", epilog=_CHANGE_HELP)
def change(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    room: RoomChoice = None,
    section: SectionChoice = None,
    at: AtChoice = None,
    lesson_id: IdChoice = None,
    to_room: Annotated[str | None, typer.Option("--to-room", help="Another room.")] = None,
    starts_at: Annotated[
        str | None, typer.Option("--starts-at", help="Another start; the lesson stays as long as it is.")
    ] = None,
    ends_at: Annotated[str | None, typer.Option("--ends-at", help="Another end.")] = None,
    group: Annotated[str | None, typer.Option("--group", help='Another group; "" for the whole section.')] = None,
    label: Annotated[str | None, typer.Option("--label", help="Another label.")] = None,
    teacher: Annotated[str | None, typer.Option("--teacher", help="Who teaches it, also as a substitute.")] = None,
    note: Annotated[str | None, typer.Option("--note", help="A note; shown with the lesson.")] = None,
    allow_teacher_conflict: TeacherFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Change one lesson: its room, its times, who teaches it."""
    office = console.office(ctx)
    zone = office.settings.zone
    edit = LessonEdit(
        room=to_room,
        starts_at=None if starts_at is None else school_time(starts_at, zone, "the start"),
        ends_at=None if ends_at is None else school_time(ends_at, zone, "the end"),
        group=group,
        label=label,
        teacher=teacher,
        note=note,
    )
    if edit == LessonEdit():
        raise BadInput("what is to change? for example --to-room or --teacher")
    choice = _choice(office, room, section, at, lesson_id)
    done = lesson_changes.change_lesson(office, choice, edit, teacher_conflicts=allow_teacher_conflict)
    _tell(office, done, "is on record", as_json=as_json)


@app.command("delete", epilog="Example:\n\nrollcall-hub lesson delete --room 12 --at 2026-09-01T08:00")
def delete(
    ctx: typer.Context,
    room: RoomChoice = None,
    section: SectionChoice = None,
    at: AtChoice = None,
    lesson_id: IdChoice = None,
    as_json: JsonFlag = False,
) -> None:
    """Delete a single lesson that was added by mistake: one about which nobody said anything."""
    office = console.office(ctx)
    lesson = lesson_changes.delete_lesson(office, _choice(office, room, section, at, lesson_id))
    if as_json:
        console.emit_json(_row(office, lesson))
    else:
        console.say(f"Deleted: {lesson.fields.described(office.settings.zone)}.")


def _choice(
    office: Office, room: str | None, section: str | None, at: str | None, lesson_id: str | None
) -> LessonChoice:
    if lesson_id is not None:
        try:
            return LessonChoice(lesson_id=str(UUID(lesson_id)))
        except ValueError as exc:
            raise BadInput(f"{lesson_id[:40]!r} is not the id of a lesson: `lesson list --json` shows them") from exc
    moment = None if at is None else school_time(at, office.settings.zone, "the time")
    return LessonChoice(room=room, section=section, at=moment)


def _days(office: Office, first: str | None, last: str | None) -> tuple[date, date]:
    start = register.today(office) if first is None else school_day(first)
    end = start + _WEEK if last is None else school_day(last)
    return start, end


def _tell(office: Office, done: LessonChanged, sentence: str, *, as_json: bool) -> None:
    if as_json:
        console.emit_json({"changed": done.before != done.after, **_row(office, done.after)})
        return
    said = done.after.fields.described(office.settings.zone)
    console.say(f"{said} {sentence}{' already' if done.before == done.after else ''}.")


def _row(office: Office, lesson: Lesson) -> dict[str, Any]:
    state = "cancelled" if lesson.cancelled else "changed" if lesson.by_hand else ""
    return {
        "lesson_id": lesson.lesson_id,
        **replanned.lesson_row(lesson.fields, office.settings.zone),
        "state": state,
        "note": lesson.note,
    }
