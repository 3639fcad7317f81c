"""`rollcall-hub keys`: which key has sealed what, replacing the hub's key, forgetting the old one."""

from typing import Annotated, Any

import typer

from hub.cli import console
from hub.cli.console import Column, JsonFlag
from hub.office import keys

app = typer.Typer(no_args_is_help=True, help="The hub's keys: show which are in use, replace the hub's key.")

COLUMNS = (
    Column("role", "Key"),
    Column("key_id", "Id"),
    Column("made_at", "Made"),
    Column("templates", "Templates", right=True),
    Column("photos", "Photos", right=True),
    Column("units", "Units", right=True),
    Column("file", "File"),
)
_ROTATE_HELP = (
    "Makes a new key (hub.key.next), re-seals with it the templates, the kept photos and the keys of units, and puts "
    "it in the place of hub.key. The hub may go on running. Stopped in the middle (Ctrl-C, a crash, no power), run the "
    "same command again: it goes on where it was.\n\n"
    "The key before it stays as hub.key.old until `rollcall-hub keys forget-old`. KEEP A COPY of the new key in a safe "
    "place, and the old one for as long as you keep backups of the database from before. Where several computers run a "
    "hub on one database, stop the others and give them the new file.\n\n"
    "Example:\n\n"
    "rollcall-hub keys rotate"
)


@app.command("show", epilog="Example:\n\nrollcall-hub keys show --json")
def show(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """Show the hub's keys: their ids, when they were made, how many rows each has sealed. Never a key itself."""
    shown = keys.show(console.office(ctx))
    rows: list[dict[str, Any]] = [
        {"role": line.role, "key_id": line.key_id, "made_at": line.made_at, "file": str(line.file), **line.rows}
        for line in shown.keys
    ]
    if as_json:
        console.emit_json({"keys": rows, "not_noted": shown.unnoted, "damaged": shown.damaged})
        return
    console.emit(rows, COLUMNS, as_json=False)
    for counts, what in ((shown.unnoted, "do not say their key"), (shown.damaged, "can be opened with none of these")):
        if any(counts.values()):
            console.note(f"{_counted(counts)} {what}.")


@app.command("rotate", epilog=_ROTATE_HELP)
def rotate(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """Replace the hub's key by a new one, while the hub runs. Safe to run again after any stop."""
    office = console.office(ctx)
    with console.progress("Re-sealing", total=None, as_json=as_json) as step:
        done = 0

        def shown(rows: int, total: int) -> None:
            nonlocal done
            step(rows - done, total=total)
            done = rows

        found = keys.rotate(office, progress=shown)
    if as_json:
        console.emit_json(
            {"outcome": found.outcome, "key_id": found.key_id, "resealed": found.resealed, "damaged": found.damaged}
        )
        return
    console.say(f"Re-sealed {_counted(found.resealed)} with the key {found.key_id}.")
    if any(found.damaged.values()):
        console.note(f"{_counted(found.damaged)} could not be opened with any key and stayed as they were.")
    _say_what_follows(found.outcome, office.keys.next_key_file.name, office.keys.hub_key_file.name)


def _say_what_follows(outcome: str, next_name: str, name: str) -> None:
    if outcome == "rotated":
        console.note(f"KEEP A COPY of the new {name} in a safe place: without it no template can be read.")
        console.note("The old one is kept beside it; when all is well: rollcall-hub keys forget-old")
    elif outcome == "finished":
        console.note("This ended the last rotation. Before the next one: rollcall-hub keys forget-old")
    else:
        console.note(
            f"The files are not this program's to change: now give the hub the new key as {name} and the one before it "
            f"as {name}.old instead of {next_name}, and start it anew."
        )


@app.command(
    "forget-old", epilog="Examples:\n\nrollcall-hub keys forget-old\n\nrollcall-hub keys forget-old --yes --json"
)
def forget_old(
    ctx: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Delete the key that was replaced. Refused while anything in the database needs it.

    Backups of the database from before the rotation open only with that key: keep a copy of it elsewhere as long as
    you keep those.
    """
    office = console.office(ctx)
    if not yes and office.keys.is_own(office.keys.old_key_file):
        console.need_yes(
            f"{office.keys.old_key_file.name} will be deleted; backups of the database from before the rotation open "
            "only with a copy of it. Go on?"
        )
    key_id = keys.forget_old(office)
    if as_json:
        console.emit_json({"forgotten": key_id})
    else:
        console.say(f"Deleted the old key {key_id}.")


def _counted(counts: dict[str, int]) -> str:
    names = {"templates": "templates", "photos": "photos", "units": "keys of units"}
    return ", ".join(f"{rows} {names[name]}" for name, rows in counts.items())
