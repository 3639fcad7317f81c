"""The register of one day: students by lessons, every student with a status in every lesson they belong to."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, tzinfo

UNMARKED = "Not observed"
"""Of whoever nobody has marked yet: with or without consent, enrolled or not, the same word."""

DAY_LABEL = "Day"
_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class SheetStudent:
    """A line of the register. `section` is where the student belonged on that day, in the end."""

    student_id: str
    serial_number: str
    name: str
    section: str | None
    at_school: bool = True
    """On that day: whoever has left, or has not joined yet, has no day."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """A column: a lesson, or a part of the day for students who have no lesson that day."""

    key: str
    """As in the table `attendance`: "lesson:<uuid>" or "day:2026-09-01"."""
    label: str
    section: str | None = None
    room: str | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    state: str = ""
    """Of a lesson: to come, running, open, held or closed."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What is on record for a student on an occasion."""

    status: str
    method: str
    at: datetime
    left_early_at: datetime | None = None
    notes: str = ""
    room: str | None = None
    """Where the unit that saw the student hung."""
    rule: str = ""
    machine_status: str | None = None
    machine_rule: str | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """One day of the register. `marks` holds a mark or None where a student belongs; a missing key: does not belong."""

    day: date
    zone: tzinfo
    students: tuple[SheetStudent, ...]
    occasions: tuple[Occasion, ...]
    marks: Mapping[tuple[str, str], Mark | None]
    now: datetime
    free: str = ""
    """Why nobody is expected on this day without being in a lesson: holidays, a weekend, a day to come."""
    derived_soon: Collection[str] = frozenset()
    """Students whose rows of this day wait to be derived again."""

    @property
    def waiting(self) -> int:
        """How many of the students have rows that wait to be derived again."""
        return sum(student.student_id in self.derived_soon for student in self.students)

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
        """Return the status to show; "" where the student does not belong, before a lesson, on a free day."""
        place = (student.student_id, occasion.key)
        if place not in self.marks:
            return ""
        mark = self.marks[place]
        if mark is not None:
            return mark.status
        if occasion.starts_at is None:
            return "" if self.free else UNMARKED
        return "" if occasion.starts_at > self.now else UNMARKED

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

    def states(self) -> dict[str, list[str]]:
        """Return the titles of the lessons that are held, open and closed: what a teacher still has to do."""
        of_state: dict[str, list[str]] = {"held": [], "open": [], "closed": []}
        for occasion, title in zip(self.occasions, self.titles(), strict=True):
            of_state.get(occasion.state, []).append(title)
        return {state: titles for state, titles in of_state.items() if titles}

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


@dataclass(frozen=True, slots=True)
class DayRecords:
    """What is on record for a day: students by section and serial number, lessons, marks by student and occasion."""

    students: Sequence[SheetStudent]
    lessons: Sequence[Occasion]
    marks: Mapping[tuple[str, str], Mark]
    members: Collection[tuple[str, str]]
    """Who is expected in which lesson."""
    holidays: Sequence[str] = ()
    """What the holidays are called that this day is one of."""
    derived_soon: Collection[str] = frozenset()


def build_sheet(records: DayRecords, *, day: date, zone: tzinfo, now: datetime, parts: Sequence[str] = ("",)) -> Sheet:
    """Return the register of a day.

    A student belongs where they are expected, and wherever a mark exists (a guest, or a former member). A student
    without any lesson that day belongs to the parts of the day; a part may have no name.
    """
    students = records.students
    places: dict[tuple[str, str], Mark | None] = dict(records.marks)
    days = [day_occasion(day, name) for name in parts]
    expected = set(records.members)
    busy = {student_id for student_id, _ in expected}
    for student_id, key in sorted(expected):
        places.setdefault((student_id, key), None)
    for student in students:
        if student.at_school and student.student_id not in busy:
            for one in days:
                places.setdefault((student.student_id, one.key), None)
    used = {key for _, key in places}
    occasions = [*sorted(records.lessons, key=_place), *(one for one in days if one.key in used)]
    # What was marked under rules with other parts of the day keeps its column.
    known = {one.key for one in days}
    others = sorted(key for key in used if key.startswith("day:") and key not in known)
    occasions += [Occasion(key, ":".join(key.split(":")[2:]) or DAY_LABEL) for key in others]
    shown = {occasion.key for occasion in occasions}
    # A mark of a lesson that was deleted or cancelled since has no column.
    places = {place: mark for place, mark in places.items() if place[1] in shown}
    belonging = {student_id for student_id, _ in places}
    present = tuple(student for student in students if student.student_id in belonging)
    free = _free(records, day, now.astimezone(zone).date())
    return Sheet(day, zone, present, tuple(occasions), places, now, free, frozenset(records.derived_soon))


def _free(records: DayRecords, day: date, today: date) -> str:
    if records.holidays:
        return f"holidays: {', '.join(records.holidays)}"
    if day > today:
        return "a day to come"
    # Some schools open on Saturdays: whatever is on record says so.
    if day.weekday() >= _SATURDAY and not records.lessons and not records.marks:
        return "a weekend, without lessons"
    return ""


def day_occasion(day: date, name: str = "") -> Occasion:
    """Return the column of a part of a day, or of all of it."""
    return Occasion(f"day:{day.isoformat()}:{name}" if name else f"day:{day.isoformat()}", name or DAY_LABEL)


def _place(lesson: Occasion) -> tuple[float, str, str, str]:
    # Never by id: the columns of a day keep their order when a timetable is imported anew.
    return (
        lesson.starts_at.timestamp() if lesson.starts_at else 0.0,
        lesson.section or "",
        lesson.room or "",
        lesson.key,
    )
