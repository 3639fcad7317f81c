"""Terms, holidays and lessons that come again, in the database; and who is taught with whom."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from hub.adapters import group_store, roster_store
from hub.adapters.lesson_store import PlaceIds
from hub.adapters.schema import (
    holidays,
    lesson_series,
    lessons,
    rooms,
    section_groups,
    sections,
    student_groups,
    students,
    terms,
)
from hub.core.roster_lessons import Group
from hub.core.timetable import Holiday, Series, SeriesFields, Term
from hub.core.timetable_clashes import Shared, Span

_ROWS_AT_ONCE = 500


def place_ids(connection: Connection) -> PlaceIds:
    """Return the identifiers of all rooms, sections and groups."""
    groups = group_store.group_ids(connection)
    return PlaceIds(roster_store.room_ids(connection), roster_store.section_ids(connection), groups)


def lock_timetable(connection: Connection, ids: PlaceIds) -> None:
    """Let nobody else change any timetable until this transaction ends: a teacher or a section is in many rooms."""
    roster_store.lock_rooms(connection, ids.rooms.values())


def shared_students(connection: Connection) -> Shared:
    """Return which groups had students in common, when, and their serial numbers."""
    one, other = student_groups.alias(), student_groups.alias()
    group, other_group = section_groups.alias(), section_groups.alias()
    section, other_section = sections.alias(), sections.alias()
    statement = (
        select(
            section.c.name.label("section"),
            group.c.name.label("name"),
            other_section.c.name.label("other_section"),
            other_group.c.name.label("other"),
            one.c.since,
            one.c.until,
            other.c.since.label("other_since"),
            other.c.until.label("other_until"),
            students.c.serial_number,
        )
        .join(students, students.c.id == one.c.student_id)
        .join(other, (other.c.student_id == one.c.student_id) & (one.c.group_id < other.c.group_id))
        .join(group, group.c.id == one.c.group_id)
        .join(section, section.c.id == group.c.section_id)
        .join(other_group, other_group.c.id == other.c.group_id)
        .join(other_section, other_section.c.id == other_group.c.section_id)
    )
    found: defaultdict[tuple[Group, Group], defaultdict[Span, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in connection.execute(statement):
        ends = [until for until in (row.until, row.other_until) if until is not None]
        since, until = max(row.since, row.other_since), min(ends, default=None)
        if until is None or since < until:
            found[(row.section, row.name), (row.other_section, row.other)][since, until].append(row.serial_number)
    return {pair: dict(spans) for pair, spans in found.items()}


def all_terms(connection: Connection) -> list[Term]:
    """Return the terms by their first day."""
    rows = connection.execute(select(terms).order_by(terms.c.first_day, terms.c.name))
    return [Term(row.id, row.name, row.first_day, row.last_day, row.weeks, row.first_week) for row in rows]


def write_term(connection: Connection, term: Term, *, new: bool) -> None:
    """Add or replace a term. A name that is taken raises Conflict at the end of the transaction."""
    columns = {
        "name": term.name,
        "first_day": term.first_day,
        "last_day": term.last_day,
        "weeks": term.weeks,
        "first_week": term.first_week,
    }
    if new:
        connection.execute(insert(terms).values(id=term.term_id, **columns))
    else:
        connection.execute(update(terms).where(terms.c.id == term.term_id).values(**columns))


def all_holidays(connection: Connection) -> list[Holiday]:
    """Return the holidays by their first day."""
    rows = connection.execute(select(holidays).order_by(holidays.c.first_day, holidays.c.label, holidays.c.id))
    return [Holiday(row.id, row.first_day, row.last_day, row.label) for row in rows]


def insert_holidays(connection: Connection, new: Iterable[Holiday]) -> None:
    """Add holidays."""
    values = [
        {"id": one.holiday_id, "first_day": one.first_day, "last_day": one.last_day, "label": one.label} for one in new
    ]
    if values:
        connection.execute(insert(holidays), values)


def delete_holidays(connection: Connection, holiday_ids: Iterable[str]) -> None:
    """Delete holidays."""
    connection.execute(delete(holidays).where(holidays.c.id.in_(sorted(holiday_ids))))


def series_of(connection: Connection, term_ids: Iterable[str]) -> list[Series]:
    """Return what comes again in these terms, by section, weekday and time."""
    statement = (
        select(
            lesson_series,
            rooms.c.name.label("room"),
            sections.c.name.label("section"),
            section_groups.c.name.label("group_name"),
        )
        .join(rooms, rooms.c.id == lesson_series.c.room_id)
        .join(sections, sections.c.id == lesson_series.c.section_id)
        .outerjoin(section_groups, section_groups.c.id == lesson_series.c.group_id)
        .where(lesson_series.c.term_id.in_(sorted(term_ids)))
        .order_by(sections.c.name, lesson_series.c.weekday, lesson_series.c.starts, lesson_series.c.week, rooms.c.name)
    )
    return [
        Series(
            row.id,
            row.term_id,
            SeriesFields(
                weekday=row.weekday,
                week=row.week,
                starts=row.starts,
                ends=row.ends,
                room=row.room,
                section=row.section,
                group=row.group_name or "",
                label=row.label,
                teacher=row.teacher,
                from_day=row.from_day,
                until_day=row.until_day,
            ),
        )
        for row in connection.execute(statement)
    ]


def insert_series(connection: Connection, new: Iterable[Series], ids: PlaceIds) -> None:
    """Add lessons that come again; their rooms, sections and groups exist."""
    values = [{"id": one.series_id, "term_id": one.term_id, **_columns(one.fields, ids)} for one in new]
    for start in range(0, len(values), _ROWS_AT_ONCE):
        connection.execute(insert(lesson_series), values[start : start + _ROWS_AT_ONCE])


def update_series(connection: Connection, changed: Iterable[Series], ids: PlaceIds) -> None:
    """Replace what these lessons say."""
    for one in changed:
        statement = update(lesson_series).where(lesson_series.c.id == one.series_id)
        connection.execute(statement.values(**_columns(one.fields, ids)))


def delete_series(connection: Connection, series_ids: Iterable[str]) -> None:
    """Delete lessons that come again; what is left of their single lessons stands for itself."""
    gone = sorted(series_ids)
    for start in range(0, len(gone), _ROWS_AT_ONCE):
        part = gone[start : start + _ROWS_AT_ONCE]
        connection.execute(update(lessons).where(lessons.c.series_id.in_(part)).values(series_id=None, series_day=None))
        connection.execute(delete(lesson_series).where(lesson_series.c.id.in_(part)))


def lesson_counts(connection: Connection) -> Mapping[str, int]:
    """Return how many lessons take place of each series that has any."""
    statement = (
        select(lessons.c.series_id, func.count().label("lessons"))
        .where(lessons.c.series_id.is_not(None), lessons.c.cancelled_at.is_(None))
        .group_by(lessons.c.series_id)
    )
    return {row.series_id: row.lessons for row in connection.execute(statement)}


def _columns(fields: SeriesFields, ids: PlaceIds) -> dict[str, Any]:
    return {
        "room_id": ids.rooms[fields.room],
        "section_id": ids.sections[fields.section],
        "group_id": ids.groups[fields.section, fields.group] if fields.group else None,
        "label": fields.label,
        "teacher": fields.teacher,
        "weekday": fields.weekday,
        "week": fields.week,
        "starts": fields.starts,
        "ends": fields.ends,
        "from_day": fields.from_day,
        "until_day": fields.until_day,
    }
