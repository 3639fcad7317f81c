"""The command `rollcall-hub`. Each command or group of commands is a module of its own and is imported when it is asked
for: all of them together import twice as much as any of them needs. `console` is how they all speak.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.cli import console

_ALONE = ("units", "serve", "calibrate", "evaluate", "selftest")
_GROUPS = (
    "db",
    "room",
    "section",
    "student",
    "consent",
    "enrol",
    "lesson",
    "unit",
    "gallery",
    "quarantine",
    "pack",
    "register",
)


class _Commands(Mapping[str, Any]):
    """The commands by name, in the order of `--help`; looking one up imports its module."""

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}

    def __contains__(self, name: object) -> bool:
        return name in _ALONE + _GROUPS

    def __getitem__(self, name: str) -> Any:
        if name not in self:
            raise KeyError(name)
        if name not in self._found:
            whole = typer.Typer()
            whole.add_typer(import_module(f"hub.cli.{name}").app, name=name if name in _GROUPS else None)
            self._found[name] = typer.main.get_group(whole).commands[name]
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_ALONE + _GROUPS)

    def __len__(self) -> int:
        return len(_ALONE + _GROUPS)


class _Root(console.HubGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Commands()  # type: ignore[assignment]  # nobody adds to it

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 (Typer calls it so)
        return list(self.commands)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 (Typer calls it so)
        # Not `get`, which takes a KeyError out of an import for a command that does not exist.
        return self.commands[cmd_name] if cmd_name in self.commands else None  # noqa: SIM401


app = typer.Typer(
    cls=_Root,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Rollcall's hub: students, rooms, units and the register.",
)


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
