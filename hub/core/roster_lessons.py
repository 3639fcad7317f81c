"""Lessons: what a row of a timetable means, and what importing it would change."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from hub.core.csv_reading import Columns, Reading, RowProblem, RowsRefused
from hub.core.roster import MAX_SHORT_NAME, checked_room, checked_section, clean_text
from hub.core.roster_times import checked_span, school_time

LESSON_COLUMNS = Columns(("room", "section", "label", "starts_at", "ends_at"))
LONGEST_LESSON = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class LessonFields:
    """A lesson: who is where, and when (UTC)."""

    room: str
    section: str
    label: str
    starts_at: datetime
    ends_at: datetime

    @property
    def key(self) -> tuple[str, str, datetime]:
        """What makes two lessons the same lesson."""
        return self.room, self.section, self.starts_at

    def described(self, zone: tzinfo) -> str:
        """Return the lesson in words, with the school's clock."""
        start, end = self.starts_at.astimezone(zone), self.ends_at.astimezone(zone)
        label = repr(self.label) if self.label else "a lesson"
        return f"{label} of {self.section} in {self.room}, {start:%Y-%m-%d %H:%M}-{end:%H:%M}"


@dataclass(frozen=True, slots=True)
class Lesson:
    """A lesson on record."""

    lesson_id: str
    fields: LessonFields


@dataclass(frozen=True, slots=True)
class LessonChange:
    """A lesson on record and what the file says instead; room, section and start are the same."""

    before: Lesson
    after: LessonFields


@dataclass(frozen=True, slots=True)
class LessonPlan:
    """What has to be done so that the timetable says what the file says."""

    add: tuple[LessonFields, ...]
    change: tuple[LessonChange, ...]
    unchanged: int


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two lessons that need the same room at the same time; `later` starts later or was read later."""

    earlier: LessonFields
    later: LessonFields


def lesson_fields(cells: Mapping[str, str], zone: tzinfo, now: datetime) -> LessonFields:
    """Return what a row or a form says about a lesson. Raises BadInput."""
    room = checked_room(cells.get("room", ""))
    section = checked_section(cells.get("section", ""))
    label = clean_text(cells.get("label", ""), "label", MAX_SHORT_NAME)
    starts_at = school_time(cells.get("starts_at", ""), zone, "the start")
    ends_at = school_time(cells.get("ends_at", ""), zone, "the end")
    checked_span(starts_at, ends_at, now, LONGEST_LESSON)
    return LessonFields(room, section, label, starts_at, ends_at)


def overlaps(lessons: Iterable[LessonFields]) -> list[Overlap]:
    """Return pairs of lessons that overlap in their room: each lesson with the longest one that began before it."""
    found: list[Overlap] = []
    longest: dict[str, LessonFields] = {}
    for lesson in sorted(lessons, key=lambda lesson: (lesson.starts_at, lesson.ends_at)):
        before = longest.get(lesson.room)
        if before is not None and lesson.starts_at < before.ends_at:
            found.append(Overlap(before, lesson))
        if before is None or lesson.ends_at > before.ends_at:
            longest[lesson.room] = lesson
    return found


def plan_lessons(
    reading: Reading[LessonFields],
    known: Iterable[Lesson],
    rooms: Collection[str],
    sections: Collection[str],
    *,
    update: bool,
    zone: tzinfo,
) -> LessonPlan:
    """Return what the rows would change.

    Raises RowsRefused with every row that could not be read, repeats another, names an unknown room or section,
    contradicts a lesson on record (unless `update`), or overlaps with another lesson in its room.
    """
    by_key = {lesson.fields.key: lesson for lesson in known}
    line_of: dict[tuple[str, str, datetime], int] = {}
    add: list[LessonFields] = []
    change: list[LessonChange] = []
    rows, problems = reading.rows, list(reading.problems)
    for row in rows:
        lesson, before = row.value, by_key.get(row.value.key)
        problems += [RowProblem(row.line, reason) for reason in _unknown_places(lesson, rooms, sections)]
        if line_of.setdefault(lesson.key, row.line) != row.line:
            problems.append(RowProblem(row.line, f"this lesson is already on line {line_of[lesson.key]}"))
        elif before is None:
            add.append(lesson)
        elif before.fields != lesson:
            if not update:
                was = before.fields.described(zone)
                problems.append(RowProblem(row.line, f"on record as {was}: pass --update to change it"))
            change.append(LessonChange(before, lesson))
    in_file = {row.value.key: row.value for row in rows}
    final = {key: lesson.fields for key, lesson in by_key.items()} | in_file
    problems += _overlap_problems(overlaps(final.values()), line_of, zone)
    if problems:
        raise RowsRefused(problems)
    return LessonPlan(tuple(add), tuple(change), len(rows) - len(add) - len(change))


def _unknown_places(lesson: LessonFields, rooms: Collection[str], sections: Collection[str]) -> Iterable[str]:
    if lesson.room not in rooms:
        yield f"there is no room {lesson.room!r}: add it with `rollcall-hub room add`"
    if lesson.section not in sections:
        yield f"there is no section {lesson.section!r}: add it with `rollcall-hub section add`"


def _overlap_problems(
    found: Iterable[Overlap], line_of: Mapping[tuple[str, str, datetime], int], zone: tzinfo
) -> Iterable[RowProblem]:
    for overlap in found:
        # Told at the row a person would change: the later line of the file. Both on record: not this file's fault.
        own, other = sorted((overlap.later, overlap.earlier), key=lambda lesson: -line_of.get(lesson.key, 0))
        if own.key in line_of:
            where = f"line {line_of[other.key]}" if other.key in line_of else "on record"
            yield RowProblem(line_of[own.key], f"{overlap_refusal(own, other, zone)} ({where})")


def overlap_refusal(own: LessonFields, other: LessonFields, zone: tzinfo) -> str:
    """Return the sentence that names two lessons that need one room at one time."""
    return f"{own.described(zone)} overlaps with {other.described(zone)}"
