"""What units saw, watched and were told, by student and room: the oracle's index of a school's events."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from tests.hub_register.records import Bounds, Event, Lesson, School


@dataclass(frozen=True, slots=True)
class Seen:
    """A student was in view of a unit; equal ends while nothing says until when."""

    unit: str
    room: str
    start: datetime
    end: datetime
    within: Bounds | None


@dataclass(frozen=True, slots=True)
class UnitMark:
    """A person marked the student at a unit."""

    unit: str
    room: str
    at: datetime
    within: Bounds | None
    status: str
    lesson: str | None
    note: str
    epoch: str
    seq: int

    def lies_in(self, opens: datetime, end: datetime) -> bool:
        """Whether it was surely made then."""
        first, last = self.within or (self.at, self.at)
        return opens <= first and last < end


@dataclass(frozen=True, slots=True)
class Stretch:
    """A unit at a door watched a room."""

    unit: str
    since: datetime
    until: datetime
    watched_s: float
    revision: int
    trusted: bool
    """Its time is known, and nothing of its stream before it is missing."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Somebody was seen who may have been the student."""

    unit: str
    room: str
    at: datetime
    within: Bounds | None


def minutes(number: int) -> timedelta:
    """So many minutes."""
    return timedelta(minutes=number)


class Units:
    """Answers what was seen and watched."""

    def __init__(self, school: School) -> None:
        self._school = school
        self._places: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
        for one in sorted(school.places, key=lambda one: one.since):
            self._places[one.unit].append((one.since, one.room))
        self._lessons: dict[str, list[Lesson]] = defaultdict(list)
        for lesson in school.lessons:
            if not lesson.cancelled:
                self._lessons[lesson.room].append(lesson)
        self.marks: dict[str, list[UnitMark]] = defaultdict(list)
        self._seen: dict[tuple[str, date], list[Seen]] = defaultdict(list)
        self._unsure: dict[str, list[Seen]] = defaultdict(list)
        self._watching: dict[tuple[str, date], dict[str, list[Stretch]]] = defaultdict(lambda: defaultdict(list))
        self.doubts: dict[str, list[Doubt]] = defaultdict(list)
        self._galleries: dict[tuple[str, str], list[tuple[int, int | None]]] = defaultdict(list)
        for member in school.galleries:
            self._galleries[member.unit, member.student].append((member.since, member.until))
        self._read(school.events)

    def room(self, unit: str, at: datetime) -> str | None:
        """Return the room a unit was in."""
        found = None
        for since, room in self._places[unit]:
            if since <= at:
                found = room
        return found

    def place(self, room: str, at: datetime) -> str:
        """Return of which lesson a sighting is that a person has to look at; without one, of which room and day."""
        found = [one for one in self._lessons[room] if self._early(one) <= at < one.end]
        if found:
            # The one that runs, before the one that is about to begin.
            return f"lesson:{min(found, key=lambda one: (one.start, one.lesson)).lesson}"
        return f"day:{at.astimezone(self._school.zone).date().isoformat()}:{room}"

    def _early(self, lesson: Lesson) -> datetime:
        day = lesson.start.astimezone(self._school.zone).date()
        begun = [one for one in self._school.rules if one.from_day <= day]
        rules = max(begun, key=lambda one: (one.from_day, one.version)) if begun else self._school.settings
        return lesson.start - minutes(rules.early_min)

    def seen(self, student: str, since: datetime, until: datetime) -> list[Seen]:
        """Return what may matter of a student from a moment to another, and perhaps more."""
        found = {id(one): one for day in _days(since, until) for one in self._seen.get((student, day), ())}
        return [*found.values(), *self._unsure.get(student, ())]

    def watching(self, room: str, since: datetime, until: datetime) -> dict[str, list[Stretch]]:
        """Return what units watched of a room between two moments, and perhaps more, by unit."""
        found: dict[str, dict[int, Stretch]] = defaultdict(dict)
        for day in _days(since, until):
            for unit, stretches in self._watching.get((room, day), {}).items():
                found[unit].update({id(one): one for one in stretches if one.until > since and one.since < until})
        return {unit: list(several.values()) for unit, several in found.items()}

    def able(self, stretch: Stretch, student: str) -> bool:
        """Whether the unit could have recognised the student then."""
        return stretch.trusted and any(
            since <= stretch.revision and (until is None or stretch.revision < until)
            for since, until in self._galleries.get((stretch.unit, student), ())
        )

    def in_doubt(self, student: str, opens: datetime, end: datetime) -> bool:
        """Whether somebody was seen, or may have been, who may be the student, and nobody has decided."""
        for one in self.doubts.get(student, ()):
            first, last = one.within or (one.at, one.at)
            if first < end and last >= opens:
                return True
        return False

    def _read(self, events: Iterable[Event]) -> None:
        ends: dict[str, datetime] = {}
        seqs: dict[tuple[str, str], set[int]] = defaultdict(set)
        for one in events:
            seqs[one.unit, one.epoch].add(one.seq)
            if one.kind == "left" and one.interval:
                ends[one.interval] = one.at
        complete = {stream: _complete(numbers) for stream, numbers in seqs.items()}
        for one in events:
            room = self.room(one.unit, one.at)
            if room is None:
                continue
            if one.kind == "seen":
                self._add_seen(one, room, ends.get(one.event, one.at))
            elif one.kind == "mark" and one.student:
                self.marks[one.student].append(
                    UnitMark(one.unit, room, one.at, one.within, one.status, one.lesson, one.note, one.epoch, one.seq)
                )
            elif one.kind == "coverage":
                self._add_coverage(one, complete[one.unit, one.epoch])
            elif one.kind == "review":
                self._add_review(one, room)

    def _add_seen(self, event: Event, room: str, end: datetime) -> None:
        if event.student is None:
            return
        seen = Seen(event.unit, room, event.at, max(event.at, end), event.within)
        if event.within is not None:
            self._unsure[event.student].append(seen)
        else:
            for day in _days(seen.start, seen.end):
                self._seen[event.student, day].append(seen)

    def _add_coverage(self, event: Event, complete: int) -> None:
        if event.mode != "door" or event.since is None or event.since >= event.at:
            return
        room = self.room(event.unit, event.since)
        moved = any(event.since < since < event.at for since, _ in self._places[event.unit])
        if room is None or moved:
            return
        trusted = event.within is None and event.seq <= complete
        stretch = Stretch(event.unit, event.since, event.at, event.watched_s, event.revision, trusted)
        for day in _days(stretch.since, stretch.until):
            self._watching[room, day][event.unit].append(stretch)

    def _add_review(self, event: Event, room: str) -> None:
        place = self.place(room, event.at)
        if (place, frozenset(event.candidates)) in self._school.decided:
            return
        for student in event.candidates:
            self.doubts[student].append(Doubt(event.unit, room, event.at, event.within))


def _complete(seqs: set[int]) -> int:
    """Return up to which number none is missing."""
    last = 0
    while last + 1 in seqs:
        last += 1
    return last


def _days(since: datetime, until: datetime) -> Iterator[date]:
    day = since.astimezone(UTC).date()
    while day <= until.astimezone(UTC).date():
        yield day
        day += timedelta(days=1)
