"""A school that is always the same for a size and a seed: who, where, when, and what people said afterwards."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from uuid import UUID
from zoneinfo import ZoneInfo

from tests.hub_register.records import AbsenceRule, Closing, Held, Lesson, Membership, OfficeMark, Place, RuleVersion

ZONE = ZoneInfo("Europe/Berlin")
EVER = datetime(1970, 1, 1, tzinfo=UTC)
_STARTS = (time(8), time(8, 45), time(9, 50), time(10, 35), time(11, 40), time(12, 25))
_HOLIDAYS = (date(2026, 10, 26), date(2026, 11, 18))
_CLOCKS_CHANGE = date(2026, 10, 25)


@dataclass(frozen=True, slots=True)
class Size:
    """How large a school is, and for how many school days it is played."""

    students: int = 40
    sections: int = 3
    units: int = 4
    days: int = 5
    first_day: date = date(2026, 10, 22)
    seed: int = 1


TERM = Size(1200, 40, 60, 60, date(2026, 9, 1))
"""The size that the school of the requirements has."""


@dataclass(slots=True)
class Generated:
    """The school without what its units saw."""

    size: Size
    random: Random
    days: list[date] = field(default_factory=list)
    students: list[str] = field(default_factory=list)
    sections: list[str] = field(default_factory=list)
    groups: dict[str, str] = field(default_factory=dict)
    """Section by group."""
    rooms: list[str] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    members: list[Membership] = field(default_factory=list)
    lessons: list[Lesson] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    galleries: list[Held] = field(default_factory=list)
    rules: list[RuleVersion] = field(default_factory=list)
    absence: list[AbsenceRule] = field(default_factory=list)
    closings: list[Closing] = field(default_factory=list)
    marks: list[OfficeMark] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        """When everything is over."""
        return local(self.days[-1] + timedelta(days=1), time(20))

    def expected(self) -> dict[str, list[str]]:
        """Return who is expected, by lesson; of the generator's own, for what happens in it."""
        found: dict[str, list[str]] = {}
        by_group: dict[str, list[Membership]] = defaultdict(list)
        for one in self.members:
            by_group[one.of].append(one)
        for lesson in self.lessons:
            there = _holding(by_group[lesson.section], lesson.start)
            if lesson.group is not None:
                there = [one for one in there if one in _holding(by_group[lesson.group], lesson.start)]
            found[lesson.lesson] = there
        return found


def local(day: date, at: time) -> datetime:
    """Return a moment of the school's clock."""
    return datetime.combine(day, at, ZONE).astimezone(UTC)


def an_id(kind: int, number: int) -> str:
    """Return the id of something, always the same."""
    return str(UUID(int=(kind << 96) + number, version=4))


def generate(size: Size) -> Generated:
    """Return the school of a size."""
    school = Generated(size, Random(size.seed))  # noqa: S311 (a seeded test)
    day = size.first_day
    while len(school.days) < size.days:
        if day.isoweekday() <= 5 and day not in _HOLIDAYS:
            school.days.append(day)
        day += timedelta(days=1)
    school.students = [an_id(1, number) for number in range(size.students)]
    school.sections = [an_id(2, number) for number in range(size.sections)]
    school.rooms = [an_id(3, number) for number in range(size.units + 1)]
    school.units = [an_id(4, number) for number in range(size.units)]
    school.groups = {an_id(5, 2 * n + half): one for n, one in enumerate(school.sections) for half in (0, 1)}
    _enrol(school)
    _plan_lessons(school)
    _place_units(school)
    _make_rules(school)
    _close(school)
    _mark(school)
    return school


def _holding(members: list[Membership], at: datetime) -> list[str]:
    return [one.student for one in members if one.since <= at and (one.until is None or at < one.until)]


