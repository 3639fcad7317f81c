"""Reads who was expected in which lessons, and what people decided about those: closed, held, by rule."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from hub.adapters import membership
from hub.adapters.schema import absence_rules, closings, lesson_states, lessons
from hub.core.attendance_facts import Lesson, SchoolDays
from hub.core.belonging import Belonging, GroupBelonging
from hub.core.roster_lessons import LONGEST_LESSON

AnyRow = Row[*tuple[Any, ...]]
Span = tuple[datetime, datetime]

_COLUMNS = (
    lessons.c.id,
    lessons.c.room_id,
    lessons.c.section_id,
    lessons.c.group_id,
    lessons.c.starts_at,
    lessons.c.ends_at,
)


def expected_lessons(
    connection: Connection, student_ids: Sequence[str], span: Span, days: SchoolDays
) -> dict[str, tuple[Lesson, ...]]:
    """Return the lessons of each student that touch the span, by start; none that was cancelled."""
    history = membership.history(connection, student_ids)
    grouped = membership.groups_history(connection, student_ids)
    rows = _rows_of_sections(connection, {one.section_id for past in history.values() for one in past}, span)
    made = dict(zip((row.id for row in rows), as_lessons(connection, rows, days), strict=True))
    of_section: dict[str, list[AnyRow]] = defaultdict(list)
    for row in rows:
        of_section[row.section_id].append(row)
    # Most students of a section have the same lessons: they share one tuple.
    known: dict[tuple[tuple[Belonging, ...], tuple[GroupBelonging, ...]], tuple[Lesson, ...]] = {}
    found = {}
    for student_id in student_ids:
        belongs = tuple(history.get(student_id, ())), tuple(grouped.get(student_id, ()))
        if belongs not in known:
            known[belongs] = tuple(made[row.id] for row in _theirs(*belongs, of_section))
        found[student_id] = known[belongs]
    return found


def _theirs(
    sections: Sequence[Belonging],
    groups: Sequence[GroupBelonging],
    of_section: Mapping[str, Sequence[AnyRow]],
) -> list[AnyRow]:
    fitting = [
        row
        for section_id in sorted({one.section_id for one in sections})
        for row in of_section.get(section_id, ())
        if any(one.holds(section_id, row.starts_at) for one in sections)
        and (row.group_id is None or any(one.holds(row.group_id, row.starts_at) for one in groups))
    ]
    return sorted(fitting, key=lambda row: (row.starts_at, row.id))


def _rows_of_sections(connection: Connection, section_ids: Collection[str], span: Span) -> Sequence[AnyRow]:
    if not section_ids:
        return []
    return connection.execute(
        select(*_COLUMNS)
        .where(
            lessons.c.section_id.in_(sorted(section_ids)),
            # No lesson lasts longer; the index is by start.
            lessons.c.starts_at > span[0] - LONGEST_LESSON,
            lessons.c.starts_at < span[1],
            lessons.c.ends_at > span[0],
            lessons.c.cancelled_at.is_(None),
        )
        .order_by(lessons.c.starts_at, lessons.c.id)
    ).all()


def lessons_by_id(connection: Connection, lesson_ids: Collection[str], days: SchoolDays) -> dict[str, Lesson]:
    """Return lessons; those that were cancelled are left out."""
    if not lesson_ids:
        return {}
    statement = select(*_COLUMNS).where(lessons.c.id.in_(sorted(lesson_ids)), lessons.c.cancelled_at.is_(None))
    rows = connection.execute(statement).all()
    return {one.lesson_id: one for one in as_lessons(connection, rows, days)}


def lessons_of_rooms(
    connection: Connection, room_ids: Collection[str], span: Span, days: SchoolDays
) -> dict[str, list[Lesson]]:
    """Return whosever lessons of some rooms that touch the span, as what they are: not what was decided about them."""
    found: dict[str, list[Lesson]] = defaultdict(list)
    rows = connection.execute(
        select(*_COLUMNS).where(
            lessons.c.room_id.in_(sorted(room_ids)),
            lessons.c.starts_at > span[0] - LONGEST_LESSON,
            lessons.c.starts_at < span[1],
            lessons.c.ends_at > span[0],
            lessons.c.cancelled_at.is_(None),
        )
    )
    for row in rows:
        found[row.room_id].append(_plain(row, days))
    return found


def _plain(row: AnyRow, days: SchoolDays) -> Lesson:
    day = row.starts_at.astimezone(days.zone).date()
    return Lesson(row.id, row.room_id, day, row.starts_at, row.ends_at)


def as_lessons(connection: Connection, rows: Sequence[AnyRow], days: SchoolDays) -> list[Lesson]:
    """Return the lessons of these rows, in their order, with what was decided about them."""
    lesson_ids = [row.id for row in rows]
    closed, held = _closed(connection, lesson_ids), _held(connection, lesson_ids)
    by_rule = _by_rule(connection, {row.room_id for row in rows})
    found = []
    for row in rows:
        plain = _plain(row, days)
        found.append(
            Lesson(
                row.id,
                row.room_id,
                plain.day,
                row.starts_at,
                row.ends_at,
                closed_at=closed.get(row.id),
                held=row.id in held,
                absent_by_rule=by_rule(row.room_id, plain.day),
            )
        )
    return found


def _closed(connection: Connection, lesson_ids: Collection[str]) -> dict[str, datetime]:
    if not lesson_ids:
        return {}
    statement = (
        select(closings.c.lesson_id, closings.c.closed_at)
        .where(closings.c.lesson_id.in_(lesson_ids), closings.c.reopened_at.is_(None))
        .order_by(closings.c.closed_at)
    )
    # Of several that stand, the last.
    return {row.lesson_id: row.closed_at for row in connection.execute(statement)}


def _held(connection: Connection, lesson_ids: Collection[str]) -> set[str]:
    if not lesson_ids:
        return set()
    statement = select(lesson_states.c.lesson_id).where(
        lesson_states.c.lesson_id.in_(lesson_ids), lesson_states.c.held.is_(True)
    )
    return set(connection.execute(statement).scalars())


@dataclass(frozen=True, slots=True)
class _SwitchedOn:
    from_day: date
    until_day: date | None

    def holds(self, day: date) -> bool:
        return self.from_day <= day and (self.until_day is None or day < self.until_day)


def _by_rule(connection: Connection, room_ids: Iterable[str]) -> Callable[[str, date], bool]:
    """Return what tells of a room and a day whether its units write Absent by themselves."""
    switched: dict[str, list[_SwitchedOn]] = defaultdict(list)
    wanted = sorted(set(room_ids))
    if wanted:
        for row in connection.execute(select(absence_rules).where(absence_rules.c.room_id.in_(wanted))):
            switched[row.room_id].append(_SwitchedOn(row.from_day, row.until_day))
    return lambda room_id, day: any(one.holds(day) for one in switched.get(room_id, ()))
