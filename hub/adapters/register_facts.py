"""Reads everything that decides the register of some students on one local day, in a handful of queries."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, or_, select

from hub.adapters import membership, register_sightings, register_timetable
from hub.adapters.attendance_store import LONGEST_EARLY
from hub.adapters.register_watches import Watches
from hub.adapters.schema import lessons, marks, student_sections, students
from hub.adapters.unit_rooms import rooms_over_time
from hub.core.attendance_facts import HubMark, Lesson, Rules, SchoolDays, StudentsDay
from hub.core.roster_lessons import LONGEST_LESSON

# A presence that began on the evening before still counts; nobody stays in view for longer.
_MARGIN = timedelta(hours=12)


def collect(
    connection: Connection,
    day: date,
    student_ids: Sequence[str],
    days: SchoolDays,
    rules_of: Callable[[date], Rules],
) -> dict[str, StudentsDay]:
    """Return what decides the register of each of these students; those who are no students are left out."""
    erased = {
        row.id: row.erased_at is not None
        for row in connection.execute(
            select(students.c.id, students.c.erased_at).where(students.c.id.in_(list(student_ids)))
        )
    }
    known = list(erased)
    if not known:
        return {}
    first, end = days.bounds(day)
    # With the lessons around the day: one that ended just before its first, one that goes on over midnight.
    span = first - _MARGIN, end + _MARGIN
    of_student = register_timetable.expected_lessons(connection, known, span, days)
    places = rooms_over_time(connection)
    told = register_sightings.told_of(connection, known, span)
    doubts = register_sightings.doubts(connection, known, span, places, days, rules_of)
    watches = Watches(connection, known, _each_once(of_student, day), places)
    marked = _hub_marks(connection, day, known, days)
    guests = _guest_lessons(connection, day, marked, of_student, days)
    windows = days.windows(day, rules_of(day).sessions)
    return {
        student_id: StudentsDay(
            day=day,
            zone=days.zone,
            lessons=of_student[student_id],
            windows=windows,
            intervals=tuple(register_sightings.intervals(told[student_id], places)),
            # What people wrote about somebody who was erased is not shown again.
            marks=tuple(register_sightings.unit_marks(told[student_id], places, notes=not erased[student_id])),
            watches=watches.of(student_id, [one for one in of_student[student_id] if one.day == day]),
            hub_marks=tuple(marked[student_id]),
            guest_lessons=tuple(guests[student_id]),
            doubts=tuple(doubts[student_id]),
        )
        for student_id in known
    }


def _each_once(of_student: Mapping[str, Sequence[Lesson]], day: date) -> list[Lesson]:
    """Return the lessons of that day."""
    # Most students of a section share one tuple.
    shared = {id(found): found for found in of_student.values()}.values()
    return list({one.lesson_id: one for found in shared for one in found if one.day == day}.values())


def days_touched(connection: Connection, day: date, student_ids: Sequence[str], days: SchoolDays) -> list[date]:
    """Return the days whose register events of `day` may change: its own, and those of lessons around midnight."""
    first, end = days.bounds(day)
    found = connection.execute(
        select(lessons.c.starts_at)
        .distinct()
        .select_from(lessons)
        .join(student_sections, membership.expected())
        .where(
            student_sections.c.student_id.in_(list(student_ids)),
            # No lesson lasts longer; the index is by start.
            lessons.c.starts_at > first - LONGEST_LESSON,
            lessons.c.ends_at > first,
            # Whoever comes early comes on the day before.
            lessons.c.starts_at < end + LONGEST_EARLY,
        )
    )
    return sorted({day, *(starts_at.astimezone(days.zone).date() for starts_at in found.scalars())})


def _hub_marks(
    connection: Connection, day: date, student_ids: Collection[str], days: SchoolDays
) -> dict[str, list[HubMark]]:
    """Return the marks that stand for occasions of that day, by student and in the order in which they were made."""
    first, end = days.bounds(day)
    # A lesson's day is where it is on the timetable now; a mark keeps the one it was made for.
    then = or_(
        and_(marks.c.lesson_id.is_(None), marks.c.day == day),
        and_(lessons.c.starts_at >= first, lessons.c.starts_at < end),
    )
    rows = connection.execute(
        select(marks)
        .outerjoin(lessons, lessons.c.id == marks.c.lesson_id)
        .where(marks.c.student_id.in_(list(student_ids)), marks.c.undone_at.is_(None), then)
        .order_by(marks.c.made_at, marks.c.id)
    )
    found: dict[str, list[HubMark]] = defaultdict(list)
    for row in rows:
        found[row.student_id].append(_hub_mark(row))
    return found


def _hub_mark(row: Row[Any]) -> HubMark:
    return HubMark(
        mark_id=row.id,
        occasion=row.occasion,
        lesson_id=row.lesson_id,
        status=row.status,
        made_at=row.made_at,
        at=row.at,
        method=row.method,
        reason=row.reason,
        note=row.note,
    )


def _guest_lessons(
    connection: Connection,
    day: date,
    marked: dict[str, list[HubMark]],
    of_student: Mapping[str, Sequence[Lesson]],
    days: SchoolDays,
) -> dict[str, list[Lesson]]:
    """Return the lessons of marks in which the student is not expected; marks of cancelled lessons are taken out."""
    theirs = {student_id: {one.lesson_id for one in found} for student_id, found in of_student.items()}
    wanted = {
        one.lesson_id
        for student_id, found in marked.items()
        for one in found
        if one.lesson_id is not None and one.lesson_id not in theirs[student_id]
    }
    known = register_timetable.lessons_by_id(connection, wanted, days)
    found_lessons: dict[str, list[Lesson]] = defaultdict(list)
    for student_id, found in list(marked.items()):
        guests = {one.lesson_id for one in found if one.lesson_id is not None} - theirs[student_id]
        found_lessons[student_id] = [known[one] for one in sorted(guests) if one in known and known[one].day == day]
        marked[student_id] = [one for one in found if one.lesson_id not in guests or one.lesson_id in known]
    return found_lessons
