"""`rollcall-hub retention`: what is kept how long, and the run that deletes what is due."""

from dataclasses import asdict
from typing import Annotated

import typer

from hub.cli import console
from hub.cli.console import Column, JsonFlag
from hub.core.roster_consent import GRACE
from hub.core.roster_times import local_iso
from hub.office import retention
from hub.office.retention import Kept, RetentionDone
from hub.office.retention_plan import KINDS

app = typer.Typer(
    no_args_is_help=True,
    help="How long everything is kept (settings: retention), and deleting what is due. serve does it every night; what "
    "is not delivered, not derived or not decided is never deleted.",
)

COLUMNS = (
    Column("kind", "Kind"),
    Column("meaning", "What it is"),
    Column("days", "Days kept", right=True),
    Column("older_than", "Before"),
    Column("due", "Due now", right=True),
)
DONE_COLUMNS = (Column("kind", "Kind"), Column("meaning", "What it is"), Column("deleted", "Rows", right=True))


@app.command("show", epilog="Example:\n\nrollcall-hub retention show")
def show(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """Show how long each kind of data is kept, and how much of it is due to be deleted now."""
    office = console.office(ctx)
    kept = retention.show(office)
    if as_json:
        console.emit_json(asdict(kept))
        return
    rows = [asdict(kind) | {"days": kind.days or "for ever"} for kind in kept.kinds]
    console.emit(rows, COLUMNS, as_json=False)
    console.say(
        f"Templates and photos of whoever's consent ended are deleted {GRACE.days} days after it did, whatever the "
        "settings say."
    )
    for line in _remarks(kept, local_iso(kept.counted_from, office.settings.zone)):
        console.say(line)


@app.command("run", epilog="Example:\n\nrollcall-hub retention run --dry-run")
def run(
    ctx: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how much it would be, and delete nothing.")] = False,
    clock_is_right: Annotated[
        bool,
        typer.Option(
            "--clock-is-right",
            help="You looked at this computer's clock and it is right, although it moved by weeks since the last run.",
        ),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Delete what is due now, as serve does every night. It may be stopped at any moment and run again."""
    office = console.office(ctx)
    due = retention.what_is_due(office, clock_is_right=clock_is_right)
    done = due
    if not dry_run:
        with console.progress("Deleting", total=sum(due.deleted.values()), as_json=as_json) as step:
            done = retention.run(office, step, clock_is_right=clock_is_right)
    if as_json:
        console.emit_json(asdict(done))
    else:
        _say(done)


def _say(done: RetentionDone) -> None:
    rows = [
        {"kind": kind, "meaning": KINDS[kind], "deleted": number} for kind, number in done.deleted.items() if number
    ]
    if not rows:
        console.say("Nothing is due.")
        return
    console.say("Would be deleted:" if done.dry_run else "Deleted:")
    console.emit(rows, DONE_COLUMNS, as_json=False)


def _remarks(kept: Kept, counted_from: str) -> list[str]:
    lines = []
    if kept.clock_held:
        lines.append(
            f"Counted from {counted_from}: this computer's clock says it is later, and no unit does. Nothing goes that "
            "may not be old; check the clock. If it is right: rollcall-hub retention run --clock-is-right"
        )
    if kept.waits is not None:
        lines.append(
            f"The register of {kept.waits} waits to be derived: nothing from that day on goes before it. Is "
            "rollcall-hub serve running?"
        )
    if kept.frozen_until is not None:
        lines.append(f"The register of days before {kept.frozen_until} stays as it is: events of these are deleted.")
    if kept.last_run is not None and kept.last_run.counts:
        together = sum(kept.last_run.counts.values())
        lines.append(f"The last run, on {kept.last_run.day}, deleted {together} rows.")
    return lines
