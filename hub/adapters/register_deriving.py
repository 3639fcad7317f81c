"""Derives the register in MySQL from events, lessons, marks and coverage: many students of one day at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, select, tuple_
from sqlalchemy.dialects.mysql import insert

from hub.adapters import register_facts
from hub.adapters.attendance_store import mark_lessons
from hub.adapters.database import Database
from hub.adapters.schema import attendance, dirty_students, hub_facts, lessons, students
from hub.core.attendance import Entry, Rules, SchoolDays, entries
from hub.core.errors import Conflict

ENDED_UNTIL = "register.ended_until"
_LOOK_BACK = timedelta(days=7)


class MySqlRegisterStore:
    """Keeps the contract of `hub.core.ports.RegisterStore`."""

    def __init__(self, database: Database, days: SchoolDays, rules: Rules) -> None:
        self._database = database
        self._days = days
        self._rules = rules

    def mark_ended_lessons(self, now: datetime) -> int:
        """Ask for the students of lessons that ended since the last call to be derived; return how many lessons."""
        return self._database.run(lambda connection: self._mark_ended(connection, now))

    def _mark_ended(self, connection: Connection, now: datetime) -> int:
        until = connection.execute(
            select(hub_facts.c.value).where(hub_facts.c.name == ENDED_UNTIL).with_for_update()
        ).scalar()
        since = datetime.fromisoformat(until) if until else now - _LOOK_BACK
        ended = (lessons.c.ends_at > since, lessons.c.ends_at <= now)
        found = connection.execute(select(lessons.c.id, lessons.c.section_id, lessons.c.starts_at).where(*ended)).all()
        if until is not None and not found:
            return 0
        concerned = connection.execute(
            select(students.c.id, lessons.c.starts_at)
            .join(lessons, lessons.c.section_id == students.c.section_id)
            .where(*ended)
        ).all()
        mark_lessons(connection, ((row.id, row.starts_at) for row in concerned), self._days.zone)
        statement = insert(hub_facts).values(name=ENDED_UNTIL, value=now.isoformat(), changed_at=now)
        connection.execute(
            statement.on_duplicate_key_update(value=statement.inserted.value, changed_at=statement.inserted.changed_at)
        )
        return len(found)

    def derive(self, now: datetime, most: int) -> int:
        """Derive up to `most` marked students and days anew; return how many. Repeating it changes nothing."""
        try:
            return self._database.run(lambda connection: self._derive(connection, now, most))
        except Conflict:
            # A lesson or student was deleted between our reading and our writing; the marks are still there.
            return 0

    def _derive(self, connection: Connection, now: datetime, most: int) -> int:
        marks = connection.execute(
            select(dirty_students).order_by(dirty_students.c.day, dirty_students.c.student_id).limit(most)
        ).all()
        for day in sorted({row.day for row in marks}):
            self._derive_day(connection, day, [row.student_id for row in marks if row.day == day], now)
        if marks:
            # Only with the number that was read: a change during this derivation keeps its mark.
            columns = tuple_(dirty_students.c.student_id, dirty_students.c.day, dirty_students.c.mark)
            connection.execute(
                delete(dirty_students).where(columns.in_([(row.student_id, row.day, row.mark) for row in marks]))
            )
        return len(marks)

    def _derive_day(self, connection: Connection, day: date, student_ids: Sequence[str], now: datetime) -> None:
        facts = register_facts.collect(connection, day, student_ids, self._days)
        derived = {student_id: entries(one, self._rules, now) for student_id, one in facts.items()}
        _write(connection, day, derived)


def _write(connection: Connection, day: date, derived: Mapping[str, Sequence[Entry]]) -> None:
    rows = [_row(student_id, entry) for student_id, found in sorted(derived.items()) for entry in found]
    keep = {(row["student_id"], row["occasion"]) for row in rows}
    present = connection.execute(
        select(attendance.c.student_id, attendance.c.occasion).where(
            attendance.c.student_id.in_(list(derived)), attendance.c.day == day
        )
    ).all()
    gone = [(row.student_id, row.occasion) for row in present if (row.student_id, row.occasion) not in keep]
    if gone:
        connection.execute(delete(attendance).where(tuple_(attendance.c.student_id, attendance.c.occasion).in_(gone)))
    if rows:
        statement = insert(attendance)
        changed = {name: statement.inserted[name] for name in rows[0] if name not in ("student_id", "occasion")}
        connection.execute(statement.on_duplicate_key_update(**changed), rows)


def _row(student_id: str, entry: Entry) -> dict[str, Any]:
    return {"student_id": student_id, **asdict(entry)}
