"""`rollcall-hub erasure`: on which units an erased student is gone, and which still have to do it."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, tzinfo
from typing import Annotated, Any

import typer

from hub.cli import console
from hub.cli.console import Column, JsonFlag
from hub.core.roster_times import local_iso
from hub.office import erasure
from hub.office.erasure import ErasureStatus, UnitReceipt

app = typer.Typer(
    no_args_is_help=True,
    help="Receipts of units for students who were erased, or whose consent ended. A unit says that somebody is erased "
    "when nothing of them can be read on its disk any more.",
)

COLUMNS = (
    Column("serial_number", "Serial"),
    Column("erased_at", "Erased here"),
    Column("receipts", "On units"),
    Column("completed_at", "Everywhere since"),
    Column("waiting", "Waiting"),
)


@app.command("status", epilog="Examples:\n\nrollcall-hub erasure status 0012\n\nrollcall-hub erasure status --json")
def status(
    ctx: typer.Context,
    student: Annotated[
        str | None, typer.Argument(metavar="[STUDENT]", help="The serial number they have now, or their id.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Say on how many units a student is erased, since when, and for whom it waits; of all who wait without a name."""
    office = console.office(ctx)
    if student is None:
        found: Sequence[ErasureStatus] = [one for one in erasure.list_erasures(office) if not one.complete]
    else:
        found = [erasure.status(office, student)]
    if as_json:
        console.emit_json([_as_json(one) for one in found] if student is None else _as_json(found[0]))
        return
    if not found:
        console.say("Nothing is waiting: every unit has deleted whom it was told to delete.")
    for one in found:
        for line in sentences(one, office.settings.zone):
            console.say(line)


@app.command("list", epilog="Example:\n\nrollcall-hub erasure list --all")
def list_all(
    ctx: typer.Context,
    everybody: Annotated[
        bool, typer.Option("--all", help="Also whom units deleted for another reason, such as another room.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """List who was erased and whom units have to delete; those that still wait come first."""
    office = console.office(ctx)
    found = erasure.list_erasures(office, everybody=everybody)
    if as_json:
        console.emit_json([_as_json(one) for one in found])
    else:
        rows = [_row(one, office.settings.zone) for one in found]
        console.emit(rows, COLUMNS, as_json=False, empty="Nobody was erased.")


def sentences(one: ErasureStatus, zone: tzinfo) -> list[str]:
    """Return how far the erasure of a student is, for people."""
    who = f"{one.serial_number} ({one.name})"
    if not one.units:
        rest = f"; {one.galleries_to_make} galleries are to be made yet" if one.galleries_to_make else ""
        return [f"{who}: no unit has, or ever had, their template{rest}."]
    since = _last(one)
    head = f"{who}: erased on {one.erased} of {len(one.units)}"
    lines = [f"{head}, at {local_iso(since, zone)}." if since and one.erased else f"{head}."]
    lines += [f"  {_sentence(unit, zone)}" for unit in one.units if unit.state != "erased"]
    if one.galleries_to_make:
        lines.append(f"  {one.galleries_to_make} galleries are to be made yet: is rollcall-hub serve running?")
    return lines


def _last(one: ErasureStatus) -> datetime | None:
    return max((unit.confirmed_at for unit in one.units if unit.confirmed_at is not None), default=None)


def _sentence(unit: UnitReceipt, zone: tzinfo) -> str:
    if unit.state == "revoked, not confirmed":
        return f"revoked, not confirmed: {unit.label}. It takes nothing from this hub any more: erase its card by hand."
    if unit.reachable:
        how = "is told with its next gallery" if unit.state == "not asked yet" else "was told, has not confirmed yet"
        return f"waiting: {unit.label} ({how})"
    if unit.silent_since is None:
        return f"waiting: {unit.label} (never heard of)"
    return f"waiting: {unit.label} (offline since {local_iso(unit.silent_since, zone)})"


def _row(one: ErasureStatus, zone: tzinfo) -> dict[str, Any]:
    waiting = [
        f"{unit.label} (revoked)" if unit.state == "revoked, not confirmed" else unit.label
        for unit in one.units
        if unit.state != "erased"
    ]
    return {
        "serial_number": one.serial_number,
        "erased_at": one.erased_at and local_iso(one.erased_at, zone),
        "receipts": f"{one.erased} of {len(one.units)}",
        "completed_at": one.completed_at and local_iso(one.completed_at, zone),
        "waiting": ", ".join(waiting) or None,
    }


def _as_json(one: ErasureStatus) -> dict[str, Any]:
    return asdict(one) | {"erased": one.erased, "complete": one.complete, "completed_at": one.completed_at}
