"""What decides the register, and a line of it (`hub.core.attendance`, docs/register.md). Moments are aware."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

Status = Literal["Present", "Late", "Absent", "Excused", "Not seen", "Not observed"]
Method = Literal["Face Recognition", "Manual"]
HubMarkStatus = Literal["present", "late", "excused", "absent", "machine"]


@dataclass(frozen=True, slots=True)
class Session:
    """A part of every day that counts without a timetable, by the school's clock; the name may be empty."""

    name: str
    since: time
    until: time


@dataclass(frozen=True, slots=True)
class Rules:
    """The school's rules, in force from a day on."""

    early: timedelta
    late_after: timedelta
    covered_share: float
    left_early: timedelta = timedelta(minutes=10)
    held_share: float = 0.5
    sessions: tuple[Session, ...] = (Session("", time(7), time(18)),)
    version: int = 0
    from_day: date = date.min


def rules_on(day: date, known: Sequence[Rules], before: Rules) -> Rules:
    """Return the rules in force on a day: of those that began by then the last, of one day the newest version.

    `before`: what holds where none had begun.
    """
    begun = [one for one in known if one.from_day <= day]
    return max(begun, key=lambda one: (one.from_day, one.version), default=before)


@dataclass(frozen=True, slots=True)
class Lesson:
    """A lesson that a student is expected in; `day` is the local day it starts on."""

    lesson_id: str
    room_id: str
    day: date
    starts_at: datetime
    ends_at: datetime
    closed_at: datetime | None = None
    """When a teacher said that its register is right; None while it is open."""
    held: bool = False
    """So few were seen that a person has to look at it."""
    absent_by_rule: bool = False
    """The school switched on for its room that a unit writes Absent by itself."""


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
class HubMark:
    """A person marked the student at the hub, and did not take it back."""

    mark_id: str
    occasion: str
    lesson_id: str | None
    status: HubMarkStatus
    made_at: datetime
    at: datetime | None = None
    """When the student came or was seen, if the person said so."""
    method: Method = "Manual"
    reason: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A unit saw somebody who may have been this student, and nobody has decided yet who it was."""

    unit_id: str
    room_id: str
    at: datetime
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
    """Without a timetable: a part of a local day that counts."""

    day: date
    opens_at: datetime
    closes_at: datetime
    name: str = ""

    @property
    def occasion(self) -> str:
        """What the register calls it: "day:2026-09-01", or "day:2026-09-01:AM" of a part with a name."""
        return f"day:{self.day.isoformat()}:{self.name}" if self.name else f"day:{self.day.isoformat()}"


@dataclass(frozen=True, slots=True)
class SchoolDays:
    """The school's days in its time zone."""

    zone: ZoneInfo

    def windows(self, day: date, sessions: Sequence[Session]) -> tuple[DayWindow, ...]:
        """Return the parts of `day` that count."""
        return tuple(
            DayWindow(
                day,
                datetime.combine(day, one.since, self.zone),
                datetime.combine(day, one.until, self.zone),
                one.name,
            )
            for one in sessions
        )

    def bounds(self, day: date) -> tuple[datetime, datetime]:
        """Return the first moment of `day` and the first of the next: 23 or 25 hours apart when clocks change."""
        return (
            datetime.combine(day, time(), self.zone),
            datetime.combine(day + timedelta(days=1), time(), self.zone),
        )


@dataclass(frozen=True, slots=True)
class StudentsDay:
    """Everything that decides one student's register for one local day, the one of `windows`."""

    day: date
    zone: ZoneInfo
    lessons: tuple[Lesson, ...]
    """Those the student is expected in, none that was cancelled; also those around the day: the lesson that ended just
    before midnight, or goes on after it."""
    windows: tuple[DayWindow, ...]
    intervals: tuple[Interval, ...]
    marks: tuple[MarkMade, ...]
    watches: tuple[Watch, ...]
    hub_marks: tuple[HubMark, ...] = ()
    """Also those of occasions of this day in which the student is not expected, but none of a cancelled lesson."""
    guest_lessons: tuple[Lesson, ...] = ()
    """The lessons of hub marks that are not among `lessons`."""
    doubts: tuple[Doubt, ...] = ()


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
    left_early_at: datetime | None = None
    unit_id: str | None = None
    notes: str = ""
    machine_status: Status | None = None
    """What the machine alone says, before closings and held lessons; None where it says nothing."""
    machine_rule: str | None = None
    rules_version: int = 0


@dataclass(frozen=True, slots=True)
class LessonCount:
    """How many of a lesson that is over were seen, and how many of those whom a unit could have seen were not."""

    seen: int
    unseen: int

    def held(self, share: float) -> bool:
        """Whether so few were seen that a person has to look at the lesson before anybody is called Not seen."""
        return self.seen < share * (self.seen + self.unseen)
