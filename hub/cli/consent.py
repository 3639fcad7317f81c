"""`rollcall-hub consent`: who agreed to face recognition, and who took it back."""

from dataclasses import asdict
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.adapters import csv_files
from hub.cli import console
from hub.cli.console import Column, JsonFlag
from hub.core.csv_reading import MAX_CSV_BYTES
from hub.core.roster_consent import CONSENT_COLUMNS, GRACE, SCOPES, Consent
from hub.core.roster_times import local_iso
from hub.office import consent_lists, consents, retention
from hub.office.consent_lists import ConsentExpiring, ConsentMissing

app = typer.Typer(
    no_args_is_help=True,
    help="Consent to face recognition. Without it nobody is enrolled; a teacher's mark counts the same.\n\n"
    "Whoever's consent runs out leaves every unit that day. Their templates and photos are deleted by the daily run "
    f"{GRACE.days} days later (or at once: consent purge), so that a sheet that comes late calls nobody back.",
)

COLUMNS = (
    Column("serial_number", "Serial"),
    Column("name", "Name"),
    Column("state", "State"),
    Column("scope", "Scope"),
    Column("given_by", "Given by"),
    Column("reference", "Reference"),
    Column("given_on", "Given"),
    Column("until", "Until"),
)

MISSING_COLUMNS = (
    Column("section", "Section"),
    Column("serial_number", "Serial"),
    Column("name", "Name"),
    Column("why", "Why"),
)
EXPIRING_COLUMNS = (
    Column("until", "Until"),
    Column("section", "Section"),
    Column("serial_number", "Serial"),
    Column("name", "Name"),
    Column("given_by", "Given by"),
    Column("reference", "Reference"),
)

SerialOption = Annotated[str, typer.Option("--serial", help="The student's serial number.")]

_GIVE_EXAMPLE = (
    'Example:\n\nrollcall-hub consent give --serial 0012 --given-by "Annabella Byron (mother)" '
    '--reference "folder 3, sheet 12" --expires-on 2027-07-31 --scope recognition,photos\n\n'
    "A scope is what somebody agrees to:\n\n" + "\n\n".join(f"{word}: {meaning}" for word, meaning in SCOPES.items())
)
_IMPORT_HELP = (
    f"The file is CSV in UTF-8; its first line is:\n\n{CONSENT_COLUMNS.example}\n\n"
    "The columns reference, given_on, expires_on and scope may be left out; days are written like 2026-09-01, a scope "
    f"like recognition;photos (of {', '.join(SCOPES)}, or all; without one it is recognition).\n\n"
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
    scope: Annotated[str, typer.Option("--scope", help=f"To what: {', '.join(SCOPES)}, or all.")] = "recognition",
    as_json: JsonFlag = False,
) -> None:
    """Record that someone agreed."""
    form = {
        "serial_number": serial,
        "given_by": given_by,
        "reference": reference,
        "given_on": given_on,
        "expires_on": expires_on,
        "scope": scope,
    }
    given = consents.give_consent(console.office(ctx), form)
    if as_json:
        console.emit_json({"serial_number": given.serial_number, "new": given.new, "scope": list(given.fields.scope)})
    elif given.new:
        console.say(f"Consent for {given.serial_number} is on file.")
    else:
        console.say(f"This consent for {given.serial_number} was on file already.")


