"""The command `rollcall-hub`. Each group of commands is a module of its own; `console` is how they all speak."""

from pathlib import Path
from typing import Annotated

import typer

from hub.cli import (
    calibrate,
    consent,
    console,
    db,
    enrol,
    evaluate,
    gallery,
    lesson,
    pack,
    quarantine,
    register,
    room,
    section,
    selftest,
    service,
    student,
    unit,
)

app = typer.Typer(
    cls=console.HubGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Rollcall's hub: students, rooms, units and the register.",
)
for name, group in (
    ("db", db.app),
    ("room", room.app),
    ("section", section.app),
    ("student", student.app),
    ("consent", consent.app),
    ("enrol", enrol.app),
    ("lesson", lesson.app),
    ("unit", unit.app),
    ("gallery", gallery.app),
    ("quarantine", quarantine.app),
    ("pack", pack.app),
    ("register", register.app),
):
    app.add_typer(group, name=name)
app.command("units", epilog=unit.FLEET_EPILOG)(unit.fleet)
app.command("serve", epilog=service.EPILOG)(service.serve)
app.command("calibrate", epilog=calibrate.EPILOG)(calibrate.calibrate)
app.command("evaluate", help=evaluate.HELP, epilog=evaluate.EPILOG)(evaluate.evaluate)
app.command("selftest", help=selftest.HELP, epilog=selftest.EPILOG)(selftest.selftest)


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
