"""`rollcall-hub erase`: everything that recognises or names a student, here and on every unit."""

from dataclasses import asdict
from typing import Annotated

import typer

from hub.cli import console
from hub.cli.console import JsonFlag
from hub.core.roster_times import local_iso
from hub.office import erasure
from hub.office.erasure import Erased, Policy, ToErase

app = typer.Typer()

_EPILOG = (
    "Examples:\n\nrollcall-hub erase 0012\n\nrollcall-hub erase 0012 --keep-record --yes\n\n"
    "What goes: consents end, templates of every model pack, kept photos, look-alike pairs. Each unit deletes its copy "
    "when it connects: rollcall-hub erasure status.\n\n"
    "What else, unless the record is kept: name, serial number, username, email, phone, what people wrote in marks. "
    "The lines of the register stay, under a number that stands for nobody. Backups, exports and the daily CSV files "
    "on units' own disks are not reached by this: delete those by hand."
)


@app.command("erase", epilog=_EPILOG)
def erase(
    ctx: typer.Context,
    student: Annotated[str, typer.Argument(metavar="STUDENT", help="The serial number, or the student's id.")],
    keep_record: Annotated[
        bool | None,
        typer.Option(
            "--keep-record/--pseudonymise",
            help="Keep name and register, or leave no name. Default: retention.erasure of the settings.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Erase a student: their face everywhere and, unless the record is kept, their name. It cannot be undone."""
    office = console.office(ctx)
    policy = _policy(keep_record) or office.settings.retention.erasure
    found = erasure.preview(office, student)
    if not yes:
        console.need_yes(_question(found, policy))
    done = erasure.erase(office, found.student_id, policy=policy)
    if as_json:
        console.emit_json(asdict(done))
        return
    if not done.new:
        console.say(f"{done.serial_number} was erased on {local_iso(done.at, office.settings.zone)}; nothing is left.")
    else:
        _say_done(done)
    if done.csv_problem:
        console.say_error(f"attendance.csv still has the name: {done.csv_problem}")
    console.say(f"Which units have done the same: rollcall-hub erasure status {done.serial_number}")


def _policy(keep_record: bool | None) -> Policy | None:
    if keep_record is None:
        return None
    return "keep_record" if keep_record else "pseudonymise"


def _question(found: ToErase, policy: Policy) -> str:
    what = f"{found.templates} templates and {found.photos} photos of {found.serial_number} ({found.name})"
    rest = "The record stays." if policy == "keep_record" else "The name goes for good; the register keeps a number."
    return f"{what} will be deleted here and on {found.units} units. {rest} Go on?"


def _say_done(done: Erased) -> None:
    console.say(
        f"Erased: {done.templates_deleted} templates and {done.photos_deleted} photos, "
        f"{done.consents_ended} consents ended."
    )
    if done.policy == "pseudonymise":
        console.say(f"The register keeps the number {done.serial_number}, which stands for nobody.")
