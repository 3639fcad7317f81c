"""The commands of `rollcall-edge` and their options."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.cli.output import command
from edge.core.errors import SettingsWrong

# Each command imports what it does when it is given: `--help`, and a look at the record, must not wait for cameras,
# models and the connection.
if TYPE_CHECKING:
    from edge.settings import EdgeSettings

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
    typer.Option("--config", "-c", help="Settings file; else $ROLLCALL_EDGE_CONFIG, or /etc/rollcall/edge.toml."),
]
Json = Annotated[bool, typer.Option("--json", help="For scripts: JSON instead of text.")]


def _settings(config: Path | None) -> "EdgeSettings":
    from edge.settings import load_settings, settings_file

    return load_settings(settings_file(config))


@app.command()
@command
def run(
    config: Config = None,
    json_summary: Annotated[bool, typer.Option("--json", help="Print the summary at the end as JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
    overlay: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="To look into a fault: also write a video (.mp4, .avi, .mkv) with boxes, track numbers, states and "
            "why a face was not compared. Such a video shows faces and must be deleted afterwards.",
        ),
    ] = None,
    overlay_ids: Annotated[
        bool, typer.Option("--overlay-ids", help="In that video, also the beginning of each student's id; no names.")
    ] = False,
) -> None:
    """Watch, recognise and record until stopped (SIGTERM or Ctrl-C), or until a replayed recording is over.

    Needs no network: records wait on disk until the hub answers. A kill or a power cut loses nothing that was written.
    """
    from edge.cli import running

    if overlay_ids and overlay is None:
        raise SettingsWrong("--overlay-ids is of no use without --overlay FILE")
    film = running.Film(overlay, overlay_ids) if overlay else None
    running.run(_settings(config), json_summary=json_summary, verbose=verbose, film=film)


@app.command()
@command
def check(config: Config = None, as_json: Json = False) -> None:
    """Look at everything a unit needs, one line each, with the remedy; exits 1 when something is wrong.

    Settings, keys, disk, record, clock, model pack, gallery, camera, how far it reaches, broker. Can run beside a
    running unit, except that a camera may serve only one program at a time.
    """
    from edge.cli import checks
    from edge.settings import settings_file

    checks.check(settings_file(config), as_json=as_json)


@app.command()
@command
def zone(
    corners: Annotated[
        list[str] | None,
        typer.Argument(metavar="X,Y", help="Corners as fractions of the picture from its left and its top."),
    ] = None,
    config: Config = None,
    snapshot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Take one picture now and write it here (.jpg, .png) with grid and zone."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw the part of the picture in which people are recognised, and print the line for the settings file.

    Two corners make a rectangle, three and more a shape: `rollcall-edge zone --snapshot door.jpg 0.2,0.1 0.8,0.9`.
    Without corners, the zone in the settings is shown. No picture is kept unless you ask for it with --snapshot.
    """
    from edge.cli import zones

    zones.show_zone(_settings(config), corners or (), snapshot, as_json=as_json)


