"""The single lessons in the database."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, delete, insert, or_, select, update

from hub.adapters.schema import attendance, closings, lesson_states, lessons, marks, rooms, section_groups, sections
from hub.core.roster_lessons import Group, Key, Lesson, LessonFields
from hub.core.roster_times import day_of
from hub.core.timetable_calendar import from_calendar
from hub.core.timetable_replan import Wanted

_ROWS_AT_ONCE = 500
_ASIDE = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class PlaceIds:
    """The identifiers of rooms, sections and groups by name."""

    rooms: Mapping[str, str]
    sections: Mapping[str, str]
    groups: Mapping[Group, str]

    def columns(self, fields: LessonFields) -> dict[str, Any]:
        """Return a lesson's columns; its room, section and group exist."""
        return {
            "room_id": self.rooms[fields.room],
            "section_id": self.sections[fields.section],
            "group_id": self.groups[fields.section, fields.group] if fields.group else None,
            "label": fields.label,
            "teacher": fields.teacher,
            "starts_at": fields.starts_at,
            "ends_at": fields.ends_at,
        }


def find_lessons(
    connection: Connection,
    starts_before: datetime,
    ends_after: datetime,
    *,
    room: str | None = None,
    section: str | None = None,
) -> list[Lesson]:
    """Return the lessons that touch a span of time, by start and room; also those that were cancelled."""
    statement = _lessons().where(lessons.c.starts_at < starts_before, lessons.c.ends_at > ends_after)
    if room is not None:
        statement = statement.where(rooms.c.name == room)
    if section is not None:
        statement = statement.where(sections.c.name == section)
    return [_lesson(row) for row in connection.execute(statement.order_by(lessons.c.starts_at, rooms.c.name))]


@dataclass(frozen=True, slots=True)
class Needs:
    """The rooms, sections and teachers that lessons need, by name."""

    rooms: frozenset[str]
    sections: frozenset[str]
    teachers: frozenset[str]


def lessons_with_needs(
    connection: Connection, starts_before: datetime, ends_after: datetime, needs: Needs
) -> list[Lesson]:
    """Return the lessons that touch a span of time and need any of these; also those that were cancelled."""
    statement = _lessons().where(
        lessons.c.starts_at < starts_before,
        lessons.c.ends_at > ends_after,
        or_(
            rooms.c.name.in_(sorted(needs.rooms)),
            sections.c.name.in_(sorted(needs.sections)),
            lessons.c.teacher.in_(sorted(needs.teachers)),
        ),
    )
    return [_lesson(row) for row in connection.execute(statement)]


def lessons_by_id(connection: Connection, lesson_ids: Iterable[str]) -> list[Lesson]:
    """Return the lessons with these identifiers that exist."""
    found: list[Lesson] = []
    for part in _parts(sorted(set(lesson_ids))):
        found += [_lesson(row) for row in connection.execute(_lessons().where(lessons.c.id.in_(part)))]
    return found


def lessons_of_series(
    connection: Connection, series_ids: Iterable[str], days: tuple[date, date] | None = None
) -> list[Lesson]:
    """Return the lessons of these series, or those on their days from the first to the last of `days`."""
    found: list[Lesson] = []
    for part in _parts(sorted(set(series_ids))):
        statement = _lessons().where(lessons.c.series_id.in_(part))
        if days is not None:
            statement = statement.where(lessons.c.series_day.between(*days))
        found += [_lesson(row) for row in connection.execute(statement)]
    return found


def cancelled_lessons(connection: Connection, first: datetime, last: datetime) -> list[Lesson]:
    """Return the lessons that start from `first` to `last` and that no person cancelled, but a timetable."""
    statement = _lessons().where(
        lessons.c.starts_at.between(first, last), lessons.c.cancelled_at.is_not(None), lessons.c.changed_at.is_(None)
    )
    # One that nothing but a person could cancel was added by hand.
    found = [_lesson(row) for row in connection.execute(statement)]
    return [one for one in found if one.series_id is not None or from_calendar(one)]


def insert_lessons(connection: Connection, new: Iterable[Wanted], ids: PlaceIds) -> None:
    """Add lessons; their rooms, sections and groups exist."""
    values = [
        {"id": one.lesson_id, "series_id": one.series_id, "series_day": one.day, **ids.columns(one.fields)}
        for one in new
    ]
    for part in _parts(values):
        connection.execute(insert(lessons), part)


