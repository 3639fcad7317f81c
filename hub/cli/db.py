"""`rollcall-hub db`: create or update the tables, and check them."""

import typer

from hub.cli import console
from hub.cli.console import JsonFlag
from hub.office import tables

app = typer.Typer(no_args_is_help=True, help="The database: create or update its tables, check it.")


@app.command("migrate", epilog="Example:\n\nrollcall-hub db migrate")
def migrate(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """Create or update the tables, and make the hub's keys where there are none. Safe to run again.

    Stop every hub first.
    """
    office = console.office(ctx)
    with console.progress("Updating the tables", total=None, as_json=as_json):
        outcome = tables.migrate(office)
    if as_json:
        console.emit_json(outcome)
    elif outcome["before"] == outcome["after"]:
        console.say(f"The tables are up to date (version {outcome['after']}).")
    else:
        console.say(f"The tables now have version {outcome['after']} (before: {outcome['before'] or 'none'}).")
    for path in outcome["created_keys"]:
        console.note(f"Made the key {path}.")
    if outcome["created_keys"]:
        console.note("KEEP A COPY of the keys in a safe place: without hub.key no template can be read.")


@app.command("check", epilog="Example:\n\nrollcall-hub db check --json")
def check(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """Check that the database answers and has the tables this program needs, and that the keys can be read."""
    outcome = tables.check(console.office(ctx))
    if as_json:
        console.emit_json(outcome)
    else:
        console.say(
            f"{outcome['server']} answers at {outcome['address']}; "
            f"its tables have version {outcome['version']}; the keys can be read."
        )
