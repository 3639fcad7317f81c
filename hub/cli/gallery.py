"""`rollcall-hub gallery`: announcing galleries to units and seeing who has confirmed."""

import time
from typing import Annotated

import typer

from hub.cli import console
from hub.cli.console import Column, JsonFlag
from hub.office import galleries
from hub.office.context import Office
from hub.office.galleries import GalleryLine

app = typer.Typer(no_args_is_help=True, help="Galleries: whom each unit can recognise.")
_POLL_S = 0.5

COLUMNS = (
    Column("label", "Unit"),
    Column("revision", "Revision", right=True),
    Column("confirmed_revision", "Confirmed", right=True),
    Column("confirmed_students", "Students", right=True),
    Column("confirmed_at", "When"),
    Column("waiting_erasures", "To erase", right=True),
    Column("problem", "Problem"),
)


@app.command("status", epilog="Example:\n\nrollcall-hub gallery status")
def status(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """Show for every unit which gallery it should have and which one it has confirmed."""
    lines = galleries.status(console.office(ctx))
    console.emit([line.as_row() for line in lines], COLUMNS, as_json=as_json, empty="There are no units yet.")


@app.command(
    "push", epilog="Examples:\n\nrollcall-hub gallery push\n\nrollcall-hub gallery push --unit door-12 --timeout 300"
)
def push(
    ctx: typer.Context,
    unit: Annotated[str | None, typer.Option("--unit", help="Only this unit, by its label.")] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Every unit; the default.")] = False,
    timeout_s: Annotated[float, typer.Option("--timeout", min=0, help="Seconds to wait for the units.")] = 60.0,
    as_json: JsonFlag = False,
) -> None:
    """Announce galleries again and wait until the units have confirmed them. Exit code 3 when some did not."""
    if unit is not None and everybody:
        raise typer.BadParameter("choose --unit or --all")
    office = console.office(ctx)
    unit_ids = galleries.push(office, unit)
    lines = _wait(office, unit_ids, timeout_s, as_json=as_json)
    late = [line for line in lines if not line.current]
    if as_json:
        console.emit_json([line.as_row() for line in lines])
    elif not lines:
        console.say("There are no units yet.")
    else:
        console.say(f"{len(lines) - len(late)} of {len(lines)} units have their gallery.")
    for line in late:
        reason = f": {line.problem}" if line.problem else ""
        console.note(f"{line.label} has not confirmed revision {line.revision}{reason}.")
    if late:
        console.note("They take it as soon as they are heard again; see: rollcall-hub unit list")
        raise typer.Exit(console.EXIT_TEMPORARY)


@app.command(
    "reset", epilog="Examples:\n\nrollcall-hub gallery reset door-12\n\nrollcall-hub gallery reset --all --yes"
)
def reset(
    ctx: typer.Context,
    labels: Annotated[list[str] | None, typer.Argument(metavar="UNIT...", help="Units, by their labels.")] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Every unit.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Make units take the hub's gallery whatever they have: after a backup of the database was restored.

    A unit never goes back to an older gallery, so that nobody can bring erased students back with a message that was
    recorded. When the hub was restored and units say "rollback", this is the person's word that the hub is right. The
    hub overtakes most units by itself: try this only where `gallery status` still shows the problem after a minute.
    """
    if everybody == bool(labels):
        raise typer.BadParameter("name units, or choose --all")
    office = console.office(ctx)
    question = f"{'Every unit' if everybody else ', '.join(labels or ())} will drop its gallery for this hub's. Go on?"
    if not yes:
        console.need_yes(question)
    unit_ids = galleries.reset(office, None if everybody else labels)
    if as_json:
        console.emit_json([line.as_row() for line in galleries.status(office, unit_ids)])
    else:
        console.say(f"{len(unit_ids)} units will take this hub's gallery; see: rollcall-hub gallery status")


def _wait(office: Office, unit_ids: list[str], timeout_s: float, *, as_json: bool) -> list[GalleryLine]:
    deadline = office.clock.monotonic_s() + timeout_s
    done = 0
    with console.progress("Units that have confirmed", total=len(unit_ids), as_json=as_json) as step:
        while True:
            lines = galleries.status(office, unit_ids)
            current = sum(1 for line in lines if line.current)
            step(current - done)
            done = current
            if current == len(lines) or office.clock.monotonic_s() >= deadline:
                return lines
            time.sleep(_POLL_S)
