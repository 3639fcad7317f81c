"""What reports count, and what the figures mean."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from hub.core.report_rows import ATTENDED, UNKNOWN, ReportRow

STATUSES = ("Present", "Late", "Absent", "Excused", "Not seen", "Not observed")
COUNTING = ("Present", "Late", "Absent", "Excused")
"""Those of which somebody knows whether the student was there: what the rate is of."""
_MINUTE = timedelta(minutes=1)

DEFINITIONS: tuple[str, ...] = (
    "Recorded: lines of the register, one for each student and lesson (or part of a day without lessons).",
    "Attendance: Present and Late, as a share of Present, Late, Absent and Excused.",
    "Not seen and Not observed stand apart: nobody knows, so they are neither attendance nor absence.",
    "Minutes late: from the start of the lesson until the student came, of those Late whose time is known.",
    "By hand: the share of lines in which a person's mark stands. Who is always marked by hand counts like anybody.",
    "Runs: lines in a row that are Absent, and that are Present or Late; what nobody knows is passed over.",
)
RATES = DEFINITIONS[:5]
"""What tables without runs need."""


@dataclass(frozen=True, slots=True)
class Runs:
    """How many occasions in a row: the longest run, and the one that goes on (0: it ended)."""

    longest: int
    current: int


@dataclass(frozen=True, slots=True)
class Counts:
    """What some lines of the register amount to."""

    of: dict[str, int]
    """By status."""
    marked_by_hand: int
    minutes_late: int
    """Of all together."""
    late_known: int
    """How many of Late have a time."""
    absent_run: Runs
    attended_run: Runs

    @property
    def recorded(self) -> int:
        """How many lines."""
        return sum(self.of.values())

    @property
    def rate(self) -> float | None:
        """Attendance as a share; None where of no line anybody knows."""
        known = sum(self.of[status] for status in COUNTING)
        return sum(self.of[status] for status in ATTENDED) / known if known else None

    @property
    def by_hand(self) -> float | None:
        """Which share of the lines a person marked; None without lines."""
        return self.marked_by_hand / self.recorded if self.recorded else None

    @property
    def mean_minutes_late(self) -> float | None:
        """Of those Late whose time is known; None without any."""
        return self.minutes_late / self.late_known if self.late_known else None


def counted(rows: Iterable[ReportRow]) -> Counts:
    """Return what lines amount to. Runs are of one student: of lines of several they mean nothing."""
    ordered = sorted(rows, key=lambda row: row.order)
    found = Counter(row.status for row in ordered)
    late = [row.late_by for row in ordered if row.late_by is not None]
    known = [row.status for row in ordered if row.status not in UNKNOWN]
    return Counts(
        of={status: found[status] for status in STATUSES},
        marked_by_hand=sum(row.by_hand for row in ordered),
        minutes_late=sum(late, timedelta()) // _MINUTE,
        late_known=len(late),
        absent_run=_runs(status == "Absent" for status in known),
        attended_run=_runs(status in ATTENDED for status in known),
    )


def _runs(hits: Iterable[bool]) -> Runs:
    longest = current = 0
    for hit in hits:
        current = current + 1 if hit else 0
        longest = max(longest, current)
    return Runs(longest, current)
