"""`rollcall-hub unit`: adding, moving and listing the units in the rooms."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hub.cli import console
from hub.cli.console import Column, JsonFlag
from hub.core.roster_times import local_iso, school_time
from hub.office import unit_moves, units
from hub.office.units import NewUnit

app = typer.Typer(no_args_is_help=True, help="Units: the small computers with a camera in the rooms.")

COLUMNS = (
    Column("label", "Unit"),
    Column("room", "Room"),
    Column("condition", "Condition"),
    Column("waiting_events", "Waiting", right=True),
    Column("last_heard", "Last heard"),
)


@app.command("add", epilog="Example:\n\nrollcall-hub unit add door-12 --room 12 --out ./door-12")
def add(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    label: Annotated[str, typer.Argument(help="What people call the unit, such as door-12.")],
    room: Annotated[str, typer.Option("--room", help="The room it hangs in.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the unit's files; bring it to the unit safely.")],
    broker_host: Annotated[str | None, typer.Option("--broker-host", help="Default: the hub's own.")] = None,
    broker_port: Annotated[
        int | None, typer.Option("--broker-port", min=1, max=65535, help="Default: the hub's own.")
    ] = None,
    pack_dir: Annotated[Path, typer.Option("--pack-dir", help="Where the unit has its model pack.")] = Path(
        "/var/lib/rollcall/packs/dlib"
    ),
    data_dir: Annotated[Path, typer.Option("--data-dir", help="Where the unit keeps its records.")] = Path(
        "/var/lib/rollcall/edge"
    ),
    camera: Annotated[
        str, typer.Option("--camera", help="Camera: picamera2, a device number, a file or an address.")
    ] = "0",
    as_json: JsonFlag = False,
) -> None:
    """Give a new unit its identity and keys, and write its files into a folder."""
    office = console.office(ctx)
    made = units.add(
        office,
        NewUnit(
            label=label,
            room=room,
            folder=out,
            broker_host=broker_host or office.settings.broker.host,
            broker_port=broker_port or office.settings.broker.port,
            pack_dir=pack_dir,
            data_dir=data_dir,
            camera=camera,
        ),
    )
    if as_json:
        console.emit_json(made)
    else:
        console.say(f"Unit {made['label']} is {made['unit_id']}. Its files:")
        for path in made["files"]:
            console.say(f"  {path}")
        console.note("unit.key is secret and exists once: bring the folder to the unit, then delete it here.")


@app.command(
    "move",
    epilog="What the unit saw from then on, until it is moved again, counts for the new room; the registers of both "
    "rooms since then are derived again. Enter a move that nobody noted with the time at which it was made.\n\n"
    "Examples:\n\nrollcall-hub unit move door-12 --room 14\n\n"
    "rollcall-hub unit move door-12 --room 14 --at 2026-09-14T10:30",
)
def move(
    ctx: typer.Context,
    label: Annotated[str, typer.Argument(help="The unit.")],
    room: Annotated[str, typer.Option("--room", help="The room it hangs in now.")],
    at: Annotated[str | None, typer.Option("--at", help="Since when, by the school's clock. Default: now.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Note that a unit hangs in another room."""
    office = console.office(ctx)
    zone = office.settings.zone
    moved = unit_moves.move_unit(office, label, room, None if at is None else school_time(at, zone, "the time"))
    if as_json:
        console.emit_json(
            {
                "unit_id": moved.unit_id,
                "label": moved.label,
                "room": moved.room,
                "since": moved.at,
                "until": moved.until,
                "students_days": moved.students_days,
            }
        )
        return
    until = "" if moved.until is None else f" until it was moved again at {local_iso(moved.until, zone)}"
    console.say(f"Unit {moved.label} is in room {moved.room} since {local_iso(moved.at, zone)}{until}.")
    if moved.students_days:
        console.note(f"The register of {moved.students_days} students and days is derived again.")


ProblemsFlag = Annotated[bool, typer.Option("--problems", help="Only units that somebody should look at.")]
CheckFlag = Annotated[
    bool, typer.Option("--check", help="Exit code 1 when somebody should look at a unit; for a regular job.")
]


@app.command(
    "list", epilog="Examples:\n\nrollcall-hub unit list --problems\n\nrollcall-hub unit list --check    (for a job)"
)
def list_units(
    ctx: typer.Context, problems: ProblemsFlag = False, check: CheckFlag = False, as_json: JsonFlag = False
) -> None:
    """Show every unit: how it is, how many events wait to be sent, when it was last heard."""
    show(ctx, COLUMNS, problems=problems, check=check, as_json=as_json)


def show(ctx: typer.Context, columns: tuple[Column, ...], *, problems: bool, check: bool, as_json: bool) -> None:
    """Print the units, or those with a problem; with `check` end with EXIT_FAILED when there is one."""
    rows = units.everyone(console.office(ctx))
    looked_for = [row for row in rows if row["needs_somebody"]]
    shown = looked_for if problems else rows
    empty = "No unit has a problem." if rows else "There are no units yet: rollcall-hub unit add ..."
    console.emit(shown if as_json else [_readable(row) for row in shown], columns, as_json=as_json, empty=empty)
    if check and looked_for:
        raise typer.Exit(console.EXIT_FAILED)


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    oldest_s, revision, confirmed = row["oldest_waiting_s"], row["gallery_revision"], row["confirmed_revision"]
    return {
        **row,
        "oldest": None if oldest_s is None or not row["waiting_events"] else f"{oldest_s / 60:.0f} min",
        "gallery": None if revision is None else str(revision) if revision == confirmed else f"{confirmed}/{revision}",
        "temperature": None if row["temperature_c"] is None else f"{row['temperature_c']:.0f} °C",
        "quarantine": row["quarantined"] or None,
    }
