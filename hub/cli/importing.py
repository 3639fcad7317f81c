"""`rollcall-hub import`: taking over what another system kept."""

from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from hub.adapters.database import DatabaseAddress
from hub.adapters.key_files import read_password
from hub.adapters.legacy_files import LegacyFolder
from hub.cli import console
from hub.cli.console import Column, JsonFlag
from hub.core.errors import BadInput
from hub.core.legacy import Source
from hub.core.roster import StudentFields
from hub.office.context import Office
from hub.office.legacy import LegacyChoices, LegacyImported, import_legacy

app = typer.Typer(no_args_is_help=True, help="Take over what another system kept.")

PROBLEM_COLUMNS = (Column("kind", "What"), Column("where", "Where"), Column("reason", "Why"))
_SHOWN = 30
_WORDS = {
    "student": "rows of students that were not taken over",
    "duplicate": "serial numbers that are there twice",
    "cell": "cells that were left out",
    "differs": "things that are on record otherwise and stay so",
    "attendance": "rows of attendance that were not taken over",
    "frozen": "rows of days whose register stays as it is",
    "picture": "pictures that were not enrolled",
    "encoding": "encodings that were not used",
}
_HELP = (
    "The source is the original's MySQL database, or a folder with students.csv, attendance.csv (its own, or a dump of "
    "its table), attendance_table.csv and known_faces/; each may be missing. It is only read.\n\n"
    "Rows of attendance become marks with the original's status, method and moment, in the lesson of the student that "
    "ran then, else of the day: import the timetable first. Nothing is taken over twice: it may be stopped and run "
    "again, and what was corrected here meanwhile stays. attendance.csv says only who was "
    "there; it adds nothing where more is known.\n\n"
    "Faces need a consent: without --consent-reference nobody is enrolled. Pictures are looked at anew; the "
    "original's face_encoding was made from faces that were cut out otherwise, and is used only with "
    "--trust-encodings, only if this hub uses the same network (pack facenet), and only for who has no picture.\n\n"
    "What cannot be taken over is listed, and the rest is: look at the list of a --dry-run before.\n\n"
    "Examples:\n\n"
    "rollcall-hub import legacy /srv/old --dry-run\n\n"
    "rollcall-hub import legacy --host 127.0.0.1 --user reader --password-file reader.password --database attendance "
    '--known-faces /srv/old/known_faces --consent-reference "forms of 2026, folder 3"'
)


@app.callback()
def group() -> None:
    """Keep `legacy` a word of its own."""


