"""Reads what units said of some students: when they were seen, what people at units marked, who may have been them."""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, or_, select

from hub.adapters import register_timetable
from hub.adapters.event_dates import BOOT_US, ESTIMATE, candidates_of, of_undated_boot, when
from hub.adapters.register_timetable import Span
from hub.adapters.schema import events, review_decisions, undated_boots
from hub.core.attendance_facts import Doubt, Interval, MarkMade, Rules, SchoolDays
from hub.core.belonging import UnitPlaces
from hub.core.dating import micros
from hub.core.reviews import Sighting, key_of, place_of

_COLUMNS = (
    events.c.event_id,
    events.c.unit_id,
    events.c.epoch,
    events.c.seq,
    events.c.kind,
    events.c.student_id,
    events.c.at_corrected,
    # Of a sighting the row says all: most of a day's text stays where it is.
    case((events.c.kind == "seen", ""), else_=events.c.body).label("body"),
)
_OF_ESTIMATED = (
    events.c.time_basis,
    events.c.at_claimed,
    events.c.boottime_ns,
    events.c.at_earliest,
    events.c.at_latest,
    *ESTIMATE,
)
_KEYS_AT_ONCE = 1000

AnyRow = Row[*tuple[Any, ...]]
Places = Mapping[str, UnitPlaces]


@dataclass(frozen=True, slots=True)
class Told:
    """An event, and when it was."""

    row: AnyRow
    at: datetime
    within: tuple[datetime, datetime] | None
    """Of a time that is only estimated."""


def told_of(connection: Connection, student_ids: Collection[str], span: Span) -> dict[str, list[Told]]:
    """Return what units said of each student, in the order of time."""
    of_them = (events.c.student_id.in_(list(student_ids)), events.c.kind.in_(("seen", "left", "mark")))
    found: dict[str, list[Told]] = defaultdict(list)
    for one in _told(connection, of_them, span):
        found[one.row.student_id].append(one)
    return found


def _told(connection: Connection, whose: Sequence[ColumnElement[bool]], span: Span) -> list[Told]:
    then = (events.c.at_corrected >= span[0], events.c.at_corrected < span[1], events.c.time_basis != "estimated")
    told = [Told(row, row.at_corrected, None) for row in connection.execute(select(*_COLUMNS).where(*whose, *then))]
    undated = select(*_COLUMNS, *_OF_ESTIMATED).select_from(events).join(undated_boots, of_undated_boot())
    maybe = (events.c.time_basis == "estimated", *_was(*span))
    told += [Told(row, *when(row)) for row in connection.execute(undated.where(*whose, *maybe))]
    return sorted(told, key=lambda one: (one.at, one.row.event_id))


def _was(since: datetime, until: datetime) -> tuple[ColumnElement[bool], ...]:
    """Return the condition for events of undated boots that may have been then."""
    first, last = undated_boots.c.earliest_us, undated_boots.c.latest_us
    early = func.coalesce(events.c.at_earliest, events.c.at_corrected)
    late = func.coalesce(events.c.at_latest, events.c.at_corrected)
    return (
        # The boots themselves first: of mostly none nobody knows when they were.
        or_(first.is_(None), first + undated_boots.c.first_us < micros(until)),
        or_(last.is_(None), last + undated_boots.c.last_us >= micros(since)),
        # Empty where only an older program has estimated it.
        or_(first + BOOT_US < micros(until), and_(first.is_(None), early < until)),
        or_(last + BOOT_US >= micros(since), and_(last.is_(None), late >= since)),
    )


def intervals(told: Sequence[Told], places: Places) -> list[Interval]:
    """Return when a student was in view, of what was told of them."""
    ends = {json.loads(one.row.body)["interval_id"]: one.at for one in told if one.row.kind == "left"}
    return [
        Interval(
            unit_id=one.row.unit_id,
            room_id=places[one.row.unit_id].room_at(one.at),
            start=one.at,
            end=max(one.at, ends.get(one.row.event_id, one.at)),
            within=one.within,
        )
        for one in told
        if one.row.kind == "seen" and one.row.unit_id in places
    ]


def unit_marks(told: Sequence[Told], places: Places, *, notes: bool = True) -> list[MarkMade]:
    """Return how people at units marked a student, of what was told of them; with what they wrote only if `notes`."""
    found = []
    for one in told:
        row = one.row
        if row.kind != "mark" or row.unit_id not in places:
            continue
        body = json.loads(row.body)
        found.append(
            MarkMade(
                row.unit_id,
                places[row.unit_id].room_at(one.at),
                one.at,
                body["status"],
                body.get("lesson_id"),
                body.get("note", "") if notes else "",
                (row.epoch, row.seq),
                within=one.within,
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class _Unclear:
    sighting: Sighting
    within: tuple[datetime, datetime] | None


def doubts(
    connection: Connection,
    student_ids: Collection[str],
    span: Span,
    places: Places,
    days: SchoolDays,
    rules_of: Callable[[date], Rules],
) -> dict[str, list[Doubt]]:
    """Return which sightings may have been each student, of those of which nobody has decided who it was."""
    wanted = set(student_ids)
    unclear = [one for one in _unclear(connection, span, places) if wanted.intersection(one.sighting.candidates)]
    found: dict[str, list[Doubt]] = defaultdict(list)
    if not unclear:
        return found
    keys = _keys(connection, [one.sighting for one in unclear], days, rules_of)
    decided = _decided(connection, set(keys.values()))
    for one in unclear:
        seen = one.sighting
        if keys[seen.event_id] not in decided:
            doubt = Doubt(seen.unit_id, seen.room_id, seen.at, one.within)
            for student_id in wanted.intersection(seen.candidates):
                found[student_id].append(doubt)
    return found


def _unclear(connection: Connection, span: Span, places: Places) -> Iterator[_Unclear]:
    """Yield the sightings of that time that show nobody for certain, in the order of time."""
    if not places:
        return
    # Named one by one: so the index gives the few of them.
    whose = (events.c.unit_id.in_(sorted(places)), events.c.kind == "review")
    for one in _told(connection, whose, span):
        row, room_id = one.row, places[one.row.unit_id].room_at(one.at)
        candidates = tuple(candidates_of(row.body))
        yield _Unclear(Sighting(row.event_id, row.unit_id, room_id, one.at, candidates, reason=""), one.within)


def _keys(
    connection: Connection, sightings: Sequence[Sighting], days: SchoolDays, rules_of: Callable[[date], Rules]
) -> dict[str, str]:
    moments = [one.at for one in sightings]
    # Whoever comes early is asked about in the lesson that begins then.
    reach = min(moments), max(moments) + timedelta(days=1)
    rooms = register_timetable.lessons_of_rooms(connection, {one.room_id for one in sightings}, reach, days)

    def early(day: date) -> timedelta:
        return rules_of(day).early

    return {
        one.event_id: key_of(place_of(one, rooms.get(one.room_id, ()), early, days.zone), one.candidates)
        for one in sightings
    }


def _decided(connection: Connection, keys: Collection[str]) -> set[str]:
    wanted, found = sorted(keys), set()
    for start in range(0, len(wanted), _KEYS_AT_ONCE):
        part = review_decisions.c.review_key.in_(wanted[start : start + _KEYS_AT_ONCE])
        statement = select(review_decisions.c.review_key).where(part, review_decisions.c.undone_at.is_(None))
        found |= set(connection.execute(statement).scalars())
    return found
