"""Derives the whole register again from the records, or compares it with them; beside a running hub."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.mysql import insert

from hub.adapters import register_days, register_states
from hub.adapters.attendance_store import mark_pairs
from hub.adapters.register_deriving import derive_marks, mark_ended
from hub.adapters.register_rows import Difference
from hub.adapters.schema import attendance, dirty_students, events, hub_facts, lessons, marks, students, undated_boots
from hub.core.attendance_facts import Rules, SchoolDays
from hub.core.dating import moment

REBUILDING = "register.rebuild"
"""Of `hub_facts`: how far a rebuild has come that was interrupted."""
CAUSE = "rebuild"
_DIGEST_STUDENTS = 200
_DRAINED_AT_ONCE = 400
_DAY = timedelta(days=1)
_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Part:
    """What a part of a rebuild found: some students on one day."""

    rows: int
    """How many rows these students have on that day by the records."""
    differences: Sequence[Difference]
    waiting: int
    """How many of them are to be derived anyway, and were not compared."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A rebuild that was begun: over which days, when, and which day is next."""

    first: date
    last: date
    begun_at: datetime
    next_day: date


def everybody(connection: Connection) -> list[str]:
    """Return the ids of all students."""
    return list(connection.execute(select(students.c.id).order_by(students.c.id)).scalars())


def days_on_record(connection: Connection, days: SchoolDays, now: datetime) -> list[date]:
    """Return the days of which the register may have rows: with events, lessons or marks, or with rows already.

    None that retention has frozen; of the days to come only those for which somebody was marked.
    """
    found: set[date] = set()
    begun = select(lessons.c.starts_at).distinct().where(lessons.c.starts_at < now + _DAY)
    marked = select(lessons.c.starts_at).distinct().join(marks, marks.c.lesson_id == lessons.c.id)
    for statement in (begun, marked):
        found.update(at.astimezone(days.zone).date() for at in connection.execute(statement).scalars())
    found.update(connection.execute(select(marks.c.day).distinct()).scalars())
    found.update(connection.execute(select(attendance.c.day).distinct()).scalars())
    utc_day = func.date(events.c.at_corrected)
    for day in connection.execute(select(utc_day).distinct().where(events.c.student_id.is_not(None))).scalars():
        found.update(_local_days(datetime.combine(day, time(), UTC), days))
    for row in connection.execute(select(undated_boots).where(undated_boots.c.earliest_us.is_not(None))):
        if row.latest_us - row.earliest_us < _DAY_US and row.first_us is not None and row.last_us is not None:
            # Known so well that it may decide a day without lessons.
            at, until = moment(row.earliest_us + row.first_us), moment(row.latest_us + row.last_us)
            while at < until + _DAY:
                found.update(_local_days(at, days))
                at += _DAY
    frozen = register_days.frozen_until(connection)
    return sorted(day for day in found if day >= frozen)


def _local_days(since: datetime, days: SchoolDays) -> Iterator[date]:
    for at in (since, since + _DAY - timedelta(microseconds=1)):
        yield at.astimezone(days.zone).date()


def rebuild_part(
    connection: Connection, day: date, student_ids: Sequence[str], days: SchoolDays, initial: Rules, now: datetime
) -> Part:
    """Derive a day of some students again and write what differs. Repeating it changes nothing."""
    register_days.lock(connection, now)
    if day < register_days.frozen_until(connection):
        return Part(0, (), 0)
    holds = register_days.in_force(connection, days, initial)
    derived = register_days.derive(connection, day, student_ids, holds, now)
    again = register_days.put(connection, day, derived, dict.fromkeys(student_ids, CAUSE), holds, now)
    mark_pairs(connection, again, "held")
    return Part(derived.rows, derived.differences, 0)


def check_part(
    connection: Connection, day: date, student_ids: Sequence[str], days: SchoolDays, initial: Rules, now: datetime
) -> Part:
    """Compare a day of some students with the records; whoever is to be derived anyway is left out.

    What a lesson that ended meanwhile changes is marked first, so that it counts as waiting and not as a difference.
    """
    register_days.lock(connection, now)
    if day < register_days.frozen_until(connection):
        return Part(0, (), 0)
    mark_ended(connection, now, days)
    waiting = _waiting(connection, day)
    compared = [student_id for student_id in student_ids if student_id not in waiting]
    holds = register_days.in_force(connection, days, initial)
    derived = register_days.derive(connection, day, compared, holds, now)
    return Part(derived.rows, derived.differences, len(student_ids) - len(compared))


