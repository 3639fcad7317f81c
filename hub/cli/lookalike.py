"""`rollcall-hub lookalike`: pairs of students whom no camera tells apart."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from hub.cli import console
from hub.cli.console import Column, JsonFlag
from hub.core.roster_times import local_iso
from hub.office import look_alikes
from hub.office.context import Office
from hub.office.look_alikes import LookAlikePair, SamePerson

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Two students who look alike: units ask instead of deciding between them. Or is it one person with two numbers?"
    ),
    epilog=(
        "Examples:\n\nrollcall-hub lookalike list\n\nrollcall-hub lookalike confirm 0012 0031\n\n"
        "rollcall-hub lookalike same 0012 0031"
    ),
)

COLUMNS = (
    Column("serial_number", "Serial"),
    Column("name", "Name"),
    Column("other_serial_number", "Serial"),
    Column("other_name", "Name"),
    Column("origin", "Found by"),
    Column("score_text", "Alike", right=True),
    Column("since", "Since"),
    Column("meaning", "Meaning"),
)
_MEANINGS = {
    "operator": "two people, said at the office",
    "review": "two people, by a teacher's answer",
    "calibration": "nobody said yet: confirm, or same",
}

OneArgument = Annotated[str, typer.Argument(metavar="SERIAL", help="A student's serial number.")]
OtherArgument = Annotated[str, typer.Argument(metavar="OTHER", help="The other student's serial number.")]


@app.command("list", epilog="Example:\n\nrollcall-hub lookalike list")
def list_all(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """List the pairs: those that nobody confirmed first."""
    office = console.office(ctx)
    rows = [_row(office, pair) for pair in look_alikes.list_pairs(office)]
    console.emit(rows, COLUMNS, as_json=as_json, empty="No two students are known to look alike.")


@app.command("confirm", epilog="Example:\n\nrollcall-hub lookalike confirm 0012 0031")
def confirm(ctx: typer.Context, serial: OneArgument, other: OtherArgument, as_json: JsonFlag = False) -> None:
    """They are two people: both may be enrolled, and units never decide between them by machine."""
    done = look_alikes.confirm(console.office(ctx), serial, other)
    one, two = done.one.fields, done.other.fields
    if as_json:
        console.emit_json(
            {
                "serial_number": one.serial_number,
                "other_serial_number": two.serial_number,
                "before": done.before,
                "new": done.new,
            }
        )
    elif done.new:
        console.say(f"Noted: {one.serial_number} ({one.name}) and {two.serial_number} ({two.name}) are two people.")
    else:
        console.say("That was on record already; nothing was changed.")


@app.command("remove", epilog="Example:\n\nrollcall-hub lookalike remove 0012 0031")
def remove(ctx: typer.Context, serial: OneArgument, other: OtherArgument, as_json: JsonFlag = False) -> None:
    """Remove a pair: units decide between the two again. A calibration may find the pair once more."""
    office = console.office(ctx)
    pair = look_alikes.remove(office, serial, other)
    if as_json:
        console.emit_json(_row(office, pair))
    else:
        console.say(f"{pair.one.fields.serial_number} and {pair.other.fields.serial_number} are no pair any more.")


@app.command(
    "same",
    epilog=(
        "Without --forget nothing is changed: it says which number to keep and why.\n\n"
        "Examples:\n\nrollcall-hub lookalike same 0012 0031\n\n"
        "rollcall-hub lookalike same 0012 0031 --forget 0031"
    ),
)
def same(
    ctx: typer.Context,
    serial: OneArgument,
    other: OtherArgument,
    forget: Annotated[
        str | None,
        typer.Option("--forget", metavar="SERIAL", help="Delete templates and kept pictures of this one of the two."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """They are one person, enrolled twice: what to do."""
    office = console.office(ctx)
    found = look_alikes.same_person(office, serial, other)
    if forget is None:
        _advise(found, as_json=as_json)
        return
    numbers = {found.one.serial_number: found.one, found.other.serial_number: found.other}
    pictures = numbers[forget].pictures if forget in numbers else 0
    question = f"{pictures} pictures of {forget} will be deleted, here and on every unit. Go on?"
    if forget in numbers and not yes:
        console.need_yes(question)
    done = look_alikes.forget_one(office, serial, other, forget)
    if as_json:
        console.emit_json(asdict(done))
        return
    console.say(
        f"Deleted {done.templates_deleted} templates and {done.photos_deleted} photos of {done.serial_number}; "
        f"{done.kept} keeps theirs."
    )
    console.say(f"The roster still has both. {_leave(done.serial_number)}")


def _advise(found: SamePerson, *, as_json: bool) -> None:
    if as_json:
        console.emit_json(asdict(found))
        return
    for number, name in zip((found.one, found.other), found.names, strict=True):
        where = f"section {number.section}" if number.section else "no section"
        left = "" if number.at_school else ", left the school"
        console.say(f"{number.serial_number}: {name}, {where}{left}, {number.pictures} pictures")
    if found.score is not None:
        console.say(f"Their templates are {found.score:.3f} alike.")
    keeping = found.keeping
    console.say(f"If they are one person, keep {keeping.keep}, because {keeping.because}:")
    console.say(
        f"  rollcall-hub lookalike same {keeping.keep} {keeping.forget} --forget {keeping.forget}\n"
        f"  {_leave(keeping.forget)}"
    )
    console.say(f"If they are two people: rollcall-hub lookalike confirm {keeping.keep} {keeping.forget}")


def _leave(serial_number: str) -> str:
    return f"To end the number: rollcall-hub student leave --serial {serial_number} --on DAY"


def _row(office: Office, pair: LookAlikePair) -> dict[str, Any]:
    one, other = pair.one.fields, pair.other.fields
    return {
        "serial_number": one.serial_number,
        "name": one.name,
        "other_serial_number": other.serial_number,
        "other_name": other.name,
        "origin": pair.origin,
        "confirmed": pair.confirmed,
        "score": pair.score,
        "score_text": None if pair.score is None else f"{pair.score:.3f}",
        "since": local_iso(pair.since, office.settings.zone),
        "decided_by": pair.decided_by,
        "meaning": _MEANINGS.get(pair.origin, ""),
    }
