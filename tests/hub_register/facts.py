"""The oracle's records as what `hub.core.attendance.entries` reads, and its entries as the oracle's rows."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date, datetime, timedelta

from hub.core import attendance_facts as hub
from hub.core.attendance import entries, lesson_count
from tests.hub_register.oracle import Oracle
from tests.hub_register.records import Lesson, Register, Row, RuleVersion, School, State

_AROUND = timedelta(hours=12)


def hub_rules(version: RuleVersion) -> hub.Rules:
    """Return a version of the rules as the hub has it."""
    return hub.Rules(
        early=timedelta(minutes=version.early_min),
        late_after=timedelta(minutes=version.late_after_min),
        covered_share=version.covered_share,
        left_early=timedelta(minutes=version.left_early_min),
        held_share=version.held_share,
        sessions=tuple(hub.Session(*one) for one in version.sessions),
        version=version.version,
        from_day=version.from_day,
    )


class Hub:
    """Asks the hub's rules about every student and day of a school, as deriving does with a database."""

    def __init__(self, school: School) -> None:
        self.school = school
        self.days = hub.SchoolDays(school.zone)
        # Only for who is expected, and for which unit was where: its rules are not asked.
        self.oracle = Oracle(school)
        self.known = [hub_rules(one) for one in school.rules]

    def register(self, first: date, last: date) -> Register:
        """Return what the hub's rules say of the days from `first` to `last`."""
        days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        told = self._told(days, {})
        states: dict[str, State] = {}
        for lesson_id, several in _by_lesson(told).items():
            lesson = self.oracle.lessons[lesson_id]
            if lesson.end <= self.school.now and self.oracle.roster[lesson_id]:
                theirs = [one for student, one in several if student in self.oracle.roster[lesson_id]]
                counted = lesson_count(
                    (one.machine_status, one.machine_rule, one.status if one.rule == "mark" else None) for one in theirs
                )
                share = self.rules(one.day for one in theirs).held_share
                states[lesson_id] = State(counted.seen, counted.unseen, counted.held(share))
        told = self._told(days, states)
        rows = [Row(student, **asdict(one)) for student, one in told]
        return Register({(row.student_id, row.occasion): row for row in rows}, states)

    def rules(self, days: Iterable[date]) -> hub.Rules:
        """Return the rules in force on the first of these days."""
        return hub.rules_on(next(iter(days)), self.known, hub_rules(self.school.settings))

    def _told(self, days: Sequence[date], states: Mapping[str, State]) -> list[tuple[str, hub.Entry]]:
        return [
            (student, entry)
            for student in self.school.students
            for day in days
            for entry in entries(self._facts(student, day, states), self.rules([day]), self.school.now)
        ]

    def _facts(self, student: str, day: date, states: Mapping[str, State]) -> hub.StudentsDay:
        first, end = self.days.bounds(day)
        span = first - _AROUND, end + _AROUND
        theirs = [one for one in self.oracle.expected[student] if one.start < span[1] and one.end > span[0]]
        expected = {one.lesson for one in theirs}
        office = [one for one in self.oracle.office[student] if one.day == day or one.lesson in expected]
        office = [one for one in office if one.lesson is None or one.lesson in self.oracle.lessons]
        guests = {one.lesson for one in office if one.lesson and one.lesson not in expected}
        units = self.oracle.units
        return hub.StudentsDay(
            day=day,
            zone=self.school.zone,
            lessons=tuple(self._lesson(one, states) for one in theirs),
            windows=self.days.windows(day, self.rules([day]).sessions),
            intervals=tuple(
                hub.Interval(one.unit, one.room, one.start, one.end, one.within) for one in units.seen(student, *span)
            ),
            marks=tuple(
                hub.MarkMade(
                    one.unit, one.room, one.at, one.status, one.lesson, one.note, (one.epoch, one.seq), one.within
                )
                for one in units.marks[student]
            ),
            watches=tuple(self._watches(student, {one.room for one in theirs}, span)),
            hub_marks=tuple(
                hub.HubMark(
                    one.mark,
                    one.occasion,
                    one.lesson,
                    one.status,  # type: ignore[arg-type]
                    one.made,
                    one.came,
                    one.method,  # type: ignore[arg-type]
                    one.reason,
                    one.note,
                )
                for one in office
            ),
            guest_lessons=tuple(self._lesson(self.oracle.lessons[one], states) for one in sorted(guests)),
            doubts=tuple(hub.Doubt(one.unit, one.room, one.at, one.within) for one in units.doubts[student]),
        )

    def _lesson(self, lesson: Lesson, states: Mapping[str, State]) -> hub.Lesson:
        day = self.oracle.day(lesson.start)
        closing = self.oracle.closed.get(lesson.lesson)
        return hub.Lesson(
            lesson.lesson,
            lesson.room,
            day,
            lesson.start,
            lesson.end,
            closing.at if closing else None,
            lesson.lesson in states and states[lesson.lesson].held,
            any(
                one.room == lesson.room and one.from_day <= day and (one.until_day is None or day < one.until_day)
                for one in self.school.absence
            ),
        )

    def _watches(self, student: str, rooms: set[str], span: tuple[datetime, datetime]) -> Iterable[hub.Watch]:
        units = self.oracle.units
        for room in sorted(rooms):
            for stretches in units.watching(room, *span).values():
                for one in stretches:
                    able = units.able(one, student)
                    yield hub.Watch(one.unit, room, one.since, one.until, one.watched_s, able)


def _by_lesson(told: Iterable[tuple[str, hub.Entry]]) -> dict[str, list[tuple[str, hub.Entry]]]:
    found: dict[str, list[tuple[str, hub.Entry]]] = defaultdict(list)
    for student, entry in told:
        if entry.lesson_id is not None:
            found[entry.lesson_id].append((student, entry))
    return found


def differences(ours: Register, theirs: Register) -> list[str]:
    """Return what two registers disagree about, a line each; a note whose words the page does not say is any note."""
    found = []
    for place in sorted(ours.rows.keys() | theirs.rows.keys()):
        one, other = ours.rows.get(place), theirs.rows.get(place)
        if one is not None and other is not None and one.notes == "?" and other.notes:
            other = replace(other, notes="?")
        if one != other:
            found.append(f"oracle: {_said(one)}\n  hub: {_said(other)}")
    for lesson in sorted(ours.states.keys() | theirs.states.keys()):
        if ours.states.get(lesson) != theirs.states.get(lesson):
            found.append(f"{lesson}: oracle {ours.states.get(lesson)}, hub {theirs.states.get(lesson)}")
    return found


def _said(row: Row | None) -> str:
    if row is None:
        return "no row"
    return " ".join(
        f"{name}={value.isoformat() if isinstance(value, date) else value}" for name, value in asdict(row).items()
    )
