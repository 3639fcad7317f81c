"""What has to be done to the single lessons so that they are what the timetable says.

A lesson that has begun stays as it is, since its register is about it; so does what a person changed, cancelled or
restored, as long as the timetable still has a lesson on that day.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from hub.core.roster_lessons import Key, Lesson, LessonFields
from hub.core.roster_times import Clock


@dataclass(frozen=True, slots=True)
class Wanted:
    """A lesson that the timetable asks for: of a series on a day, or of a calendar (no series)."""

    lesson_id: str
    fields: LessonFields
    series_id: str | None = None
    day: date | None = None
    cancelled: bool = False
    clock: Clock = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A lesson on record and what becomes of it; one that a person changed may only come to belong to a series."""

    before: Lesson
    after: Wanted


@dataclass(frozen=True, slots=True)
class Replan:
    """What has to be done. `drop`: what the timetable no longer has, to be deleted or cancelled."""

    add: tuple[Wanted, ...] = ()
    change: tuple[Change, ...] = ()
    drop: tuple[Lesson, ...] = ()
    unchanged: int = 0
    by_hand: int = 0
    """Lessons that differ because a person said so, and stay."""
    begun: int = 0
    """Lessons that have begun and differ, or were never made, and stay so."""
    odd_clocks: tuple[Wanted, ...] = ()
    """Lessons at a time that the clocks skip or show twice on that day."""


class _Found:
    """The lessons on record, each taken by at most one that is wanted."""

    def __init__(self, known: Iterable[Lesson]) -> None:
        self.left = {one.lesson_id: one for one in known}
        self._by_day = {(one.series_id, one.series_day): one.lesson_id for one in self.left.values() if one.series_id}

    def own(self, wanted: Wanted) -> Lesson | None:
        """Return the lesson that was made for it, also one that came to belong to its series later."""
        by_day = self._by_day.get((wanted.series_id, wanted.day), "") if wanted.series_id else ""
        return self.left.pop(by_day, None) or self.left.pop(wanted.lesson_id, None)


def replan(wanted: Iterable[Wanted], known: Iterable[Lesson], now: datetime, *, past_too: bool = False) -> Replan:
    """Return what has to be done. `known`: the lessons of the series concerned.

    A lesson that its series no longer has, and another series has in the same room, of the same section and at the same
    moment, becomes that one's: what was said about it stays said.
    """
    found = _Found(known)
    pairs = [(one, found.own(one)) for one in wanted]
    free: dict[Key, Lesson] = {
        one.fields.key: one for one in found.left.values() if past_too or one.fields.starts_at > now
    }
    add: list[Wanted] = []
    change: list[Change] = []
    unchanged = by_hand = begun = 0
    for one, own in pairs:
        before = own or free.pop(one.fields.key, None)
        if before is None:
            if one.cancelled:
                unchanged += 1
            elif one.fields.starts_at > now or past_too:
                add.append(one)
            else:
                begun += 1
        elif _same(before, one):
            unchanged += 1
        elif before.fields.starts_at <= now and not past_too:
            begun += 1
        elif before.by_hand:
            by_hand += 1
            if before.series_id != one.series_id:
                change.append(Change(before, _kept(before, one)))
        else:
            change.append(Change(before, one))
    odd = tuple(one for one, _ in pairs if one.clock and (past_too or one.fields.starts_at > now))
    return Replan(tuple(add), tuple(change), tuple(free.values()), unchanged, by_hand, begun, odd)


def _same(before: Lesson, wanted: Wanted) -> bool:
    return (before.fields, before.cancelled, before.series_id, before.series_day) == (
        wanted.fields,
        wanted.cancelled,
        wanted.series_id,
        wanted.day,
    )


def _kept(before: Lesson, wanted: Wanted) -> Wanted:
    return Wanted(wanted.lesson_id, before.fields, wanted.series_id, wanted.day, before.cancelled, wanted.clock)
