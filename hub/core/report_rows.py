"""What reports are made of: a line of the register with everything about it that a person may want to read."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from hub.core.register_words import rule_in_words

ATTENDED = ("Present", "Late")
UNKNOWN = ("Not seen", "Not observed")
"""Nobody knows: neither attendance nor absence."""
BY_HAND = "nobody has marked the student yet, who is marked by hand"
"""Why a student whom no camera may recognise was not observed: the equal path, and nobody's fault."""
_MARKED = "mark"
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class ReportStudent:
    """A student as reports name them. `section` is where the student belongs now."""

    student_id: str
    serial_number: str
    name: str
    section: str | None
    consent: bool = True
    """Whether cameras may recognise the student; who is marked by hand counts in every report like anybody else."""
    erased: bool = False

    @property
    def path(self) -> str:
        """How the student comes into the register."""
        return "camera" if self.consent else "by hand"


@dataclass(frozen=True, slots=True)
class ReportRow:
    """A line of the register. `start` is the lesson's, in UTC; None for a part of a day."""

    student: ReportStudent
    occasion: str
    day: date
    status: str
    method: str
    rule: str
    at: datetime
    start: datetime | None = None
    label: str = ""
    section: str | None = None
    """Whose lesson it was; of a day the student's section."""
    room: str | None = None
    """Where the lesson was; of a day where the student was seen."""
    left_early_at: datetime | None = None
    notes: str = ""
    reason: str = ""
    """The reason that the mark gave, as a word."""

    @property
    def part(self) -> str:
        """The name of the part of the day, empty for a lesson and for a day that has no parts."""
        return "" if self.start is not None else ":".join(self.occasion.split(":")[2:])

    @property
    def title(self) -> str:
        """What the occasion is called."""
        return self.label or ("Lesson" if self.start is not None else self.part or "Day")

    @property
    def by_hand(self) -> bool:
        """Whether a person marked the student."""
        return self.rule == _MARKED and self.method == "Manual"

    @property
    def came_at(self) -> datetime | None:
        """When the student was first seen, or came by what a person said; None for whoever was not there."""
        return self.at if self.status in ATTENDED else None

    @property
    def late_by(self) -> timedelta | None:
        """How long after the start of the lesson the student came, if late and if anybody knows."""
        if self.status != "Late" or self.start is None or self.at <= self.start:
            return None
        return self.at - self.start

    @property
    def minutes_late(self) -> int | None:
        """`late_by` in whole minutes that had passed."""
        return None if self.late_by is None else self.late_by // _MINUTE

    @property
    def why(self) -> str:
        """The rule in words."""
        if self.status == "Not observed" and not self.student.consent and self.rule in {"not_able", "not_watched"}:
            return BY_HAND
        return rule_in_words(self.rule)

    @property
    def order(self) -> tuple[date, datetime, str]:
        """Sorts rows by time; a part of a day stands by when it began or the student was seen."""
        return self.day, self.start or self.at, self.occasion


def reason_of(notes: str, status: str, marked: tuple[str, str] | None) -> str:
    """Return the reason of a row that a mark decides, "" if it gave none.

    `marked`: status (as in `marks`) and reason of the newest mark at the hub; a unit may have marked after it, so that
    the row's note and status must be that mark's.
    """
    if marked is None or marked[0] != status.lower():
        return ""
    reason = marked[1]
    return reason if notes == reason or notes.startswith(f"{reason}: ") else ""
