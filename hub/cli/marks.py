"""`rollcall-hub mark`, `excuse` and `unmark`: what a person says wins over every camera, and can be taken back."""

from datetime import tzinfo
from typing import Annotated, Any

import typer

from hub.cli import console, naming
from hub.cli.console import Column, JsonFlag
from hub.cli.naming import AtOption, DateOption, LessonOption, RoomOption, SectionOption
from hub.core.register_marks import STATUS_OF_MARK
from hub.core.roster_times import school_day
from hub.office import marks, register
from hub.office.marking import MarkLine, UndoneLine
from hub.office.marks import Marked, MarkRequest, TakenBack
from hub.office.occasions import Named

app = typer.Typer()

COLUMNS = (
    Column("serial_number", "Serial"),
    Column("name", "Name"),
    Column("says", "Now"),
    Column("where", "Lesson"),
    Column("note", "Note"),
)
UNDO_COLUMNS = (*COLUMNS[:2], Column("taken_back", "Taken back"), Column("stands", "Now"), COLUMNS[3])

SerialsOption = Annotated[
    list[str] | None, typer.Option("--serial", help="A student's serial number; may be given several times.")
]
BesidesOption = Annotated[
    list[str] | None, typer.Option("--except", help="Of a whole section or lesson: not this serial number.")
]
ReasonOption = Annotated[str, typer.Option("--reason", help="A word, such as medical or trip.")]
NoteOption = Annotated[str, typer.Option("--note", help="A sentence for whoever reads the register.")]

_MARK_EXAMPLE = (
    "Without --serial everybody is marked who is expected in the lessons that are named. Without --lesson, --at and "
    "--date it is the lesson that runs now; without a timetable, the day.\n\n"
    "Examples:\n\n"
    "rollcall-hub mark --serial 0012 --status late --at 08:20\n\n"
    "rollcall-hub mark --section 7b --date 2026-09-01 --status excused --reason trip --except 0012\n\n"
    "rollcall-hub mark --lesson 4f7c6f0e-5b0a-4b7e-9d55-0d9c8a3f1b2c --serial 0031 --status present --guest"
)
_EXCUSE_EXAMPLE = (
    "Every lesson of these days that is on the timetable now is excused; one that is added later is not, and one that "
    "is cancelled is nobody's. Days without a lesson among them are left out, and named. Without a timetable: every "
    "day but weekends and holidays.\n\n"
    "Examples:\n\n"
    "rollcall-hub excuse --serial 0012 --from 2026-09-01 --until 2026-09-04 --reason medical\n\n"
    "rollcall-hub excuse --section 7b --from 2026-09-10 --reason trip"
)
_UNMARK_EXAMPLE = (
    "With --batch the marks of one gesture are taken back, and what stood before stands again. With --serial (or a "
    "whole --section) everything that people said of those lessons is, also at a unit; then the register says what "
    "the cameras saw. Done twice it changes nothing.\n\n"
    "Examples:\n\n"
    "rollcall-hub unmark --serial 0012 --at 08:20\n\n"
    "rollcall-hub unmark --batch 7b0e1d7c-6d5f-4a65-8f0e-2f8a2f8b6c11"
)


