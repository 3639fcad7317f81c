"""Lessons: what a row of a list of single lessons means, and what importing it would change."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from hub.core.csv_reading import Columns
from hub.core.roster import MAX_SHORT_NAME, checked_room, checked_section, clean_text
from hub.core.roster_times import checked_span, school_time

LESSON_COLUMNS = Columns(("room", "section", "label", "starts_at", "ends_at"), ("group", "teacher"))
LONGEST_LESSON = timedelta(hours=12)
MAX_NOTE = 200

Group = tuple[str, str]
"""A part of a section: the section's name and its own."""
Key = tuple[str, str, datetime]
"""What makes two lessons the same lesson: room, section and start."""


@dataclass(frozen=True, slots=True)
class LessonFields:
    """A lesson: who is where, and when (UTC). `group` is empty where it is for the whole section."""

    room: str
    section: str
    label: str
    starts_at: datetime
    ends_at: datetime
    group: str = ""
    teacher: str = ""

    @property
    def key(self) -> Key:
        """What makes two lessons the same lesson."""
        return self.room, self.section, self.starts_at

    @property
    def who(self) -> str:
        """The section, or the part of it that is taught."""
        return f"{self.section} ({self.group})" if self.group else self.section

    def described(self, zone: tzinfo) -> str:
        """Return the lesson in words, with the school's clock."""
        start, end = self.starts_at.astimezone(zone), self.ends_at.astimezone(zone)
        label = repr(self.label) if self.label else "a lesson"
        return f"{label} of {self.who} in {self.room}, {start:%Y-%m-%d %H:%M}-{end:%H:%M}"


@dataclass(frozen=True, slots=True)
class Lesson:
    """A lesson on record. `by_hand`: a person changed, cancelled or restored it, whatever its series says."""

    lesson_id: str
    fields: LessonFields
    series_id: str | None = None
    series_day: date | None = None
    cancelled: bool = False
    by_hand: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class LessonChange:
    """A lesson on record and what the file says instead; room, section and start are the same."""

    before: Lesson
    after: LessonFields


@dataclass(frozen=True, slots=True)
class LessonPlan:
    """What has to be done so that the list of lessons says what the file says."""

    add: tuple[LessonFields, ...]
    change: tuple[LessonChange, ...]
    unchanged: int


@dataclass(frozen=True, slots=True)
class Places:
    """What a timetable may name: rooms, sections and their groups."""

    rooms: Collection[str]
    sections: Collection[str]
    groups: Collection[Group] = ()

    def unknown(self, room: str, section: str, group: str) -> Iterable[str]:
        """Yield a sentence about everything that is named and not there."""
        if room not in self.rooms:
            yield f"there is no room {room!r}: add it with `rollcall-hub room add`"
        if section not in self.sections:
            yield f"there is no section {section!r}: add it with `rollcall-hub section add`"
        elif group and (section, group) not in self.groups:
            yield f"section {section} has no group {group!r}: add it with `rollcall-hub section group-add`"


def lesson_fields(cells: Mapping[str, str], zone: tzinfo, now: datetime) -> LessonFields:
    """Return what a row or a form says about a lesson. Raises BadInput."""
    room = checked_room(cells.get("room", ""))
    section = checked_section(cells.get("section", ""))
    label, group, teacher = short_texts(cells)
    starts_at = school_time(cells.get("starts_at", ""), zone, "the start")
    ends_at = school_time(cells.get("ends_at", ""), zone, "the end")
    checked_span(starts_at, ends_at, now, LONGEST_LESSON)
    return LessonFields(room, section, label, starts_at, ends_at, group, teacher)


def short_texts(cells: Mapping[str, str]) -> tuple[str, str, str]:
    """Return label, group and teacher of a row or a form; each may be missing. Raises BadInput."""
    label, group, teacher = (
        clean_text(cells.get(name, ""), name, MAX_SHORT_NAME) for name in ("label", "group", "teacher")
    )
    return label, group, teacher
