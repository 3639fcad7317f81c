"""The command `rollcall-hub`. Each group of commands is a module of its own; `console` is how they all speak."""

from pathlib import Path
from typing import Annotated

import typer

from hub.cli import console, db

app = typer.Typer(
    cls=console.HubGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Rollcall's hub: students, rooms, units and the register.",
)
app.add_typer(db.app, name="db")


@app.callback()
def choices(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Settings file. Default: ROLLCALL_HUB_CONFIG, then /etc/rollcall/hub.toml."),
    ] = None,
    actor: Annotated[
        str | None, typer.Option("--actor", help="Who is acting, for the audit log. Default: your login name.")
    ] = None,
) -> None:
    """Take the options that stand before every command."""
    ctx.obj = console.Choices(config=config, actor=actor)


def main() -> None:
    """Run `rollcall-hub`."""
    app()
