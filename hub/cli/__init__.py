"""The command `rollcall-hub`. Each command or group of commands is a module of its own and is imported when it is asked
for: all of them together import twice as much as any of them needs. `console` is how they all speak.
"""

import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

try:
    import typer

    from hub.cli import console
except KeyboardInterrupt:
    # This takes up to a second on a small computer: Ctrl-C ends a command here as it does later.
    sys.exit(130)

_ALONE = {
    "units": "units",
    "serve": "serve",
    "mark": "marks",
    "unmark": "marks",
    "excuse": "marks",
    "close": "closing",
    "reopen": "closing",
    "erase": "erase",
    "calibrate": "calibrate",
    "evaluate": "evaluate",
    "selftest": "selftest",
}
"""Commands that belong to no group, and the modules they are in."""

_GROUPS = (
    "db",
    "room",
    "section",
    "student",
    "consent",
    "enrol",
    "lookalike",
    "term",
    "holiday",
    "timetable",
    "lesson",
    "register",
    "report",
    "review",
    "rules",
    "absence",
    "erasure",
    "retention",
    "audit",
    "keys",
    "unit",
    "gallery",
    "quarantine",
    "pack",
    "import",
    "export",
)
_GROUP_MODULES = {"import": "importing", "export": "exporting"}
"""Groups whose names are words of the language."""

_ALL = (*_ALONE, *_GROUPS)


class _Commands(Mapping[str, Any]):
    """The commands by name, in the order of `--help`; looking one up imports its module."""

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}

    def __contains__(self, name: object) -> bool:
        return name in _ALL

    def __getitem__(self, name: str) -> Any:
        if name not in self:
            raise KeyError(name)
        if name not in self._found:
            whole = typer.Typer()
            module = import_module(f"hub.cli.{(_ALONE | _GROUP_MODULES).get(name, name)}")
            whole.add_typer(module.app, name=name if name in _GROUPS else None)
            self._found[name] = typer.main.get_group(whole).commands[name]
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_ALL)

    def __len__(self) -> int:
        return len(_ALL)


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
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(console.EXIT_STOPPED)
