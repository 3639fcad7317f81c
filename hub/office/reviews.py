"""The questions that units leave to a person: who was it? Listed in groups, one a lesson."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from hub.adapters import lesson_finding, review_store, roster_store
from hub.adapters.review_store import Decision
from hub.core.attendance_facts import Lesson
from hub.core.errors import BadInput, Conflict, NotFound
from hub.core.register_marks import LessonFound, of_lesson
from hub.core.reviews import Item, grouped, listed
from hub.core.roster import Student
from hub.core.roster_lessons import LONGEST_LESSON
from hub.core.roster_times import day_bounds, day_of
from hub.office.context import Office
from hub.office.occasions import Finder

_EARLIEST = timedelta(hours=3)
"""The rules allow no more for coming early."""
_SEARCHED = timedelta(days=60)
_SHORTEST_KEY = 6


@dataclass(frozen=True, slots=True)
class ReviewQuery:
    """Which questions: of some days (default: today), of a section's or a room's lessons; `everything`: also those
    that are not asked because their lesson asks another one, and those that were answered."""

    day: date | None = None
    last_day: date | None = None
    section: str | None = None
    room: str | None = None
    everything: bool = False


@dataclass(frozen=True, slots=True)
class ReviewLine:
    """A question. `asked` is False for one beside the one question of its lesson; `decision`: the answer, if any."""

    item: Item
    room: str
    lesson: LessonFound | None
    candidates: tuple[Student, ...]
    asked: bool
    decision: Decision | None = None


@dataclass(frozen=True, slots=True)
class Reviews:
    """The questions of some days, most sightings first; `besides`: how many are not asked for their lesson's sake."""

    lines: tuple[ReviewLine, ...]
    besides: int


def list_reviews(office: Office, query: ReviewQuery) -> Reviews:
    """Return the questions. Raises NotFound for an unknown section or room."""
    now = office.clock.now()
    first = query.day or day_of(now, office.settings.zone)

    def work(connection: Connection) -> Reviews:
        finder, rooms = Finder(connection, office, now), roster_store.room_ids(connection)
        for name, known in ((query.section, roster_store.section_ids(connection)), (query.room, rooms)):
            if name is not None and name not in known:
                what = "room" if known is rooms else "section"
                raise NotFound(f"there is no {what} {name!r}", hint=f"rollcall-hub {what} list shows them")
        lines = Questions(finder, first, query.last_day or first).lines()
        chosen = [
            line
            for line in lines
            if query.room in (None, line.room) and query.section in (None, line.lesson and line.lesson.section)
        ]
        besides = sum(1 for line in chosen if not line.asked and line.decision is None)
        shown = chosen if query.everything else [line for line in chosen if line.asked and line.decision is None]
        return Reviews(tuple(shown), besides)

    return office.database.run(work, isolation="REPEATABLE READ")


class Questions:
    """The questions of some days, in one transaction."""

    def __init__(self, finder: Finder, first: date, last: date) -> None:
        self._finder = finder
        self._first, self._last = first, last
        since, before = day_bounds(first, finder.zone)[0], day_bounds(last, finder.zone)[1]
        # Lessons of these days may begin to count on the day before, and go on over midnight.
        self._span = since - LONGEST_LESSON, before + LONGEST_LESSON
        found = lesson_finding.beginning(finder.connection, *self._span)
        self._lessons = {one.lesson_id: one for one in found}

    def items(self) -> list[Item]:
        """Return the groups of sightings of these days."""
        of_room: dict[str, list[Lesson]] = defaultdict(list)
        for one in self._lessons.values():
            day = day_of(one.starts_at, self._finder.zone)
            of_room[one.room_id].append(Lesson(one.lesson_id, one.room_id, day, one.starts_at, one.ends_at))
        seen = review_store.sightings(self._finder.connection, self._span[0] - _EARLIEST, self._span[1])

        def early(day: date) -> timedelta:
            return self._finder.rules(day).early

        found = grouped(seen, of_room, early, self._finder.zone)
        return [one for one in found if self._first <= one.day <= self._last]

    def lines(self) -> list[ReviewLine]:
        """Return all questions: those asked first, then those besides, then those answered."""
        items = self.items()
        decided = review_store.decisions(self._finder.connection, (one.key for one in items))
        shown, besides = listed(items, self._settled(items), decided.keys())
        rest = [one for one in items if one.key in decided]
        asked = {one.key for one in shown}
        return self._described([*shown, *besides, *rest], asked, decided)

    def described(self, item: Item, decision: Decision | None = None) -> ReviewLine:
        """Return a question with names."""
        return self._described([item], {item.key}, {} if decision is None else {item.key: decision})[0]

    def _described(
        self, items: Sequence[Item], asked: Iterable[str], decided: Mapping[str, Decision]
    ) -> list[ReviewLine]:
        connection, keys = self._finder.connection, set(asked)
        students = roster_store.students_by_id(connection, {one for item in items for one in item.candidates})
        rooms = {room_id: name for name, room_id in roster_store.room_ids(connection).items()}
        return [
            ReviewLine(
                item=item,
                room=rooms.get(item.room_id, item.room_id),
                lesson=self._lessons.get(item.lesson_id) if item.lesson_id else None,
                candidates=tuple(students[one] for one in item.candidates if one in students),
                asked=item.key in keys,
                decision=decided.get(item.key),
            )
            for item in items
        ]

    def _settled(self, items: Sequence[Item]) -> set[tuple[str, str]]:
        """Return places and candidates who were there, or whom a person marked, at the time of the sightings."""
        finder, candidates = self._finder, {one for item in items for one in item.candidates}
        rows = review_store.on_record(finder.connection, candidates, self._first, self._last)
        known = {(row.student_id, row.occasion) for row in rows if row.settled}
        theirs = lesson_finding.of_students(finder.connection, candidates, *self._span)
        return {
            (item.place, student_id)
            for item in items
            for student_id in item.candidates
            if any(
                (student_id, occasion) in known
                for occasion in [item.place, *self._then(theirs[student_id], item.first_at)]
            )
        }

    def _then(self, lessons: Sequence[LessonFound], moment: datetime) -> list[str]:
        """Return the occasions of a student at a moment: their lesson, or the parts of a day without any."""
        finder = self._finder
        found = [of_lesson(one, finder.zone) for one in lessons]
        day = day_of(moment, finder.zone)
        if any(one.day == day for one in found):
            return [one.key for one in finder.at(found, moment)]
        return [one.key for one in finder.windows(day)]


def find_question(finder: Finder, key: str, day: date | None) -> tuple[Questions, Item]:
    """Return the question with that key, or the only one whose key begins so; of `day`, or of the last weeks.

    Raises BadInput, NotFound, Conflict.
    """
    wanted = key.strip().lower()
    if len(wanted) < _SHORTEST_KEY:
        raise BadInput(f"{key!r} is too short for a key", hint="rollcall-hub review list shows the keys")
    today = day_of(finder.now, finder.zone)
    questions = Questions(finder, day or today - _SEARCHED, day or today + timedelta(days=1))
    found = [one for one in questions.items() if one.key.startswith(wanted)]
    if not found:
        when = f"on {day}" if day else f"in the last {_SEARCHED.days} days"
        raise NotFound(
            f"there is no question {key.strip()[:64]} {when}",
            hint="rollcall-hub review list --all shows them; of an older one name the day: --date",
        )
    if len(found) > 1:
        raise Conflict(f"{len(found)} questions begin with {wanted}", hint="write more of the key")
    return questions, found[0]
