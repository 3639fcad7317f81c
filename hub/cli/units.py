"""`rollcall-hub units`: the whole fleet."""

import typer

from hub.cli.console import Column, JsonFlag
from hub.cli.unit import CheckFlag, ProblemsFlag, show

COLUMNS = (
    Column("label", "Unit"),
    Column("room", "Room"),
    Column("state", "State"),
    Column("condition", "Condition"),
    Column("waiting_events", "Waiting", right=True),
    Column("oldest", "Oldest", right=True),
    Column("quarantine", "Quarantine", right=True),
    Column("gallery", "Gallery", right=True),
    Column("clock", "Clock"),
    Column("disk", "Disk"),
    Column("temperature", "Heat", right=True),
    Column("software", "Version"),
    Column("last_heard", "Last heard"),
)
EPILOG = (
    "A unit that is connected and gets nothing through is a problem here, as is one that nobody has heard of for five "
    "minutes. What the columns say is what the unit said last.\n\n"
    "Examples:\n\nrollcall-hub units --problems\n\nrollcall-hub units --check --problems    (from cron)"
)

app = typer.Typer()


@app.command("units", epilog=EPILOG)
def fleet(
    ctx: typer.Context, problems: ProblemsFlag = False, check: CheckFlag = False, as_json: JsonFlag = False
) -> None:
    """Show the whole fleet: how each unit is, what waits, what is wrong and what to do about it."""
    show(ctx, COLUMNS, problems=problems, check=check, as_json=as_json)
