"""The register as docs/register.md says it: a second program, simple and slow, that shares nothing with the hub's.

`Oracle(school).register(first, last)` gives the rows and lesson states of a span of local days.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from tests.hub_register.machine import CAME, Machine, Said
from tests.hub_register.records import (
    Closing,
    Lesson,
    OfficeMark,
    Register,
    Row,
    RuleVersion,
    School,
    State,
)
from tests.hub_register.seen import UnitMark, Units


@dataclass(frozen=True, slots=True)
class _Occasion:
    """What a row is about."""

    occasion: str
    lesson: str | None
    day: date
    start: datetime


class Oracle:
    """Reads a school; answers for spans of days."""

    def __init__(self, school: School) -> None:
        self.school = school
        self.zone = school.zone
        self.units = Units(school)
        self.lessons = {one.lesson: one for one in school.lessons if not one.cancelled}
        self.closed: dict[str, Closing] = {}
        for closing in sorted(school.closings, key=lambda one: one.at):
            if not closing.reopened:
                self.closed[closing.lesson] = closing
        self.expected = _expected(school, self.lessons.values())
        self.roster: dict[str, list[str]] = defaultdict(list)
        for student, theirs in self.expected.items():
            for lesson in theirs:
                self.roster[lesson.lesson].append(student)
        self.office: dict[str, list[OfficeMark]] = defaultdict(list)
        for mark in school.marks:
            if not mark.undone:
                self.office[mark.student].append(mark)
        self.rules_on = lru_cache(maxsize=None)(self._rules_on)
        self.machine = Machine(school, self.units, self.closed, self.rules_on)

    def register(self, first: date, last: date) -> Register:
        """Return what the register says of the days from `first` to `last`."""
        rows: list[Row] = []
        for student in self.school.students:
            rows += self._rows_of(student, first, last)
        by_lesson: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            if row.lesson_id is not None:
                by_lesson[row.lesson_id].append(row)
        states = {
            one.lesson: self._state(one, by_lesson[one.lesson])
            for one in self.lessons.values()
            if first <= self.day(one.start) <= last and one.end <= self.school.now and self.roster[one.lesson]
        }
        final = [self._closed_or_held(row, states) for row in rows]
        return Register({(row.student_id, row.occasion): row for row in final}, states)

    def day(self, at: datetime) -> date:
        """Return the school's day of a moment."""
        return at.astimezone(self.zone).date()

    def _moment(self, day: date, at: time) -> datetime:
        return datetime.combine(day, at, self.zone).astimezone(UTC)

    def _rules_on(self, day: date) -> RuleVersion:
        begun = [one for one in self.school.rules if one.from_day <= day]
        return max(begun, key=lambda one: (one.from_day, one.version)) if begun else self.school.settings

    # ---- a student -------------------------------------------------------------------------------------------------

    def _rows_of(self, student: str, first: date, last: date) -> list[Row]:
        theirs = self.expected[student]
        with_lessons = {self.day(one.start) for one in theirs}
        days = {first + timedelta(days=number) for number in range((last - first).days + 1)}
        unit_marks = self._marks_by_occasion(student, theirs, with_lessons)
        office: dict[str, list[OfficeMark]] = defaultdict(list)
        for mark in self.office[student]:
            office[mark.occasion].append(mark)
        rows: list[Row | None] = []
        done: set[str] = set()
        for place, lesson in enumerate(theirs):
            day = self.day(lesson.start)
            if day in days:
                occasion = f"lesson:{lesson.lesson}"
                done.add(occasion)
                opens = self.machine.opens(lesson, theirs[:place])
                said = self.machine.of_lesson(student, lesson, opens, theirs[:place])
                standing = _standing(office[occasion], unit_marks[occasion])
                where = _Occasion(occasion, lesson.lesson, day, lesson.start)
                rows.append(self._row(student, where, said, standing))
        for day in sorted(days - with_lessons):
            for name, since, until in self.rules_on(day).sessions:
                occasion = f"day:{day.isoformat()}:{name}" if name else f"day:{day.isoformat()}"
                done.add(occasion)
                opens, closes = self._moment(day, since), self._moment(day, until)
                said = self.machine.of_day(student, opens, closes)
                standing = _standing(office[occasion], unit_marks[occasion])
                rows.append(self._row(student, _Occasion(occasion, None, day, opens), said, standing))
        for occasion in office:
            if occasion not in done and office[occasion][0].day in days:
                rows.append(self._guest(student, occasion, office[occasion]))
        return [row for row in rows if row is not None]

    def _guest(self, student: str, occasion: str, marks: Sequence[OfficeMark]) -> Row | None:
        lesson, day = None, marks[0].day
        if marks[0].lesson is not None:
            lesson = self.lessons.get(marks[0].lesson)
            if lesson is None:
                return None
            start = lesson.start
        else:
            name = occasion.split(":")[2] if occasion.count(":") == 2 else ""
            sessions = self.rules_on(day).sessions
            begins = next((since for one, since, _ in sessions if one == name), time())
            start = self._moment(day, begins)
        lesson_id = lesson.lesson if lesson else None
        return self._row(student, _Occasion(occasion, lesson_id, day, start), None, _standing(marks, []))

    def _row(
        self, student: str, where: "_Occasion", said: Said | None, mark: OfficeMark | UnitMark | None
    ) -> Row | None:
        if said is None and mark is None:
            return None
        version = self.rules_on(where.day).version
        start = (where.occasion, where.lesson, where.day, where.start)
        row = Row(student, *start, "", "Face Recognition", "", rules_version=version)
        if said is not None:
            row = replace(
                row,
                timestamp=said.timestamp,
                status=said.status,
                rule=said.rule,
                last_seen_at=said.last_seen,
                left_early_at=said.left_early,
                unit_id=said.unit,
                notes=said.notes,
                machine_status=said.status,
                machine_rule=said.rule,
            )
        return row if mark is None else _marked(row, mark)

    def _state(self, lesson: Lesson, rows: Sequence[Row]) -> State:
        roster = set(self.roster[lesson.lesson])
        theirs = [row for row in rows if row.student_id in roster]
        seen = sum(row.machine_status in CAME or (row.rule == "mark" and row.status in CAME) for row in theirs)
        unseen = sum(row.machine_rule == "not_seen" and row.rule != "mark" for row in theirs)
        share = self.rules_on(self.day(lesson.start)).held_share
        return State(seen, unseen, seen < share * (seen + unseen))

    def _closed_or_held(self, row: Row, states: dict[str, State]) -> Row:
        if row.rule != "not_seen" or row.lesson_id is None:
            return row
        if row.lesson_id in self.closed:
            return replace(row, status="Absent", rule="closed", method="Manual")
        if row.lesson_id in states and states[row.lesson_id].held:
            return replace(row, status="Not observed", rule="held")
        room = self.lessons[row.lesson_id].room
        for rule in self.school.absence:
            if rule.room == room and rule.from_day <= row.day and (not rule.until_day or row.day < rule.until_day):
                return replace(row, status="Absent", rule="door_rule")
        return row

    # ---- days without lessons, and marks ---------------------------------------------------------------------------

    def _marks_by_occasion(
        self, student: str, theirs: Sequence[Lesson], with_lessons: set[date]
    ) -> dict[str, list[UnitMark]]:
        found: dict[str, list[UnitMark]] = defaultdict(list)
        for mark in self.units.marks[student]:
            there = [one for one in theirs if one.lesson == mark.lesson]
            if not there:
                there = [
                    one
                    for place, one in enumerate(theirs)
                    if one.room == mark.room and mark.lies_in(self.machine.opens(one, theirs[:place]), one.end)
                ]
            for one in there:
                found[f"lesson:{one.lesson}"].append(mark)
            if there:
                continue
            day = self.day(mark.at)
            if day not in with_lessons:
                for name, since, until in self.rules_on(day).sessions:
                    opens, closes = self._moment(day, since), self._moment(day, until)
                    if mark.lies_in(opens, closes):
                        found[f"day:{day.isoformat()}:{name}" if name else f"day:{day.isoformat()}"].append(mark)
        return found


