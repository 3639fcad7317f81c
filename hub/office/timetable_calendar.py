"""Importing a calendar file: its events become single lessons, and stay in step with it whenever it is imported."""

import hashlib
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from hub.adapters import audit_log, lesson_store, timetable_store
from hub.adapters.icalendar_files import CalendarFile, read_calendar
from hub.core.csv_reading import read_rows
from hub.core.roster_lessons import Places
from hub.core.roster_times import day_bounds
from hub.core.timetable import Term
from hub.core.timetable_calendar import (
    MAPPING_COLUMNS,
    CalendarChoice,
    adopted,
    calendar_lessons,
    mapping_of,
    mapping_row,
    vanished,
)
from hub.core.timetable_replan import replan
from hub.office.context import Office
from hub.office.terms import find_term
from hub.office.timetable_replan import ReplanChoice, Replanned, carry_out, counted


@dataclass(frozen=True, slots=True)
class CalendarImported:
    """What an import changed, or would change in a dry run; events that last whole days are no lessons."""

    occurrences: int
    all_day: int
    lessons: Replanned


def with_mapping(choice: CalendarChoice, data: bytes) -> CalendarChoice:
    """Return the choice with the words of a mapping file (CSV). Raises BadInput, RowsRefused."""
    return replace(choice, names=mapping_of(read_rows(data, MAPPING_COLUMNS, mapping_row)))


def import_calendar(
    office: Office,
    data: bytes,
    term: str,
    calendar: CalendarChoice,
    choice: ReplanChoice,
    *,
    replace_all: bool = False,
) -> CalendarImported:
    """Make the single lessons of a term what a calendar file says, all of it or nothing; again changes nothing.

    Each lesson is known by its event and the start its rule gave it: one that the calendar changes or leaves out is
    changed or goes, unless it has begun or a person changed it. An event that is gone altogether may be another
    calendar's, and its lessons stay; with `replace_all` they go: those of the section and room that are named for every
    event, or all that came out of calendars. Raises NotFound for an unknown term, BadInput for a
    file that cannot be read or names what is not known, LessonsClash for lessons that cannot be.
    """
    zone = office.settings.zone
    digest = hashlib.sha256(data).hexdigest()
    read: dict[str, CalendarFile] = {}

    def work(connection: Connection) -> CalendarImported:
        found = find_term(connection, term)
        if found.term_id not in read:
            read[found.term_id] = read_calendar(data, found.first_day, found.last_day, zone)
        ids = timetable_store.place_ids(connection)
        if not choice.dry_run:
            timetable_store.lock_timetable(connection, ids)
        file = read[found.term_id]
        places = Places(ids.rooms.keys(), ids.sections.keys(), ids.groups.keys())
        wanted = calendar_lessons(file.occurrences, calendar, places)
        made = lesson_store.lessons_by_id(connection, [one.lesson_id for one in wanted])
        # One that came to belong to the weekly timetable follows that.
        known = {one.lesson_id: one for one in made if one.series_id is None}
        start, end = day_bounds(found.first_day, zone)[0], day_bounds(found.last_day, zone)[1]
        around = lesson_store.find_lessons(connection, end, start)
        if replace_all:
            gone = vanished((one for one in around if calendar.may_have(one.fields)), wanted, None)
        else:
            gone = vanished(around, wanted, file.uids)
        known.update((one.lesson_id, one) for one in [*gone, *adopted(around, wanted, {one.lesson_id for one in made})])
        at = office.clock.now()
        plan = replan(wanted, known.values(), at, past_too=choice.past_too)
        lessons = carry_out(connection, office, plan, ids, choice, at)
        if not choice.dry_run and any((lessons.added, lessons.changed, lessons.cancelled, lessons.deleted)):
            _record(connection, office, found, {"file_sha256": digest, **counted(lessons)})
        return CalendarImported(len(file.occurrences), file.all_day, lessons)

    return office.database.run(work)


def _record(connection: Connection, office: Office, term: Term, detail: dict[str, audit_log.Json]) -> None:
    audit_log.record(
        connection,
        at=office.clock.now(),
        actor=office.actor,
        action="timetable.calendar",
        subject=f"term:{term.term_id}",
        detail=detail,
    )
