"""The register and its marks, as taking them over from the original system and writing them for it needs them."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, exists, func, select

from hub.adapters.schema import attendance, lessons, marks, templates

CAME = ("Present", "Late")
_ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Known:
    """A mark that has an id already."""

    status: str
    batch_id: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the register."""

    student_id: str
    timestamp: datetime
    status: str
    method: str
    notes: str
    lesson: str


def marks_known(connection: Connection, mark_ids: Collection[str]) -> dict[str, Known]:
    """Return which of these marks are on record, also those that were taken back."""
    found: dict[str, Known] = {}
    wanted = sorted(mark_ids)
    for start in range(0, len(wanted), _ROWS_AT_ONCE):
        statement = select(marks.c.id, marks.c.status, marks.c.batch_id)
        rows = connection.execute(statement.where(marks.c.id.in_(wanted[start : start + _ROWS_AT_ONCE])))
        found |= {row.id: Known(row.status, row.batch_id) for row in rows}
    return found


def said_already(
    connection: Connection, student_ids: Collection[str], days: Collection[date]
) -> set[tuple[str, str, datetime]]:
    """Return student, status and moment (to the second) of what the register says of these students on these days."""
    found: set[tuple[str, str, datetime]] = set()
    wanted = sorted(student_ids)
    for start in range(0, len(wanted), _ROWS_AT_ONCE):
        statement = select(attendance.c.student_id, attendance.c.status, attendance.c.timestamp).where(
            attendance.c.student_id.in_(wanted[start : start + _ROWS_AT_ONCE]), attendance.c.day.in_(sorted(days))
        )
        for row in connection.execute(statement):
            found.add((row.student_id, row.status, row.timestamp.replace(microsecond=0)))
    return found


def present(connection: Connection, student_ids: Collection[str], occasions: Collection[str]) -> set[tuple[str, str]]:
    """Return student and occasion of who was there, by the register."""
    found: set[tuple[str, str]] = set()
    wanted = sorted(student_ids)
    for start in range(0, len(wanted), _ROWS_AT_ONCE):
        statement = select(attendance.c.student_id, attendance.c.occasion).where(
            attendance.c.student_id.in_(wanted[start : start + _ROWS_AT_ONCE]),
            attendance.c.occasion.in_(sorted(occasions)),
            attendance.c.status.in_(CAME),
        )
        found |= {(row.student_id, row.occasion) for row in connection.execute(statement)}
    return found


def has_template(connection: Connection, student_id: str, pack_id: str) -> bool:
    """Tell whether a student is enrolled with a pack."""
    mine = exists().where(templates.c.student_id == student_id, templates.c.pack_id == pack_id)
    return bool(connection.execute(select(mine)).scalar())


def lines(connection: Connection, first: date | None, last: date | None) -> Iterator[Line]:
    """Yield the register from the first to the last of these days, in the order of time; a day in memory at a time."""
    every = select(attendance.c.day).distinct().order_by(attendance.c.day)
    if first is not None:
        every = every.where(attendance.c.day >= first)
    if last is not None:
        every = every.where(attendance.c.day <= last)
    label = func.coalesce(lessons.c.label, "").label("label")
    for day in connection.execute(every).scalars().all():
        statement = (
            select(attendance, label)
            .outerjoin(lessons, lessons.c.id == attendance.c.lesson_id)
            .where(attendance.c.day == day)
            .order_by(attendance.c.timestamp, attendance.c.student_id, attendance.c.occasion)
        )
        for row in connection.execute(statement):
            yield Line(row.student_id, row.timestamp, row.status, row.method, row.notes, row.label)


def count(connection: Connection, first: date | None, last: date | None) -> int:
    """Return how many lines the register has from the first to the last of these days."""
    statement = select(func.count()).select_from(attendance)
    if first is not None:
        statement = statement.where(attendance.c.day >= first)
    if last is not None:
        statement = statement.where(attendance.c.day <= last)
    return connection.execute(statement).scalar_one()