def _enrol(school: Generated) -> None:
    random, size = school.random, school.size
    middle = local(school.days[size.days // 2], time(9, 20))
    groups = list(school.groups)
    for number, student in enumerate(school.students):
        place = number % size.sections
        section = school.sections[place]
        if number % 37 == 36:
            # At the school without a section: only the days count.
            continue
        group = groups[2 * place + number // size.sections % 2]
        kind = random.random()
        if kind < 0.03:
            other = school.sections[(place + 1) % size.sections]
            school.members += [Membership(student, section, EVER, middle), Membership(student, other, middle)]
            school.members.append(Membership(student, group, EVER, middle))
        elif kind < 0.06:
            joined = local(random.choice(school.days), time())
            school.members += [Membership(student, section, joined), Membership(student, group, joined)]
        elif kind < 0.09:
            left = local(random.choice(school.days) + timedelta(days=1), time())
            school.members += [Membership(student, one, EVER, left) for one in (section, group)]
        else:
            school.members.append(Membership(student, section, EVER))
            if random.random() < 0.95:
                school.members.append(Membership(student, group, EVER))


def _plan_lessons(school: Generated) -> None:
    random = school.random
    groups = list(school.groups)
    for day in school.days:
        week = day.isocalendar().week % 2
        for slot, starts in enumerate(_STARTS):
            for place, section in enumerate(school.sections):
                if random.random() < 0.08:
                    continue
                # A double lesson stays in its room; now and then a lesson is somewhere else than planned.
                room = school.rooms[(place + slot // 2 * 7 + day.weekday() * 3) % len(school.rooms)]
                if random.random() < 0.03:
                    room = random.choice(school.rooms)
                start = local(day, starts)
                # The last lesson of a day is for one half of the section this week and for the other half the next.
                group = groups[2 * place + week] if slot == len(_STARTS) - 1 else None
                _add_lesson(school, room, section, start, 45, group)
    if school.days[0] <= _CLOCKS_CHANGE <= school.days[-1]:
        before = _CLOCKS_CHANGE - timedelta(days=1)
        _add_lesson(school, school.rooms[0], school.sections[0], local(before, time(23, 30)), 60, None)
        _add_lesson(school, school.rooms[0], school.sections[0], local(_CLOCKS_CHANGE, time(1, 45)), 120, None)


def _add_lesson(
    school: Generated, room: str, section: str, start: datetime, length_min: int, group: str | None
) -> None:
    if any(one.start == start and one.room == room for one in school.lessons[-len(school.sections) :]):
        return
    cancelled = school.random.random() < 0.02
    end = start + timedelta(minutes=length_min)
    lesson_id = an_id(6, len(school.lessons))
    school.lessons.append(Lesson(lesson_id, room, section, start, end, group, cancelled))


def _place_units(school: Generated) -> None:
    random = school.random
    for number, unit in enumerate(school.units):
        school.places.append(Place(unit, EVER, school.rooms[number]))
        if number % 4 == 3:
            day = random.choice(school.days)
            other = random.choice(school.rooms)
            school.places.append(Place(unit, local(day, time(10, 7)), other))
            school.places.append(Place(unit, local(day, time(13, 37)), school.rooms[number]))
        for student in school.students:
            kind = random.random()
            if kind < 0.97:
                since, until = (1, None) if kind < 0.95 else (2, None) if kind < 0.96 else (1, 2)
                school.galleries.append(Held(unit, student, since, until))


def _make_rules(school: Generated) -> None:
    half = school.days[school.size.days // 2]
    halves = (("AM", time(7), time(12)), ("PM", time(12), time(18)))
    school.rules = [
        RuleVersion(1, school.days[0]),
        RuleVersion(2, half, early_min=12, late_after_min=5, covered_share=0.77, held_share=0.4),
        RuleVersion(3, half, early_min=12, late_after_min=8, covered_share=0.77, held_share=0.4, sessions=halves),
    ]
    school.absence = [AbsenceRule(school.rooms[0], school.days[1]), AbsenceRule(school.rooms[1], school.days[0], half)]


def _close(school: Generated) -> None:
    random = school.random
    for lesson in school.lessons:
        kind = random.random()
        after = lesson.end + timedelta(minutes=random.randrange(1, 200))
        early = lesson.start + timedelta(minutes=random.randrange(5, 40))
        if kind < 0.3:
            school.closings.append(Closing(lesson.lesson, after))
        elif kind < 0.4:
            school.closings.append(Closing(lesson.lesson, early))
        elif kind < 0.45:
            school.closings.append(Closing(lesson.lesson, early, reopened=True))
            if kind < 0.42:
                school.closings.append(Closing(lesson.lesson, after))


def _mark(school: Generated) -> None:
    random, expected = school.random, school.expected()
    for lesson in school.lessons:
        there = expected[lesson.lesson]
        if random.random() < 0.015:
            # A trip: the whole section with one gesture.
            made = lesson.start + timedelta(hours=3)
            for student in there:
                _add_mark(school, student, lesson, "excused", made, reason="trip")
        for student in there:
            if random.random() < 0.012:
                status = random.choice(["present", "late", "excused", "absent", "machine"])
                made = lesson.start + timedelta(minutes=random.randrange(-600, 600))
                came = lesson.start + timedelta(minutes=random.randrange(40)) if random.random() < 0.3 else None
                _add_mark(school, student, lesson, status, made, came=came, note=random.choice(["", "was ill"]))
        if random.random() < 0.02:
            _add_mark(school, random.choice(school.students), lesson, "present", lesson.end, reason="guest")
    for day in school.days:
        student = random.choice(school.students)
        occasion = f"day:{day.isoformat()}"
        made = local(day, time(16))
        school.marks.append(OfficeMark(an_id(7, len(school.marks)), student, occasion, day, "present", made))


def _add_mark(
    school: Generated,
    student: str,
    lesson: Lesson,
    status: str,
    made: datetime,
    *,
    came: datetime | None = None,
    reason: str = "",
    note: str = "",
) -> None:
    school.marks.append(
        OfficeMark(
            an_id(7, len(school.marks)),
            student,
            f"lesson:{lesson.lesson}",
            lesson.start.astimezone(ZONE).date(),
            status,
            made,
            lesson.lesson,
            came,
            reason=reason,
            note=note,
            undone=school.random.random() < 0.2,
        )
    )
