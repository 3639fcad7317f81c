"""What the register of a day is made of, read from the database in one moment."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, select

from hub.adapters import membership
from hub.adapters.schema import attendance, lessons, rooms, sections, students, units
from hub.core.register_sheet import Mark, Occasion, SheetStudent


@dataclass(frozen=True, slots=True)
class DayRecords:
    """Students by section and serial number, the day's lessons, and the marks by student and occasion."""

    students: tuple[SheetStudent, ...]
    lessons: tuple[Occasion, ...]
    marks: dict[tuple[str, str], Mark]


def read_day(connection: Connection, day: date, starts: datetime, ends: datetime) -> DayRecords:
    """Return everything on record for a school day, which lasts from `starts` to `ends`."""
    return DayRecords(_students(connection), _lessons(connection, starts, ends), _marks(connection, day))


def _students(connection: Connection) -> tuple[SheetStudent, ...]:
    statement = (
        select(
            students.c.id,
            students.c.serial_number,
            students.c.name,
            students.c.section_id,
            sections.c.name.label("section"),
        )
        .outerjoin(sections, sections.c.id == students.c.section_id)
        .order_by(sections.c.name, students.c.serial_number)
    )
    history = membership.history(connection)
    return tuple(
        SheetStudent(row.id, row.serial_number, row.name, row.section_id, row.section, tuple(history.get(row.id, ())))
        for row in connection.execute(statement)
    )


def _lessons(connection: Connection, starts: datetime, ends: datetime) -> tuple[Occasion, ...]:
    statement = (
        select(lessons, rooms.c.name.label("room"), sections.c.name.label("section"))
        .join(rooms, rooms.c.id == lessons.c.room_id)
        .join(sections, sections.c.id == lessons.c.section_id)
        .where(lessons.c.starts_at >= starts, lessons.c.starts_at < ends)
    )
    return tuple(
        Occasion(f"lesson:{row.id}", row.label, row.section_id, row.section, row.room, row.starts_at, row.ends_at)
        for row in connection.execute(statement)
    )


def _marks(connection: Connection, day: date) -> dict[tuple[str, str], Mark]:
    statement = (
        select(attendance, rooms.c.name.label("room"))
        .outerjoin(units, units.c.id == attendance.c.unit_id)
        .outerjoin(rooms, rooms.c.id == units.c.room_id)
        .where(attendance.c.day == day)
    )
    return {
        (row.student_id, row.occasion): Mark(
            row.status, row.method, row.timestamp, row.left_early_at, row.notes, row.room
        )
        for row in connection.execute(statement)
    }
