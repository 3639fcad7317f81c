"""What a school's register is decided by, as plain records: what the oracle reads. Moments are aware and corrected."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

Bounds = tuple[datetime, datetime]
"""Of a moment that nobody knows: between which two it was."""


@dataclass(frozen=True, slots=True)
class RuleVersion:
    """The school's rules from a day on; `sessions`: name, from, until."""

    version: int
    from_day: date
    early_min: int = 10
    late_after_min: int = 10
    left_early_min: int = 10
    covered_share: float = 0.9
    held_share: float = 0.5
    sessions: tuple[tuple[str, time, time], ...] = (("", time(7), time(18)),)


@dataclass(frozen=True, slots=True)
class Membership:
    """A student belonged to a section or a group (`of`), `until` exclusive."""

    student: str
    of: str
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Lesson:
    """One lesson of the timetable."""

    lesson: str
    room: str
    section: str
    start: datetime
    end: datetime
    group: str | None = None
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A unit was in a room from a moment on, until the next such record."""

    unit: str
    since: datetime
    room: str


@dataclass(frozen=True, slots=True)
class Closing:
    """A lesson was closed, and perhaps opened again."""

    lesson: str
    at: datetime
    reopened: bool = False


@dataclass(frozen=True, slots=True)
class AbsenceRule:
    """The units of a room write Absent by themselves, from a day until before another."""

    room: str
    from_day: date
    until_day: date | None = None


@dataclass(frozen=True, slots=True)
class OfficeMark:
    """A person said something at the hub."""

    mark: str
    student: str
    occasion: str
    day: date
    status: str
    made: datetime
    lesson: str | None = None
    came: datetime | None = None
    method: str = "Manual"
    reason: str = ""
    note: str = ""
    undone: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """What a unit wrote down; `kind` says which of the fields have a meaning."""

    event: str
    unit: str
    epoch: str
    seq: int
    kind: str
    at: datetime
    within: Bounds | None = None
    """The time is not known, only this."""
    student: str | None = None
    interval: str | None = None
    """`left`: which `seen` it ends."""
    status: str = ""
    lesson: str | None = None
    note: str = ""
    candidates: tuple[str, ...] = ()
    since: datetime | None = None
    """`coverage`: from when; corrected as `at` is."""
    watched_s: float = 0.0
    mode: str = "door"
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """A unit's gallery held a student's template, `until` exclusive."""

    unit: str
    student: str
    since: int
    until: int | None = None


@dataclass(frozen=True, slots=True)
class School:
    """Everything on record, and the moment at which the register is asked for."""

    zone: ZoneInfo
    now: datetime
    students: tuple[str, ...] = ()
    settings: RuleVersion = field(default_factory=lambda: RuleVersion(0, date.min))
    rules: tuple[RuleVersion, ...] = ()
    members: tuple[Membership, ...] = ()
    lessons: tuple[Lesson, ...] = ()
    places: tuple[Place, ...] = ()
    closings: tuple[Closing, ...] = ()
    absence: tuple[AbsenceRule, ...] = ()
    marks: tuple[OfficeMark, ...] = ()
    events: tuple[Event, ...] = ()
    galleries: tuple[Held, ...] = ()
    decided: frozenset[tuple[str, frozenset[str]]] = frozenset()
    """Of which items of the review list somebody decided: place and candidates."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the register, with every column of it."""

    student_id: str
    occasion: str
    lesson_id: str | None
    day: date
    timestamp: datetime
    status: str
    method: str
    rule: str
    last_seen_at: datetime | None = None
    left_early_at: datetime | None = None
    unit_id: str | None = None
    notes: str = ""
    machine_status: str | None = None
    machine_rule: str | None = None
    rules_version: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """How many of a lesson were seen."""

    seen: int
    unseen: int
    held: bool


@dataclass(frozen=True, slots=True)
class Register:
    """What the oracle says: rows by student and occasion, states by lesson."""

    rows: Mapping[tuple[str, str], Row]
    states: Mapping[str, State]