def _expected(school: School, lessons: Iterable[Lesson]) -> dict[str, list[Lesson]]:
    members: dict[str, list[tuple[str, datetime, datetime | None]]] = defaultdict(list)
    for one in school.members:
        members[one.of].append((one.student, one.since, one.until))

    def holding(of: str, at: datetime) -> set[str]:
        return {student for student, since, until in members[of] if since <= at and (until is None or at < until)}

    found: dict[str, list[Lesson]] = {student: [] for student in school.students}
    for lesson in sorted(lessons, key=lambda one: (one.start, one.lesson)):
        there = holding(lesson.section, lesson.start)
        if lesson.group is not None:
            there &= holding(lesson.group, lesson.start)
        for student in there & found.keys():
            found[student].append(lesson)
    return found


def _standing(office: Sequence[OfficeMark], at_units: Sequence[UnitMark]) -> OfficeMark | UnitMark | None:
    """Return the mark that was made last; None where no person says anything."""
    of_office = max(office, key=lambda one: (one.made, one.mark), default=None)
    of_units = max(at_units, key=lambda one: (one.at, one.epoch, one.seq, one.unit), default=None)
    if of_office is not None and (of_units is None or of_office.made >= of_units.at):
        return None if of_office.status == "machine" else of_office
    return of_units


def _marked(row: Row, mark: OfficeMark | UnitMark) -> Row:
    row = replace(row, status=mark.status.capitalize(), rule="mark", left_early_at=None)
    if isinstance(mark, UnitMark):
        return replace(row, method="Manual", timestamp=mark.at, unit_id=mark.unit, notes=mark.note)
    came = row.machine_status in CAME
    return replace(
        row,
        method=mark.method,
        timestamp=mark.came or row.timestamp,
        unit_id=row.unit_id if came else None,
        notes=": ".join(one for one in (mark.reason, mark.note) if one),
    )
