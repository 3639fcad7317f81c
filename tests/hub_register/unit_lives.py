"""What the units of a generated school see and write down, with clocks that are wrong, outages and reviews.

Streams are as units send them; the truth is kept beside, so that dating can be compared with it.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any

from tests.hub_register.generated_school import ZONE, Generated, an_id, local
from tests.hub_register.records import Lesson

_LOST_CLOCK = datetime(2026, 1, 1, tzinfo=UTC)
_PACK = "dlib-1-0123456789ab"
EPOCH = "00000000000000aa"
_SECOND = timedelta(seconds=1)


@dataclass(slots=True)
class Happening:
    """Something that a unit writes down, when it really was."""

    at: datetime
    kind: str
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Parcel:
    """Events of a unit that leave it together, and when the hub gets them."""

    unit: str
    events: tuple[dict[str, Any], ...]
    received: datetime


@dataclass(slots=True)
class Lives:
    """Everything that units wrote down, in parcels by the time at which they leave; and when each event was."""

    parcels: list[Parcel] = field(default_factory=list)
    truth: dict[str, datetime] = field(default_factory=dict)
    missing: list[Parcel] = field(default_factory=list)
    """What the hub is never told, or much later."""


class World:
    """Plays the days of a school."""

    def __init__(self, school: Generated) -> None:
        self.school = school
        self.random = Random(school.size.seed + 1)  # noqa: S311 (a seeded test)
        self._places: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
        for one in sorted(school.places, key=lambda one: one.since):
            self._places[one.unit].append((one.since, one.room))
        self._home = {school.rooms[number]: unit for number, unit in enumerate(school.units)}
        self._happened: dict[tuple[str, date], list[Happening]] = defaultdict(list)
        self._absent: dict[str, list[str]] = defaultdict(list)
        self._number = self._days = 0
        self._seq = dict.fromkeys(school.units, 0)

    def play(self) -> Lives:
        """Return what the units wrote down."""
        expected = self.school.expected()
        in_room_before: dict[str, tuple[str, datetime]] = {}
        for lesson in sorted(self.school.lessons, key=lambda one: (one.start, one.lesson)):
            # A camera that looks at the wall, or nobody there: the lesson is held.
            if not lesson.cancelled and self.random.random() > 0.05:
                for student in expected[lesson.lesson]:
                    self._attend(student, lesson, in_room_before)
        self._weekends()
        lives = Lives()
        nights = {one.start.astimezone(ZONE).date() for one in self.school.lessons} - set(self.school.days)
        nights |= {one + timedelta(days=1) for one in nights}
        for unit in self.school.units:
            for day in sorted({*self.school.days, *nights, *(day for one, day in self._happened if one == unit)}):
                self._write_down(lives, unit, day, night=day in nights)
        lives.parcels.sort(key=lambda one: (one.received, one.unit))
        return lives

    def _unit_in(self, room: str, at: datetime) -> str | None:
        home = self._home.get(room)
        for unit in ([home] if home else []) + self.school.units:
            if self._room(unit, at) == room:
                return unit
        return None

    def _room(self, unit: str, at: datetime) -> str:
        return [room for since, room in self._places[unit] if since <= at][-1]

    # ---- students --------------------------------------------------------------------------------------------------

    def _attend(self, student: str, lesson: Lesson, before: dict[str, tuple[str, datetime]]) -> None:
        random = self.random
        kind = random.random()
        if before.get(student) == (lesson.room, lesson.start) and kind < 0.85:
            # Stays for the second half of a double lesson.
            before[student] = lesson.room, lesson.end
            return
        if kind < 0.07:
            self._absent[lesson.lesson].append(student)
            return
        before[student] = lesson.room, lesson.end
        room = lesson.room if kind > 0.1 else random.choice(self.school.rooms)
        low_s, high_s = (660, 1800) if kind > 0.94 else (-600, 300)
        came = lesson.start + random.randrange(low_s * 1000, high_s * 1000) * timedelta(milliseconds=1)
        if 0.1 < kind < 0.13:
            self._review(room, came, student)
        elif 0.13 < kind < 0.14:
            status = random.choice(["present", "late", "excused", "absent"])
            hint = lesson.lesson if random.random() < 0.5 else None
            said = {"student_id": student, "status": status, "lesson_id": hint, "by": "Teacher", "note": "at the door"}
            self._add(room, came, "mark", said)
        else:
            self._see(student, room, came, random.choice([None, 3, 20, 900, 2900]))
            if kind < 0.2:
                self._see(student, room, came + random.randrange(300, 1500) * _SECOND, 3)
            elif kind < 0.4:
                self._see(student, room, lesson.end - random.randrange(180) * _SECOND, random.choice([3, 300]))

    def _see(self, student: str, room: str, at: datetime, dwell_s: int | None) -> None:
        score = {"score": 0.9, "margin": 0.2, "samples": 3, "gallery_revision": 1, "pack_id": _PACK}
        seen = self._add(room, at, "seen", {"student_id": student} | score)
        if seen is not None and dwell_s is not None:
            unit, event_id = seen
            left = {"student_id": student, "interval_id": event_id, "dwell_s": float(dwell_s), "cause": "absence"}
            self._happen(unit, Happening(at + dwell_s * _SECOND, "left", left))

    def _review(self, room: str, at: datetime, student: str) -> None:
        several = sorted({student, self.random.choice(self.school.students)})
        candidates = [{"student_id": one, "score": 0.6} for one in several]
        said = {"candidates": candidates, "reason": "margin", "samples": 3, "gallery_revision": 1, "pack_id": _PACK}
        self._add(room, at, "review", said)

    def _weekends(self) -> None:
        for day in self.school.days:
            for student in self.random.sample(self.school.students, min(5, len(self.school.students))):
                at = local(day + timedelta(days=self.random.choice([0, 1, 2])), time(14)) + self._any(4)
                self._see(student, self.school.rooms[0], at, self.random.choice([None, 600]))

    def _any(self, hours: float) -> timedelta:
        return timedelta(milliseconds=self.random.randrange(int(hours * 3_600_000)))

    def _add(self, room: str, at: datetime, kind: str, fields: dict[str, Any]) -> tuple[str, str] | None:
        unit = self._unit_in(room, at)
        if unit is None:
            return None
        happening = Happening(at, kind, {"event_id": self._new_id()} | fields)
        self._happen(unit, happening)
        return unit, happening.fields["event_id"]

    def _happen(self, unit: str, happening: Happening) -> None:
        happening.fields.setdefault("event_id", self._new_id())
        self._happened[unit, happening.at.astimezone(ZONE).date()].append(happening)

    def _new_id(self) -> str:
        self._number += 1
        return an_id(8, self._number)

    # ---- units -----------------------------------------------------------------------------------------------------

    def _write_down(self, lives: Lives, unit: str, day: date, *, night: bool) -> None:
        happened = self._happened.pop((unit, day), [])
        # Spread over the units' days: also a small school has every kind of day.
        self._days += 1
        kind = self._days * 0.618034 % 1
        boots = [(local(day, time(0, 1)), "synced" if kind < 0.88 else "anchored" if kind < 0.96 else "lost")]
        if 0.08 < kind < 0.18:
            # It starts again in a lesson, and knows the time only the second time.
            again, back = self._starts_again(happened, unit, day)
            boots += [(again, "lost"), (back, "synced")]
        first, last = (time(0, 2), time(23, 59)) if night else (time(7, 40), time(13, 30))
        self._cover(happened, unit, (local(day, first), local(day, last)), [since for since, _ in boots])
        if kind < 0.08:
            # Without power for a while: nothing was seen, and nothing watched.
            away = local(day, time(8)) + self._any(4)
            back = away + self._any(1.5)
            happened = [one for one in happened if not self._reach(one, away, back)]
        boots[0] = min([boots[0][0], *(one.at - _SECOND for one in happened)]), boots[0][1]
        ends = [*(since for since, _ in boots[1:]), datetime.max.replace(tzinfo=UTC)]
        for (since, clock), until in zip(boots, ends, strict=True):
            some = sorted((one for one in happened if since < one.at <= until), key=lambda one: one.at)
            if some:
                self._send(lives, unit, self._boot(lives, unit, some, since, clock))

    def _starts_again(self, happened: list[Happening], unit: str, day: date) -> tuple[datetime, datetime]:
        """Return when a unit loses its clock and when it has it again: mostly in a lesson in its room."""
        for lesson in self.school.lessons:
            absent = self._absent.get(lesson.lesson)
            if absent and lesson.start.astimezone(ZONE).date() == day and self._room(unit, lesson.end) == lesson.room:
                score = {"score": 0.9, "margin": 0.2, "samples": 3, "gallery_revision": 1, "pack_id": _PACK}
                said = {"event_id": self._new_id(), "student_id": absent.pop()} | score
                # At its end, so that nobody knows of which lesson it was, or in the middle.
                about = self.random.choice([lesson.end, lesson.end, lesson.end - timedelta(minutes=20)])
                happened.append(Happening(about - 40 * _SECOND, "seen", said))
                return about - 100 * _SECOND, about + 80 * _SECOND
        again = local(day, time(8)) + self._any(4)
        return again, again + timedelta(minutes=self.random.randrange(4, 15))

    @staticmethod
    def _reach(one: Happening, since: datetime, until: datetime) -> bool:
        begun = one.fields["since"] if one.kind == "coverage" else one.at
        return bool(begun < until and one.at > since) or (one.kind != "coverage" and since <= one.at < until)

    def _cover(
        self, happened: list[Happening], unit: str, span: tuple[datetime, datetime], boots: list[datetime]
    ) -> None:
        number = self.school.units.index(unit)
        half = local(self.school.days[self.school.size.days // 2], time())
        since, until = span
        poor = self.random.random() < 0.1
        while since < until:
            end = min(until, since + timedelta(minutes=self.random.choice([15, 15, 15, 5])))
            end = min([end, *(boot for boot in boots if since < boot < end)])
            share = self.random.choice([0.6, 0.97, 1.0]) if poor else 1.0
            said: dict[str, Any] = {
                "since": since,
                "watched_s": (end - since).total_seconds() * share,
                "mode": "sweep" if number % 10 == 9 else "door",
                "gallery_revision": 1 if since < half else 2,
                "pack_id": _PACK,
                "students": len(self.school.students),
                "tracks": 0,
                "unknown_faces": 0,
                "unusable_faces": 0,
            }
            # A unit that does not know the time yet has no coverage to write down; its moments are wider apart for it.
            if since not in boots[1:2]:
                happened.append(Happening(end, "coverage", {"event_id": self._new_id()} | said))
            since = end

    def _boot(
        self, lives: Lives, unit: str, happened: list[Happening], since: datetime, clock: str
    ) -> list[dict[str, Any]]:
        boot_id = self._new_id()
        wrong = timedelta(0) if clock == "synced" else _LOST_CLOCK - since
        if clock == "anchored":
            at = happened[-1].at + _SECOND
            said = {"event_id": self._new_id(), "utc": at, "source": "ntp", "error_ms": 5}
            happened = [*happened, Happening(at, "anchor", said)]
        told = []
        for one in happened:
            self._seq[unit] += 1
            lives.truth[one.fields["event_id"]] = one.at
            event: dict[str, Any] = {"kind": one.kind, "seq": self._seq[unit], "at": one.at + wrong}
            event |= one.fields | {
                "boot_id": boot_id,
                "boottime_ns": (one.at - since) // timedelta(microseconds=1) * 1000,
            }
            event |= {"clock": "synced" if clock == "synced" else "unsynced"}
            if one.kind == "coverage":
                event["since"] += wrong
            told.append({name: _plain(value) for name, value in event.items() if value is not None})
        return told

    def _send(self, lives: Lives, unit: str, told: list[dict[str, Any]]) -> None:
        random = self.random
        late = timedelta(days=random.randrange(1, 6)) if random.random() < 0.1 else timedelta(0)
        for start in range(0, len(told), 100):
            some = told[start : start + 100]
            written = max(lives.truth[one["event_id"]] for one in some)
            # Now and then a parcel arrives before one that was sent earlier.
            delay = late + timedelta(minutes=random.choice([1, 1, 1, 90]))
            parcel = Parcel(unit, tuple(some), written + delay)
            # One parcel of a few units is lost until much later: nothing after it is certain.
            if unit == self.school.units[-1] and not lives.missing and written > local(self.school.days[-2], time(11)):
                lives.missing.append(parcel)
            else:
                lives.parcels.append(parcel)


def _plain(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
