"""`rollcall-hub review`: sightings that no camera may decide. Who was it?"""

from datetime import tzinfo
from typing import Annotated, Any

import typer

from hub.cli import console, naming
from hub.cli.console import Column, JsonFlag
from hub.cli.marks import mark_row, say_csv_problem
from hub.core.roster_times import school_day
from hub.office import review_decisions, reviews
from hub.office.review_decisions import Answered
from hub.office.reviews import ReviewLine, ReviewQuery

app = typer.Typer(
    no_args_is_help=True,
    help="Who was it? A unit saw somebody and must not say whom: look-alikes, a wrong room, a doubtful picture.",
)

COLUMNS = (
    Column("short_key", "Key"),
    Column("where", "Where"),
    Column("seen", "Seen"),
    Column("sightings", "Times", right=True),
    Column("who", "May be"),
    Column("why", "Because"),
    Column("answer", "Answer"),
)
_SHORT_KEY = 12

KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="As `review list` shows it; its beginning is enough.")]
DayOption = Annotated[
    str | None, typer.Option("--date", help="The day of the question, if it is older than some weeks.")
]

_LIST_EXAMPLE = (
    "At most one question a lesson is asked, the one with the most sightings. Whoever was seen otherwise, or was "
    "marked, is not asked about; whom nobody answers for stays Not observed.\n\n"
    "Examples:\n\n"
    "rollcall-hub review list\n\n"
    "rollcall-hub review list --date 2026-09-01 --section 7b --all"
)
_ACCEPT_EXAMPLE = (
    "Examples:\n\nrollcall-hub review accept 3f9a1c07b2de\n\nrollcall-hub review accept 3f9a1c07b2de --student 0012"
)
_REJECT_EXAMPLE = (
    "With --is, that student and whoever the camera took them for are look-alikes from now on: no camera tells them "
    "apart any more. Without, each candidate needs a clearer picture from now on.\n\n"
    "Examples:\n\nrollcall-hub review reject 3f9a1c07b2de --is 0031\n\nrollcall-hub review reject 3f9a1c07b2de"
)


@app.command("list", epilog=_LIST_EXAMPLE)
def list_all(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    date: Annotated[str | None, typer.Option("--date", help="The day, like 2026-09-01. Default: today.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="The last day of several.")] = None,
    section: Annotated[str | None, typer.Option("--section", help="Only lessons of this section.")] = None,
    room: Annotated[str | None, typer.Option("--room", help="Only what was seen in this room.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what is not asked, and what was answered.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """List the questions of a day."""
    office = console.office(ctx)
    days = (school_day(date) if date else None, school_day(until) if until else None)
    found = reviews.list_reviews(office, ReviewQuery(*days, section, room, everything))
    rows = [_row(line, office.settings.zone) for line in found.lines]
    if as_json:
        console.emit_json({"questions": rows, "besides": found.besides})
        return
    shown = COLUMNS if everything else COLUMNS[:-1]
    console.emit(rows, shown, as_json=False, empty="Nothing is to be answered.")
    if found.besides and not everything:
        console.say(f"{found.besides} more are not asked, since their lesson asks another (--all shows them).")
    if rows:
        console.say("Answer: rollcall-hub review accept KEY [--student SERIAL], or: review reject KEY [--is SERIAL]")


@app.command("accept", epilog=_ACCEPT_EXAMPLE)
def accept(
    ctx: typer.Context,
    key: KeyArgument,
    student: Annotated[
        str | None, typer.Option("--student", help="Which of the candidates; needless where there is one.")
    ] = None,
    date: DayOption = None,
    as_json: JsonFlag = False,
) -> None:
    """It was this student: they are marked present in their own lesson, from when they were first seen."""
    office = console.office(ctx)
    answered = review_decisions.accept(office, key, student, day=school_day(date) if date else None)
    _show(answered, office.settings.zone, as_json=as_json)


@app.command("reject", epilog=_REJECT_EXAMPLE)
def reject(
    ctx: typer.Context,
    key: KeyArgument,
    really: Annotated[str | None, typer.Option("--is", help="The serial number of whoever it really was.")] = None,
    date: DayOption = None,
    as_json: JsonFlag = False,
) -> None:
    """It was none of the candidates."""
    office = console.office(ctx)
    answered = review_decisions.reject(office, key, really, day=school_day(date) if date else None)
    _show(answered, office.settings.zone, as_json=as_json)


@app.command("undo", epilog="Example:\n\nrollcall-hub review undo 3f9a1c07b2de")
def undo(ctx: typer.Context, key: KeyArgument, date: DayOption = None, as_json: JsonFlag = False) -> None:
    """Take an answer back, with the mark and whatever else came of it."""
    office = console.office(ctx)
    answered = review_decisions.undo(office, key, day=school_day(date) if date else None)
    if as_json:
        _show(answered, office.settings.zone, as_json=True)
    elif answered.new:
        console.say("Taken back; the question is asked again.")
    else:
        console.say("No answer stands; nothing was changed.")


def _show(answered: Answered, zone: tzinfo, *, as_json: bool) -> None:
    if as_json:
        mark = mark_row(answered.mark, zone) if answered.mark else None
        console.emit_json(
            {
                "question": _row(answered.line, zone),
                "new": answered.new,
                "mark": mark,
                "look_alike_pairs": answered.pairs,
                "csv_problem": answered.csv_problem or None,
            }
        )
    elif not answered.new:
        console.say("That was the answer already; nothing was changed.")
    else:
        _say(answered, zone)
    say_csv_problem(answered.csv_problem)


def _say(answered: Answered, zone: tzinfo) -> None:
    student, mark = answered.student, answered.mark
    if student is None:
        console.say("None of them; each needs a clearer picture from now on.")
    elif mark is None:
        console.say(f"It was {student.fields.name}, who had no lesson then: nothing was marked.")
    else:
        came = naming.clock(mark.at, zone)
        console.say(f"It was {student.fields.name}: present from {came} in {mark.occasion.described(zone)}.")
    if answered.pairs:
        console.say(f"{answered.pairs} new pairs of look-alikes: no camera tells them apart any more.")
    console.say(f"Take it back: rollcall-hub review undo {answered.line.item.key[:_SHORT_KEY]}")


def _row(line: ReviewLine, zone: tzinfo) -> dict[str, Any]:
    item, decision = line.item, line.decision
    first, last = naming.clock(item.first_at, zone), naming.clock(item.last_at, zone)
    where = line.lesson.described(zone) if line.lesson else f"room {line.room}, {item.day}"
    return {
        "key": item.key,
        "short_key": item.key[:_SHORT_KEY],
        "where": where,
        "room": line.room,
        "day": item.day,
        "lesson": naming.lesson_json(line.lesson, zone) if line.lesson else None,
        "seen": first if first == last else f"{first}-{last}",
        "first_at": naming.iso(item.first_at, zone),
        "last_at": naming.iso(item.last_at, zone),
        "sightings": item.sightings,
        "who": ", ".join(f"{one.fields.name} ({one.fields.serial_number})" for one in line.candidates),
        "candidates": [{"serial_number": one.fields.serial_number, "name": one.fields.name} for one in line.candidates],
        "why": ", ".join(reason.replace("_", " ") for reason in item.reasons),
        "reasons": list(item.reasons),
        "asked": line.asked,
        "answer": f"{decision.outcome} by {decision.decided_by}" if decision else None,
    }
