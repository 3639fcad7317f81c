"""`rollcall-hub timetable`: the lessons that come again every week, and calendars."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hub.adapters import csv_files
from hub.adapters.icalendar_files import MAX_CALENDAR_BYTES
from hub.cli import console, replanned
from hub.cli.console import Column, JsonFlag
from hub.cli.replanned import DryRunFlag, PastTooFlag, TeacherFlag
from hub.core.csv_reading import MAX_CSV_BYTES
from hub.core.errors import BadInput
from hub.core.roster_times import school_day
from hub.core.timetable import SeriesFields
from hub.core.timetable_calendar import MAPPING_COLUMNS, SOURCES, CalendarChoice, Source
from hub.core.timetable_rows import TIMETABLE_HEADER, series_cells, weekday_of
from hub.office import timetable, timetable_calendar
from hub.office.context import Office
from hub.office.timetable import SeriesChoice, TimetableImported

app = typer.Typer(no_args_is_help=True, help="The weekly timetable of a term, and calendars.")

COLUMNS = (
    Column("weekday", "Day"),
    Column("week", "Week"),
    Column("starts", "From"),
    Column("ends", "To"),
    Column("room", "Room"),
    Column("section", "Section"),
    Column("group", "Group"),
    Column("label", "Label"),
    Column("teacher", "Teacher"),
    Column("from_day", "First day"),
    Column("until_day", "Last day"),
    Column("lessons", "Lessons", right=True),
)
CHANGE_COLUMNS = (Column("what", "What"), *COLUMNS[:-1])

TermOption = Annotated[str, typer.Option("--term", help="The term's name.")]

_IMPORT_HELP = (
    "The file is CSV in UTF-8; its first line has these columns (week, group, label, teacher, "
    f"from_day and until_day may be missing):\n\n{','.join(TIMETABLE_HEADER)}\n\n"
    "A row of it:\n\nMonday,A,08:00,08:45,Room 12,7b,,Maths,Ms Iyer,,\n\n"
    "weekday is Monday to Sunday or 1 to 7; week is A or B, or empty for every week; a lesson that ends at or before "
    "its start ends on the next day. Rows are the same lesson when weekday, week, start, section, group and from_day "
    "are the same.\n\n"
    "Examples:\n\n"
    'rollcall-hub timetable import autumn.csv --term "Autumn 2026" --dry-run\n\n'
    'rollcall-hub timetable import autumn.csv --term "Autumn 2026" --replace'
)
_ICAL_HELP = (
    "Rooms are read from LOCATION and sections from CATEGORIES, unless other places or names are given. What the "
    "calendar calls otherwise is named in a CSV file for --mapping, with the columns "
    f"{MAPPING_COLUMNS.example}; what is room, section, group or teacher:\n\n"
    "room,Main building R 12,Room 12\n\n"
    "group,7b French,French\n\n"
    "Times without a zone are the school's. Events that last whole days are no lessons. Importing a newer calendar "
    "changes the lessons that came of it: times that an event no longer has go, unless they have begun. An event that "
    "is gone altogether may be another calendar's: its lessons go only with --replace.\n\n"
    "Examples:\n\n"
    'rollcall-hub timetable import-ical 7b.ics --term "Autumn 2026" --section 7b --dry-run\n\n'
    'rollcall-hub timetable import-ical 7b.ics --term "Autumn 2026" --section 7b --replace'
)


@app.command("import", epilog=_IMPORT_HELP)
def import_file(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The CSV file; - reads standard input.")],
    term: TermOption,
    update: Annotated[bool, typer.Option("--update", help="Change what is on record where the file differs.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="The file is the whole timetable: also end what it does not have.")
    ] = False,
    past_too: PastTooFlag = False,
    allow_teacher_conflict: TeacherFlag = False,
    dry_run: DryRunFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Import a weekly timetable from a CSV file: all of it or, if any row is bad, nothing."""
    data = csv_files.read_bounded(file, MAX_CSV_BYTES)
    office = console.office(ctx)
    choice = replanned.chosen(past_too=past_too, dry_run=dry_run, teacher_conflicts=allow_teacher_conflict)
    outcome = timetable.import_timetable(office, data, term, choice, update=update, replace_all=replace)
    _tell(office, outcome, as_json=as_json)