@app.command(
    "list",
    epilog="Examples:\n\nrollcall-hub consent list --missing --section 7b\n\nrollcall-hub consent list --expiring 60",
)
def list_all(
    ctx: typer.Context,
    serial: Annotated[str | None, typer.Option("--serial", help="Only this student's.")] = None,
    missing: Annotated[
        bool, typer.Option("--missing", help="Students whom nobody may recognise: teachers mark them by hand.")
    ] = False,
    expiring: Annotated[
        int | None, typer.Option("--expiring", min=0, metavar="DAYS", help="Students whose consent ends so soon.")
    ] = None,
    section: Annotated[str | None, typer.Option("--section", help="With these two: only this section.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """List consents, also those that ended; or who has none, or none for long."""
    if sum((serial is not None, missing, expiring is not None)) > 1:
        raise typer.BadParameter("choose one of --serial, --missing and --expiring")
    if section is not None and not missing and expiring is None:
        raise typer.BadParameter("--section goes with --missing or --expiring")
    office = console.office(ctx)
    now, zone = office.clock.now(), office.settings.zone
    if missing:
        lines = consent_lists.list_missing(office, section=section)
        empty = "Everybody may be recognised."
        console.emit([_missing(one) for one in lines], MISSING_COLUMNS, as_json=as_json, empty=empty)
    elif expiring is not None:
        ending = consent_lists.list_expiring(office, expiring, section=section)
        empty = f"No consent ends within {expiring} days."
        console.emit([_expiring(one, zone) for one in ending], EXPIRING_COLUMNS, as_json=as_json, empty=empty)
    else:
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


@app.command("withdraw", epilog='Example:\n\nrollcall-hub consent withdraw --serial 0012 --by "Annabella Byron"')
def withdraw(
    ctx: typer.Context,
    serial: SerialOption,
    by: Annotated[str, typer.Option("--by", help="Who took it back: a parent, or the student.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """End a student's consent and delete their templates and photos, here at once and on units as they connect."""
    ended = consents.withdraw_consent(console.office(ctx), serial, by=by)
    if as_json:
        console.emit_json(asdict(ended))
        return
    if ended.consents_ended:
        console.say(f"The consent for {ended.serial_number} is withdrawn.")
    else:
        console.say(f"There was no consent for {ended.serial_number}.")
    photos = f" and {ended.photos_deleted} photos" if ended.photos_deleted else ""
    console.say(
        f"Deleted {ended.templates_deleted} templates{photos} at the hub; each unit deletes its copy when it connects: "
        f"rollcall-hub erasure status {ended.serial_number}"
    )


@app.command("purge", epilog="Example:\n\nrollcall-hub consent purge --dry-run")
def purge(
    ctx: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how much it would be, and delete nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Delete templates and photos that no consent allows any more, at once instead of after the grace."""
    office = console.office(ctx)
    if not dry_run and not yes:
        found = retention.purge_lapsed(office, dry_run=True)
        if found.students:
            console.need_yes(
                f"{found.templates} templates and {found.photos} photos of {found.students} students will be deleted. "
                "Go on?"
            )
    done = retention.purge_lapsed(office, dry_run=dry_run)
    if as_json:
        console.emit_json(asdict(done))
    else:
        console.say(
            f"{'Would delete' if dry_run else 'Deleted'} {done.templates} templates and {done.photos} photos of "
            f"{done.students} students."
        )


def _missing(one: ConsentMissing) -> dict[str, Any]:
    return asdict(one)


def _expiring(one: ConsentExpiring, zone: tzinfo) -> dict[str, Any]:
    # A consent until a day includes that day: it ends with the midnight after it.
    last = (one.expires_at - timedelta(seconds=1)).astimezone(zone)
    return asdict(one) | {"expires_at": local_iso(one.expires_at, zone), "until": f"{last:%Y-%m-%d}"}


def _row(consent: Consent, now: datetime, zone: tzinfo) -> dict[str, Any]:
    end = consent.ended_at
    # A consent until a day includes that day: it ends with the midnight after it.
    last = None if end is None else (end - timedelta(seconds=1)).astimezone(zone)
    return {
        "serial_number": consent.serial_number,
        "name": consent.name,
        "state": consent.state(now),
        "scope": ", ".join(consent.scope),
        "given_by": consent.given_by,
        "reference": consent.reference,
        "given_at": local_iso(consent.given_at, zone),
        "expires_at": consent.expires_at and local_iso(consent.expires_at, zone),
        "withdrawn_at": consent.withdrawn_at and local_iso(consent.withdrawn_at, zone),
        "withdrawn_by": consent.withdrawn_by,
        "recorded_by": consent.recorded_by,
        "given_on": f"{consent.given_at.astimezone(zone):%Y-%m-%d}",
        "until": None if last is None else f"{last:%Y-%m-%d}",
    }
