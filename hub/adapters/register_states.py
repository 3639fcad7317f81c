"""How many of each lesson were seen, and with that which lessons are held for a person. Derived with the register."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime
from itertools import chain, repeat

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.mysql import insert

from hub.adapters.attendance_store import Pair
from hub.adapters.membership import expected
from hub.adapters.schema import attendance, lesson_states, lessons, student_sections
from hub.core.attendance import lesson_count
from hub.core.attendance_facts import LessonCount, Rules, SchoolDays, Status

Told = tuple[Status | None, str | None, Status | None]
"""Of one student: what the machine says and by which rule, and what a person says if anybody does."""

State = tuple[int, int, bool]
"""Seen, unseen, held."""


def settle(
    connection: Connection,
    lesson_ids: Collection[str],
    days: SchoolDays,
    rules_of: Callable[[date], Rules],
    now: datetime,
) -> set[Pair]:
    """Count the lessons of these that are over; return the students and days of those now held that were not, or back.

    The counts rest on what the machine says before anything is held, so they stay when those are derived again.
    """
    wanted = sorted(set(lesson_ids))
    if not wanted:
        return set()
    found = counted(connection, wanted, days, rules_of, now)
    before = states_of(connection, wanted)
    _write(connection, {one: found[one] for one in found if before.get(one) != found[one]}, before, found)
    flipped = {one for one in wanted if (one in found and found[one][2]) != (one in before and before[one][2])}
    return _expected_in(connection, flipped, days)


def states_of(connection: Connection, lesson_ids: Collection[str]) -> dict[str, State]:
    """Return what is on record of these lessons."""
    if not lesson_ids:
        return {}
    rows = connection.execute(select(lesson_states).where(lesson_states.c.lesson_id.in_(sorted(lesson_ids))))
    return {row.lesson_id: (row.seen, row.unseen, bool(row.held)) for row in rows}


def counted(
    connection: Connection,
    lesson_ids: Collection[str],
    days: SchoolDays,
    rules_of: Callable[[date], Rules],
    now: datetime,
) -> dict[str, State]:
    """Return what the rows say of those of these lessons that are over and that somebody is expected in."""
    if not lesson_ids:
        return {}
    rows = connection.execute(select(lessons.c.id, lessons.c.starts_at).where(lessons.c.id.in_(sorted(lesson_ids))))
    share = {row.id: rules_of(row.starts_at.astimezone(days.zone).date()).held_share for row in rows}
    return {
        lesson_id: (count.seen, count.unseen, count.held(share[lesson_id]))
        for lesson_id, count in _counted(connection, lesson_ids, now).items()
    }


def _counted(connection: Connection, lesson_ids: Collection[str], now: datetime) -> dict[str, LessonCount]:
    says = (
        attendance.c.lesson_id,
        attendance.c.machine_status,
        attendance.c.machine_rule,
        attendance.c.rule,
        attendance.c.status,
    )
    rows = connection.execute(
        select(*says, func.count().label("students"))
        .select_from(attendance)
        .join(lessons, lessons.c.id == attendance.c.lesson_id)
        # Guests do not count.
        .join(student_sections, (student_sections.c.student_id == attendance.c.student_id) & expected())
        .where(attendance.c.lesson_id.in_(sorted(lesson_ids)), lessons.c.ends_at <= now)
        .group_by(*says)
    )
    told: dict[str, list[Iterable[Told]]] = defaultdict(list)
    for row in rows:
        standing = row.status if row.rule == "mark" else None
        told[row.lesson_id].append(repeat((row.machine_status, row.machine_rule, standing), row.students))
    return {lesson_id: lesson_count(chain.from_iterable(found)) for lesson_id, found in told.items()}


def _write(
    connection: Connection, changed: Mapping[str, State], before: Collection[str], counted: Collection[str]
) -> None:
    if gone := sorted(set(before).difference(counted)):
        connection.execute(delete(lesson_states).where(lesson_states.c.lesson_id.in_(gone)))
    if changed:
        statement = insert(lesson_states)
        names = ("seen", "unseen", "held")
        rows = [{"lesson_id": one, **dict(zip(names, changed[one], strict=True))} for one in sorted(changed)]
        connection.execute(statement.on_duplicate_key_update({name: statement.inserted[name] for name in names}), rows)


def _expected_in(connection: Connection, lesson_ids: Collection[str], days: SchoolDays) -> set[Pair]:
    if not lesson_ids:
        return set()
    rows = connection.execute(
        select(student_sections.c.student_id, lessons.c.starts_at)
        .select_from(lessons)
        .join(student_sections, expected())
        .where(lessons.c.id.in_(sorted(lesson_ids)))
    )
    return {(row.student_id, row.starts_at.astimezone(days.zone).date()) for row in rows}
