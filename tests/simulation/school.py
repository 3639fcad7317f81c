"""A school's days: who comes in front of which unit, and when. The same seed gives the same days."""

from random import Random
from typing import Protocol

from tests.simulation.facts import student_id
from tests.simulation.scheduler import Scheduler

DAY_S = 86400.0
_FIRST_LESSON_S = 8 * 3600.0
_LESSON_S = 45 * 60.0
_EVERY_S = 60 * 60.0
_COVERAGE_S = 60.0
_ARRIVE_WITHIN_S = 300.0
_LEAVE_EARLY = 0.2
_SCHOOL_DAYS = 5


class Watcher(Protocol):
    """A unit, as far as people in front of it are concerned."""

    unit_number: int

    def see(self, student: str) -> None:
        """A student comes into view."""
        ...

    def lose_sight(self, student: str) -> None:
        """A student has not been in view for a minute."""
        ...

    def end_lesson(self) -> None:
        """A lesson is over."""
        ...

    def cover(self, watched_s: float) -> None:
        """A stretch of watching is over."""
        ...


class School:
    """Lessons in front of every unit. `lessons` a day with `students` each; 0 students: only coverage."""

    def __init__(self, scheduler: Scheduler, *, lessons: int = 6, students: int = 30, pace: float = 1.0) -> None:
        self._scheduler = scheduler
        self._lessons = lessons
        self._students = students
        self._coverage_s = _COVERAGE_S / pace

    def plan(self, unit: Watcher, days: int) -> None:
        """Plan the days of one unit."""
        chance = self._scheduler.random(f"school/{unit.unit_number}")
        for day in range(days):
            # Monday to Friday; on the weekend the unit watches an empty room, and says so.
            lessons = self._lessons if day % 7 < _SCHOOL_DAYS else 0
            begin_s = day * DAY_S + _FIRST_LESSON_S - 1800 + chance.random() * 60
            self._scheduler.at(begin_s, self._cover, unit, begin_s + max(1, lessons) * _EVERY_S + 1800)
            for lesson in range(lessons):
                self._scheduler.at(
                    day * DAY_S + _FIRST_LESSON_S + lesson * _EVERY_S, self._lesson, unit, lesson, chance
                )

    def _lesson(self, unit: Watcher, lesson: int, chance: Random) -> None:
        for number in range(self._students):
            student = student_id(unit.unit_number * 1000 + (lesson % 3) * self._students + number)
            come_s = chance.random() ** 2 * _ARRIVE_WITHIN_S
            self._scheduler.after(come_s, unit.see, student)
            if chance.random() < _LEAVE_EARLY:
                self._scheduler.after(come_s + (_LESSON_S - come_s) * chance.random(), unit.lose_sight, student)
        # Whoever is there at the end of a lesson leaves its interval with the lesson, all in one commit.
        self._scheduler.after(_LESSON_S, unit.end_lesson)

    def _cover(self, unit: Watcher, until_s: float) -> None:
        unit.cover(self._coverage_s)
        if self._scheduler.now_s + self._coverage_s < until_s:
            self._scheduler.after(self._coverage_s, self._cover, unit, until_s)