@app.command("mark", epilog=_MARK_EXAMPLE)
def mark(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    status: Annotated[str, typer.Option("--status", help="present, late, excused or absent.")],
    serial: SerialsOption = None,
    lesson: LessonOption = None,
    section: SectionOption = None,
    room: RoomOption = None,
    at: AtOption = None,
    date: DateOption = None,
    besides: BesidesOption = None,
    reason: ReasonOption = "",
    note: NoteOption = "",
    guest: Annotated[bool, typer.Option("--guest", help="Also who is not expected in that lesson.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Say that students were present, late, excused or absent: it wins over what a camera saw.

    --at names the lesson that runs then and, of students who are named and present or late, says when they came.
    """
    office = console.office(ctx)
    named = naming.named(office, lesson, section, room, at, date)
    request = MarkRequest(status, named, tuple(serial or ()), tuple(besides or ()), reason, note, guest)
    _show_marked(marks.mark(office, request), office.settings.zone, as_json=as_json)


@app.command("excuse", epilog=_EXCUSE_EXAMPLE)
def excuse(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    serial: SerialsOption = None,
    section: Annotated[str | None, typer.Option("--section", help="Everybody of this section.")] = None,
    first: Annotated[str | None, typer.Option("--from", help="The first day, like 2026-09-01. Default: today.")] = None,
    last: Annotated[str | None, typer.Option("--until", help="The last day. Default: the first.")] = None,
    besides: BesidesOption = None,
    reason: ReasonOption = "",
    note: NoteOption = "",
    as_json: JsonFlag = False,
) -> None:
    """Excuse students from all their lessons of some days, also of days to come."""
    if bool(serial) == bool(section):
        raise typer.BadParameter("name students with --serial, or one --section")
    office = console.office(ctx)
    begins = school_day(first) if first else register.today(office)
    named = Named(section=section, day=begins, last_day=school_day(last) if last else begins)
    request = MarkRequest("excused", named, tuple(serial or ()), tuple(besides or ()), reason, note)
    _show_marked(marks.mark(office, request), office.settings.zone, as_json=as_json)


@app.command("unmark", epilog=_UNMARK_EXAMPLE)
def unmark(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    serial: SerialsOption = None,
    batch: Annotated[str | None, typer.Option("--batch", help="All marks of one gesture, as `mark` named it.")] = None,
    lesson: LessonOption = None,
    section: SectionOption = None,
    room: RoomOption = None,
    at: AtOption = None,
    date: DateOption = None,
    besides: BesidesOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Take marks back: the register says again what the cameras saw."""
    if batch is not None and (serial or besides or lesson or section or room or at or date):
        raise typer.BadParameter("--batch names everything already")
    office = console.office(ctx)
    if batch is not None:
        undone = marks.unmark_batch(office, batch)
    else:
        named = naming.named(office, lesson, section, room, at, date)
        request = MarkRequest(named=named, serial_numbers=tuple(serial or ()), besides=tuple(besides or ()))
        undone = marks.unmark(office, request)
    _show_undone(undone, office.settings.zone, as_json=as_json)


def _show_marked(marked: Marked, zone: tzinfo, *, as_json: bool) -> None:
    new = sum(1 for line in marked.lines if line.new)
    rows = [mark_row(line, zone) for line in marked.lines]
    if as_json:
        batch = marked.batch_id if new else None
        said = {"batch_id": batch, "new": new, "marks": rows, "left_out": list(marked.left_out)}
        console.emit_json({**said, "csv_problem": marked.csv_problem or None})
    else:
        console.emit(rows, COLUMNS, as_json=False)
        console.say(f"{new} marked, {len(rows) - new} said so already.")
        if new:
            console.say(f"Take it back: rollcall-hub unmark --batch {marked.batch_id}")
        if marked.left_out:
            days = ", ".join(day.isoformat() for day in marked.left_out)
            console.say(f"Left out where somebody has no lesson: {days}. Name such a day alone to mark them there.")
    say_csv_problem(marked.csv_problem)


def mark_row(line: MarkLine, zone: tzinfo) -> dict[str, Any]:
    """Return a mark as a row, for people and for scripts."""
    came = naming.clock(line.at, zone)
    return {
        "serial_number": line.student.fields.serial_number,
        "name": line.student.fields.name,
        "status": line.status,
        "says": STATUS_OF_MARK.get(line.status, line.status) + (f", came {came}" if came else ""),
        "at": naming.iso(line.at, zone),
        "reason": line.reason,
        "note": ": ".join(part for part in (line.reason, line.note) if part),
        "mark_id": line.mark_id,
        "new": line.new,
        "where": line.occasion.described(zone),
        **naming.occasion_json(line.occasion, zone),
    }


def say_csv_problem(problem: str) -> None:
    """Say that attendance.csv could not be written; the marks stand."""
    if problem:
        console.note(f"The marks are on record, but not in attendance.csv: {problem}")


def _show_undone(undone: TakenBack, zone: tzinfo, *, as_json: bool) -> None:
    rows = [_undone_row(line, zone) for line in undone.lines]
    if as_json:
        said = {"batch_id": undone.batch_id, "taken_back": rows, "answers": undone.answers}
        console.emit_json({**said, "csv_problem": undone.csv_problem or None})
    elif rows:
        console.emit(rows, UNDO_COLUMNS, as_json=False)
    else:
        console.say("No mark stands there; nothing was changed.")
    if undone.answers and not as_json:
        console.say("They came from an answer to a question, which was taken back too: rollcall-hub review list")
    say_csv_problem(undone.csv_problem)


def _undone_row(line: UndoneLine, zone: tzinfo) -> dict[str, Any]:
    said = [STATUS_OF_MARK.get(row.status, row.status) for row in line.taken_back]
    said += ["what was said at a unit"] if line.unit_silenced else []
    return {
        "serial_number": line.student.fields.serial_number,
        "name": line.student.fields.name,
        "taken_back": ", ".join(said),
        "stands": STATUS_OF_MARK.get(line.stands, "what the cameras saw"),
        "mark_ids": [row.id for row in line.taken_back],
        "unit_silenced": line.unit_silenced,
        "where": line.occasion.described(zone),
        **naming.occasion_json(line.occasion, zone),
    }
