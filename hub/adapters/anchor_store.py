"""Dates events anew in MySQL whenever something arrives that tells more about when they were (`hub.core.dating`).

Called with every transaction of events. Most hold nothing but events whose clock was set and agrees with what is known
of their boot: these cost two look-ups for all of them together.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import BindParameter, Connection, Row, bindparam, literal_column, select, text
from sqlalchemy.dialects.mysql import insert

from hub.adapters.column_types import UtcColumn, UuidColumn
from hub.adapters.event_dates import Moved, Place, apply, by_anchor
from hub.adapters.schema import boot_clocks, events, undated_boots
from hub.adapters.sql_literals import uuid_text
from hub.adapters.undated_store import UndatedBoots
from hub.core.dating import (
    AHEAD_US,
    FIRST_US,
    MOST_ERROR_US,
    TOLERANCE_US,
    Known,
    Segment,
    Timeline,
    credible,
    micros,
    moment,
)
from hub.core.ingest import EventRow, Verdict

Boot = tuple[str, str]
"""Unit and boot."""
Pairs = set[tuple[str, date]]
"""Students, each with a day of whose register something has changed."""

_AHEAD = timedelta(microseconds=AHEAD_US)
_FIRST = moment(FIRST_US)
_SURELY_US = TOLERANCE_US - 10_000
_OF_BOOT = " from events where unit_id = :unit_id and boot_id = :boot_id"
_SPANS = f"select epoch, min(seq) as low, max(seq) as high{_OF_BOOT} group by epoch"
_FIRST_SET = (
    f"select boottime_ns div 1000 as boot_us, at_claimed{_OF_BOOT} and clock = 'synced' and at_claimed >= :first"
    f" and at_claimed <= timestampadd(microsecond, {AHEAD_US}, received_at)"
    " order by boottime_ns div 1000, epoch, seq limit 1"
)


def rewrite(connection: Connection, verdicts: Iterable[Verdict], zone: ZoneInfo) -> Pairs:
    """Date the new events of these verdicts and whatever they tell about others; return what is to be marked for it.

    To be called in the transaction that inserts the events, after that, with their units locked
    (`stream_marks.lock_units`): what another one inserts meanwhile about the same unit could not be seen here, nor ours
    there. The outcome does not depend on the order in which events arrive, and running it again changes nothing.
    """
    arrived = _arrived(verdicts)
    pairs: Pairs = set()
    if not arrived:
        return pairs
    clocks = _clocks(connection, arrived)
    undated = _undated(connection, {unit_id for unit_id, _ in arrived})
    by_unit: dict[str, dict[str, _Arrived]] = defaultdict(dict)
    for (unit_id, boot_id), one in arrived.items():
        by_unit[unit_id][boot_id] = one
    for unit_id in sorted(by_unit):
        boots, rows = by_unit[unit_id], undated.get(unit_id, [])
        open_boots = {row.boot_id for row in rows}
        telling = {
            boot_id: one
            for boot_id, one in boots.items()
            if one.doubtful or boot_id in open_boots or one.contradicts(clocks.get((unit_id, boot_id)))
        }
        if telling or rows:
            unit = _Unit(connection, unit_id, clocks, UndatedBoots(connection, unit_id, rows), boots, zone)
            pairs |= unit.date(telling)
    return pairs


@dataclass(slots=True)
class _Arrived:
    """The new events of one boot."""

    now: datetime
    doubtful: bool = False
    """One of them does not know the time, or tells it."""
    rows: list[EventRow] = field(default_factory=list)
    received: list[datetime] = field(default_factory=list)
    """When each of them was."""

    def contradicts(self, clock: Row[Any] | None) -> bool:
        """Tell whether these events, all of a clock that was set, are something else than what is known of the boot."""
        if clock is None:
            return False
        if clock.anchors == 0:
            return any(row.event.boottime_ns < clock.first_ns for row in self.rows)
        # In floats, which are fast here, and a little narrower: what lies on the edge is looked at exactly.
        low_s = (clock.highest_us - _SURELY_US) / 1e6
        high_s = (clock.lowest_us + _SURELY_US) / 1e6
        return any(not low_s <= row.event.at.timestamp() - row.event.boottime_ns / 1e9 <= high_s for row in self.rows)

    def spans(self) -> dict[str, tuple[int, int]]:
        """Return the first and last seq of these events in each epoch."""
        seqs: dict[str, list[int]] = defaultdict(list)
        for row in self.rows:
            seqs[row.epoch].append(row.event.seq)
        return {epoch: (min(found), max(found)) for epoch, found in seqs.items()}


def _arrived(verdicts: Iterable[Verdict]) -> dict[Boot, _Arrived]:
    found: dict[Boot, _Arrived] = {}
    for verdict in verdicts:
        now, unit_id = verdict.batch.received_at, verdict.batch.unit_id
        latest = now + _AHEAD
        boot_id, one = "", _Arrived(now)
        for row in verdict.new:
            event = row.event
            if event.boot_id != boot_id:
                boot_id = event.boot_id
                one = found.setdefault((unit_id, boot_id), _Arrived(now))
                one.now = max(one.now, now)
            one.rows.append(row)
            one.received.append(now)
            if event.clock != "synced" or event.kind == "anchor" or not _FIRST <= event.at <= latest:
                one.doubtful = True
    return found


def _clocks(connection: Connection, boots: Collection[Boot]) -> dict[Boot, Row[Any]]:
    # Asked in every transaction: literals cost a fraction of bound values, and every server finds each row by its key.
    places = " or ".join(
        f"(unit_id = {uuid_text(unit_id)} and boot_id = {uuid_text(boot_id)})" for unit_id, boot_id in sorted(boots)
    )
    found = connection.execute(select(boot_clocks).where(literal_column(f"({places})")))
    return {(row.unit_id, row.boot_id): row for row in found}


def _undated(connection: Connection, unit_ids: Collection[str]) -> dict[str, list[Row[Any]]]:
    found: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(select(undated_boots).where(undated_boots.c.unit_id.in_(sorted(unit_ids)))):
        found[row.unit_id].append(row)
    return found


class _Unit:
    """Dates what belongs to one unit, in one transaction."""

    def __init__(
        self,
        connection: Connection,
        unit_id: str,
        clocks: Mapping[Boot, Row[Any]],
        undated: UndatedBoots,
        arrived: Mapping[str, _Arrived],
        zone: ZoneInfo,
    ) -> None:
        self._connection = connection
        self._unit_id = unit_id
        self._clocks = clocks
        self._undated = undated
        self._arrived = arrived
        self._now = max(one.now for one in arrived.values())
        self._moved = Moved(zone)

    def date(self, telling: Collection[str]) -> Pairs:
        """Date those of the boots with new events that tell something, then the undated ones around them.

        Returns what is to be marked for it.
        """
        for boot_id, one in sorted(self._arrived.items()):
            if boot_id not in telling or self._date_by_what_is_known(boot_id, one):
                self._undated.is_certain(one.spans().items())
            else:
                self._undated.add(boot_id, one.rows, one.received, one.spans())
        for boot_id in self._undated.unread():
            # An older program knew of single events only that their clock was not set, whatever else is known.
            self._date_by_what_is_known(boot_id, _Arrived(self._now))
        self._undated.estimate(self._moved)
        return self._moved.pairs(self._connection)

    # ---- boots of which something is known ---------------------------------------------------------------------------

    def _date_by_what_is_known(self, boot_id: str, one: _Arrived) -> bool:
        anchors = self._anchors(boot_id, one)
        known = [*anchors.values()] or self._first_set(boot_id, one)
        if not known:
            return False
        timeline, clock = Timeline(known), self._clocks.get((self._unit_id, boot_id))
        first_ns = min(known).boot_us * 1000
        settled = bool(one.rows) and clock is not None and bool(clock.anchors) == bool(anchors)
        if settled and not anchors:
            settled = clock is not None and clock.first_ns == first_ns
        if settled:
            news = {(row.epoch, row.event.seq) for row in one.rows}
            older = [told for place, told in anchors.items() if place not in news]
            changed = timeline.changed_since(Timeline(older)) if older else timeline.segments if anchors else []
            self._date_news(boot_id, one, timeline, changed, anchored=bool(anchors))
        else:
            self._date(Place(self._unit_id, boot_id), timeline.segments, anchored=bool(anchors))
            self._undated.forget(boot_id, self._moved)
            self._touch(boot_id)
        self._keep_clock(boot_id, timeline, len(anchors), first_ns)
        return True

    def _date(self, place: Place, segments: Collection[Segment], *, anchored: bool) -> bool:
        change = by_anchor(place, segments, anchored=anchored)
        return apply(self._connection, change, self._moved, self._now)

    def _date_news(
        self, boot_id: str, one: _Arrived, timeline: Timeline, changed: Collection[Segment], *, anchored: bool
    ) -> None:
        """Date the stretches that new anchors changed, and the new events themselves."""
        if changed and self._date(Place(self._unit_id, boot_id), changed, anchored=anchored):
            self._touch(boot_id)
        clocks = [row.event.boottime_ns // 1000 for row in one.rows]
        first, last = min(clocks), max(clocks)
        others = [
            segment
            for segment in timeline.segments
            if segment not in changed and _overlap(segment.from_us, segment.until_us, first, last)
        ]
        if others:
            self._date(Place(self._unit_id, boot_id, one.spans()), others, anchored=anchored)

    def _touch(self, boot_id: str) -> None:
        """Note where this boot's events stand: what they tell about undated boots beside them has changed."""
        if self._undated:
            found = self._connection.execute(text(_SPANS).bindparams(*self._of(boot_id)))
            self._undated.is_certain([(row.epoch, (row.low, row.high)) for row in found])

    def _anchors(self, boot_id: str, one: _Arrived) -> dict[tuple[str, int], Known]:
        """Return what the anchors of a boot say, by epoch and seq."""
        clock = self._clocks.get((self._unit_id, boot_id))
        none_before = self._undated.summed_up(boot_id) or (clock is not None and not clock.anchors)
        if none_before and all(row.event.kind != "anchor" for row in one.rows):
            return {}
        rows = self._connection.execute(
            select(events.c.epoch, events.c.seq, events.c.boottime_ns, events.c.received_at, events.c.body).where(
                events.c.unit_id == self._unit_id, events.c.boot_id == boot_id, events.c.kind == "anchor"
            )
        )
        found = {}
        for row in rows:
            said = json.loads(row.body)
            at_us = micros(datetime.fromisoformat(said["utc"]))
            if credible(at_us, micros(row.received_at)):
                error_us = min(said["error_ms"] * 1000, MOST_ERROR_US)
                found[row.epoch, row.seq] = Known(row.boottime_ns // 1000, at_us, error_us)
        return found

    def _first_set(self, boot_id: str, one: _Arrived) -> list[Known]:
        """Return the first event of a boot whose clock was set and said something credible."""
        clock = self._clocks.get((self._unit_id, boot_id))
        if clock is None and self._undated.summed_up(boot_id) and not any(map(_set_right, one.rows, one.received)):
            return []
        if clock is not None and not clock.anchors:
            before = [row for row in one.rows if row.event.boottime_ns < clock.first_ns + 1000]
            if not before:
                return [Known(clock.first_ns // 1000, clock.lowest_us + clock.first_ns // 1000)]
        query = text(_FIRST_SET).bindparams(*self._of(boot_id), bindparam("first", _FIRST, type_=UtcColumn))
        row = self._connection.execute(query.columns(at_claimed=UtcColumn)).one_or_none()
        return [] if row is None else [Known(row.boot_us, micros(row.at_claimed))]

    def _keep_clock(self, boot_id: str, timeline: Timeline, anchors: int, first_ns: int) -> None:
        low, high = timeline.range_us()
        clock = self._clocks.get((self._unit_id, boot_id))
        if clock is not None and (clock.anchors, clock.first_ns, clock.lowest_us, clock.highest_us) == (
            anchors,
            first_ns,
            low,
            high,
        ):
            return
        told = {"anchors": anchors, "first_ns": first_ns, "lowest_us": low, "highest_us": high}
        _keep_clock(self._connection, self._unit_id, boot_id, told)

    def _of(self, boot_id: str) -> tuple[BindParameter[str], BindParameter[str]]:
        return (
            bindparam("unit_id", self._unit_id, type_=UuidColumn),
            bindparam("boot_id", boot_id, type_=UuidColumn),
        )


def _set_right(row: EventRow, received_at: datetime) -> bool:
    return row.event.clock == "synced" and credible(micros(row.event.at), micros(received_at))


def _overlap(from_us: int | None, until_us: int | None, first_us: int, last_us: int) -> bool:
    return (from_us is None or from_us <= last_us) and (until_us is None or first_us < until_us)


def _keep_clock(connection: Connection, unit_id: str, boot_id: str, told: Mapping[str, int]) -> None:
    statement = insert(boot_clocks).values(unit_id=unit_id, boot_id=boot_id, **told)
    connection.execute(statement.on_duplicate_key_update({name: statement.inserted[name] for name in told}))
