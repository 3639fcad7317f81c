"""`rollcall-hub holiday`: days without any lesson."""

from pathlib import Path
from typing import Annotated

import typer

from hub.adapters import csv_files
from hub.cli import console, replanned
from hub.cli.console import Column, JsonFlag
from hub.cli.replanned import DryRunFlag, PastTooFlag
from hub.core.csv_reading import MAX_CSV_BYTES
from hub.core.roster_times import school_day
from hub.core.timetable import Holiday
from hub.office import holidays
from hub.office.context import Office
from hub.office.holidays import HOLIDAY_COLUMNS, HolidaysChanged

app = typer.Typer(no_args_is_help=True, help="Holidays: days without any lesson of the weekly timetable.")

COLUMNS = (Column("first_day", "First day"), Column("last_day", "Last day"), Column("label", "Holidays"))

_ADD_EXAMPLE = (
    "Lessons of these days that have not begun go: those that somebody marked, in advance or by now, are kept as "
    "cancelled. Single lessons that are not of the weekly timetable stay.\n\n"
    "Examples:\n\n"
    'rollcall-hub holiday add "German Unity Day" --from 2026-10-03\n\n'
    'rollcall-hub holiday add "Autumn holidays" --from 2026-10-19 --to 2026-10-31 --dry-run'
)
_IMPORT_HELP = (
    f"The file is CSV in UTF-8; its first line is:\n\n{HOLIDAY_COLUMNS.example}\n\n"
    "An empty last_day means the first.\n\n"
    "Example:\n\nrollcall-hub holiday import holidays.csv --dry-run"
)


@app.command("add", epilog=_ADD_EXAMPLE)
def add(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    label: Annotated[str, typer.Argument(help="What these holidays are.")],
    first: Annotated[str, typer.Option("--from", help="First day, like 2026-10-19.")],
    last: Annotated[str | None, typer.Option("--to", help="Last day. Default: the first.")] = None,
    past_too: PastTooFlag = False,
    dry_run: DryRunFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Add holidays."""
    office = console.office(ctx)
    first_day = school_day(first)
    last_day = first_day if last is None else school_day(last)
    choice = replanned.chosen(past_too=past_too, dry_run=dry_run)
    _tell(office, holidays.add_holiday(office, first_day, last_day, label, choice), "added", as_json=as_json)


@app.command("import", epilog=_IMPORT_HELP)
def import_file(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The CSV file; - reads standard input.")],
    past_too: PastTooFlag = False,
    dry_run: DryRunFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Add holidays from a CSV file: all or, if any row is bad, none. Importing it again changes nothing."""
    data = csv_files.read_bounded(file, MAX_CSV_BYTES)
    office = console.office(ctx)
    choice = replanned.chosen(past_too=past_too, dry_run=dry_run)
    _tell(office, holidays.import_holidays(office, data, choice), "added", as_json=as_json)


@app.command("list", epilog="Example:\n\nrollcall-hub holiday list --json")
def list_all(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """List the holidays."""
    rows = [_row(one) for one in holidays.list_holidays(console.office(ctx))]
    console.emit(rows, COLUMNS, as_json=as_json, empty="There are no holidays.")


@app.command("remove", epilog="Example:\n\nrollcall-hub holiday remove 2026-10-19")
def remove(
    ctx: typer.Context,
    first: Annotated[str, typer.Argument(help="The first day of the holidays.")],
    past_too: PastTooFlag = False,
    dry_run: DryRunFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Remove holidays; the lessons of these days that have not begun come back."""
    office = console.office(ctx)
    choice = replanned.chosen(past_too=past_too, dry_run=dry_run)
    _tell(office, holidays.remove_holiday(office, school_day(first), choice), "removed", as_json=as_json)


def _tell(office: Office, outcome: HolidaysChanged, what: str, *, as_json: bool) -> None:
    zone, dry_run = office.settings.zone, outcome.lessons.dry_run
    if as_json:
        console.emit_json(
            {
                "dry_run": dry_run,
                what: [_row(one) for one in outcome.holidays],
                "unchanged": outcome.unchanged,
                "lessons": replanned.as_object(outcome.lessons, zone),
            }
        )
        return
    for one in outcome.holidays:
        days = f"{one.first_day}" if one.first_day == one.last_day else f"{one.first_day} to {one.last_day}"
        console.say(f"{one.label}, {days}: {'would be ' if dry_run else ''}{what}.")
    if not outcome.holidays:
        console.say("All of them are on record already.")
    replanned.show(outcome.lessons, zone)


def _row(holiday: Holiday) -> dict[str, object]:
    return {
        "holiday_id": holiday.holiday_id,
        "first_day": holiday.first_day,
        "last_day": holiday.last_day,
        "label": holiday.label,
    }
