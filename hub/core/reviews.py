"""Sightings that no machine may decide, as a person is asked about them (docs/register.md, section 7). Pure.

What a unit saw again and again of the same candidates in the same lesson is one question; its key stays the same
however many of its sightings have arrived, and so does what a person decided about it.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from hub.core.attendance_facts import Lesson

Early = Callable[[date], timedelta]
"""How long before its start a lesson of a day begins to count, by the rules in force on that day."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A unit saw somebody and must not say whom; `at` is corrected, or the best estimate."""

    event_id: str
    unit_id: str
    room_id: str
    at: datetime
    candidates: tuple[str, ...]
    """Students it may have been, best first."""
    reason: str
    scores: tuple[float, ...] = ()
    """Of the candidates, in their order; may be shorter."""


@dataclass(frozen=True, slots=True)
class Item:
    """One question to a person: who of these was it?"""

    key: str
    place: str
    lesson_id: str | None
    room_id: str
    day: date
    """The school's day on which the lesson begins; without one, of the sightings."""
    candidates: tuple[str, ...]
    """Best first: by the best score that any sighting gave them, then by id."""
    reasons: tuple[str, ...]
    first_at: datetime
    last_at: datetime
    sightings: int
    unit_ids: tuple[str, ...] = ()


def place_of(sighting: Sighting, lessons_of_room: Iterable[Lesson], early: Early, zone: tzinfo) -> str:
    """Return where a sighting is asked about: "lesson:<id>", or "day:<date>:<room id>" of none of the room's lessons.

    `lessons_of_room` may hold those of other rooms and days, but none that was cancelled.
    """
    lesson = _lesson_of(sighting, lessons_of_room, early)
    return _place(sighting, lesson, zone)


def _place(sighting: Sighting, lesson: Lesson | None, zone: tzinfo) -> str:
    if lesson is not None:
        return f"lesson:{lesson.lesson_id}"
    return f"day:{sighting.at.astimezone(zone).date().isoformat()}:{sighting.room_id}"


def _lesson_of(sighting: Sighting, lessons: Iterable[Lesson], early: Early) -> Lesson | None:
    fitting = [
        one
        for one in lessons
        if one.room_id == sighting.room_id and one.starts_at - early(one.day) <= sighting.at < one.ends_at
    ]
    # The lesson that runs comes before the one that is about to begin.
    return min(fitting, key=lambda one: (one.starts_at, one.lesson_id), default=None)


def key_of(place: str, candidates: Collection[str]) -> str:
    """Return the name of a question: the same for the same candidates in any order."""
    return hashlib.sha256("\n".join([place, *sorted(set(candidates))]).encode()).hexdigest()


def grouped(
    sightings: Iterable[Sighting], lessons: Mapping[str, Sequence[Lesson]], early: Early, zone: tzinfo
) -> list[Item]:
    """Return the questions that these sightings are, by place and key; `lessons` by room, none that was cancelled.

    The order of the sightings changes nothing, and one that is there twice (by its event) counts once.
    """
    found: dict[str, list[Sighting]] = defaultdict(list)
    places: dict[str, tuple[str, Lesson | None]] = {}
    for sighting in {one.event_id: one for one in sightings}.values():
        lesson = _lesson_of(sighting, lessons.get(sighting.room_id, ()), early)
        place = _place(sighting, lesson, zone)
        key = key_of(place, sighting.candidates)
        found[key].append(sighting)
        places[key] = place, lesson
    items = [_item(key, *places[key], alike, zone) for key, alike in found.items()]
    return sorted(items, key=lambda one: (one.place, one.key))


def _item(key: str, place: str, lesson: Lesson | None, sightings: Sequence[Sighting], zone: tzinfo) -> Item:
    first_at = min(one.at for one in sightings)
    return Item(
        key=key,
        place=place,
        lesson_id=lesson.lesson_id if lesson else None,
        room_id=sightings[0].room_id,
        day=lesson.day if lesson else first_at.astimezone(zone).date(),
        candidates=_best_first(sightings),
        reasons=tuple(sorted({one.reason for one in sightings})),
        first_at=first_at,
        last_at=max(one.at for one in sightings),
        sightings=len(sightings),
        unit_ids=tuple(sorted({one.unit_id for one in sightings})),
    )


def _best_first(sightings: Iterable[Sighting]) -> tuple[str, ...]:
    best: dict[str, float] = {}
    for one in sightings:
        scores = (*one.scores, *[-1.0] * len(one.candidates))
        for candidate, score in zip(one.candidates, scores, strict=False):
            best[candidate] = max(score, best.get(candidate, -1.0))
    return tuple(sorted(best, key=lambda candidate: (-best[candidate], candidate)))


def listed(
    items: Iterable[Item], settled: Collection[tuple[str, str]], decided: Collection[str] = ()
) -> tuple[list[Item], list[Item]]:
    """Return what a person is asked, most sightings first, and what is besides: no more than one question a lesson.

    `settled`: pairs of place and student who is Present, Late or marked there; a question all of whose candidates are
    needs nobody and is in neither list. `decided`: keys that a person has answered; they are in neither list, but a
    lesson asks no second question because its first one was answered. Places without a lesson ask all of theirs.
    """
    done = set(settled)
    answered = set(decided)
    shown: list[Item] = []
    besides: list[Item] = []
    asked: set[str] = set()
    for item in sorted(items, key=lambda one: (-one.sightings, one.key)):
        known = item.key in answered
        if not known and all((item.place, candidate) in done for candidate in item.candidates):
            continue
        first = item.lesson_id is None or item.lesson_id not in asked
        if item.lesson_id is not None:
            asked.add(item.lesson_id)
        if not known:
            (shown if first else besides).append(item)
    return shown, besides
