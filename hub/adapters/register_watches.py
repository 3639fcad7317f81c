"""Reads what units watched, and whom they could have recognised meanwhile."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, select

from hub.adapters.schema import epochs, events, gallery_members
from hub.core.attendance_facts import Lesson, Watch
from hub.core.belonging import UnitPlaces
from hub.core.dating import watched_since
from protocol.events import Coverage

# A unit writes coverage every few minutes and when a lesson ends; one that slept writes it when it wakes.
_COVERAGE_MARGIN = timedelta(hours=6)

_COLUMNS = (
    events.c.unit_id,
    events.c.epoch,
    events.c.seq,
    events.c.at_corrected,
    events.c.time_basis,
    events.c.body,
)

AnyRow = Row[*tuple[Any, ...]]
_Held = tuple[str, int, int | None]
"""A unit, and from which revision of its gallery until which it held a student's template."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    watch: Watch
    """As it is for whoever was in the gallery."""
    revision: int
    trusted: bool
    """The clock was right, and every earlier event of the stream is on record: none that says otherwise is missing."""


class Watches:
    """What units watched of some lessons, by student; quick for one student after another of the same section."""

    def __init__(
        self,
        connection: Connection,
        student_ids: Collection[str],
        lessons: Collection[Lesson],
        places: Mapping[str, UnitPlaces],
    ) -> None:
        self._of_room = _stretches(connection, lessons, places)
        units = {one.watch.unit_id for found in self._of_room.values() for one in found}
        self._held = _held(connection, student_ids, units)
        self._known: dict[tuple[tuple[str, ...], tuple[_Held, ...]], tuple[Watch, ...]] = {}

    def of(self, student_id: str, lessons: Sequence[Lesson]) -> tuple[Watch, ...]:
        """Return what was watched of this student's lessons, in their rooms."""
        held = tuple(self._held.get(student_id, ()))
        key = tuple(one.lesson_id for one in lessons), held
        if key not in self._known:
            self._known[key] = tuple(self._watches(lessons, held))
        return self._known[key]

    def _watches(self, lessons: Sequence[Lesson], held: Sequence[_Held]) -> Iterable[Watch]:
        for room_id in sorted({one.room_id for one in lessons}):
            here = [(one.starts_at, one.ends_at) for one in lessons if one.room_id == room_id]
            for stretch in self._of_room.get(room_id, ()):
                watch = stretch.watch
                if any(watch.since < ends_at and watch.until > starts_at for starts_at, ends_at in here):
                    able = stretch.trusted and _had_template(stretch, held)
                    yield watch if able else replace(watch, able=False)


def _had_template(stretch: _Stretch, held: Iterable[_Held]) -> bool:
    return any(
        unit_id == stretch.watch.unit_id and since <= stretch.revision and (until is None or stretch.revision < until)
        for unit_id, since, until in held
    )


def _stretches(
    connection: Connection, lessons: Collection[Lesson], places: Mapping[str, UnitPlaces]
) -> dict[str, list[_Stretch]]:
    rooms = {one.room_id for one in lessons}
    units = sorted(unit_id for unit_id, where in places.items() if any(room_id in rooms for _, room_id in where.places))
    if not units:
        return {}
    high_water = {
        (row.unit_id, row.epoch): row.high_water
        for row in connection.execute(select(epochs).where(epochs.c.unit_id.in_(units)))
    }
    found: dict[str, list[_Stretch]] = defaultdict(list)
    for row in _coverage(connection, units, min(one.starts_at for one in lessons), max(one.ends_at for one in lessons)):
        body = _read(row.body)
        since = watched_since(body.since, body.at, body.watched_s, row.at_corrected)
        # What was watched while the unit was carried elsewhere says nothing of either room.
        room_id = places[row.unit_id].one_room(since, row.at_corrected)
        # Of a look around (`sweep`) nobody concludes that a student was not there.
        if room_id in rooms and room_id is not None and body.mode == "door":
            trusted = row.time_basis != "estimated" and row.seq <= high_water.get((row.unit_id, row.epoch), 0)
            found[room_id].append(_stretch(row, body, room_id, since, trusted=trusted))
    return found


@lru_cache(maxsize=8192)
def _read(body: str) -> Coverage:
    """Return what an event says, as it was understood when it came in: a time may be written in many ways.

    Of one day it is asked for by one part of the students after the other, and again at the end of every lesson.
    """
    return Coverage.model_validate_json(body)


def _coverage(connection: Connection, units: Sequence[str], since: datetime, until: datetime) -> Iterable[AnyRow]:
    return connection.execute(
        select(*_COLUMNS)
        .where(
            events.c.unit_id.in_(units),
            events.c.kind == "coverage",
            events.c.at_corrected > since,
            events.c.at_corrected < until + _COVERAGE_MARGIN,
        )
        .order_by(events.c.at_corrected, events.c.event_id)
    )


def _stretch(row: AnyRow, body: Coverage, room_id: str, since: datetime, *, trusted: bool) -> _Stretch:
    watch = Watch(row.unit_id, room_id, since, row.at_corrected, body.watched_s, able=True)
    return _Stretch(watch, body.gallery_revision, trusted)


def _held(connection: Connection, student_ids: Collection[str], units: Collection[str]) -> dict[str, list[_Held]]:
    found: dict[str, list[_Held]] = defaultdict(list)
    if not units:
        return found
    statement = (
        select(gallery_members)
        .where(gallery_members.c.unit_id.in_(sorted(units)), gallery_members.c.student_id.in_(list(student_ids)))
        .order_by(gallery_members.c.unit_id, gallery_members.c.student_id, gallery_members.c.from_revision)
    )
    for row in connection.execute(statement):
        found[row.student_id].append((row.unit_id, row.from_revision, row.until_revision))
    return found
