"""What a person may say of a student, and on which occasion: a lesson, or without one a part of the day. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Literal, get_args

from hub.core.attendance_facts import DayWindow
from hub.core.errors import BadInput, Conflict
from hub.core.roster import clean_text
from hub.core.roster_times import school_time

Said = Literal["present", "late", "excused", "absent"]
SAYABLE: tuple[Said, ...] = get_args(Said)
CAME: tuple[Said, ...] = ("present", "late")
"""What may come with a moment: when the student came."""

STATUS_OF_MARK = {"present": "Present", "late": "Late", "excused": "Excused", "absent": "Absent"}
MAX_REASON = 40
MAX_NOTE = 400
"""The register's note is `reason: note`."""

LONGEST_SPAN_DAYS = 200
_CLOCK = re.compile(r"\d{1,2}:\d{2}", re.ASCII)
_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class LessonFound:
    """A lesson on record, with the names of its room and section."""

    lesson_id: str
    room_id: str
    room: str
    section_id: str
    section: str
    label: str
    starts_at: datetime
    ends_at: datetime
    cancelled_at: datetime | None = None
    group: str | None = None

    def described(self, zone: tzinfo) -> str:
        """Return the lesson in words, by the school's clock."""
        start, end = self.starts_at.astimezone(zone), self.ends_at.astimezone(zone)
        taught = f"{self.section} {self.group}" if self.group else self.section
        return f"{self.label or 'lesson'} of {taught} in {self.room}, {start:%Y-%m-%d %H:%M}-{end:%H:%M}"


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a mark belongs to: a lesson, or a part of a day without lessons."""

    key: str
    """As in the tables: "lesson:<id>" or "day:2026-09-01"."""
    day: date
    starts_at: datetime
    ends_at: datetime
    lesson: LessonFound | None = None

    def described(self, zone: tzinfo) -> str:
        """Return it in words, by the school's clock."""
        if self.lesson is not None:
            return self.lesson.described(zone)
        part = self.key.split(":")[2:]
        return f"the day {self.day.isoformat()}" + (f", {part[0]}" if part else "")


@dataclass(frozen=True, slots=True)
class Saying:
    """What a person says: checked, without who and when."""

    status: Said
    reason: str = ""
    note: str = ""


def saying(status: str, reason: str = "", note: str = "") -> Saying:
    """Return what a person says. Raises BadInput for a status that does not exist and for text that is too long."""
    word = status.strip().lower()
    for one in SAYABLE:
        if one == word:
            return Saying(one, clean_text(reason, "reason", MAX_REASON), clean_text(note, "note", MAX_NOTE))
    raise BadInput(f"{status.strip()[:20]!r} is no status", hint=f"one of: {', '.join(SAYABLE)}")


def moment_said(text: str, day: date, zone: tzinfo) -> datetime:
    """Return a moment written as 08:20 on `day` by the school's clock, or in full. Raises BadInput."""
    written = text.strip()
    if _CLOCK.fullmatch(written):
        written = f"{day.isoformat()}T{written.zfill(5)}"
    return school_time(written, zone, "the time")


def of_lesson(lesson: LessonFound, zone: tzinfo) -> Occasion:
    """Return a lesson as an occasion, on the school's day on which it begins."""
    day = lesson.starts_at.astimezone(zone).date()
    return Occasion(f"lesson:{lesson.lesson_id}", day, lesson.starts_at, lesson.ends_at, lesson)


def of_window(window: DayWindow) -> Occasion:
    """Return a part of a day as an occasion."""
    return Occasion(window.occasion, window.day, window.opens_at, window.closes_at)


def running(found: Iterable[Occasion], at: datetime, early: timedelta) -> list[Occasion]:
    """Return what runs at a moment; if nothing does, what begins within `early` from then."""
    ordered = sorted(found, key=lambda one: (one.starts_at, one.key))
    now = [one for one in ordered if one.starts_at <= at < one.ends_at]
    return now or [one for one in ordered if one.starts_at - early <= at < one.starts_at]


def check_markable(occasion: Occasion, status: Said, now: datetime, early: timedelta, zone: tzinfo) -> None:
    """Raise Conflict for a lesson that was cancelled, and for one to come unless the student is excused from it."""
    if occasion.lesson is not None and occasion.lesson.cancelled_at is not None:
        raise Conflict(f"{occasion.described(zone)} was cancelled: nobody is expected there")
    if status != "excused" and now < occasion.starts_at - early:
        raise Conflict(
            f"{occasion.described(zone)} has not begun",
            hint="in advance a student can only be excused: rollcall-hub excuse",
        )


def came_at(occasion: Occasion, status: Said, at: datetime | None, early: timedelta) -> datetime | None:
    """Return when the student came, if the moment that was said is one: within the occasion, of present and late."""
    if at is None or status not in CAME:
        return None
    return at if occasion.starts_at - early <= at < occasion.ends_at else None


def days_of_span(first: date, last: date, holidays: Iterable[tuple[date, date]]) -> list[date]:
    """Return the days of a span on which a school without a timetable is open; one single day as it is.

    Raises BadInput for a span that ends before it begins or is longer than anybody means.
    """
    length = (last - first).days
    if length < 0:
        raise BadInput(f"{last} is before {first}")
    if length >= LONGEST_SPAN_DAYS:
        raise BadInput(f"{first} to {last} are more than {LONGEST_SPAN_DAYS} days: is the year right?")
    if not length:
        return [first]
    closed = list(holidays)
    every = [first + timedelta(days=number) for number in range(length + 1)]
    return [
        day for day in every if day.weekday() < _SATURDAY and not any(begins <= day <= ends for begins, ends in closed)
    ]


def described_few(found: Sequence[Occasion], zone: tzinfo, most: int = 4) -> str:
    """Return some occasions in words, for a hint."""
    said = [one.described(zone) for one in found[:most]]
    return "; ".join(said + (["..."] if len(found) > most else []))