@app.command("add", epilog='Example:\n\nrollcall-hub timetable add --term "Autumn 2026" --weekday Monday '
    '--starts 08:00 --ends 08:45 --room "Room 12" --section 7b --label Maths')  # fmt: skip
def add(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    term: TermOption,
    weekday: Annotated[str, typer.Option("--weekday", help="Monday to Sunday, or 1 to 7.")],
    starts: Annotated[str, typer.Option("--starts", help="Like 08:00.")],
    ends: Annotated[str, typer.Option("--ends", help="Like 08:45.")],
    room: Annotated[str, typer.Option("--room", help="An existing room.")],
    section: Annotated[str, typer.Option("--section", help="An existing section.")],
    week: Annotated[str, typer.Option("--week", help="A or B; empty: every week.")] = "",
    group: Annotated[str, typer.Option("--group", help="Only this group of the section.")] = "",
    label: Annotated[str, typer.Option("--label", help="What is taught.")] = "",
    teacher: Annotated[str, typer.Option("--teacher", help="Who teaches.")] = "",
    from_day: Annotated[str, typer.Option("--from", help="First day. Default: the term's.")] = "",
    until_day: Annotated[str, typer.Option("--to", help="Last day. Default: the term's.")] = "",
    past_too: PastTooFlag = False,
    allow_teacher_conflict: TeacherFlag = False,
    dry_run: DryRunFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Add one lesson that comes again every week."""
    cells = (weekday, week, starts, ends, room, section, group, label, teacher, from_day, until_day)
    office = console.office(ctx)
    choice = replanned.chosen(past_too=past_too, dry_run=dry_run, teacher_conflicts=allow_teacher_conflict)
    outcome = timetable.add_series(office, dict(zip(TIMETABLE_HEADER, cells, strict=True)), term, choice)
    _tell(office, outcome, as_json=as_json)


@app.command("list", epilog='Example:\n\nrollcall-hub timetable list --term "Autumn 2026" --section 7b')
def list_some(
    ctx: typer.Context,
    term: TermOption,
    room: Annotated[str | None, typer.Option("--room", help="Only in this room.")] = None,
    section: Annotated[str | None, typer.Option("--section", help="Only of this section.")] = None,
    weekday: Annotated[str | None, typer.Option("--weekday", help="Only on this day.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """List what comes again in a term; with --json also the identifiers."""
    choice = SeriesChoice(room=room, section=section, weekday=weekday_of(weekday) if weekday else None)
    rows = [
        {"series_id": line.series.series_id, **_row(line.series.fields), "lessons": line.lessons}
        for line in timetable.list_series(console.office(ctx), term, choice)
    ]
    console.emit(rows, COLUMNS, as_json=as_json, empty=f"Nothing comes again in term {term}.")


@app.command("export", epilog='Example:\n\nrollcall-hub timetable export autumn.csv --term "Autumn 2026"')
def export(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The CSV file to write; - writes standard output.")],
    term: TermOption,
    bom: Annotated[
        bool, typer.Option("--bom", help="Mark the file as UTF-8 so that Excel shows every script.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Write a term's weekly timetable as a CSV file, which `timetable import` reads."""
    exported = timetable.export_timetable(console.office(ctx), term, bom=bom)
    csv_files.write_file(file, exported.content)
    if file == csv_files.STREAM:
        return
    if as_json:
        console.emit_json({"file": str(file), "term": term, "rows": exported.rows})
    else:
        console.say(f"Wrote {exported.rows} rows to {file}.")


@app.command("end", epilog='Examples:\n\nrollcall-hub timetable end --term "Autumn 2026" --section 7b --weekday Friday '
    '--on 2026-11-30\n\nrollcall-hub timetable end --term "Autumn 2026" --id 0199...')  # fmt: skip
def end(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    term: TermOption,
    series_ids: Annotated[
        list[str] | None, typer.Option("--id", help="What `timetable list --json` calls series_id; may be repeated.")
    ] = None,
    room: Annotated[str | None, typer.Option("--room", help="What comes again in this room.")] = None,
    section: Annotated[str | None, typer.Option("--section", help="What comes again for this section.")] = None,
    group: Annotated[str | None, typer.Option("--group", help="What comes again for this group.")] = None,
    weekday: Annotated[str | None, typer.Option("--weekday", help="What comes again on this day.")] = None,
    last: Annotated[str | None, typer.Option("--on", help="The last day. Default: at once.")] = None,
    past_too: PastTooFlag = False,
    dry_run: DryRunFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """End lessons that come again. Those that have begun stay."""
    chosen = SeriesChoice(tuple(series_ids or ()), room, section, group, weekday_of(weekday) if weekday else None)
    if chosen == SeriesChoice(()):
        raise BadInput("what is to end? name it with --id, --room, --section, --group or --weekday")
    office = console.office(ctx)
    choice = replanned.chosen(past_too=past_too, dry_run=dry_run)
    last_day = None if last is None else school_day(last)
    _tell(office, timetable.end_series(office, term, chosen, last_day, choice), as_json=as_json)


@app.command("import-ical", epilog=_ICAL_HELP)
def import_ical(  # noqa: PLR0913, PLR0917 (each is an option of the command)
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The iCalendar file (.ics); - reads standard input.")],
    term: TermOption,
    room: Annotated[str | None, typer.Option("--room", help="The room of every event.")] = None,
    section: Annotated[str | None, typer.Option("--section", help="The section of every event.")] = None,
    room_from: Annotated[
        str, typer.Option("--room-from", help=f"Where the room is written: {', '.join(SOURCES)}.")
    ] = "location",
    section_from: Annotated[
        str, typer.Option("--section-from", help=f"Where the section is written: {', '.join(SOURCES)}.")
    ] = "categories",
    mapping: Annotated[
        Path | None, typer.Option("--mapping", help="A CSV file that says what the calendar's words are called here.")
    ] = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="The file is everything that came out of calendars for --section and --room, or for all: also end "
            "lessons of events that it does not have.",
        ),
    ] = False,
    past_too: PastTooFlag = False,
    allow_teacher_conflict: TeacherFlag = False,
    dry_run: DryRunFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Import a term's lessons from a calendar: all of them or, if any cannot be, none."""
    data = csv_files.read_bounded(file, MAX_CALENDAR_BYTES)
    calendar = CalendarChoice(_source(room_from), _source(section_from), room, section)
    if mapping is not None:
        calendar = timetable_calendar.with_mapping(calendar, csv_files.read_bounded(mapping, MAX_CSV_BYTES))
    office = console.office(ctx)
    choice = replanned.chosen(past_too=past_too, dry_run=dry_run, teacher_conflicts=allow_teacher_conflict)
    outcome = timetable_calendar.import_calendar(office, data, term, calendar, choice, replace_all=replace)
    zone = office.settings.zone
    if as_json:
        console.emit_json(
            {
                "dry_run": dry_run,
                "occurrences": outcome.occurrences,
                "all_day_skipped": outcome.all_day,
                "lessons": replanned.as_object(outcome.lessons, zone),
            }
        )
        return
    console.say(f"The calendar has {outcome.occurrences} lessons in the term.")
    if outcome.all_day:
        console.say(f"{outcome.all_day} events last whole days: they are no lessons, and were left out.")
    replanned.show(outcome.lessons, zone)


def _source(text: str) -> Source:
    for source in SOURCES:
        if text.strip().casefold() == source:
            return source
    raise BadInput(f"{text!r} is not one of {', '.join(SOURCES)}")


def _tell(office: Office, outcome: TimetableImported, *, as_json: bool) -> None:
    zone, dry_run = office.settings.zone, outcome.lessons.dry_run
    changes = [{"what": "add", **_row(one)} for one in outcome.added]
    changes += [{"what": "change", **_row(one.after)} for one in outcome.changed]
    changes += [{"what": "end", **_row(one.fields)} for one in outcome.ended]
    counts = {
        "added": len(outcome.added),
        "changed": len(outcome.changed),
        "ended": len(outcome.ended),
        "unchanged": outcome.unchanged,
    }
    if as_json:
        lessons = replanned.as_object(outcome.lessons, zone)
        console.emit_json({"dry_run": dry_run, **counts, "series": changes, "lessons": lessons})
        return
    if dry_run and changes:
        console.emit(changes, CHANGE_COLUMNS, as_json=False)
    would = "would be " if dry_run else ""
    console.say(
        f"Weekly timetable: {counts['added']} {would}added, {counts['changed']} {would}changed, "
        f"{counts['ended']} {would}ended, {counts['unchanged']} unchanged."
    )
    replanned.show(outcome.lessons, zone)


def _row(fields: SeriesFields) -> dict[str, Any]:
    return dict(zip(TIMETABLE_HEADER, series_cells(fields), strict=True))