@app.command()
@command
def bench(
    config: Config = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A picture with faces, as the camera sees the room; without one, detection "
            "is timed on a made-up empty room, and the embedder on noise.",
        ),
    ] = None,
    pack_dir: Annotated[
        Path | None, typer.Option("--pack", metavar="FOLDER", help="Measure this pack; needs no settings file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure how fast this machine recognises, and suggest settings with the reason; takes under a minute.

    Detection, alignment, embedding in each precision, matching against up to 10,000 students, a whole frame, start,
    memory, temperature. Stop a unit that runs on this machine first, or both are slow.
    """
    from edge.cli import bench as benches

    wanted = benches.wish_for_pack(pack_dir) if pack_dir else benches.wish_of(_settings(config))
    benches.bench(wanted, picture, as_json=as_json)


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
    from edge.cli import records

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
    from edge.cli import records

    records.export(_settings(config), target, records.Choice(day, (), None), form)


@app.command()
@command
def status(config: Config = None, as_json: Json = False) -> None:
    """Say how the unit is: what waits for the hub, what is wrong, how the disk is, when the hub last took something.

    Asks the unit that runs; when none does, says what its record says.
    """
    from edge.cli import desk

    desk.show_status(_settings(config), as_json=as_json)


@app.command()
@command
def mark(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    student: Annotated[
        str | None, typer.Argument(metavar="STUDENT", help="Serial number, or a part of the name that only one has.")
    ] = None,
    config: Config = None,
    status_word: Annotated[
        str | None, typer.Option("--status", metavar="WORD", help="present, late, excused or absent.")
    ] = None,
    lesson: Annotated[
        str | None,
        typer.Option(help="`now`, or the id of one of the lessons in --list. Without it: the one that runs, if any."),
    ] = None,
    note: Annotated[str, typer.Option(help="Why, for whoever reads the register.")] = "",
    by: Annotated[str | None, typer.Option(metavar="WHO", help="Who says so. Default: your login name.")] = None,
    listing: Annotated[bool, typer.Option("--list", help="Show whom the unit knows and what it wrote today.")] = False,
    as_json: Json = False,
) -> None:
    """Mark a student by hand, with or without a network: it wins over what the unit sees.

    For example `rollcall-edge mark 0042 --status late --note bus`, or `rollcall-edge mark --list`. A wrong mark is put
    right with another one, or at the hub.
    """
    from edge.cli import marks

    if listing:
        if student is not None or status_word is not None:
            raise SettingsWrong("--list marks nobody", hint="leave the student and --status out")
        marks.show(_settings(config), as_json=as_json)
        return
    if student is None or status_word is None:
        raise SettingsWrong("say whom, and --status", hint="rollcall-edge mark 0042 --status present")
    marks.mark(_settings(config), marks.Wish(student, status_word, lesson, note, by), as_json=as_json)


letters_app = typer.Typer(
    name="dead-letters",
    help="What the hub refused and the unit keeps. It is never sent again by itself: look at it, put right what is "
    "wrong at the hub, then retry.",
    no_args_is_help=True,
)
app.add_typer(letters_app)
csv_app = typer.Typer(name="csv", help="The daily CSV files, a copy of the record.", no_args_is_help=True)
app.add_typer(csv_app)

Stream = Annotated[
    str | None, typer.Option(help="Only of this stream, where `list` shows several (a unit whose record was restored).")
]


@letters_app.command("list")
@command
def letters_list(config: Config = None, as_json: Json = False) -> None:
    """List what the hub refused, oldest refusal first, with the reason."""
    from edge.cli import desk

    desk.list_letters(_settings(config), as_json=as_json)


@letters_app.command("show")
@command
def letters_show(
    seq: Annotated[int, typer.Argument(help="Its number, as `list` shows it.")],
    config: Config = None,
    stream: Stream = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts: the same on one line.")] = False,
) -> None:
    """Show one refused event whole, as JSON."""
    from edge.cli import desk

    desk.show_letter(_settings(config), desk.Letters((seq,), stream), as_json=as_json)


@letters_app.command("retry")
@command
def letters_retry(
    seqs: Annotated[list[int] | None, typer.Argument(metavar="SEQ", help="Their numbers.")] = None,
    config: Config = None,
    stream: Stream = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    as_json: Json = False,
) -> None:
    """Send refused events to the hub again; nothing is lost if it refuses them once more."""
    from edge.cli import desk

    desk.retry_letters(_settings(config), desk.Letters(tuple(seqs or ()), stream, everything), as_json=as_json)


@letters_app.command("export")
@command
def letters_export(
    target: Annotated[Path, typer.Argument(help="File to write; - for standard output.")], config: Config = None
) -> None:
    """Write every refused event with its reason to a file, a line of JSON each."""
    from edge.cli import desk

    desk.export_letters(_settings(config), target)


@csv_app.command("rebuild")
@command
def csv_rebuild(
    config: Config = None,
    day: Annotated[str | None, typer.Option(help="This day of the school, as 2026-09-01.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every day the record has.")] = False,
    as_json: Json = False,
) -> None:
    """Write a day's CSV file anew from the record; without an option, the newest day's.

    Nothing goes lost: lines of events that the record no longer has stay, and so do names of students who have left.
    """
    from edge.cli import desk

    desk.rebuild_csv(_settings(config), day, everything=everything, as_json=as_json)


def _show_version(wanted: bool) -> None:
    if wanted:
        from edge.bootstrap.process import software

        typer.echo(f"rollcall-edge {software()}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass
