"""Which lessons, or parts of a day, a person means: by id, by section or room and time, or the student's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from hub.adapters import lesson_finding, roster_store, rules_store, rules_writing
from hub.core.attendance_facts import Rules, SchoolDays, rules_on
from hub.core.errors import BadInput, Conflict, NotFound
from hub.core.register_marks import LessonFound, Occasion, days_of_span, described_few, of_lesson, of_window, running
from hub.core.roster import Student
from hub.core.roster_lessons import LONGEST_LESSON
from hub.core.roster_times import day_bounds, day_of
from hub.office.context import Office
from hub.office.rules_of_settings import of_settings

_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Named:
    """Which occasions are meant: `lesson_id` alone, or a day (up to `last_day`), or a moment; none of these: now.

    `section` and `room` say whose; without them they are those of the students that are named.
    """

    lesson_id: str | None = None
    section: str | None = None
    room: str | None = None
    at: datetime | None = None
    day: date | None = None
    last_day: date | None = None

    @property
    def whole_days(self) -> bool:
        """Whether every occasion of one or more days is meant."""
        return self.day is not None and self.at is None


class Finder:
    """Finds occasions and what holds there, in one transaction at one moment."""

    def __init__(self, connection: Connection, office: Office, now: datetime) -> None:
        self.connection = connection
        self.zone = office.settings.zone
        self.now = now
        self._days = SchoolDays(self.zone)
        self._known = rules_store.known(connection)
        self._before = of_settings(office.settings.attendance)
        self._frozen_until: date | None = None

    def rules(self, day: date) -> Rules:
        """Return the rules in force on a day."""
        return rules_on(day, self._known, self._before)

    def early(self, occasion: Occasion) -> timedelta:
        """Return how long before its start an occasion begins to count: a part of a day, not at all."""
        return self.rules(occasion.day).early if occasion.lesson else timedelta()

    def check_not_frozen(self, day: date) -> None:
        """Raise Conflict for a day whose register stays as it is: what units sent of it was deleted."""
        if self._frozen_until is None:
            self._frozen_until = rules_writing.frozen_until(self.connection)
        if day < self._frozen_until:
            raise Conflict(
                f"the register of {day} stays as it is: what units sent of that day was deleted",
                hint="how long that is kept is said by retention.events_days of the settings",
            )

    def windows(self, day: date) -> list[Occasion]:
        """Return the parts of a day that count for whoever has no lesson on it."""
        return [of_window(one) for one in self._days.windows(day, self.rules(day).sessions)]

    def lessons(self, named: Named) -> list[Occasion]:
        """Return the lessons that are meant, those of a section or room; at least one.

        Raises NotFound, saying which lessons there are; BadInput when neither a lesson nor a place is named.
        """
        if named.lesson_id is not None:
            return [self._by_id(named.lesson_id)]
        if named.section is None and named.room is None:
            raise BadInput("which lesson?", hint="name it: --lesson ID, or --section and --at or --date")
        found = self.of_place(named)
        chosen = found if named.whole_days else self.at(found, named.at or self.now)
        if chosen:
            return chosen
        place = " in ".join(name for name in (named.section, named.room) if name)
        raise self._nothing(place, found, named)

    def of_place(self, named: Named) -> list[Occasion]:
        """Return all lessons of the section or room on the days that are meant. Raises NotFound for unknown names."""
        section_id = self.section_id(named.section) if named.section is not None else None
        room_id = self._room_id(named.room) if named.room is not None else None
        since, before = self._span(named)
        found = lesson_finding.beginning(self.connection, since, before, section_id=section_id, room_id=room_id)
        return [of_lesson(one, self.zone) for one in found]

    def of_student(self, student: Student, named: Named) -> list[Occasion]:
        """Return the student's occasions that are meant: lessons they are expected in; on a day without, its parts.

        Raises NotFound, saying which lessons the student has.
        """
        since, before = self._span(named)
        theirs = lesson_finding.of_students(self.connection, [student.student_id], since, before)[student.student_id]
        found = [of_lesson(one, self.zone) for one in theirs]
        if named.whole_days:
            return found or self.free_days(named)
        moment = named.at or self.now
        chosen = self.at(found, moment)
        if chosen:
            return chosen
        day = day_of(moment, self.zone)
        if not any(one.day == day for one in found):
            return [self.window_at(moment)]
        raise self._nothing(f"student {student.fields.serial_number}", found, named)

    def free_days(self, named: Named) -> list[Occasion]:
        """Return the parts of the days that are meant, for whoever has no lesson on any of them.

        Raises BadInput, NotFound.
        """
        found = [one for day in self.school_days(named) for one in self.windows(day)]
        if not found:
            raise NotFound(f"from {named.day} to {named.last_day} there is no day of school")
        return found

    def school_days(self, named: Named) -> list[date]:
        """Return the days that are meant on which a school without a timetable is open. Raises BadInput."""
        first = named.day or day_of(self.now, self.zone)
        last = named.last_day or first
        return days_of_span(first, last, lesson_finding.holidays_within(self.connection, first, last))

    def window_at(self, moment: datetime) -> Occasion:
        """Return the part of a day that a moment is in; if the day has only one, that. Raises NotFound."""
        windows = self.windows(day_of(moment, self.zone))
        chosen = running(windows, moment, timedelta())
        if chosen or len(windows) == 1:
            return (chosen or windows)[0]
        parts = ", ".join(f"{one.starts_at.astimezone(self.zone):%H:%M}" for one in windows)
        raise NotFound(
            f"no part of the day runs at {moment.astimezone(self.zone):%H:%M}",
            hint=f"they begin at {parts}; name one with --at, or --date for all",
        )

    def at(self, found: Sequence[Occasion], moment: datetime) -> list[Occasion]:
        """Return those that run at a moment; if none does, those that begin within their `early`."""
        chosen = [one for one in found if running([one], moment, self.early(one))]
        ongoing = [one for one in chosen if one.starts_at <= moment]
        return ongoing or chosen

    def section_id(self, name: str) -> str:
        """Return the id of a section. Raises NotFound."""
        found = roster_store.section_ids(self.connection).get(name)
        if found is None:
            raise NotFound(f"there is no section {name!r}", hint="rollcall-hub section list shows them")
        return found

    def _room_id(self, name: str) -> str:
        found = roster_store.room_ids(self.connection).get(name)
        if found is None:
            raise NotFound(f"there is no room {name!r}", hint="rollcall-hub room list shows them")
        return found

    def _by_id(self, lesson_id: str) -> Occasion:
        found = lesson_finding.by_id(self.connection, [checked_id(lesson_id, "lesson")])
        if not found:
            raise NotFound(f"there is no lesson {lesson_id}", hint="rollcall-hub lesson list --json shows their ids")
        return of_lesson(next(iter(found.values())), self.zone)

    def _span(self, named: Named) -> tuple[datetime, datetime]:
        if named.whole_days and named.day is not None:
            last = named.last_day or named.day
            days_of_span(named.day, last, ())  # refuses what nobody means
            return day_bounds(named.day, self.zone)[0], day_bounds(last, self.zone)[1]
        # Also a lesson that began before midnight, and one that begins a few minutes after it.
        moment = named.at or self.now
        first, end = day_bounds(day_of(moment, self.zone), self.zone)
        return min(first, moment - LONGEST_LESSON), end + LONGEST_LESSON

    def _nothing(self, whose: str, found: Sequence[Occasion], named: Named) -> NotFound:
        if named.whole_days:
            return NotFound(
                f"{whose} has no lesson on {named.day}", hint="rollcall-hub lesson list shows the timetable"
            )
        moment = named.at or self.now
        day = day_of(moment, self.zone)
        that_day = [one for one in found if one.day == day]
        hint = f"lessons that day: {described_few(that_day, self.zone)}" if that_day else "there is none that day"
        return NotFound(f"{whose} has no lesson at {moment.astimezone(self.zone):%Y-%m-%d %H:%M}", hint=hint)


def one_lesson(finder: Finder, named: Named) -> LessonFound:
    """Return the one lesson that is meant. Raises Conflict when there are several, NotFound when there is none."""
    found = finder.lessons(named)
    if len(found) > 1:
        said = [f"{one.described(finder.zone)} ({one.lesson.lesson_id})" for one in found[:_SHOWN] if one.lesson]
        more = ["..."] if len(found) > _SHOWN else []
        ways = ["its id", *(["--at"] if named.at is None else []), *(["--room"] if named.room is None else [])]
        raise Conflict(
            f"{len(found)} lessons are meant: {'; '.join(said + more)}", hint=f"name one by {' or '.join(ways)}"
        )
    lesson = found[0].lesson
    if lesson is None:
        raise AssertionError("lessons() returns lessons")
    return lesson


def checked_id(text: str, what: str) -> str:
    """Return an identifier in the form the database compares. Raises BadInput."""
    try:
        return str(UUID(text.strip()))
    except ValueError as exc:
        raise BadInput(f"{text.strip()[:60]!r} is not the id of a {what}") from exc
