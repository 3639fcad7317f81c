"""What the machine alone says of a student and a lesson or a day: sections 3, 8 and 9 of docs/register.md."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from tests.hub_register.records import Closing, Lesson, RuleVersion, School
from tests.hub_register.seen import Seen, Units, minutes

SOME_NOTE = "?"
"""There is a note; the page does not say its words."""
CAME = ("Present", "Late")


@dataclass(frozen=True, slots=True)
class Said:
    """What the machine says of a student and an occasion."""

    status: str
    rule: str
    timestamp: datetime
    last_seen: datetime | None = None
    left_early: datetime | None = None
    unit: str | None = None
    notes: str = ""


class Machine:
    """Says what units saw, and what that means."""

    def __init__(
        self, school: School, units: Units, closed: Mapping[str, Closing], rules_on: Callable[[date], RuleVersion]
    ) -> None:
        self.school = school
        self.zone = school.zone
        self.units = units
        self.closed = closed
        self.rules_on = rules_on

    def day(self, at: datetime) -> date:
        """Return the school's day of a moment."""
        return at.astimezone(self.zone).date()

    def opens(self, lesson: Lesson, before: Sequence[Lesson]) -> datetime:
        """Return from when on a lesson counts; `before`: the student's lessons that begin before it."""
        early = lesson.start - timedelta(minutes=self.rules_on(self.day(lesson.start)).early_min)
        return max([early, *(one.end for one in before if one.end <= lesson.start)])

    def of_lesson(self, student: str, lesson: Lesson, opens: datetime, before: Sequence[Lesson]) -> Said | None:
        """Return what is said of a lesson; None before it is decided."""
        rules = self.rules_on(self.day(lesson.start))
        closing = self.closed.get(lesson.lesson)
        decided = closing.at if closing and lesson.start < closing.at < lesson.end else lesson.end
        there = [one for one in self.units.seen(student, opens, lesson.end) if one.room == lesson.room]
        certain = [one for one in there if one.within is None and one.start < lesson.end and one.end >= opens]
        unsure = [one for one in there if one.within and one.within[0] < lesson.end and one.within[1] >= opens]
        if certain:
            return self._was_seen(student, lesson, opens, certain, unsure)
        inside = [one for one in unsure if one.within and opens <= one.within[0] and one.within[1] < lesson.end]
        if inside:
            return _estimated(inside, self.day(lesson.start), self.zone)
        if self.school.now < decided:
            return None
        share = rules.covered_share
        unit = self._watched(lesson, lesson.start, decided, share, student)
        if unit is None:
            unit = self._watched(lesson, lesson.start, decided, share, None)
            return Said("Not observed", "not_able" if unit else "not_watched", lesson.start, unit=unit)
        if self.units.in_doubt(student, opens, lesson.end):
            return Said("Not observed", "in_review", lesson.start, unit=unit)
        if unsure:
            return Said("Not observed", "seen_sometime", lesson.start, unit=unit, notes=SOME_NOTE)
        if self._may_have_stayed(student, lesson, before, minutes(rules.early_min)):
            return Said("Not observed", "may_have_stayed", lesson.start, unit=unit)
        return Said("Not seen", "not_seen", lesson.start, unit=unit)

    def _was_seen(
        self, student: str, lesson: Lesson, opens: datetime, certain: Sequence[Seen], unsure: Sequence[Seen]
    ) -> Said:
        rules = self.rules_on(self.day(lesson.start))
        by = lesson.start + minutes(rules.late_after_min)
        first = min(certain, key=lambda one: (one.start, one.unit))
        late = first.start > by
        maybe = [one for one in unsure if one.within and one.within[0] <= by]
        return Said(
            "Late" if late else "Present",
            "seen_late" if late else "seen",
            max(first.start, opens),
            min(max(one.end for one in certain), lesson.end),
            # Whether an uncertain one was the way in or out nobody knows.
            None if unsure else self._left_early(student, lesson, certain, rules),
            first.unit,
            SOME_NOTE if late and maybe else "",
        )

    def _left_early(self, student: str, lesson: Lesson, certain: Sequence[Seen], rules: RuleVersion) -> datetime | None:
        last = max(one.end for one in certain)
        if self.school.now < lesson.end or len(certain) % 2 == 1:
            return None
        if lesson.end - last <= minutes(rules.left_early_min):
            return None
        return last if self._watched(lesson, last, lesson.end, rules.covered_share, student) else None

    def _watched(
        self, lesson: Lesson, since: datetime, until: datetime, share: float, student: str | None
    ) -> str | None:
        """Return a unit that watched so much of it; with a student, while it could have recognised that one."""
        for unit, stretches in sorted(self.units.watching(lesson.room, since, until).items()):
            reached, watched_s = since, 0.0
            for one in sorted(stretches, key=lambda one: (one.since, one.until)):
                if student is not None and not self.units.able(one, student):
                    continue
                length_s = (one.until - one.since).total_seconds()
                new_s = (min(one.until, until) - max(one.since, reached)).total_seconds()
                if new_s > 0:
                    watched_s += new_s * min(1.0, one.watched_s / length_s)
                reached = max(reached, one.until)
            if watched_s >= share * (until - since).total_seconds():
                return unit
        return None

    def _may_have_stayed(self, student: str, lesson: Lesson, before: Sequence[Lesson], early: timedelta) -> bool:
        for one in before:
            if one.room == lesson.room and lesson.start - early <= one.end <= lesson.start:
                since = one.start - early
                there = self.units.seen(student, since, one.end)
                if any(s.room == lesson.room and not s.within and s.start < one.end and s.end >= since for s in there):
                    return True
        return False

    def of_day(self, student: str, opens: datetime, closes: datetime) -> Said | None:
        """Return what is said of a part of a day without lessons."""
        there = self.units.seen(student, opens, closes)
        certain = [one for one in there if one.within is None and one.start < closes and one.end >= opens]
        if certain:
            first = min(certain, key=lambda one: (one.start, one.unit))
            last = min(max(one.end for one in certain), closes)
            return Said("Present", "day", max(first.start, opens), last, None, first.unit)
        inside = [one for one in there if one.within and opens <= one.within[0] and one.within[1] < closes]
        return _estimated(inside, self.day(opens), self.zone) if inside else None


def _estimated(inside: Sequence[Seen], day: date, zone: tzinfo) -> Said:
    first = min(inside, key=lambda one: (one.start, one.unit))
    bounds = first.within or (first.start, first.start)
    here = [one.astimezone(zone) for one in bounds]
    form = "%H:%M" if all(one.date() == day for one in here) else "%Y-%m-%d %H:%M"
    since, until = (one.strftime(form) for one in here)
    note = f"The unit's clock was not set: seen between {since} and {until}. Please check."
    return Said("Present", "seen_estimated", first.start, None, None, first.unit, note)
