"""The rows of `attendance`: what was derived is compared with what is there, and only what differs is written."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, select
from sqlalchemy.dialects.mysql import insert

from hub.adapters.schema import attendance
from hub.core.attendance_facts import Entry

Place = tuple[str, str]
"""A student and an occasion."""

Values = dict[str, Any]
"""A row by the names of its columns."""

COLUMNS = tuple(attendance.columns.keys())
_LONGEST_NOTE = 500
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Difference:
    """A row as it is and as it was derived; None where there is none."""

    student_id: str
    occasion: str
    before: Values | None
    after: Values | None

    @property
    def place(self) -> Place:
        """Of whom it is, and on which occasion."""
        return self.student_id, self.occasion


def compare(connection: Connection, day: date, derived: Mapping[str, Sequence[Entry]]) -> list[Difference]:
    """Return in what the rows of a day differ from what was derived for these students, by student and occasion."""
    wanted = {
        (student_id, entry.occasion): as_row(student_id, entry)
        for student_id, found in derived.items()
        for entry in found
    }
    present = _read(connection, attendance.c.student_id.in_(sorted(derived)), attendance.c.day == day)
    missing = {row["lesson_id"] for place, row in wanted.items() if place not in present} - {None}
    if missing:
        # Of a lesson that was put on another day there may be rows of the day it was on.
        moved = _read(connection, attendance.c.lesson_id.in_(sorted(missing)), attendance.c.day != day)
        present |= {place: row for place, row in moved.items() if place in wanted}
    places = sorted({place for place in (*wanted, *present) if wanted.get(place) != present.get(place)})
    return [Difference(*place, present.get(place), wanted.get(place)) for place in places]


def _read(connection: Connection, *where: ColumnElement[bool]) -> dict[Place, Values]:
    rows = connection.execute(select(attendance).where(*where))
    return {(row[0], row[1]): dict(zip(COLUMNS, row, strict=True)) for row in rows}


def as_row(student_id: str, entry: Entry) -> Values:
    """Return the row of an entry."""
    row: Values = {name: getattr(entry, name) for name in COLUMNS if name != "student_id"}
    return {"student_id": student_id, **row, "notes": entry.notes[:_LONGEST_NOTE]}


def write(connection: Connection, differences: Iterable[Difference]) -> None:
    """Make the rows what was derived."""
    gone: dict[str, list[str]] = defaultdict(list)
    rows: list[Values] = []
    for one in differences:
        if one.after is None:
            gone[one.occasion].append(one.student_id)
        else:
            rows.append(one.after)
    for occasion, student_ids in sorted(gone.items()):
        theirs = attendance.c.student_id.in_(sorted(student_ids))
        connection.execute(delete(attendance).where(theirs, attendance.c.occasion == occasion))
    for start in range(0, len(rows), _AT_ONCE):
        _upsert(connection, rows[start : start + _AT_ONCE])


def _upsert(connection: Connection, rows: Collection[Values]) -> None:
    statement = insert(attendance)
    changed = {name: statement.inserted[name] for name in COLUMNS if name not in {"student_id", "occasion"}}
    connection.execute(statement.on_duplicate_key_update(**changed), list(rows))
