"""Lines of the register with everything a report says about them.

One query a report, or one a day of the whole school; students and lessons are then looked up by their keys, each once.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, or_, select, true, union_all

from hub.adapters import consent_store
from hub.adapters.schema import attendance, lessons, marks, rooms, sections, student_sections, students
from hub.adapters.unit_rooms import rooms_over_time
from hub.core.report_rows import ReportRow, ReportStudent, reason_of

_KEYS_AT_ONCE = 1000
_COLUMNS = (
    "student_id",
    "occasion",
    "lesson_id",
    "day",
    "timestamp",
    "status",
    "method",
    "rule",
    "left_early_at",
    "notes",
    "unit_id",
)


@dataclass(frozen=True, slots=True)
class Days:
    """Days of the school, both inclusive, with the UTC moments at which the first begins and the last ends."""

    first: date
    last: date
    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class _Lesson:
    starts_at: datetime
    label: str
    room: str
    section: str


class RegisterLines:
    """The lines of the register on some days, read in one transaction; what they refer to is kept."""

    def __init__(self, connection: Connection, days: Days, now: datetime) -> None:
        self._connection = connection
        self._days = days
        self._consents = consent_store.students_with(connection, now)
        self._places = rooms_over_time(connection)
        self._rooms: dict[str, str] = {row.id: row.name for row in connection.execute(select(rooms.c.id, rooms.c.name))}
        self._reasons = self._read_reasons()
        self._students: dict[str, ReportStudent] = {}
        self._lessons: dict[str, _Lesson] = {}

    def of_student(self, student_id: str) -> Iterator[ReportRow]:
        """Yield the lines of one student, in no order."""
        return self._read(_lines().where(attendance.c.student_id == student_id, self._within()))

    def of_section(self, section_id: str) -> Iterator[ReportRow]:
        """Yield the lines of the section's lessons and, of days without lessons, of whoever belonged to it then."""
        column = student_sections.c
        belonged = (
            (column.student_id == attendance.c.student_id)
            & (column.since <= attendance.c.timestamp)
            & or_(column.until.is_(None), column.until > attendance.c.timestamp)
        )
        free = (
            _lines()
            .join(student_sections, belonged)
            .where(column.section_id == section_id, attendance.c.lesson_id.is_(None), self._within())
        )
        return self._read(union_all(self._taught(lessons.c.section_id == section_id), free))

    def of_room(self, room_id: str) -> Iterator[ReportRow]:
        """Yield the lines of the room's lessons and, of days without lessons, of whoever was seen there."""
        taught = self._taught(lessons.c.room_id == room_id)
        its_units = [
            unit_id for unit_id, place in self._places.items() if room_id in {room for _, room in place.places}
        ]
        free = _lines().where(
            attendance.c.lesson_id.is_(None), attendance.c.unit_id.in_(sorted(its_units)), self._within()
        )
        name = self._rooms.get(room_id)
        # A unit may have been elsewhere on the day.
        return (row for row in self._read(union_all(taught, free) if its_units else taught) if row.room == name)

    def of_school(self, *, status: str | None = None) -> Iterator[ReportRow]:
        """Yield everybody's lines, those of one status or of all, day by day.

        The connector reads a whole answer into memory, and a school's term is half a million lines: so each day is
        asked for by itself.
        """
        chosen = true() if status is None else attendance.c.status == status
        on_record = select(attendance.c.day).distinct().where(self._within()).order_by(attendance.c.day)
        for day in self._connection.execute(on_record).scalars().all():
            yield from self._read(_lines().where(attendance.c.day == day, chosen))

    def members(self, section_id: str) -> list[ReportStudent]:
        """Return who belonged to a section on any of these days."""
        column = student_sections.c
        during = (column.since < self._days.end) & or_(column.until.is_(None), column.until > self._days.begin)
        statement = select(column.student_id).distinct().where(column.section_id == section_id, during)
        return self.students(self._connection.execute(statement).scalars().all())

    def students(self, student_ids: Iterable[str]) -> list[ReportStudent]:
        """Return these students, by id."""
        wanted = set(student_ids)
        self._look_up_students(wanted)
        return [self._students[student_id] for student_id in sorted(wanted)]

    def student(self, serial_number: str) -> ReportStudent | None:
        """Return the student with a serial number."""
        statement = select(students.c.id).where(students.c.serial_number == serial_number)
        found = self.students(self._connection.execute(statement).scalars().all())
        return found[0] if found else None

    def _taught(self, whose: ColumnElement[bool]) -> Select[Any]:
        begins = (lessons.c.starts_at >= self._days.begin) & (lessons.c.starts_at < self._days.end)
        joined = _lines().join(lessons, lessons.c.id == attendance.c.lesson_id)
        return joined.where(whose, begins, self._within())

    def _within(self) -> ColumnElement[bool]:
        return attendance.c.day.between(self._days.first, self._days.last)

    def _read(self, statement: Any) -> Iterator[ReportRow]:
        found = self._connection.execute(statement).all()
        self._look_up_students({row.student_id for row in found})
        self._look_up_lessons({row.lesson_id for row in found if row.lesson_id is not None})
        return map(self._row, found)

    def _row(self, found: Row[Any]) -> ReportRow:
        student = self._students[found.student_id]
        lesson = self._lessons[found.lesson_id] if found.lesson_id is not None else None
        notes: str = found.notes
        return ReportRow(
            student=student,
            occasion=found.occasion,
            day=found.day,
            status=found.status,
            method=found.method,
            rule=found.rule,
            at=found.timestamp,
            start=lesson.starts_at if lesson else None,
            label=lesson.label if lesson else "",
            section=lesson.section if lesson else student.section,
            room=lesson.room if lesson else self._seen_in(found),
            left_early_at=found.left_early_at,
            notes=notes,
            reason=reason_of(notes, found.status, self._reasons.get((found.student_id, found.occasion))),
        )

    def _seen_in(self, found: Row[Any]) -> str | None:
        place = self._places.get(found.unit_id)
        return self._rooms.get(place.room_at(found.timestamp)) if place else None

    def _look_up_students(self, student_ids: set[str]) -> None:
        statement = select(
            students.c.id,
            students.c.serial_number,
            students.c.name,
            students.c.erased_at,
            sections.c.name.label("section"),
        ).outerjoin(sections, sections.c.id == students.c.section_id)
        for part in _parts(student_ids - self._students.keys()):
            for row in self._connection.execute(statement.where(students.c.id.in_(part))):
                consent = row.id in self._consents
                self._students[row.id] = ReportStudent(
                    row.id, row.serial_number, row.name, row.section, consent=consent, erased=row.erased_at is not None
                )

    def _look_up_lessons(self, lesson_ids: set[str]) -> None:
        statement = (
            select(
                lessons.c.id,
                lessons.c.starts_at,
                lessons.c.label,
                rooms.c.name.label("room"),
                sections.c.name.label("section"),
            )
            .join(rooms, rooms.c.id == lessons.c.room_id)
            .join(sections, sections.c.id == lessons.c.section_id)
        )
        for part in _parts(lesson_ids - self._lessons.keys()):
            for row in self._connection.execute(statement.where(lessons.c.id.in_(part))):
                self._lessons[row.id] = _Lesson(row.starts_at, row.label, row.room, row.section)

    def _read_reasons(self) -> dict[tuple[str, str], tuple[str, str]]:
        """Return status and reason of the newest mark at the hub that stands, by student and occasion."""
        column = marks.c
        statement = (
            select(column.student_id, column.occasion, column.status, column.reason)
            .where(column.day.between(self._days.first, self._days.last), column.undone_at.is_(None))
            .order_by(column.made_at, column.id)
        )
        rows = self._connection.execute(statement)
        newest = {(row.student_id, row.occasion): (row.status, row.reason) for row in rows}
        return {place: said for place, said in newest.items() if said[1]}


def _lines() -> Select[Any]:
    return select(*(attendance.c[name] for name in _COLUMNS))


def _parts(keys: Iterable[str]) -> Iterator[list[str]]:
    wanted = sorted(keys)
    for start in range(0, len(wanted), _KEYS_AT_ONCE):
        yield wanted[start : start + _KEYS_AT_ONCE]
