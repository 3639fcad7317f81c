"""`rollcall-hub enrol`: pictures become templates."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from hub.cli import console
from hub.cli.console import Column, JsonFlag
from hub.core.roster_times import local_iso
from hub.office import enrolled_pictures, enrolment_folder, enrolment_forgetting, enrolment_list
from hub.office.enrolment import Enroller, PictureOutcome, Request, open_enroller
from hub.office.enrolment_folder import ImportChoices
from hub.office.enrolment_list import LIST_COLUMNS
from hub.office.enrolment_words import picture_id

COLUMNS = (
    Column("picture", "Picture"),
    Column("serial_number", "Serial"),
    Column("outcome", "Outcome"),
    Column("message", "Why"),
)
PICTURE_COLUMNS = (
    Column("picture_id", "Picture"),
    Column("enrolled_at", "Enrolled"),
    Column("pack_id", "Model pack"),
    Column("face_px", "Face px", right=True),
    Column("source", "Source"),
)
_DEFAULT = "pictures"


class EnrolGroup(TyperGroup):
    """Lets `enrol --serial 12 a.jpg` stand for `enrol pictures --serial 12 a.jpg`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the name of the usual command in front when none is given. A picture called "list" is `./list`."""
        if args and args[0] not in self.commands and args[0] != "--help":
            args = [_DEFAULT, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=EnrolGroup,
    no_args_is_help=True,
    help=(
        "Enrol faces from pictures. A consent must be on file. The pictures are kept, sealed, only where the settings "
        "say so (enrolment.keep_photos) and the consent has the scope photos."
    ),
    epilog=(
        "Examples:\n\n"
        "rollcall-hub enrol --serial 0012 ada1.jpg ada2.jpg\n\n"
        "rollcall-hub enrol import known_faces --recursive\n\n"
        "rollcall-hub enrol list-file pictures.csv\n\n"
        "Pictures of one student are judged together: one that is not like the others is refused.\n\n"
        "Exit code 1: at least one picture was refused; the others are enrolled."
    ),
)

SerialOption = Annotated[str, typer.Option("--serial", help="The student's serial number.")]
LookAlikeFlag = Annotated[
    bool,
    typer.Option(
        "--allow-look-alike", help="Enrol although it looks like someone else: they are two people (audited)."
    ),
]


@app.command(_DEFAULT, epilog="Example:\n\nrollcall-hub enrol --serial 0012 ada1.jpg ada2.jpg")
def pictures(
    ctx: typer.Context,
    serial: SerialOption,
    files: Annotated[list[Path], typer.Argument(help="Pictures with exactly one face; three or more are best.")],
    allow_look_alike: LookAlikeFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Enrol pictures of one student (the word `pictures` may be left out). Exit code 1 if any was refused."""
    office = console.office(ctx)
    student = enrolled_pictures.require_ready(office, serial)
    enroller = open_enroller(office)
    requests = [Request(file, student.fields.serial_number, allow_look_alike=allow_look_alike) for file in files]
    # A generator, so that they are looked at behind the progress bar.
    coming = (outcome for together in [requests] for outcome in enroller.enrol_together(together))
    outcomes = _watched(coming, len(files), as_json)
    _report(outcomes, enroller, as_json, counts=None)


@app.command(
    "import",
    epilog=(
        "Files are named <serial>_<name>.jpg (or .jpeg, .png); more pictures of a student end in _2, _3, ...\n\n"
        "It may be stopped and run again: what is enrolled is skipped.\n\n"
        "Examples:\n\n"
        "rollcall-hub enrol import known_faces\n\n"
        'rollcall-hub enrol import known_faces --add-students --consent-reference "forms of 2026, folder 3"'
    ),
)
def import_folder(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(help="The folder with the pictures.")],
    recursive: Annotated[bool, typer.Option("--recursive", help="Look into the folders below as well.")] = False,
    add_students: Annotated[
        bool, typer.Option("--add-students", help="Add students who are not on record, with the name in the file name.")
    ] = False,
    consent_reference: Annotated[
        str | None,
        typer.Option(
            "--consent-reference",
            help="You say that everybody in the folder agreed; TEXT says where the papers are (audited).",
        ),
    ] = None,
    any_name: Annotated[
        bool, typer.Option("--any-name", help="Accept files whose name differs from the name on record.")
    ] = False,
    allow_look_alike: LookAlikeFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Enrol a folder of portraits. Exit code 1 if any picture was refused; the others are enrolled."""
    choices = ImportChoices(add_students, consent_reference, allow_look_alike, any_name)
    found = enrolment_folder.find_portraits(folder, recursive=recursive)
    office = console.office(ctx)
    enroller = open_enroller(office)
    coming = enrolment_folder.import_portraits(enroller, found.pictures, choices)
    outcomes = _watched(coming, len(found.pictures), as_json)
    _report(outcomes, enroller, as_json, counts=enrolment_folder.counts(outcomes) | {"other files": found.other_files})


@app.command(
    "list-file",
    epilog=(
        f"The file is CSV in UTF-8; its first line is:\n\n{LIST_COLUMNS.example}\n\n"
        "Paths are relative to the file. A consent_reference says that this student agreed, and where the paper is "
        "(audited); the column may be missing.\n\n"
        "All rows are checked before the first picture is opened; if one cannot be used, nothing is enrolled. It may "
        "be stopped and run again: what is enrolled is skipped.\n\n"
        "Examples:\n\n"
        "rollcall-hub enrol list-file pictures.csv --dry-run\n\n"
        "rollcall-hub enrol list-file pictures.csv"
    ),
)
def list_file(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The CSV file.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the rows only; enrol nothing.")] = False,
    allow_look_alike: LookAlikeFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Enrol the pictures that a CSV file lists. Exit code 1 if any was refused; the others are enrolled."""
    office = console.office(ctx)
    listed = enrolment_list.read_list(office, file)
    if dry_run:
        students = len({row.serial_number for row in listed})
        if as_json:
            console.emit_json({"pictures": len(listed), "students": students, "dry_run": True})
        else:
            console.say(f"{len(listed)} pictures of {students} students can be enrolled; nothing was changed.")
        return
    enroller = open_enroller(office)
    coming = enrolment_list.import_list(enroller, listed, allow_look_alike=allow_look_alike)
    outcomes = _watched(coming, len(listed), as_json)
    _report(outcomes, enroller, as_json, counts=enrolment_folder.counts(outcomes))


