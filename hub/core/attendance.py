"""The rules of the register: one student, one day, from what was seen to what is written. Pure and repeatable.

- Present: an interval of presence overlaps the time from `early` before the start to `late_after` after it.
- Late: first seen after that, within the lesson.
- A person's mark wins over what a unit saw.
- Not seen, once the lesson is over: a unit watched enough of it and could have recognised the student. Not observed:
  it could not. Absent is never a machine's word.
- A time that is only estimated (`hub.core.dating`) counts for the student and never against: within its bounds surely
  in the lesson is Present, with a note; otherwise it decides nothing, but where it may have been in the lesson, it is
  Not observed that would be Not seen.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, tzinfo

from hub.core.attendance_facts import (
    DayWindow,
    Entry,
    Interval,
    Lesson,
    MarkMade,
    Method,
    Rules,
    SchoolDays,
    Status,
    StudentsDay,
    Watch,
)

_BY_MARK: dict[str, Status] = {"present": "Present", "late": "Late", "excused": "Excused", "absent": "Absent"}


def entries(facts: StudentsDay, rules: Rules, now: datetime) -> list[Entry]:
    """Return the register of one student and day, in the order of the occasions.

    The same facts and a later `now` only add the entries of lessons that have ended in between.
    """
    # A lesson belongs to the day it starts on, whichever day is looked at.
    lessons = [lesson for lesson in facts.lessons if lesson.day == facts.window.day]
    if not lessons:
        entry = _of_day(facts)
        return [entry] if entry else []
    found = (_of_lesson(lesson, facts, rules, now) for lesson in sorted(lessons, key=_by_start))
    return [entry for entry in found if entry]


def _by_start(lesson: Lesson) -> tuple[datetime, str]:
    return lesson.starts_at, lesson.lesson_id


def _of_lesson(lesson: Lesson, facts: StudentsDay, rules: Rules, now: datetime) -> Entry | None:
    opens_at = _opens_at(lesson, facts.lessons, rules)
    here = [one for one in facts.intervals if one.room_id == lesson.room_id]
    seen = [one for one in here if one.within is None and one.start < lesson.ends_at and one.end >= opens_at]
    guessed = [one for one in here if one.within and one.within[0] < lesson.ends_at and one.within[1] >= opens_at]
    blank = Entry(
        occasion=f"lesson:{lesson.lesson_id}",
        lesson_id=lesson.lesson_id,
        day=lesson.day,
        timestamp=lesson.starts_at,
        status="Not observed",
        method="Face Recognition",
        rule="not_watched",
        last_seen_at=max((min(one.end, lesson.ends_at) for one in seen), default=None),
    )
    mark = _mark_for(lesson, facts, opens_at)
    if mark is not None:
        return _marked(blank, mark)
    latest_on_time = lesson.starts_at + rules.late_after
    zone = facts.window.opens_at.tzinfo
    if seen:
        entry = _seen(blank, seen, opens_at, latest_on_time=latest_on_time)
        earlier = [one for one in guessed if one.within and one.within[0] <= latest_on_time]
        return _noting(entry, earlier, zone) if entry.status == "Late" else entry
    surely = [one for one in guessed if _surely_in(one.within, opens_at, lesson.ends_at)]
    if surely:
        return _seen_sometime(blank, surely, zone)
    if now < lesson.ends_at:
        return None
    entry = _unseen(blank, lesson, facts.watches, rules)
    if guessed and entry.status == "Not seen":
        return _noting(replace(entry, status="Not observed", rule="seen_sometime"), guessed, zone)
    return entry


def _surely_in(within: tuple[datetime, datetime] | None, opens_at: datetime, ends_at: datetime) -> bool:
    return within is not None and opens_at <= within[0] and within[1] < ends_at


def _seen_sometime(entry: Entry, guessed: Sequence[Interval], zone: tzinfo | None) -> Entry:
    first = min(guessed, key=lambda one: (one.start, one.unit_id))
    found = replace(entry, timestamp=first.start, status="Present", rule="seen_estimated", unit_id=first.unit_id)
    return _noting(found, guessed, zone)


def _noting(entry: Entry, guessed: Sequence[Interval], zone: tzinfo | None) -> Entry:
    """Return the entry with a note for whoever looks at it: when it may have been."""
    bounds = [one.within for one in guessed if one.within is not None]
    if not bounds:
        return entry
    since, until = (moment.astimezone(zone) for moment in min(bounds, key=lambda one: (one[1] - one[0], one)))
    days = "%H:%M" if since.date() == until.date() == entry.day else "%Y-%m-%d %H:%M"
    return replace(
        entry, notes=f"The unit's clock was not set: seen between {since:{days}} and {until:{days}}. Please check."
    )


def _opens_at(lesson: Lesson, lessons: Iterable[Lesson], rules: Rules) -> datetime:
    # Whoever was in the room for the lesson before is not early for this one.
    ended = [one.ends_at for one in lessons if one is not lesson and one.ends_at <= lesson.starts_at]
    return max([lesson.starts_at - rules.early, *ended])


def _mark_for(lesson: Lesson, facts: StudentsDay, opens_at: datetime) -> MarkMade | None:
    lesson_ids = {one.lesson_id for one in facts.lessons}
    fitting = [
        mark
        for mark in facts.marks
        if mark.lesson_id == lesson.lesson_id
        # Without a lesson, or with one that is not on the timetable any more, room and time decide.
        or (
            mark.lesson_id not in lesson_ids
            and mark.room_id == lesson.room_id
            and _falls(mark, opens_at, lesson.ends_at)
        )
    ]
    return _last(fitting)


def _falls(mark: MarkMade, opens_at: datetime, ends_at: datetime) -> bool:
    return _surely_in(mark.within or (mark.at, mark.at), opens_at, ends_at)


def _last(marks: Sequence[MarkMade]) -> MarkMade | None:
    return max(marks, key=lambda mark: (mark.at, mark.order), default=None)


def _marked(entry: Entry, mark: MarkMade) -> Entry:
    return replace(
        entry,
        timestamp=mark.at,
        status=_BY_MARK[mark.status],
        method="Manual",
        rule="mark",
        unit_id=mark.unit_id,
        notes=mark.note,
    )


def _seen(entry: Entry, seen: Sequence[Interval], opens_at: datetime, *, latest_on_time: datetime) -> Entry:
    first = min(seen, key=lambda one: (one.start, one.unit_id))
    on_time = first.start <= latest_on_time
    return replace(
        entry,
        timestamp=max(first.start, opens_at),
        status="Present" if on_time else "Late",
        rule="seen" if on_time else "seen_late",
        unit_id=first.unit_id,
    )


def _unseen(entry: Entry, lesson: Lesson, watches: Iterable[Watch], rules: Rules) -> Entry:
    """Say of an ended lesson whether the student would have been seen.

    All of the lesson decides, not only its first minutes: who comes late is seen late, so `Not seen` may be said
    only of a lesson that was watched throughout.
    """
    here = [one for one in watches if one.room_id == lesson.room_id]
    for unit_id in sorted({one.unit_id for one in here}):
        if _share(lesson, [one for one in here if one.unit_id == unit_id and one.able]) >= rules.covered_share:
            return replace(entry, status="Not seen", rule="not_seen", unit_id=unit_id)
    for unit_id in sorted({one.unit_id for one in here}):
        if _share(lesson, [one for one in here if one.unit_id == unit_id]) >= rules.covered_share:
            # It watched, but did not have this student's template, or not the right time.
            return replace(entry, rule="not_able", unit_id=unit_id)
    return entry


def _share(lesson: Lesson, watches: Sequence[Watch]) -> float:
    """Return the share of the lesson, 0 to 1, that one unit watched."""
    covered_s, reached = 0.0, lesson.starts_at
    for watch in sorted(watches, key=lambda one: (one.since, one.until)):
        since, until = max(watch.since, reached), min(watch.until, lesson.ends_at)
        length_s = (watch.until - watch.since).total_seconds()
        if until > since and length_s > 0:
            covered_s += (until - since).total_seconds() * min(1.0, watch.watched_s / length_s)
            reached = until
    return covered_s / (lesson.ends_at - lesson.starts_at).total_seconds()


def _of_day(facts: StudentsDay) -> Entry | None:
    window = facts.window
    seen = [
        one
        for one in facts.intervals
        if one.within is None and one.start < window.closes_at and one.end >= window.opens_at
    ]
    surely = [one for one in facts.intervals if _surely_in(one.within, window.opens_at, window.closes_at)]
    blank = Entry(
        occasion=f"day:{window.day.isoformat()}",
        lesson_id=None,
        day=window.day,
        timestamp=window.opens_at,
        status="Present",
        method="Face Recognition",
        rule="day",
        last_seen_at=max((min(one.end, window.closes_at) for one in seen), default=None),
    )
    mark = _last([one for one in facts.marks if _falls(one, window.opens_at, window.closes_at)])
    if mark is not None:
        return _marked(blank, mark)
    if not seen:
        return _seen_sometime(blank, surely, window.opens_at.tzinfo) if surely else None
    return replace(_seen(blank, seen, window.opens_at, latest_on_time=window.closes_at), rule="day")


__all__ = [
    "DayWindow",
    "Entry",
    "Interval",
    "Lesson",
    "MarkMade",
    "Method",
    "Rules",
    "SchoolDays",
    "Status",
    "StudentsDay",
    "Watch",
    "entries",
]
