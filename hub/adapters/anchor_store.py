"""Dates events anew in MySQL whenever something arrives that tells more about when they were (`hub.core.dating`).

Called with every transaction of events. Most hold nothing but events whose clock was set and agrees with what is known
of their boot: these cost two look-ups for all of them together.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import BindParameter, Connection, Row, bindparam, delete, literal_column, select, text
from sqlalchemy.dialects.mysql import insert

from hub.adapters.column_types import UtcColumn, UuidColumn
from hub.adapters.event_dates import Moved, Place, apply, by_anchor, by_estimate
from hub.adapters.event_rows import uuid_text
from hub.adapters.schema import boot_clocks, events, undated_boots, units
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
from hub.core.dating_bounds import Stretch, UndatedBoot, estimate
from hub.core.ingest import EventRow, Verdict

Boot = tuple[str, str]
"""Unit and boot."""

_AHEAD = timedelta(microseconds=AHEAD_US)
_FIRST = moment(FIRST_US)
_END = 2**62
_SURELY_US = TOLERANCE_US - 10_000
_OF_BOOT = " from events where unit_id = :unit_id and boot_id = :boot_id"
_BEGIN = "timestampdiff(microsecond, cast('1970-01-01' as datetime(6)), {column}) - boottime_ns div 1000"
_CLAIMED = _BEGIN.format(column="at_claimed")
_SPANS = f"select epoch, min(seq) as low, max(seq) as high{_OF_BOOT} group by epoch"
_FIRST_SET = (
    f"select boottime_ns div 1000 as boot_us, at_claimed{_OF_BOOT} and clock = 'synced' and at_claimed >= :first"
    f" and at_claimed <= timestampadd(microsecond, {AHEAD_US}, received_at)"
    " order by boottime_ns div 1000, epoch, seq limit 1"
)
_FACTS = (
    "select epoch, min(seq) as first_seq, max(seq) as last_seq, min(boottime_ns) div 1000 as first_us,"
    f" max(boottime_ns) div 1000 as last_us, min({_CLAIMED}) as lowest_us, max({_CLAIMED}) as highest_us,"
    f" min({_BEGIN.format(column='received_at')}) as received_us{_OF_BOOT} group by epoch order by epoch"
)
_LAST_CLAIM = (
    f"select {_CLAIMED} as claimed_us{_OF_BOOT} order by boottime_ns div 1000 desc, epoch desc, seq desc limit 1"
)


def rewrite(connection: Connection, verdicts: Iterable[Verdict], zone: ZoneInfo) -> None:
    """Date the new events of these verdicts and whatever they tell about others; mark what depends on it as dirty.

    To be called in the transaction that inserts the events, after that. The outcome does not depend on the order in
    which events arrive, and running it again changes nothing.
    """
    arrived = _arrived(verdicts)
    if not arrived:
        return
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
            _Unit(connection, unit_id, clocks, rows, boots, zone).date(telling)


@dataclass(slots=True)
class _Arrived:
    """The new events of one boot."""

    now: datetime
    doubtful: bool = False
    """One of them does not know the time, or tells it."""
    rows: list[EventRow] = field(default_factory=list)

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


_Spans = dict[str, list[tuple[int, int]]]
"""By epoch, from one seq to another."""


class _Unit:
    """Dates what belongs to one unit, in one transaction."""

    def __init__(
        self,
        connection: Connection,
        unit_id: str,
        clocks: Mapping[Boot, Row[Any]],
        undated: Iterable[Row[Any]],
        arrived: Mapping[str, _Arrived],
        zone: ZoneInfo,
    ) -> None:
        self._connection = connection
        self._unit_id = unit_id
        self._clocks = clocks
        self._undated = {(row.boot_id, row.epoch): row for row in undated}
        self._arrived = arrived
        self._now = max(one.now for one in arrived.values())
        self._moved = Moved(zone)
        self._touched: _Spans = defaultdict(list)

    def date(self, telling: Mapping[str, _Arrived]) -> None:
        """Date these boots, then the undated ones for which something has changed around them."""
        for one in self._arrived.values():
            for epoch, span in one.spans().items():
                self._touched[epoch].append(span)
        new = {boot_id for boot_id in sorted(telling) if not self._date_by_what_is_known(boot_id, telling[boot_id])}
        concerned = self._concerned(new)
        if concerned:
            self._estimate(concerned)
        self._moved.mark(self._connection)

    # ---- boots of which something is known ---------------------------------------------------------------------------

    def _date_by_what_is_known(self, boot_id: str, one: _Arrived) -> bool:
        anchors = self._anchors(boot_id)
        known = [*anchors.values()] or self._first_set(boot_id)
        if not known:
            return False
        timeline, clock = Timeline(known), self._clocks.get((self._unit_id, boot_id))
        first_ns = min(known).boot_us * 1000
        settled = clock is not None and bool(clock.anchors) == bool(anchors)
        if settled and not anchors:
            settled = clock is not None and clock.first_ns == first_ns
        if settled:
            news = {(row.epoch, row.event.seq) for row in one.rows}
            older = [told for place, told in anchors.items() if place not in news]
            changed = timeline.changed_since(Timeline(older)) if older else timeline.segments if anchors else []
            self._date_news(boot_id, one, timeline, changed, anchored=bool(anchors))
        else:
            self._date_all(boot_id, timeline, anchored=bool(anchors))
        self._keep_clock(boot_id, timeline, len(anchors), first_ns)
        return True

    def _date_all(self, boot_id: str, timeline: Timeline, *, anchored: bool) -> None:
        place = Place(self._unit_id, boot_id)
        for segment in timeline.segments:
            apply(self._connection, by_anchor(place, segment, anchored=anchored), self._moved, self._now)
        self._touch(boot_id)
        gone = [key for key in self._undated if key[0] == boot_id]
        if gone:
            mine = (undated_boots.c.unit_id == self._unit_id, undated_boots.c.boot_id == boot_id)
            self._connection.execute(delete(undated_boots).where(*mine))
            for key in gone:
                del self._undated[key]

    def _date_news(
        self, boot_id: str, one: _Arrived, timeline: Timeline, changed: Collection[Segment], *, anchored: bool
    ) -> None:
        """Date the stretches that new anchors changed, and the new events themselves."""
        touched = False
        for segment in changed:
            change = by_anchor(Place(self._unit_id, boot_id), segment, anchored=anchored)
            touched |= apply(self._connection, change, self._moved, self._now)
        if touched:
            self._touch(boot_id)
        clocks = [row.event.boottime_ns // 1000 for row in one.rows]
        first, last = min(clocks), max(clocks)
        for segment in timeline.segments:
            if segment in changed or not _overlap(segment.from_us, segment.until_us, first, last):
                continue
            for epoch, (low, high) in one.spans().items():
                place = Place(self._unit_id, boot_id, (epoch, low, high))
                apply(self._connection, by_anchor(place, segment, anchored=anchored), self._moved, self._now)

    def _touch(self, boot_id: str) -> None:
        """Note where this boot's events stand: what they tell about undated boots beside them has changed."""
        if not self._undated:
            return
        for row in self._connection.execute(text(_SPANS).bindparams(*self._of(boot_id))):
            self._touched[row.epoch].append((row.low, row.high))

    def _anchors(self, boot_id: str) -> dict[tuple[str, int], Known]:
        """Return what the anchors of a boot say, by epoch and seq."""
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

    def _first_set(self, boot_id: str) -> list[Known]:
        """Return the first event of a boot whose clock was set and said something credible."""
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

    # ---- boots of which nothing is known -----------------------------------------------------------------------------

    def _concerned(self, new: Collection[str]) -> set[str]:
        """Return the undated boots whose bounds may be others now: new ones, and all that share a gap with these."""
        found: set[str] = set()
        reached: _Spans = defaultdict(list, {epoch: [*spans] for epoch, spans in self._touched.items()})
        more = {*new, *self._beside(found, reached)}
        while more:
            found |= more
            # A boot in two streams brings together what lies beside it in both.
            for row in self._undated.values():
                if row.boot_id in more:
                    reached[row.epoch].append((row.first_seq, row.last_seq))
            more = self._beside(found, reached)
        return found

    def _beside(self, found: Collection[str], reached: _Spans) -> set[str]:
        return {
            row.boot_id
            for row in self._undated.values()
            if row.boot_id not in found and any(_in_gap(row, *span) for span in reached[row.epoch])
        }

    def _estimate(self, boot_ids: Collection[str]) -> None:
        added_at = self._connection.execute(select(units.c.added_at).where(units.c.id == self._unit_id)).scalar_one()
        # Their new events are not certain, although they do not say so yet.
        unsure = {*boot_ids, *(boot_id for boot_id, _ in self._undated)}
        boots = [self._facts(boot_id, unsure) for boot_id in sorted(boot_ids)]
        for boot_id, guess in sorted(estimate(boots, micros(added_at)).items()):
            apply(self._connection, by_estimate(Place(self._unit_id, boot_id), guess), self._moved, self._now)
        _keep_undated(self._connection, self._unit_id, boots)

    def _facts(self, boot_id: str, unsure: Collection[str]) -> UndatedBoot:
        rows = self._connection.execute(text(_FACTS).bindparams(*self._of(boot_id))).all()
        claimed_us = self._connection.execute(text(_LAST_CLAIM).bindparams(*self._of(boot_id))).scalar_one()
        return UndatedBoot(
            boot_id=boot_id,
            stretches=tuple(self._stretch(row.epoch, row.first_seq, row.last_seq, unsure) for row in rows),
            first_us=min(row.first_us for row in rows),
            last_us=max(row.last_us for row in rows),
            claimed_us=claimed_us,
            steady=max(row.highest_us for row in rows) - min(row.lowest_us for row in rows) <= TOLERANCE_US,
            received_us=min(row.received_us for row in rows),
        )

    def _stretch(self, epoch: str, first_seq: int, last_seq: int, unsure: Collection[str]) -> Stretch:
        certain = (
            select(events.c.seq, events.c.at_corrected, events.c.boottime_ns)
            .where(
                events.c.unit_id == self._unit_id,
                events.c.epoch == epoch,
                events.c.time_basis != "estimated",
                events.c.boot_id.not_in(sorted(unsure)),
            )
            .limit(1)
        )
        below = certain.where(events.c.seq < first_seq).order_by(events.c.seq.desc())
        above = certain.where(events.c.seq > last_seq).order_by(events.c.seq)
        before, after = (self._connection.execute(query).one_or_none() for query in (below, above))
        return Stretch(
            epoch,
            first_seq,
            last_seq,
            None if before is None else (before.seq, micros(before.at_corrected)),
            None if after is None else (after.seq, micros(after.at_corrected) - after.boottime_ns // 1000),
        )


def _in_gap(row: Row[Any], first_seq: int, last_seq: int) -> bool:
    """Tell whether any of these seqs lies where it would tell something about an undated boot."""
    return (row.before_seq or 0) <= last_seq and first_seq <= (_END if row.after_seq is None else row.after_seq)


def _overlap(from_us: int | None, until_us: int | None, first_us: int, last_us: int) -> bool:
    return (from_us is None or from_us <= last_us) and (until_us is None or first_us < until_us)


def _keep_clock(connection: Connection, unit_id: str, boot_id: str, told: Mapping[str, int]) -> None:
    statement = insert(boot_clocks).values(unit_id=unit_id, boot_id=boot_id, **told)
    connection.execute(statement.on_duplicate_key_update({name: statement.inserted[name] for name in told}))


def _keep_undated(connection: Connection, unit_id: str, boots: Iterable[UndatedBoot]) -> None:
    rows = [
        {
            "unit_id": unit_id,
            "boot_id": boot.boot_id,
            "epoch": one.epoch,
            "first_seq": one.first_seq,
            "last_seq": one.last_seq,
            "before_seq": None if one.before is None else one.before[0],
            "after_seq": None if one.after is None else one.after[0],
        }
        for boot in boots
        for one in boot.stretches
    ]
    statement = insert(undated_boots)
    names = ("first_seq", "last_seq", "before_seq", "after_seq")
    connection.execute(statement.on_duplicate_key_update({name: statement.inserted[name] for name in names}), rows)
