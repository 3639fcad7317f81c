"""Derives the register in MySQL from events, lessons, marks and coverage: many students of one day at a time."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import partial

from sqlalchemy import Connection, Row, Select, delete, select, tuple_
from sqlalchemy.dialects.mysql import insert

from hub.adapters import register_days, register_facts, undated_telling
from hub.adapters.attendance_store import ENDED_UNTIL, Pair, mark_lessons, mark_pairs
from hub.adapters.database import Database
from hub.adapters.membership import expected
from hub.adapters.schema import dirty_students, hub_facts, lessons, student_sections
from hub.core.attendance_facts import Rules, SchoolDays
from hub.core.errors import BadInput, Conflict
from hub.core.roster_lessons import LONGEST_LESSON

LOG = logging.getLogger("rollcall.hub.register")
_LOOK_BACK = timedelta(days=7)
_MOST_SET_ASIDE = 1000
_UNDERIVABLE = (ArithmeticError, AttributeError, BadInput, LookupError, TypeError, ValueError)
"""What a record that says something nobody thought of makes of the derivation; never a database that is away."""

_Place = tuple[str, date, int]
"""Student, day and number of a mark."""

_Mark = Row[str, date, int, str]


class MySqlRegisterStore:
    """Keeps the contract of `hub.core.ports.RegisterStore`. `initial`: the rules before any were put on record."""

    def __init__(self, database: Database, days: SchoolDays, initial: Rules) -> None:
        self._database = database
        self._days = days
        self._initial = initial
        # They stay marked, and are tried again when something of them changes or the hub starts anew.
        self._set_aside: set[_Place] = set()

    def mark_ended_lessons(self, now: datetime) -> int:
        """Ask for the students of lessons that ended since the last call to be derived; return how many lessons."""
        return self._database.run(lambda connection: mark_ended(connection, now, self._days))

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

    def _not_set_aside(self) -> Select[str, date, int, str]:
        named = dirty_students.c
        query = select(named.student_id, named.day, named.mark, named.cause)
        if not self._set_aside:
            return query
        place = tuple_(named.student_id, named.day, named.mark)
        return query.where(place.not_in(sorted(self._set_aside)))

    def _derive(self, connection: Connection, now: datetime, most: int) -> int:
        if not self._marked(connection, now, 1):
            return 0
        register_days.lock(connection, now)
        marks = self._marked(connection, now, most)
        self._derive_marks(connection, marks, now)
        return len(marks)

    def _derive_marks(self, connection: Connection, marks: Sequence[_Mark], now: datetime) -> None:
        register_days.lock(connection, now)
        derive_marks(connection, marks, self._days, self._initial, now)


def derive_marks(
    connection: Connection, marks: Sequence[_Mark], days: SchoolDays, initial: Rules, now: datetime
) -> None:
    """Derive what is marked and take the marks away; days that retention has frozen keep their rows as they are."""
    holds = register_days.in_force(connection, days, initial)
    frozen = register_days.frozen_until(connection)
    again: set[Pair] = set()
    for day in sorted({row.day for row in marks if row.day >= frozen}):
        causes = {row.student_id: row.cause for row in marks if row.day == day}
        for touched in register_facts.days_touched(connection, day, sorted(causes), days):
            if touched >= frozen:
                derived = register_days.derive(connection, touched, sorted(causes), holds, now)
                again |= register_days.put(connection, touched, derived, causes, holds, now)
    mark_pairs(connection, {pair for pair in again if pair[1] >= frozen}, "held")
    _take_away(connection, marks)


def _take_away(connection: Connection, marks: Sequence[_Mark]) -> None:
    # Only with the number that was read: a change during this derivation keeps its mark.
    places: dict[tuple[date, int], list[str]] = defaultdict(list)
    for row in marks:
        places[row.day, row.mark].append(row.student_id)
    for (day, mark), student_ids in sorted(places.items()):
        named = dirty_students.c
        theirs = (named.student_id.in_(sorted(student_ids)), named.day == day, named.mark == mark)
        connection.execute(delete(dirty_students).where(*theirs))


def mark_ended(connection: Connection, now: datetime, days: SchoolDays) -> int:
    """Mark the students of lessons that ended since the last call; return how many lessons."""
    until = connection.execute(
        select(hub_facts.c.value).where(hub_facts.c.name == ENDED_UNTIL).with_for_update()
    ).scalar()
    stored = datetime.fromisoformat(until) if until else now - _LOOK_BACK
    # A clock that was ahead has called lessons over that were not: they end again.
    since = min(stored, now)
    ended = (lessons.c.ends_at > since, lessons.c.ends_at <= now, lessons.c.starts_at > since - LONGEST_LESSON)
    found = connection.execute(select(lessons.c.id).where(*ended)).all()
    if until is not None and not found and stored <= now:
        return 0
    concerned = connection.execute(
        select(student_sections.c.student_id, lessons.c.starts_at)
        .select_from(lessons)
        .join(student_sections, expected())
        .where(*ended)
    ).all()
    mark_lessons(connection, ((row.student_id, row.starts_at) for row in concerned), days.zone, "ended")
    statement = insert(hub_facts).values(name=ENDED_UNTIL, value=now.isoformat(), changed_at=now)
    connection.execute(
        statement.on_duplicate_key_update(value=statement.inserted.value, changed_at=statement.inserted.changed_at)
    )
    return len(found)
