"""Lessons as people name them, and who is expected in them."""

from collections.abc import Collection, Iterable
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, or_, select

from hub.adapters.membership import belonged
from hub.adapters.schema import holidays, lessons, rooms, section_groups, sections, student_sections
from hub.core.register_marks import LessonFound

_ROWS_AT_ONCE = 500


def by_id(connection: Connection, lesson_ids: Collection[str]) -> dict[str, LessonFound]:
    """Return the lessons with these ids, also those that were cancelled."""
    found: dict[str, LessonFound] = {}
    wanted = sorted(set(lesson_ids))
    for start in range(0, len(wanted), _ROWS_AT_ONCE):
        part = wanted[start : start + _ROWS_AT_ONCE]
        found |= {row.id: _lesson(row) for row in connection.execute(_lessons().where(lessons.c.id.in_(part)))}
    return found


def beginning(
    connection: Connection,
    since: datetime,
    before: datetime,
    *,
    section_id: str | None = None,
    room_id: str | None = None,
    ends_after: datetime | None = None,
) -> list[LessonFound]:
    """Return the lessons that begin from `since` until before `before`, by start; none that was cancelled."""
    statement = _lessons().where(_begins(since, before), lessons.c.cancelled_at.is_(None))
    if section_id is not None:
        statement = statement.where(lessons.c.section_id == section_id)
    if room_id is not None:
        statement = statement.where(lessons.c.room_id == room_id)
    if ends_after is not None:
        statement = statement.where(lessons.c.ends_at > ends_after)
    return [_lesson(row) for row in connection.execute(statement.order_by(lessons.c.starts_at, lessons.c.id))]


def of_students(
    connection: Connection, student_ids: Collection[str], since: datetime, before: datetime
) -> dict[str, list[LessonFound]]:
    """Return for each student the lessons they are expected in that begin from `since` until before `before`."""
    found: dict[str, list[LessonFound]] = {student_id: [] for student_id in student_ids}
    if not found:
        return found
    statement = (
        _lessons()
        .add_columns(student_sections.c.student_id)
        .join(student_sections, belonged())
        .where(
            student_sections.c.student_id.in_(sorted(found)), _begins(since, before), lessons.c.cancelled_at.is_(None)
        )
        .order_by(lessons.c.starts_at, lessons.c.id)
    )
    for row in connection.execute(statement):
        found[row.student_id].append(_lesson(row))
    return found


def expected(connection: Connection, lesson_ids: Collection[str]) -> dict[str, list[str]]:
    """Return who is expected in each of these lessons; of one that was cancelled, nobody."""
    found: dict[str, list[str]] = {lesson_id: [] for lesson_id in lesson_ids}
    if found:
        statement = (
            select(lessons.c.id, student_sections.c.student_id)
            .distinct()
            .select_from(lessons)
            .join(student_sections, belonged())
            .where(lessons.c.id.in_(sorted(found)), lessons.c.cancelled_at.is_(None))
            .order_by(lessons.c.id, student_sections.c.student_id)
        )
        for row in connection.execute(statement):
            found[row.id].append(row.student_id)
    return found


def expected_pairs(connection: Connection, since: datetime, before: datetime) -> set[tuple[str, str]]:
    """Return student and lesson of everybody expected in a lesson that begins from `since` until before `before`."""
    statement = (
        select(student_sections.c.student_id, lessons.c.id)
        .select_from(lessons)
        .join(student_sections, belonged())
        .where(_begins(since, before), lessons.c.cancelled_at.is_(None))
    )
    return {(row.student_id, row.id) for row in connection.execute(statement)}


def expected_starts(connection: Connection, since: datetime, before: datetime) -> list[tuple[str, datetime]]:
    """Return everybody expected in a lesson that begins from `since` until before `before`, with when it begins."""
    statement = (
        select(student_sections.c.student_id, lessons.c.starts_at)
        .distinct()
        .select_from(lessons)
        .join(student_sections, belonged())
        .where(_begins(since, before), lessons.c.cancelled_at.is_(None))
    )
    return [(row.student_id, row.starts_at) for row in connection.execute(statement)]


def members(connection: Connection, section_id: str, at: datetime) -> list[str]:
    """Return who belongs to a section at a moment."""
    column = student_sections.c
    holds = (column.since <= at, or_(column.until.is_(None), column.until > at))
    return sorted(
        connection.execute(select(column.student_id).where(column.section_id == section_id, *holds)).scalars()
    )


def holidays_within(connection: Connection, first: date, last: date) -> list[tuple[date, date]]:
    """Return the holidays that touch a span of days, as first and last day."""
    statement = select(holidays.c.first_day, holidays.c.last_day).where(
        holidays.c.first_day <= last, holidays.c.last_day >= first
    )
    return [(row.first_day, row.last_day) for row in connection.execute(statement)]


def holiday_labels(connection: Connection, day: date) -> list[str]:
    """Return what the holidays are called that a day is one of."""
    within = (holidays.c.first_day <= day, holidays.c.last_day >= day)
    return list(connection.execute(select(holidays.c.label).where(*within).order_by(holidays.c.label)).scalars())


def ids_of(found: Iterable[LessonFound]) -> list[str]:
    """Return the ids of lessons."""
    return [one.lesson_id for one in found]


def _begins(since: datetime, before: datetime) -> Any:
    return (lessons.c.starts_at >= since) & (lessons.c.starts_at < before)


def _lessons() -> Select[Any]:
    return (
        select(
            lessons,
            rooms.c.name.label("room"),
            sections.c.name.label("section"),
            section_groups.c.name.label("group_name"),
        )
        .select_from(lessons)
        .join(rooms, rooms.c.id == lessons.c.room_id)
        .join(sections, sections.c.id == lessons.c.section_id)
        .outerjoin(section_groups, section_groups.c.id == lessons.c.group_id)
    )


def _lesson(row: Row[Any]) -> LessonFound:
    return LessonFound(
        lesson_id=row.id,
        room_id=row.room_id,
        room=row.room,
        section_id=row.section_id,
        section=row.section,
        label=row.label,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        cancelled_at=row.cancelled_at,
        group=row.group_name,
    )
