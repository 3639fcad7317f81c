"""Derives the register in MySQL from events, lessons, marks and coverage: many students of one day at a time."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, select, tuple_
from sqlalchemy.dialects.mysql import insert

from hub.adapters import register_facts, undated_telling
from hub.adapters.attendance_store import ENDED_UNTIL, mark_lessons
from hub.adapters.database import Database
from hub.adapters.membership import belonged
from hub.adapters.schema import attendance, dirty_students, hub_facts, lessons, student_sections
from hub.core.attendance import Entry, Rules, SchoolDays, entries
from hub.core.errors import BadInput, Conflict

LOG = logging.getLogger("rollcall.hub.register")
DERIVING = "register.deriving"
_LOOK_BACK = timedelta(days=7)
_MOST_SET_ASIDE = 1000
_UNDERIVABLE = (ArithmeticError, AttributeError, BadInput, LookupError, TypeError, ValueError)
"""What a record that says something nobody thought of makes of the derivation; never a database that is away."""

_Place = tuple[str, date, int]
"""Student, day and number of a mark."""

_Mark = Row[tuple[str, date, int]]


class MySqlRegisterStore:
    """Keeps the contract of `hub.core.ports.RegisterStore`."""

    def __init__(self, database: Database, days: SchoolDays, rules: Rules) -> None:
        self._database = database
        self._days = days
        self._rules = rules
        # They stay marked, and are tried again when something of them changes or the hub starts anew.
        self._set_aside: set[_Place] = set()

    def mark_ended_lessons(self, now: datetime) -> int:
        """Ask for the students of lessons that ended since the last call to be derived; return how many lessons."""
        return self._database.run(lambda connection: self._mark_ended(connection, now))

    def _mark_ended(self, connection: Connection, now: datetime) -> int:
        until = connection.execute(
            select(hub_facts.c.value).where(hub_facts.c.name == ENDED_UNTIL).with_for_update()
        ).scalar()
        stored = datetime.fromisoformat(until) if until else now - _LOOK_BACK
        # A clock that was ahead has called lessons over that were not: they end again.
        since = min(stored, now)
        ended = (lessons.c.ends_at > since, lessons.c.ends_at <= now)
        found = connection.execute(select(lessons.c.id, lessons.c.section_id, lessons.c.starts_at).where(*ended)).all()
        if until is not None and not found and stored <= now:
            return 0
        concerned = connection.execute(
            select(student_sections.c.student_id, lessons.c.starts_at).join(lessons, belonged()).where(*ended)
        ).all()
        mark_lessons(connection, ((row.student_id, row.starts_at) for row in concerned), self._days.zone)
        statement = insert(hub_facts).values(name=ENDED_UNTIL, value=now.isoformat(), changed_at=now)
        connection.execute(
            statement.on_duplicate_key_update(value=statement.inserted.value, changed_at=statement.inserted.changed_at)
        )
        return len(found)

    def derive(self, now: datetime, most: int) -> int:
        """Derive up to `most` marked students and days anew; return how many. Repeating it changes nothing.

        A student's day that cannot be derived is set aside and named in the log; the others go on.
        """
        try:
            done = self._database.run(lambda connection: self._derive(connection, now, most))
            # What nobody knows the time of may move with every event: it is looked at when nothing else waits.
            return done or undated_telling.tell_one(self._database, self._days.zone)
        except Conflict:
            # A lesson or student was deleted between our reading and our writing; the marks are still there.
            return 0
        except _UNDERIVABLE:
            return self._derive_each(now, most)

    def _derive_each(self, now: datetime, most: int) -> int:
        marks = self._database.run(lambda connection: self._marked(connection, now, most))
        for row in marks:
            try:
                self._database.run(partial(self._derive_marks, marks=[row], now=now))
            except Conflict:
                continue
            except _UNDERIVABLE as exc:
                if len(self._set_aside) >= _MOST_SET_ASIDE:
                    # Not a record is wrong here but the program.
                    raise
                self._set_aside.add((row.student_id, row.day, row.mark))
                # Not the exception itself: it may quote what is on record.
                LOG.error(  # noqa: TRY400
                    "register cannot be derived student=%s day=%s error=%s", row.student_id, row.day, type(exc).__name__
                )
        return len(marks)

    def _marked(self, connection: Connection, now: datetime, most: int) -> list[_Mark]:
        """Return some marks: today's first, then ever older days, and days to come last.

        People look at today, and a unit that was away for weeks may have marked all of those.
        """
        today = now.astimezone(self._days.zone).date()
        day, student_id = dirty_students.c.day, dirty_students.c.student_id
        # Both columns in one direction: so the index gives the order.
        so_far = self._not_set_aside().where(day <= today).order_by(day.desc(), student_id.desc())
        found = list(connection.execute(so_far.limit(most)).all())
        if len(found) < most:
            to_come = self._not_set_aside().where(day > today).order_by(day, student_id)
            found += connection.execute(to_come.limit(most - len(found))).all()
        return found

    def _not_set_aside(self) -> Select[tuple[str, date, int]]:
        query = select(dirty_students.c.student_id, dirty_students.c.day, dirty_students.c.mark)
        if not self._set_aside:
            return query
        place = tuple_(dirty_students.c.student_id, dirty_students.c.day, dirty_students.c.mark)
        return query.where(place.not_in(sorted(self._set_aside)))

    def _derive(self, connection: Connection, now: datetime, most: int) -> int:
        if not self._marked(connection, now, 1):
            return 0
        _lock(connection, now)
        marks = self._marked(connection, now, most)
        self._derive_marks(connection, marks, now)
        return len(marks)

    def _derive_marks(self, connection: Connection, marks: Sequence[_Mark], now: datetime) -> None:
        _lock(connection, now)
        for day in sorted({row.day for row in marks}):
            student_ids = [row.student_id for row in marks if row.day == day]
            for touched in register_facts.days_touched(connection, day, student_ids, self._days):
                self._derive_day(connection, touched, student_ids, now)
        if marks:
            # Only with the number that was read: a change during this derivation keeps its mark.
            columns = tuple_(dirty_students.c.student_id, dirty_students.c.day, dirty_students.c.mark)
            connection.execute(
                delete(dirty_students).where(columns.in_([(row.student_id, row.day, row.mark) for row in marks]))
            )

    def _derive_day(self, connection: Connection, day: date, student_ids: Sequence[str], now: datetime) -> None:
        facts = register_facts.collect(connection, day, student_ids, self._days)
        derived = {student_id: entries(one, self._rules, now) for student_id, one in facts.items()}
        _write(connection, day, derived)


def _lock(connection: Connection, now: datetime) -> None:
    """Let no other process derive until this transaction ends: it might write what it read before our commit."""
    row = select(hub_facts.c.name).where(hub_facts.c.name == DERIVING).with_for_update()
    if connection.execute(row).first() is None:
        nothing = insert(hub_facts).values(name=DERIVING, value="", changed_at=now)
        connection.execute(nothing.on_duplicate_key_update(name=hub_facts.c.name))


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
