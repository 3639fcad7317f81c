"""The commands of `rollcall-edge` and their options."""

from pathlib import Path
from typing import Annotated

import typer

from edge.bootstrap import software
from edge.cli import checks, records, running
from edge.cli.output import command
from edge.settings import EdgeSettings, load_settings, settings_file

app = typer.Typer(
    name="rollcall-edge",
    help="The classroom unit: recognises the students of its room and writes attendance down, also without a network.",
    epilog="A new unit: `rollcall-hub unit add` makes its folder; copy it here, then `rollcall-edge check` and "
    "`rollcall-edge run`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Settings file [default: $ROLLCALL_EDGE_CONFIG, else /etc/rollcall/edge.toml]"),
]
Json = Annotated[bool, typer.Option("--json", help="For scripts: JSON instead of text.")]


def _settings(config: Path | None) -> EdgeSettings:
    return load_settings(settings_file(config))


@app.command()
@command
def run(
    config: Config = None,
    json_summary: Annotated[bool, typer.Option("--json", help="Print the summary at the end as JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
) -> None:
    """Watch, recognise and record until stopped (SIGTERM or Ctrl-C), or until a replayed recording is over.

    Needs no network: records wait on disk until the hub answers. A kill or a power cut loses nothing that was written.
    """
    running.run(_settings(config), json_summary=json_summary, verbose=verbose)


@app.command()
@command
def check(config: Config = None, as_json: Json = False) -> None:
    """Look at everything a unit needs, one line each, with the remedy; exits 1 when something is wrong.

    Settings, keys, disk, record, clock, model pack, gallery, camera, broker. Can run beside a running unit, except that
    a camera may serve only one program at a time.
    """
    checks.check(settings_file(config), as_json=as_json)


@app.command()
@command
def events(
    config: Config = None,
    day: Annotated[str | None, typer.Option(help="Only this UTC day, as 2026-09-01.")] = None,
    kind: Annotated[
        list[str] | None, typer.Option(help="Only this kind (seen, left, review, ...); repeatable.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="At most this many, the newest.")] = 50,
    as_json: Json = False,
) -> None:
    """List what the unit has written down and how far it got: waiting, delivered or refused by the hub."""
    records.list_events(_settings(config), records.Choice(day, tuple(kind or ()), limit), as_json=as_json)


@app.command()
@command
def export(
    target: Annotated[Path, typer.Argument(help="File to write; - for standard output.")],
    config: Config = None,
    day: Annotated[str | None, typer.Option(help="Only this day (school's for csv, UTC for json).")] = None,
    form: Annotated[
        str, typer.Option("--format", help="csv (attendance lines) or json (every event, a line each).")
    ] = "csv",
) -> None:
    """Write the record out again from the unit's database: the CSV lines, or every event as JSON lines."""
    records.export(_settings(config), target, records.Choice(day, (), None), form)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rollcall-edge {software()}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass
