"""Reads everything that decides the register of some students on one local day, in a handful of queries."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, or_, select

from hub.adapters import membership
from hub.adapters.attendance_store import LONGEST_EARLY
from hub.adapters.event_dates import BOOT_US, ESTIMATE, of_undated_boot, when
from hub.adapters.schema import (
    epochs,
    events,
    gallery_members,
    lessons,
    student_sections,
    students,
    undated_boots,
    units,
)
from hub.core.attendance import Interval, Lesson, MarkMade, SchoolDays, StudentsDay, Watch
from hub.core.belonging import Belonging
from hub.core.dating import micros, watched_since
from hub.core.roster_lessons import LONGEST_LESSON
from protocol.events import Coverage

# A presence that began on the evening before still counts; nobody stays in view for longer.
_MARGIN = timedelta(hours=12)
# A unit writes coverage every few minutes and when a lesson ends; one that slept writes it when it wakes.
_COVERAGE_MARGIN = timedelta(hours=6)


def collect(connection: Connection, day: date, student_ids: Sequence[str], days: SchoolDays) -> dict[str, StudentsDay]:
    """Return what decides the register of each of these students; those who are no students are left out."""
    known = list(connection.execute(select(students.c.id).where(students.c.id.in_(list(student_ids)))).scalars())
    first, end = days.bounds(day)
    # With the lessons around the day: one that ended just before its first, one that goes on over midnight.
    of_student = _lessons_of(connection, known, (first - _MARGIN, end + _MARGIN), days)
    rooms = {row.id: row.room_id for row in connection.execute(select(units.c.id, units.c.room_id))}
    seen = _events(connection, known, first - _MARGIN, end + _MARGIN)
    coverage = _coverage(connection, of_student, rooms)
    members = _members(connection, known)
    window = days.window(day)
    return {
        student_id: StudentsDay(
            lessons=tuple(of_student[student_id]),
            window=window,
            intervals=tuple(_intervals(seen[student_id], rooms)),
            marks=tuple(_marks(seen[student_id], rooms)),
            watches=tuple(_watches(coverage, members[student_id], rooms, of_student[student_id])),
        )
        for student_id in known
    }


def days_touched(connection: Connection, day: date, student_ids: Sequence[str], days: SchoolDays) -> list[date]:
    """Return the days whose register events of `day` may change: its own, and those of lessons around midnight."""
    first, end = days.bounds(day)
    found = connection.execute(
        select(lessons.c.starts_at)
        .distinct()
        .select_from(lessons)
        .join(student_sections, membership.belonged())
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


def _lessons_of(
    connection: Connection, student_ids: Sequence[str], span: tuple[datetime, datetime], days: SchoolDays
) -> dict[str, list[Lesson]]:
    history = membership.history(connection, student_ids)
    of_section = _lessons(connection, {one.section_id for past in history.values() for one in past}, span, days)
    return {student_id: _theirs(history.get(student_id, ()), of_section) for student_id in student_ids}


def _theirs(history: Sequence[Belonging], of_section: Mapping[str, Sequence[Lesson]]) -> list[Lesson]:
    return [
        lesson
        for section_id in sorted({one.section_id for one in history})
        for lesson in of_section.get(section_id, ())
        if any(one.holds(section_id, lesson.starts_at) for one in history)
    ]


def _lessons(
    connection: Connection, section_ids: Collection[str], span: tuple[datetime, datetime], days: SchoolDays
) -> dict[str, list[Lesson]]:
    found: dict[str, list[Lesson]] = defaultdict(list)
    for row in connection.execute(
        select(lessons)
        .where(lessons.c.section_id.in_(list(section_ids)), lessons.c.starts_at < span[1], lessons.c.ends_at > span[0])
        .order_by(lessons.c.starts_at, lessons.c.id)
    ):
        day = row.starts_at.astimezone(days.zone).date()
        found[row.section_id].append(Lesson(row.id, row.room_id, day, row.starts_at, row.ends_at))
    return found


@dataclass(frozen=True, slots=True)
class _Told:
    """An event about a student, and when it was."""

    row: Row[Any]
    at: datetime
    within: tuple[datetime, datetime] | None
    """Of a time that is only estimated."""


def _events(
    connection: Connection, student_ids: Collection[str], since: datetime, until: datetime
) -> dict[str, list[_Told]]:
    of_them = (events.c.student_id.in_(list(student_ids)), events.c.kind.in_(("seen", "left", "mark")))
    then = (events.c.at_corrected >= since, events.c.at_corrected < until, events.c.time_basis != "estimated")
    told = [_Told(row, row.at_corrected, None) for row in connection.execute(select(events).where(*of_them, *then))]
    undated = select(events, *ESTIMATE).join(undated_boots, of_undated_boot())
    maybe = (events.c.time_basis == "estimated", *_was(since, until))
    told += [_Told(row, *when(row)) for row in connection.execute(undated.where(*of_them, *maybe))]
    found: dict[str, list[_Told]] = defaultdict(list)
    for one in sorted(told, key=lambda one: (one.at, one.row.event_id)):
        found[one.row.student_id].append(one)
    return found


def _was(since: datetime, until: datetime) -> tuple[ColumnElement[bool], ...]:
    """Return the condition for events of undated boots that may have been then."""
    first, last = undated_boots.c.earliest_us, undated_boots.c.latest_us
    early = func.coalesce(events.c.at_earliest, events.c.at_corrected)
    late = func.coalesce(events.c.at_latest, events.c.at_corrected)
    return (
        # The boots themselves first: of mostly none nobody knows when they were.
        or_(first.is_(None), first + undated_boots.c.first_us < micros(until)),
        or_(last.is_(None), last + undated_boots.c.last_us >= micros(since)),
        # Empty where only an older program has estimated it.
        or_(first + BOOT_US < micros(until), and_(first.is_(None), early < until)),
        or_(last + BOOT_US >= micros(since), and_(last.is_(None), late >= since)),
    )


def _intervals(told: Sequence[_Told], rooms: Mapping[str, str]) -> list[Interval]:
    ends = {json.loads(one.row.body)["interval_id"]: one.at for one in told if one.row.kind == "left"}
    return [
        Interval(
            unit_id=one.row.unit_id,
            room_id=rooms[one.row.unit_id],
            start=one.at,
            end=max(one.at, ends.get(one.row.event_id, one.at)),
            within=one.within,
        )
        for one in told
        if one.row.kind == "seen" and one.row.unit_id in rooms
    ]


def _marks(told: Sequence[_Told], rooms: Mapping[str, str]) -> list[MarkMade]:
    found = []
    for one in told:
        row = one.row
        if row.kind != "mark" or row.unit_id not in rooms:
            continue
        body = json.loads(row.body)
        found.append(
            MarkMade(
                row.unit_id,
                rooms[row.unit_id],
                one.at,
                body["status"],
                body.get("lesson_id"),
                body.get("note", ""),
                (row.epoch, row.seq),
                within=one.within,
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class _Coverage:
    unit_id: str
    since: datetime
    until: datetime
    watched_s: float
    gallery_revision: int
    trusted: bool
    """The clock was right, and every earlier event of the stream is on record: none that says otherwise is missing."""


def _coverage(
    connection: Connection, of_student: Mapping[str, Sequence[Lesson]], rooms: Mapping[str, str]
) -> list[_Coverage]:
    all_lessons = [lesson for found in of_student.values() for lesson in found]
    wanted_rooms = {lesson.room_id for lesson in all_lessons}
    unit_ids = sorted(unit_id for unit_id, room_id in rooms.items() if room_id in wanted_rooms)
    if not unit_ids:
        return []
    high_water = {
        (row.unit_id, row.epoch): row.high_water
        for row in connection.execute(select(epochs).where(epochs.c.unit_id.in_(unit_ids)))
    }
    found = connection.execute(
        select(events)
        .where(
            events.c.unit_id.in_(unit_ids),
            events.c.kind == "coverage",
            events.c.at_corrected > min(lesson.starts_at for lesson in all_lessons),
            events.c.at_corrected < max(lesson.ends_at for lesson in all_lessons) + _COVERAGE_MARGIN,
        )
        .order_by(events.c.at_corrected, events.c.event_id)
    )
    # As it was understood when it came in: a time may be written in many ways.
    bodies = ((row, Coverage.model_validate_json(row.body)) for row in found)
    # Of a look around (`sweep`) nobody concludes that a student was not there.
    return [
        _one_coverage(row, body, high_water.get((row.unit_id, row.epoch), 0))
        for row, body in bodies
        if body.mode == "door"
    ]


def _one_coverage(row: Row[Any], body: Coverage, high_water: int) -> _Coverage:
    return _Coverage(
        unit_id=row.unit_id,
        since=watched_since(body.since, body.at, body.watched_s, row.at_corrected),
        until=row.at_corrected,
        watched_s=body.watched_s,
        gallery_revision=body.gallery_revision,
        trusted=row.time_basis != "estimated" and row.seq <= high_water,
    )


_Membership = tuple[str, int, int | None]


def _members(connection: Connection, student_ids: Collection[str]) -> dict[str, list[_Membership]]:
    found: dict[str, list[_Membership]] = defaultdict(list)
    for row in connection.execute(select(gallery_members).where(gallery_members.c.student_id.in_(list(student_ids)))):
        found[row.student_id].append((row.unit_id, row.from_revision, row.until_revision))
    return found


def _watches(
    coverage: Sequence[_Coverage],
    members: Sequence[_Membership],
    rooms: Mapping[str, str],
    student_lessons: Sequence[Lesson],
) -> list[Watch]:
    wanted_rooms = {lesson.room_id for lesson in student_lessons}
    return [
        Watch(
            one.unit_id,
            rooms[one.unit_id],
            one.since,
            one.until,
            one.watched_s,
            one.trusted and _had_template(one, members),
        )
        for one in coverage
        if rooms[one.unit_id] in wanted_rooms
    ]


def _had_template(coverage: _Coverage, members: Sequence[_Membership]) -> bool:
    return any(
        unit_id == coverage.unit_id
        and since <= coverage.gallery_revision
        and (until is None or coverage.gallery_revision < until)
        for unit_id, since, until in members
    )