@app.command("list", epilog="Example:\n\nrollcall-hub enrol list --serial 0012")
def list_pictures(ctx: typer.Context, serial: SerialOption, as_json: JsonFlag = False) -> None:
    """List what is enrolled for a student."""
    office = console.office(ctx)
    rows = [
        {
            "picture_id": picture_id(line.picture_sha256),
            "enrolled_at": local_iso(line.created_at, office.settings.zone),
            "pack_id": line.pack_id,
            "face_px": round(line.face_px),
            "source": line.source,
            "picture_sha256": line.picture_sha256.hex(),
        }
        for line in enrolled_pictures.list_pictures(office, serial)
    ]
    console.emit(rows, PICTURE_COLUMNS, as_json=as_json, empty=f"Nothing is enrolled for {serial}.")


@app.command(
    "forget",
    epilog=(
        "Examples:\n\nrollcall-hub enrol forget --serial 0012\n\n"
        "rollcall-hub enrol forget --serial 0012 --picture 3f9a1c07"
    ),
)
def forget(
    ctx: typer.Context,
    serial: SerialOption,
    picture: Annotated[
        str | None,
        typer.Option("--picture", metavar="ID", help="Only this picture, by what `enrol list` calls it."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Delete a student's templates, as when the wrong person was enrolled, or those of one picture. Consent stays."""
    office = console.office(ctx)
    if picture is not None:
        one = enrolment_forgetting.forget_picture(office, serial, picture)
        if as_json:
            console.emit_json(asdict(one))
        else:
            console.say(f"Deleted one picture of {one.serial_number}; {one.pictures_left} are left.")
        return
    forgotten = enrolled_pictures.forget_pictures(office, serial)
    if as_json:
        console.emit_json(asdict(forgotten))
    else:
        console.say(f"Deleted {forgotten.templates_deleted} templates of {forgotten.serial_number}.")


def _watched(coming: Iterable[PictureOutcome], total: int, as_json: bool) -> list[PictureOutcome]:
    outcomes: list[PictureOutcome] = []
    with console.progress("Enrolling", total=total, as_json=as_json) as step:
        try:
            for outcome in coming:
                outcomes.append(outcome)
                step(text=Path(outcome.picture).name)
        except KeyboardInterrupt as exc:
            # Each student was committed by itself, so what was done stays done.
            said = f"Stopped after {len(outcomes)} of {total} pictures; run the same command again to go on."
            raise KeyboardInterrupt(said) from exc
    return outcomes


def _report(
    outcomes: Sequence[PictureOutcome], enroller: Enroller, as_json: bool, *, counts: dict[str, int] | None
) -> None:
    rows = [asdict(outcome) for outcome in outcomes]
    damaged = enroller.damaged()
    if as_json and counts is not None:
        named = {key.replace(" ", "_"): count for key, count in counts.items()}
        console.emit_json({"pictures": rows, "counts": named, "damaged": damaged})
    else:
        console.emit(rows, COLUMNS, as_json=as_json, empty="There are no pictures.")
        if counts is not None and not as_json:
            console.say(", ".join(f"{count} {key}" for key, count in counts.items()) + ".")
    if damaged:
        console.note(
            f"Not compared with {', '.join(damaged)}: a stored template of theirs cannot be opened. "
            "Enrol them again: rollcall-hub enrol forget --serial ..., then their pictures."
        )
    if any(outcome.outcome == "refused" for outcome in outcomes):
        raise typer.Exit(console.EXIT_FAILED)
