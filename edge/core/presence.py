"""Sightings to presence intervals: a student who is seen again within a minute has not left.

The book is pure and holds nothing that cannot be rebuilt: what must survive a restart is `open_intervals`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from edge.core.frame import NS_PER_S
from edge.core.ports import OpenInterval
from edge.core.schedule import lesson_at
from protocol.content import TimetableLesson
from protocol.events import Event, Left, Seen, Stamp

Cause = Literal["absence", "lesson_end", "restart", "stop"]

UNNUMBERED = 1
"""Events carry this seq until the journal gives them theirs, in the transaction that stores them."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A student was recognised in a frame."""

    student_id: str
    score: float
    margin: float
    samples: int
    gallery_revision: int
    pack_id: str


@dataclass(slots=True)
class _Open:
    interval_id: str
    first_seen: Stamp
    last_seen: Stamp
    lesson_id: str | None


class PresenceBook:
    """The open intervals of one room. One thread."""

    def __init__(self, new_id: Callable[[], str], *, absence_s: float = 60.0) -> None:
        self._new_id = new_id
        self._absence_ns = int(absence_s * NS_PER_S)
        self._open: dict[str, _Open] = {}

    def sighting(self, who: Sighting, stamp: Stamp, lessons: Sequence[TimetableLesson] = ()) -> list[Event]:
        """Take note that a student is in view; return the events this makes (at most: left, seen)."""
        known = self._open.get(who.student_id)
        events: list[Event] = []
        if known and stamp.boottime_ns < known.last_seen.boottime_ns:
            # A later frame has said more already; an interval opened now would overlap this one.
            return events
        lesson = lesson_at(lessons, stamp.at)
        lesson_id = lesson.lesson_id if lesson else None
        if known and (known.lesson_id != lesson_id or self._is_absent(known, stamp)):
            cause: Cause = "absence" if self._is_absent(known, stamp) else "lesson_end"
            events.append(self._close(who.student_id, cause))
            known = None
        if known:
            known.last_seen = stamp
            return events
        seen = Seen(
            **stamp.model_dump(),
            event_id=self._new_id(),
            seq=UNNUMBERED,
            student_id=who.student_id,
            lesson_id=lesson_id,
            score=who.score,
            margin=who.margin,
            samples=who.samples,
            gallery_revision=who.gallery_revision,
            pack_id=who.pack_id,
        )
        self._open[who.student_id] = _Open(seen.event_id, stamp, stamp, lesson_id)
        return [*events, seen]

    def tick(self, stamp: Stamp, lessons: Sequence[TimetableLesson] = ()) -> list[Event]:
        """Close the intervals of students not seen for `absence_s`, or whose lesson is over."""
        lesson = lesson_at(lessons, stamp.at)
        lesson_id = lesson.lesson_id if lesson else None
        events: list[Event] = []
        for student_id, known in list(self._open.items()):
            if self._is_absent(known, stamp):
                events.append(self._close(student_id, "absence"))
            elif known.lesson_id is not None and known.lesson_id != lesson_id:
                events.append(self._close(student_id, "lesson_end"))
        return events

    def close_all(self, cause: Cause) -> list[Event]:
        """Close every interval at the moment its student was last seen."""
        return [self._close(student_id, cause) for student_id in list(self._open)]

    def forget(self, student_ids: Sequence[str]) -> list[Event]:
        """Close the intervals of students who are no longer in the gallery."""
        return [self._close(student_id, "stop") for student_id in student_ids if student_id in self._open]

    def open_intervals(self) -> list[OpenInterval]:
        """Return what must be remembered over a restart."""
        return [
            OpenInterval(known.interval_id, student_id, known.first_seen, known.last_seen)
            for student_id, known in self._open.items()
        ]

    def _is_absent(self, known: _Open, now: Stamp) -> bool:
        # Another boot has another boot clock; what was open then was closed at the restart.
        return now.boottime_ns - known.last_seen.boottime_ns > self._absence_ns

    def _close(self, student_id: str, cause: Cause) -> Event:
        known = self._open.pop(student_id)
        return closing_event(
            OpenInterval(known.interval_id, student_id, known.first_seen, known.last_seen), cause, self._new_id()
        )


def closing_event(interval: OpenInterval, cause: Cause, event_id: str) -> Left:
    """Return the event that closes an interval, dated when the student was last seen."""
    dwell_ns = max(0, interval.last_seen.boottime_ns - interval.first_seen.boottime_ns)
    return Left(
        **interval.last_seen.model_dump(),
        event_id=event_id,
        seq=UNNUMBERED,
        interval_id=interval.interval_id,
        student_id=interval.student_id,
        dwell_s=dwell_ns / NS_PER_S,
        cause=cause,
    )
