"""`rollcall-hub consent`: who agreed to face recognition, and who took it back."""

from datetime import datetime, tzinfo
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.adapters import csv_files
from hub.cli import console
from hub.cli.console import Column, JsonFlag
from hub.core.csv_reading import MAX_CSV_BYTES
from hub.core.roster_consent import CONSENT_COLUMNS, Consent
from hub.core.roster_times import local_iso
from hub.office import consents

app = typer.Typer(
    no_args_is_help=True,
    help="Consent to face recognition. Without it nobody is enrolled; a teacher's mark counts the same.",
)

COLUMNS = (
    Column("serial_number", "Serial"),
    Column("name", "Name"),
    Column("state", "State"),
    Column("given_by", "Given by"),
    Column("reference", "Reference"),
    Column("given_on", "Given"),
    Column("until", "Until"),
)

SerialOption = Annotated[str, typer.Option("--serial", help="The student's serial number.")]

_GIVE_EXAMPLE = (
    'Example:\n\nrollcall-hub consent give --serial 0012 --given-by "Annabella Byron (mother)" '
    '--reference "folder 3, sheet 12" --expires-on 2027-07-31'
)
_IMPORT_HELP = (
    f"The file is CSV in UTF-8; its first line is:\n\n{CONSENT_COLUMNS.example}\n\n"
    "The columns reference, given_on and expires_on may be left out; days are written like 2026-09-01.\n\n"
    "Example:\n\nrollcall-hub consent import consents.csv --dry-run"
)


@app.command("give", epilog=_GIVE_EXAMPLE)
def give(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    serial: SerialOption,
    given_by: Annotated[str, typer.Option("--given-by", help="Who agreed: a parent, or the student.")],
    reference: Annotated[str, typer.Option("--reference", help="Where the signed paper is kept.")] = "",
    given_on: Annotated[str, typer.Option("--given-on", help="The day, if not today: 2026-09-01.")] = "",
    expires_on: Annotated[str, typer.Option("--expires-on", help="The last day on which it holds.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Record that someone agreed."""
    form = {
        "serial_number": serial,
        "given_by": given_by,
        "reference": reference,
        "given_on": given_on,
        "expires_on": expires_on,
    }
    given = consents.give_consent(console.office(ctx), form)
    if as_json:
        console.emit_json({"serial_number": given.serial_number, "new": given.new})
    elif given.new:
        console.say(f"Consent for {given.serial_number} is on file.")
    else:
        console.say(f"This consent for {given.serial_number} was on file already.")


@app.command("list")
def list_all(
    ctx: typer.Context,
    serial: Annotated[str | None, typer.Option("--serial", help="Only this student's.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """List consents, also those that ended."""
    office = console.office(ctx)
    now, zone = office.clock.now(), office.settings.zone
    rows = [_row(consent, now, zone) for consent in consents.list_consents(office, serial_number=serial)]
    console.emit(rows, COLUMNS, as_json=as_json, empty="There are no consents on file.")


@app.command("import", epilog=_IMPORT_HELP)
def import_list(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The CSV file; - reads standard input.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Import consents from a CSV file: all of it or, if any row is bad, nothing."""
    data = csv_files.read_bounded(file, MAX_CSV_BYTES)
    outcome = consents.import_consents(console.office(ctx), data, dry_run=dry_run)
    added = [fields.serial_number for fields in outcome.added]
    if as_json:
        console.emit_json(
            {"dry_run": dry_run, "added": len(added), "unchanged": outcome.unchanged, "serial_numbers": added}
        )
    else:
        console.say(f"{'Would add' if dry_run else 'Added'} {len(added)}, unchanged {outcome.unchanged}.")


@app.command("withdraw", epilog="Example:\n\nrollcall-hub consent withdraw --serial 0012")
def withdraw(ctx: typer.Context, serial: SerialOption, as_json: JsonFlag = False) -> None:
    """End a student's consent and delete their face templates, here at once and on the units as they connect."""
    ended = consents.withdraw_consent(console.office(ctx), serial)
    if as_json:
        console.emit_json(
            {
                "serial_number": ended.serial_number,
                "student_id": ended.student_id,
                "consents_ended": ended.consents_ended,
                "templates_deleted": ended.templates_deleted,
            }
        )
        return
    if ended.consents_ended:
        console.say(f"The consent for {ended.serial_number} is withdrawn.")
    else:
        console.say(f"There was no consent for {ended.serial_number}.")
    console.say(f"Deleted {ended.templates_deleted} templates at the hub; each unit deletes its copy when it connects.")


def _row(consent: Consent, now: datetime, zone: tzinfo) -> dict[str, Any]:
    end = min((moment for moment in (consent.withdrawn_at, consent.expires_at) if moment is not None), default=None)
    return {
        "serial_number": consent.serial_number,
        "name": consent.name,
        "state": consent.state(now),
        "given_by": consent.given_by,
        "reference": consent.reference,
        "given_at": local_iso(consent.given_at, zone),
        "expires_at": consent.expires_at and local_iso(consent.expires_at, zone),
        "withdrawn_at": consent.withdrawn_at and local_iso(consent.withdrawn_at, zone),
        "given_on": f"{consent.given_at.astimezone(zone):%Y-%m-%d}",
        "until": None if end is None else f"{end.astimezone(zone):%Y-%m-%d %H:%M}",
    }