def update_lessons(
    connection: Connection, changed: Mapping[str, Wanted], ids: PlaceIds, at: datetime, *, by_hand: Mapping[str, bool]
) -> None:
    """Replace what lessons say, given as id to what they become; `by_hand` tells which of them a person decides."""
    rows = [
        {
            "of_lesson": lesson_id,
            "series_id": one.series_id,
            "series_day": one.day,
            "cancelled_at": at if one.cancelled else None,
            "changed_at": at if by_hand[lesson_id] else None,
            **ids.columns(one.fields),
        }
        for lesson_id, one in changed.items()
    ]
    _step_aside(connection, changed)
    for part in _parts(rows):
        connection.execute(update(lessons).where(lessons.c.id == bindparam("of_lesson")), part)


def set_note(connection: Connection, lesson_id: str, note: str) -> None:
    """Replace a lesson's note."""
    connection.execute(update(lessons).where(lessons.c.id == lesson_id).values(note=note))


def cancel_lessons(connection: Connection, lesson_ids: Iterable[str], at: datetime) -> None:
    """Note that the timetable no longer has these lessons."""
    for part in _parts(sorted(lesson_ids)):
        connection.execute(
            update(lessons)
            .where(lessons.c.id.in_(part), lessons.c.cancelled_at.is_(None))
            .values(cancelled_at=at, changed_at=None)
        )


def delete_lessons(connection: Connection, lesson_ids: Iterable[str]) -> None:
    """Delete lessons that nothing refers to."""
    for part in _parts(sorted(lesson_ids)):
        connection.execute(delete(lessons).where(lessons.c.id.in_(part)))


def referred_to(connection: Connection, lesson_ids: Iterable[str]) -> set[str]:
    """Return those of these lessons about which something was said or derived: marks, closings, attendance."""
    found: set[str] = set()
    for part in _parts(sorted(set(lesson_ids))):
        for table in (attendance, marks, closings, lesson_states):
            statement = select(table.c.lesson_id).distinct().where(table.c.lesson_id.in_(part))
            found.update(connection.execute(statement).scalars())
    return found


def lesson_days(
    connection: Connection, section_names: Iterable[str], zone: tzinfo, *, until: datetime
) -> dict[str, set[date]]:
    """Return the school's days on which each of these sections had lessons that began before `until`."""
    found: dict[str, set[date]] = {name: set() for name in section_names}
    statement = (
        select(sections.c.name, lessons.c.starts_at)
        .join(lessons, lessons.c.section_id == sections.c.id)
        .where(sections.c.name.in_(sorted(found)), lessons.c.starts_at < until, lessons.c.cancelled_at.is_(None))
    )
    for row in connection.execute(statement):
        found[row.name].add(day_of(row.starts_at, zone))
    return found


def _step_aside(connection: Connection, changed: Mapping[str, Wanted]) -> None:
    # Two half groups that exchange their rooms: for a moment one would be where the other still is. No lesson begins
    # a microsecond before another.
    coming: set[Key] = {one.fields.key for one in changed.values()}
    for lesson in lessons_by_id(connection, changed):
        if lesson.fields.key in coming and changed[lesson.lesson_id].fields.key != lesson.fields.key:
            aside = lesson.fields.starts_at - _ASIDE
            connection.execute(update(lessons).where(lessons.c.id == lesson.lesson_id).values(starts_at=aside))


def _parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), _ROWS_AT_ONCE):
        yield values[start : start + _ROWS_AT_ONCE]


def _lessons() -> Select[tuple[str, ...]]:
    return (
        select(
            lessons,
            rooms.c.name.label("room"),
            sections.c.name.label("section"),
            section_groups.c.name.label("group_name"),
        )
        .join(rooms, rooms.c.id == lessons.c.room_id)
        .join(sections, sections.c.id == lessons.c.section_id)
        .outerjoin(section_groups, section_groups.c.id == lessons.c.group_id)
    )


def _lesson(row: Row[tuple[str, ...]]) -> Lesson:
    fields = LessonFields(
        row.room, row.section, row.label, row.starts_at, row.ends_at, row.group_name or "", row.teacher
    )
    return Lesson(
        row.id,
        fields,
        row.series_id,
        row.series_day,
        cancelled=row.cancelled_at is not None,
        by_hand=row.changed_at is not None,
        note=row.note,
    )
