"""What people said about students, in MySQL: added, taken back, never changed."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, func, insert, or_, select, update

from hub.adapters.schema import events, marks

MACHINE: Literal["machine"] = "machine"
LEGACY = "legacy"
"""Of marks that were taken over from another system, which has its own attendance.csv."""

_ROWS_AT_ONCE = 500
_STREAM_MARGIN = timedelta(days=1)

Place = tuple[str, str]
"""A student and an occasion."""


@dataclass(frozen=True, slots=True)
class MarkRow:
    """A mark on record; `at` is when the student came, if the mark says so."""

    id: str
    student_id: str
    occasion: str
    lesson_id: str | None
    day: date
    status: str
    at: datetime | None
    reason: str
    note: str
    origin: str
    batch_id: str | None
    made_at: datetime
    made_by: str
    method: str = "Manual"
    undone_at: datetime | None = None
    undone_by: str | None = None

    @property
    def place(self) -> Place:
        """Of whom it is, and on which occasion."""
        return self.student_id, self.occasion


_COLUMNS = tuple(MarkRow.__dataclass_fields__)


def standing(
    connection: Connection,
    student_ids: Collection[str],
    occasions: Collection[str],
    *,
    or_taken_back_at: datetime | None = None,
) -> dict[Place, list[MarkRow]]:
    """Return the marks of these students on these occasions that were not taken back, oldest first: the last stands.

    With those that were taken back at that very moment: by a transaction whose answer was lost.
    """
    found: dict[Place, list[MarkRow]] = {}
    stands: ColumnElement[bool] = marks.c.undone_at.is_(None)
    if or_taken_back_at is not None:
        stands = or_(stands, marks.c.undone_at == or_taken_back_at)
    wanted = sorted(set(student_ids))
    for start in range(0, len(wanted), _ROWS_AT_ONCE):
        statement = select(marks).where(
            marks.c.student_id.in_(wanted[start : start + _ROWS_AT_ONCE]),
            marks.c.occasion.in_(sorted(set(occasions))),
            stands,
        )
        for row in connection.execute(statement.order_by(marks.c.made_at, marks.c.id)):
            one = _mark(row)
            found.setdefault(one.place, []).append(one)
    return found


def of_batch(connection: Connection, batch_id: str) -> list[MarkRow]:
    """Return the marks that were made with one gesture."""
    statement = select(marks).where(marks.c.batch_id == batch_id).order_by(marks.c.day, marks.c.id)
    return [_mark(row) for row in connection.execute(statement)]


def made_from(connection: Connection, first: date, last: date) -> list[MarkRow]:
    """Return the marks of a span of days that stand, in the order in which they were made."""
    statement = select(marks).where(marks.c.day >= first, marks.c.day <= last, marks.c.undone_at.is_(None))
    return [_mark(row) for row in connection.execute(statement.order_by(marks.c.made_at, marks.c.id))]


def days_marked(connection: Connection) -> tuple[date, date] | None:
    """Return the first and the last day of which a mark is on record."""
    first, last = connection.execute(select(func.min(marks.c.day), func.max(marks.c.day))).one()
    return None if first is None else (first, last)


def add(connection: Connection, rows: Sequence[MarkRow]) -> None:
    """Add marks; their ids are new."""
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        connection.execute(insert(marks), [asdict(row) for row in rows[start : start + _ROWS_AT_ONCE]])


def take_back(connection: Connection, mark_ids: Iterable[str], at: datetime, by: str) -> None:
    """Note that marks do not stand any more; those that were taken back before keep when that was."""
    wanted = sorted(set(mark_ids))
    for start in range(0, len(wanted), _ROWS_AT_ONCE):
        part = marks.c.id.in_(wanted[start : start + _ROWS_AT_ONCE])
        change = update(marks).where(part, marks.c.undone_at.is_(None)).values(undone_at=at, undone_by=by[:100])
        connection.execute(change)


@dataclass(frozen=True, slots=True)
class UnitMark:
    """What a person said at a unit; of an estimated time `at` is no more than a guess."""

    student_id: str
    at: datetime
    certain: bool
    lesson_id: str | None
    status: str


def at_units(connection: Connection, student_ids: Collection[str], since: datetime, until: datetime) -> list[UnitMark]:
    """Return what people at units said of these students around a span of time."""
    if not student_ids:
        return []
    statement = select(events.c.student_id, events.c.at_corrected, events.c.time_basis, events.c.body).where(
        events.c.student_id.in_(sorted(set(student_ids))),
        events.c.at_corrected >= since - _STREAM_MARGIN,
        events.c.at_corrected < until + _STREAM_MARGIN,
        events.c.kind == "mark",
    )
    found = []
    for row in connection.execute(statement.order_by(events.c.at_corrected)):
        # As the register reads it: what stands there must be found here too.
        said = json.loads(row.body)
        certain = row.time_basis != "estimated"
        found.append(UnitMark(row.student_id, row.at_corrected, certain, said.get("lesson_id"), said["status"]))
    return found


def _mark(row: Row[Any]) -> MarkRow:
    return MarkRow(**{name: getattr(row, name) for name in _COLUMNS})
