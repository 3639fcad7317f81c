"""A student's day as a test describes it: minutes after the start of the day's first lesson."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hub.core.attendance import (
    Doubt,
    Entry,
    HubMark,
    Interval,
    Lesson,
    MarkMade,
    Rules,
    SchoolDays,
    StudentsDay,
    Watch,
    entries,
)
from hub.core.attendance_facts import HubMarkStatus
from tests.hub_core.builders import START

DAY = date(2026, 9, 1)
RULES = Rules(early=timedelta(minutes=10), late_after=timedelta(minutes=10), covered_share=0.9)
DAYS = SchoolDays(ZoneInfo("Europe/Berlin"))
LATER = START + timedelta(days=1)
ROOM, OTHER_ROOM = "room", "other room"


def at(minutes: float) -> datetime:
    """Minutes after the start of the day's first lesson."""
    return START + timedelta(minutes=minutes)


def a_lesson(start: float = 0, end: float = 45, name: str = "one", room: str = ROOM) -> Lesson:
    return Lesson(name, room, DAY, at(start), at(end))


def seen(start: float, end: float | None = None, room: str = ROOM) -> Interval:
    return Interval("unit", room, at(start), at(start if end is None else end))


def marked(
    status: str, minutes: float, lesson_id: str | None = None, room: str = ROOM, order: tuple[str, int] = ("e", 1)
) -> MarkMade:
    return MarkMade("unit", room, at(minutes), status, lesson_id, "note", order)


def guessed(start: float, earliest: float, latest: float, room: str = ROOM) -> Interval:
    """In view at a time of which only bounds are known."""
    return replace(seen(start, room=room), within=(at(earliest), at(latest)))


def doubted(minutes: float, within: tuple[float, float] | None = None, room: str = OTHER_ROOM) -> Doubt:
    bounds = (at(within[0]), at(within[1])) if within else None
    return Doubt("unit", room, at(minutes), bounds)


def at_hub(
    status: HubMarkStatus, made: float = 600, occasion: str = "lesson:one", mark_id: str = "mark", **more: Any
) -> HubMark:
    lesson = occasion.removeprefix("lesson:") if occasion.startswith("lesson:") else None
    return HubMark(mark_id, occasion, lesson, status, at(made), **more)


def watched(since: float, until: float, *, able: bool = True, share: float = 1.0, unit: str = "unit") -> Watch:
    return Watch(unit, ROOM, at(since), at(until), (until - since) * 60 * share, able)


def a_day(
    *intervals: Interval,
    lessons: tuple[Lesson, ...] | None = None,
    marks: tuple[MarkMade, ...] = (),
    watches: tuple[Watch, ...] = (),
    **more: Any,
) -> StudentsDay:
    return StudentsDay(
        day=DAY,
        zone=DAYS.zone,
        lessons=(a_lesson(),) if lessons is None else lessons,
        windows=DAYS.windows(DAY, RULES.sessions),
        intervals=intervals,
        marks=marks,
        watches=watches,
        **more,
    )


def only(facts: StudentsDay, now: datetime = LATER) -> Entry:
    [entry] = entries(facts, RULES, now)
    return entry
