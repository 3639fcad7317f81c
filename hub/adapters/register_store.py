"""What the register of a day or a lesson is made of, read from the database in one moment."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, or_, select

from hub.adapters import closings_store, lesson_finding
from hub.adapters.schema import attendance, dirty_students, rooms, sections, student_sections, students
from hub.adapters.unit_rooms import rooms_over_time
from hub.core.register_marks import LessonFound
from hub.core.register_sheet import DayRecords, Mark, Occasion, SheetStudent
from hub.core.register_words import lesson_state


def read_day(connection: Connection, day: date, bounds: tuple[datetime, datetime], now: datetime) -> DayRecords:
    """Return everything on record for a school day, which lasts from one moment until before another."""
    marks = _marks(connection, attendance.c.day == day)
    dirty = select(dirty_students.c.student_id).where(dirty_students.c.day == day)
    found = lesson_finding.beginning(connection, *bounds)
    return DayRecords(
        students=_students(connection, day, bounds, {student_id for student_id, _ in marks}),
        lessons=_occasions(connection, found, now),
        marks=marks,
        members=frozenset(
            (student_id, f"lesson:{lesson_id}")
            for student_id, lesson_id in lesson_finding.expected_pairs(connection, *bounds)
        ),
        holidays=lesson_finding.holiday_labels(connection, day),
        derived_soon=frozenset(connection.execute(dirty).scalars()),
    )


@dataclass(frozen=True, slots=True)
class LessonRecords:
    """Students who are expected in a lesson or marked in it, by serial number; how many wait to be derived again."""

    students: tuple[SheetStudent, ...]
    marks: dict[str, Mark]
    expected: frozenset[str]
    waiting: int


def read_lesson(connection: Connection, lesson: LessonFound, day: date) -> LessonRecords:
    """Return the register of a lesson, which begins on that day."""
    found = _marks(connection, attendance.c.lesson_id == lesson.lesson_id)
    marks = {student_id: mark for (student_id, _), mark in found.items()}
    expected = frozenset(lesson_finding.expected(connection, [lesson.lesson_id])[lesson.lesson_id])
    wanted = sorted(expected | marks.keys())
    named = sorted(students_by_id(connection, wanted), key=lambda one: one.serial_number)
    dirty = select(func.count()).where(dirty_students.c.student_id.in_(wanted), dirty_students.c.day == day)
    waiting = connection.execute(dirty).scalar_one() if wanted else 0
    return LessonRecords(tuple(named), marks, expected, waiting)


def waiting(connection: Connection, first: date, last: date) -> int:
    """Return of how many students rows of these days wait to be derived again."""
    column = dirty_students.c
    counted = select(func.count(column.student_id.distinct())).where(column.day >= first, column.day <= last)
    return int(connection.execute(counted).scalar_one())


def students_by_id(connection: Connection, student_ids: Collection[str]) -> list[SheetStudent]:
    """Return these students, those who were erased without a name."""
    if not student_ids:
        return []
    rows = connection.execute(_student_columns().where(students.c.id.in_(sorted(set(student_ids)))))
    return [SheetStudent(row.id, row.serial_number, row.name, row.section) for row in rows]


def _student_columns() -> Select[Any]:
    return select(students.c.id, students.c.serial_number, students.c.name, sections.c.name.label("section")).outerjoin(
        sections, sections.c.id == students.c.section_id
    )


def _students(
    connection: Connection, day: date, bounds: tuple[datetime, datetime], marked: Collection[str]
) -> tuple[SheetStudent, ...]:
    """Return who is at the school on that day, and whoever is marked on it, by their section of that day."""
    column = students.c
    joined = or_(column.joined_on.is_(None), column.joined_on <= day)
    here = joined & or_(column.left_on.is_(None), column.left_on >= day)
    known = or_(column.erased_at.is_(None), column.erased_at >= bounds[1])
    found = connection.execute(
        select(column.id, column.serial_number, column.name, (here & known).label("here")).order_by(
            column.serial_number
        )
    )
    section_of = _sections_then(connection, *bounds)
    names = connection.execute(select(sections.c.name).order_by(sections.c.name)).scalars()
    order: dict[str | None, int] = {name: number for number, name in enumerate(names, 1)}
    lines = [
        SheetStudent(row.id, row.serial_number, row.name, section_of.get(row.id), at_school=bool(row.here))
        for row in found
        if row.here or row.id in marked
    ]
    return tuple(sorted(lines, key=lambda line: order.get(line.section, 0)))


def _sections_then(connection: Connection, since: datetime, before: datetime) -> dict[str, str]:
    """Return in which section students were between two moments; of several the last."""
    column = student_sections.c
    statement = (
        select(column.student_id, sections.c.name)
        .join(sections, sections.c.id == column.section_id)
        .where(column.since < before, or_(column.until.is_(None), column.until > since))
        .order_by(column.since)
    )
    return {row.student_id: row.name for row in connection.execute(statement)}


def _occasions(connection: Connection, found: Collection[LessonFound], now: datetime) -> tuple[Occasion, ...]:
    ids = [one.lesson_id for one in found]
    closed, seen = closings_store.standing(connection, ids), closings_store.how_many_seen(connection, ids)
    return tuple(
        Occasion(
            key=f"lesson:{one.lesson_id}",
            label=one.label,
            section=one.section,
            room=one.room,
            starts_at=one.starts_at,
            ends_at=one.ends_at,
            state=lesson_state(
                one.starts_at,
                one.ends_at,
                now,
                closed=one.lesson_id in closed,
                held=one.lesson_id in seen and seen[one.lesson_id].held,
            ),
        )
        for one in found
    )


def _marks(connection: Connection, which: ColumnElement[bool]) -> dict[tuple[str, str], Mark]:
    names = {row.id: row.name for row in connection.execute(select(rooms.c.id, rooms.c.name))}
    places = rooms_over_time(connection)
    found = {}
    for row in connection.execute(select(attendance).where(which)):
        place = places.get(row.unit_id) if row.unit_id else None
        found[row.student_id, row.occasion] = Mark(
            status=row.status,
            method=row.method,
            at=row.timestamp,
            left_early_at=row.left_early_at,
            notes=row.notes,
            room=names.get(place.room_at(row.timestamp)) if place else None,
            rule=row.rule,
            machine_status=row.machine_status,
            machine_rule=row.machine_rule,
        )
    return found
