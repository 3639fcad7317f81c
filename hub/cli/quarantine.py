"""`rollcall-hub quarantine`: what units sent and the hub could not take."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.adapters import csv_files
from hub.adapters.quarantine_rows import PAGE, Line, Wanted
from hub.cli import console
from hub.cli.console import Column, JsonFlag
from hub.office import quarantine, quarantine_replay
from hub.office.quarantine_replay import Replayed

app = typer.Typer(
    no_args_is_help=True,
    help="Quarantine: what units sent and the hub could not take. Nothing in it is lost, and nothing of it counts yet.",
)

COLUMNS = (
    Column("id", "Id"),
    Column("unit", "Unit"),
    Column("code", "Reason"),
    Column("detail", "What is wrong"),
    Column("received_at", "Received"),
    Column("state", "State"),
)
_MOST_FILE_BYTES = 256 * 1024

IdArgument = Annotated[str, typer.Argument(help="The id that `quarantine list` shows.")]
UnitOption = Annotated[str | None, typer.Option("--unit", help="Only of this unit, by its label.")]
CodeOption = Annotated[str | None, typer.Option("--code", help="Only with this reason, such as invalid or conflict.")]
AllOption = Annotated[bool, typer.Option("--all", help="Also what is settled.")]

_REASONS = (
    "Reasons: unsupported_kind (the unit is newer: update the hub, then replay), invalid (damaged, or a fault of the "
    "unit's program: fix or discard), conflict (an event came twice with different content: look at both), too_large, "
    "unstorable, not_taken."
)


@app.command("list", epilog=f"{_REASONS}\n\nExample:\n\nrollcall-hub quarantine list --unit door-12")
def list_kept(
    ctx: typer.Context,
    unit: UnitOption = None,
    code: CodeOption = None,
    everything: AllOption = False,
    page: Annotated[int, typer.Option("--page", min=1, help=f"Which {PAGE} of them; --json shows all.")] = 1,
    as_json: JsonFlag = False,
) -> None:
    """Show what waits for a decision, oldest first. What was sent is not shown: it may be about a student."""
    office, wanted = console.office(ctx), Wanted(label=unit, code=code, resolved_too=everything)
    if as_json:
        rows = quarantine.find(office, wanted)
        number = len(rows)
    else:
        rows, number = quarantine.page(office, wanted, page)
    lines = [{**quarantine.as_json(row), "state": _state(row)} for row in rows]
    console.emit(lines, COLUMNS, as_json=as_json, empty=_nothing(number))
    if rows and len(rows) < number:
        first = (page - 1) * PAGE + 1
        more = f"; the next: --page {page + 1}" if first + len(rows) <= number else ""
        console.note(f"{first} to {first + len(rows) - 1} of {number}{more}")


def _nothing(number: int) -> str:
    return f"There are only {number}: choose an earlier --page." if number else "Nothing waits in quarantine."


def _state(kept: Line) -> str:
    if kept.resolved_at is None:
        return "waits, corrected" if kept.fixed else "waits"
    return f"{kept.outcome} by {kept.resolved_by}"


@app.command("show", epilog="Example:\n\nrollcall-hub quarantine show 0199... --content")
def show(
    ctx: typer.Context,
    row_id: IdArgument,
    content: Annotated[
        bool,
        typer.Option("--content", help="Also what was sent. It may be about a student: that you read it is noted."),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show one entry."""
    office = console.office(ctx)
    kept = quarantine.show_content(office, row_id) if content else quarantine.one(office, row_id)
    value = quarantine.with_content(kept) if content else quarantine.as_json(kept)
    if as_json:
        console.emit_json(value)
        return
    for name, one in value.items():
        if name in {"content", "fixed_content"} and one is not None:
            console.say(f"{name.replace('_', ' ')}:\n{json.dumps(one, indent=2, ensure_ascii=False)}")
        elif one is not None:
            console.say(f"{name.replace('_', ' ')}: {one}")


@app.command(
    "replay",
    epilog="Examples:\n\nrollcall-hub quarantine replay 0199...\n\nrollcall-hub quarantine replay --all",
)
def replay(
    ctx: typer.Context,
    row_ids: Annotated[list[str] | None, typer.Argument(help="Ids that `quarantine list` shows.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything that waits.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Try again to take what waits, each event at its own place. Exit code 1 when something is still refused.

    After an update of the hub, `replay --all` takes the events that it did not understand before.
    """
    if everything == bool(row_ids):
        raise typer.BadParameter("name ids, or choose --all")
    office = console.office(ctx)
    # One at a time: what is kept may be large.
    some = row_ids or [line.row_id for line in quarantine.find(office, Wanted())]
    done: list[Replayed] = []
    with console.progress("Replaying", total=len(some), as_json=as_json) as step:
        for row_id in some:
            done += quarantine_replay.replay(office, [quarantine.one(office, row_id)])
            step()
    refused = [one for one in done if one.outcome is None]
    if as_json:
        console.emit_json(
            [{"id": one.row_id, "unit": one.label, "outcome": one.outcome, "why": one.why} for one in done]
        )
    else:
        console.say(f"{len(done) - len(refused)} of {len(done)} are settled.")
        for one in refused:
            console.note(f"{one.row_id} is still refused: {one.why}")
    if refused:
        raise typer.Exit(console.EXIT_FAILED)


@app.command("fix", epilog="Example:\n\nrollcall-hub quarantine fix 0199... --file corrected.json")
def fix(
    ctx: typer.Context,
    row_id: IdArgument,
    file: Annotated[Path, typer.Option("--file", help="The whole corrected event as JSON.")],
    as_json: JsonFlag = False,
) -> None:
    """Put a corrected event beside a damaged one, for the next replay. What the unit sent is kept."""
    kept = quarantine.fix(console.office(ctx), row_id, csv_files.read_bounded(file, _MOST_FILE_BYTES))
    if as_json:
        console.emit_json({"id": kept.row_id, "fixed": True})
    else:
        console.say(f"Corrected. To take it: rollcall-hub quarantine replay {kept.row_id}")


@app.command("discard", epilog='Example:\n\nrollcall-hub quarantine discard 0199... --reason "test of the installer"')
def discard(
    ctx: typer.Context,
    row_id: IdArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why, in a few words; it stands beside what was wrong.")],
    as_json: JsonFlag = False,
) -> None:
    """Decide that something is never taken. It stays on record, with who decided and why."""
    kept = quarantine.discard(console.office(ctx), row_id, reason)
    if as_json:
        console.emit_json({"id": kept.row_id, "outcome": "discarded"})
    else:
        console.say("Set aside for good.")


@app.command("export", epilog="Example:\n\nrollcall-hub quarantine export --all quarantine.jsonl")
def export(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The file to write, one entry a line; - writes to standard output.")],
    unit: UnitOption = None,
    code: CodeOption = None,
    everything: AllOption = False,
    as_json: JsonFlag = False,
) -> None:
    """Write entries with their content to a file. That it was taken away stands in the audit log."""
    number, content = quarantine.export(console.office(ctx), Wanted(label=unit, code=code, resolved_too=everything))
    csv_files.write_file(file, content)
    if file == csv_files.STREAM:
        return
    said: dict[str, Any] = {"file": str(file), "rows": number}
    if as_json:
        console.emit_json(said)
    else:
        console.say(f"Wrote {number} entries to {file}.")