def _waiting(connection: Connection, day: date) -> set[str]:
    # With the days around it: a lesson near midnight depends on both.
    around = dirty_students.c.day.between(day - _DAY, day + _DAY)
    return set(connection.execute(select(dirty_students.c.student_id).where(around)).scalars())


def finish_day(connection: Connection, day: date, days: SchoolDays, initial: Rules, now: datetime) -> int:
    """Count the day's lessons again and derive whoever that concerns, up to a bound; return how many of them.

    To be repeated until it returns 0.
    """
    register_days.lock(connection, now)
    if day < register_days.frozen_until(connection):
        return 0
    holds = register_days.in_force(connection, days, initial)
    again = register_states.settle(connection, _lessons_of(connection, day, days), days, holds.rules_of, now)
    mark_pairs(connection, again, "held")
    named = dirty_students.c
    waiting = (
        select(named.student_id, named.day, named.mark, named.cause).where(named.day == day).limit(_DRAINED_AT_ONCE)
    )
    found = connection.execute(waiting).all()
    derive_marks(connection, found, days, initial, now)
    return len(found)


def states_differing(connection: Connection, day: date, days: SchoolDays, initial: Rules, now: datetime) -> list[str]:
    """Return the lessons of a day whose counts are not those of their rows; none while somebody of it is waiting."""
    register_days.lock(connection, now)
    if day < register_days.frozen_until(connection) or _waiting(connection, day):
        return []
    holds = register_days.in_force(connection, days, initial)
    lesson_ids = _lessons_of(connection, day, days)
    before = register_states.states_of(connection, lesson_ids)
    counted = register_states.counted(connection, lesson_ids, days, holds.rules_of, now)
    return sorted(one for one in lesson_ids if before.get(one) != counted.get(one))


def _lessons_of(connection: Connection, day: date, days: SchoolDays) -> list[str]:
    first, end = days.bounds(day)
    statement = select(lessons.c.id).where(lessons.c.starts_at >= first, lessons.c.starts_at < end)
    return list(connection.execute(statement).scalars())


def begun(connection: Connection) -> Begun | None:
    """Return the rebuild that was interrupted, if there is one."""
    said = connection.execute(select(hub_facts.c.value).where(hub_facts.c.name == REBUILDING)).scalar()
    if said is None:
        return None
    told = json.loads(said)
    first, last, next_day = (date.fromisoformat(told[name]) for name in ("first", "last", "next_day"))
    return Begun(first, last, datetime.fromisoformat(told["begun_at"]), next_day)


def note(connection: Connection, how_far: Begun | None, now: datetime) -> None:
    """Note how far a rebuild has come; None: it is done."""
    if how_far is None:
        connection.execute(delete(hub_facts).where(hub_facts.c.name == REBUILDING))
        return
    told = {
        "first": how_far.first.isoformat(),
        "last": how_far.last.isoformat(),
        "begun_at": how_far.begun_at.isoformat(),
        "next_day": how_far.next_day.isoformat(),
    }
    statement = insert(hub_facts).values(name=REBUILDING, value=json.dumps(told), changed_at=now)
    connection.execute(
        statement.on_duplicate_key_update(value=statement.inserted.value, changed_at=statement.inserted.changed_at)
    )


def register_digest(connection: Connection) -> tuple[int, str]:
    """Return how many rows the register has, and the SHA-256 of all of them in the order of their key.

    Two registers with one digest are the same, byte for byte. To be asked in a transaction that sees one moment.
    """
    ids = connection.execute(select(attendance.c.student_id).distinct().order_by(attendance.c.student_id)).scalars()
    wanted = list(ids)
    rows, whole = 0, hashlib.sha256()
    for start in range(0, len(wanted), _DIGEST_STUDENTS):
        statement = (
            select(attendance)
            .where(attendance.c.student_id.in_(wanted[start : start + _DIGEST_STUDENTS]))
            .order_by(attendance.c.student_id, attendance.c.occasion)
        )
        for row in connection.execute(statement):
            rows += 1
            whole.update(_bytes_of(tuple(row)))
    return rows, whole.hexdigest()


def _bytes_of(row: tuple[Any, ...]) -> bytes:
    cells = [cell.isoformat() if isinstance(cell, datetime | date) else cell for cell in row]
    return json.dumps(cells, ensure_ascii=False).encode() + b"\n"
