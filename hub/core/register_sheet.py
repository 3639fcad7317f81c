"""The register of one day: students by lessons, every student with a status in every lesson they belong to."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, tzinfo

from hub.core.belonging import Belonging

UNMARKED = "Not observed"
"""Of whoever nobody has marked yet: with or without consent, enrolled or not, the same word."""

DAY_LABEL = "Day"


@dataclass(frozen=True, slots=True)
class SheetStudent:
    """A line of the register. `section` is where the student belongs now, `history` where and when."""

    student_id: str
    serial_number: str
    name: str
    section_id: str | None
    section: str | None
    history: tuple[Belonging, ...] | None = None
    """None: always where they belong now."""

    def belongs(self, lesson: "Occasion") -> bool:
        """Whether the student was in the lesson's section when it began."""
        if self.history is None or lesson.starts_at is None:
            return lesson.section_id == self.section_id
        return any(one.holds(lesson.section_id, lesson.starts_at) for one in self.history)


@dataclass(frozen=True, slots=True)
class Occasion:
    """A column: a lesson, or the whole day for students who have no lesson that day."""

    key: str
    """As in the table `attendance`: "lesson:<uuid>" or "day:2026-09-01"."""
    label: str
    section_id: str | None = None
    section: str | None = None
    room: str | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """What is on record for a student on an occasion."""

    status: str
    method: str
    at: datetime
    left_early_at: datetime | None = None
    notes: str = ""
    room: str | None = None
    """Where the unit that saw the student hangs."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One day of the register. `marks` holds a mark or None where a student belongs; a missing key: does not belong."""

    day: date
    zone: tzinfo
    students: tuple[SheetStudent, ...]
    occasions: tuple[Occasion, ...]
    marks: Mapping[tuple[str, str], Mark | None]
    now: datetime

    def narrowed(self, *, section: str | None = None, room: str | None = None) -> "Sheet":
        """Return the part of the register that concerns a section or a room."""
        rooms = {occasion.key: occasion.room for occasion in self.occasions}
        students = tuple(student for student in self.students if section is None or student.section == section)
        chosen = {student.student_id for student in students}
        marks = {
            place: mark
            for place, mark in self.marks.items()
            if place[0] in chosen and (room is None or room == (rooms.get(place[1]) or (mark and mark.room)))
        }
        kept = {student_id for student_id, _ in marks}
        used = {key for _, key in marks}
        return replace(
            self,
            students=tuple(student for student in students if student.student_id in kept),
            # A lesson of the section or room stays, even if nobody belongs to it yet.
            occasions=tuple(
                occasion
                for occasion in self.occasions
                if occasion.key in used
                or (occasion.room is not None and section in (None, occasion.section) and room in (None, occasion.room))
            ),
            marks=marks,
        )

    def status(self, student: SheetStudent, occasion: Occasion) -> str:
        """Return the status to show; "" where the student does not belong or the lesson has not begun."""
        place = (student.student_id, occasion.key)
        if place not in self.marks:
            return ""
        mark = self.marks[place]
        if mark is not None:
            return mark.status
        return "" if occasion.starts_at is not None and occasion.starts_at > self.now else UNMARKED

    def titles(self) -> tuple[str, ...]:
        """Return one title for each occasion: its local start and label, with room or section only where needed."""
        short = [self._title(occasion) for occasion in self.occasions]
        doubled = {title for title, count in Counter(short).items() if count > 1}
        return tuple(
            f"{title} ({occasion.section}, {occasion.room})" if title in doubled else title
            for title, occasion in zip(short, self.occasions, strict=True)
        )

    def counts(self) -> dict[str, int]:
        """Return how often each status occurs, most frequent first."""
        statuses = (self.status(student, occasion) for student in self.students for occasion in self.occasions)
        return dict(Counter(status for status in statuses if status).most_common())

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Return the header and the lines as they go into a file."""
        header = ("serial_number", "name", "section", *self.titles())
        lines = [
            (student.serial_number, student.name, student.section or "", *self._statuses(student))
            for student in self.students
        ]
        return header, lines

    def _statuses(self, student: SheetStudent) -> tuple[str, ...]:
        return tuple(self.status(student, occasion) for occasion in self.occasions)

    def _title(self, occasion: Occasion) -> str:
        if occasion.starts_at is None:
            return occasion.label
        return f"{occasion.starts_at.astimezone(self.zone):%H:%M} {occasion.label}".strip()


def build_sheet(
    *,
    day: date,
    zone: tzinfo,
    now: datetime,
    students: Sequence[SheetStudent],
    lessons: Sequence[Occasion],
    marks: Mapping[tuple[str, str], Mark],
) -> Sheet:
    """Return the register of a day.

    A student belongs to a lesson of their section and wherever a mark exists (a guest, or a former member). A student
    without any lesson that day belongs to the day itself.
    """
    places: dict[tuple[str, str], Mark | None] = dict(marks)
    day_key = f"day:{day.isoformat()}"
    for student in students:
        theirs = [lesson.key for lesson in lessons if student.belongs(lesson)]
        for key in theirs or [day_key]:
            places.setdefault((student.student_id, key), None)
    occasions = sorted(lessons, key=_place)
    if any(key == day_key for _, key in places):
        occasions.append(Occasion(day_key, DAY_LABEL))
    shown = {occasion.key for occasion in occasions}
    # A mark of a lesson that was deleted since has no column.
    places = {place: mark for place, mark in places.items() if place[1] in shown}
    belonging = {student_id for student_id, _ in places}
    present = tuple(student for student in students if student.student_id in belonging)
    return Sheet(day, zone, present, tuple(occasions), places, now)


def _place(lesson: Occasion) -> tuple[float, str, str, str]:
    # Never by id: the columns of a day keep their order when a timetable is imported anew.
    return (
        lesson.starts_at.timestamp() if lesson.starts_at else 0.0,
        lesson.section or "",
        lesson.room or "",
        lesson.key,
    )