@app.command("legacy", epilog=_HELP)
def legacy(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    folder: Annotated[Path | None, typer.Argument(help="A folder with CSV files and known_faces/.")] = None,
    host: Annotated[str, typer.Option("--host", help="Where the original's MySQL is.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="The port of the database.")] = 3306,
    user: Annotated[str | None, typer.Option("--user", help="A user that may SELECT.")] = None,
    password_file: Annotated[
        Path | None, typer.Option("--password-file", help="A file with the password, readable by you only.")
    ] = None,
    database: Annotated[str | None, typer.Option("--database", help="The original's database.")] = None,
    known_faces: Annotated[
        Path | None, typer.Option("--known-faces", help="The folder with portraits. Default: known_faces in FOLDER.")
    ] = None,
    zone: Annotated[
        str | None, typer.Option("--zone", help="Of the times there, like Europe/Berlin. Default: the school's.")
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Change students on record where the original says something else.")
    ] = False,
    consent_reference: Annotated[
        str | None,
        typer.Option(
            "--consent-reference",
            help="You say that everybody there agreed; TEXT says where the papers are (audited).",
        ),
    ] = None,
    trust_encodings: Annotated[
        bool, typer.Option("--trust-encodings", help="Use face_encoding of whoever has no picture.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Take over students, attendance and faces of the system this one follows."""
    if (folder is None) == (database is None):
        raise BadInput("name one source: a folder, or --database", hint="rollcall-hub import legacy --help")
    if database is not None and user is None:
        raise BadInput("who reads the database?", hint="name a user that may SELECT: --user")
    choices = LegacyChoices(update, consent_reference, trust_encodings, _zone(zone), dry_run)
    office = console.office(ctx)
    if database is not None and user is not None:
        # Here and not above: a folder needs no second client.
        from hub.adapters.legacy_tables import LegacyTables

        address = DatabaseAddress(host, port, database, user, read_password(password_file))
        opened: Any = LegacyTables(address)
    else:
        found = LegacyFolder(folder or Path())
        known_faces = known_faces or found.faces()
        opened = nullcontext(found)
    with opened as source:
        imported = _watched(office, source, choices, known_faces, as_json=as_json)
    if as_json:
        console.emit_json(asdict(imported) | {"problems": [asdict(one) for one in imported.problems]})
    else:
        _say(imported)


def _watched(
    office: Office, source: Source, choices: LegacyChoices, known_faces: Path | None, *, as_json: bool
) -> LegacyImported:
    with console.progress("Reading", total=None, as_json=as_json) as step:

        def shown(what: str, done: int) -> None:
            step(done, text=what)

        try:
            return import_legacy(office, source, choices, faces=known_faces, progress=shown)
        except KeyboardInterrupt as exc:
            said = "Stopped; what was taken over stays. Run the same command again to go on."
            raise KeyboardInterrupt(said) from exc


def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return None if name is None else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise BadInput(f"{name!r} is not a time zone", hint="write it as in Europe/Berlin") from exc


def _say(done: LegacyImported) -> None:
    would = "Would add" if done.dry_run else "Added"
    for table, names in done.ignored.items():
        if names:
            console.say(f"Columns of {table} that nobody looks at: {', '.join(names)}")
    for fields in done.students.first:
        console.say(f"  {_described(fields)}")
    if done.students.new_sections:
        console.say(f"New sections: {', '.join(done.students.new_sections)}")
    console.say(
        f"Students: {done.students.found} there. {would} {done.students.added}, changed {done.students.changed}; "
        f"{done.students.on_record} were on record, {done.students.repeated} rows were there twice."
    )
    for serial, moment, status in done.marks.first:
        console.say(f"  {serial} {moment} {status}")
    console.say(
        f"Attendance: {done.marks.rows} rows. {would} {done.marks.new} marks, {done.marks.of_lessons} of them in "
        f"lessons; {done.marks.on_record} were known, {done.marks.says_nothing} say nothing of anybody."
    )
    if odd := done.marks.clock_skipped + done.marks.clock_twice:
        console.say(
            f"{odd} times lie where the clocks change: {done.marks.clock_skipped} do not exist and were taken as "
            f"later, {done.marks.clock_twice} happened twice and were taken as the first."
        )
    _say_faces(done)
    _say_problems(done)
    if done.marks.new and not done.dry_run:
        console.say(f"To take these marks back: rollcall-hub unmark --batch {done.batch_id}")


def _described(fields: StudentFields) -> str:
    return f"{fields.serial_number} {fields.name}" + (f", {fields.section}" if fields.section else "")


def _say_faces(done: LegacyImported) -> None:
    faces = done.faces
    if faces.pictures or faces.encodings:
        console.say(
            f"Faces: {faces.pictures} pictures, of which {faces.enrolled} were enrolled now, {faces.enrolled_before} "
            f"before, {faces.refused} refused; {faces.encodings} encodings, {faces.encodings_usable} of them readable, "
            f"{faces.encodings_used} used."
        )
        if faces.no_reference:
            console.say(
                "Nobody was enrolled: the original has no consents. Pass --consent-reference if the papers are there, "
                "or record each consent and then: rollcall-hub enrol import known_faces"
            )


def _say_problems(done: LegacyImported) -> None:
    if not done.problem_counts:
        return
    for kind, count in done.problem_counts.items():
        console.say(f"{count} {_WORDS.get(kind, kind)}")
    rows = [asdict(one) for one in done.problems[:_SHOWN]]
    console.emit(rows, PROBLEM_COLUMNS, as_json=False)
    if sum(done.problem_counts.values()) > _SHOWN:
        console.note("More of them are in --json.")
