"""What decides the register, and a line of it (`hub.core.attendance`). Moments are aware."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

Status = Literal["Present", "Late", "Absent", "Excused", "Not seen", "Not observed"]
Method = Literal["Face Recognition", "Manual"]


@dataclass(frozen=True, slots=True)
class Rules:
    """The school's settings."""

    early: timedelta
    late_after: timedelta
    covered_share: float


@dataclass(frozen=True, slots=True)
class Lesson:
    """A lesson of the student's section; `day` is the local day it starts on."""

    lesson_id: str
    room_id: str
    day: date
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Interval:
    """A student was in view of a unit from `start` to `end`, both corrected; equal while it has not been closed."""

    unit_id: str
    room_id: str
    start: datetime
    end: datetime
    within: tuple[datetime, datetime] | None = None
    """Of an estimated time: between which moments it began."""


@dataclass(frozen=True, slots=True)
class MarkMade:
    """A person at a unit marked the student."""

    unit_id: str
    room_id: str
    at: datetime
    status: str
    lesson_id: str | None
    note: str
    order: tuple[str, int]
    """Breaks ties of equal times: epoch and seq."""
    within: tuple[datetime, datetime] | None = None
    """Of an estimated time: between which moments it was."""


@dataclass(frozen=True, slots=True)
class Watch:
    """A unit watched; `able` tells whether its gallery held the student's template and its clock was right."""

    unit_id: str
    room_id: str
    since: datetime
    until: datetime
    watched_s: float
    able: bool


@dataclass(frozen=True, slots=True)
class DayWindow:
    """Without a timetable: the part of a local day that counts."""

    day: date
    opens_at: datetime
    closes_at: datetime


@dataclass(frozen=True, slots=True)
class SchoolDays:
    """The school's zone and the part of its days that counts without a timetable."""

    zone: ZoneInfo
    day_from: time
    day_until: time

    def window(self, day: date) -> DayWindow:
        """Return the part of `day` that counts."""
        return DayWindow(
            day,
            datetime.combine(day, self.day_from, self.zone),
            datetime.combine(day, self.day_until, self.zone),
        )

    def bounds(self, day: date) -> tuple[datetime, datetime]:
        """Return the first moment of `day` and the first of the next: 23 or 25 hours apart when clocks change."""
        return (
            datetime.combine(day, time(), self.zone),
            datetime.combine(day + timedelta(days=1), time(), self.zone),
        )


@dataclass(frozen=True, slots=True)
class StudentsDay:
    """Everything that decides one student's register for one local day, the one of `window`."""

    lessons: tuple[Lesson, ...]
    """Also those around the day: the lesson that ended just before midnight, or goes on after it."""
    window: DayWindow
    intervals: tuple[Interval, ...]
    marks: tuple[MarkMade, ...]
    watches: tuple[Watch, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the register."""

    occasion: str
    lesson_id: str | None
    day: date
    timestamp: datetime
    status: Status
    method: Method
    rule: str
    last_seen_at: datetime | None = None
    unit_id: str | None = None
    notes: str = ""
