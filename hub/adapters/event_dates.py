"""Gives events on record other dates, and marks what of the register depends on them, before and after.

Those of a boot of which nothing is known are only called estimated: their dates are those of their boot, in
`undated_boots`, so that what is told about it later touches none of them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, text
from sqlalchemy.sql.elements import TextClause

from hub.adapters.attendance_store import Watched, attended_within, covered
from hub.adapters.column_types import UtcColumn, UuidColumn
from hub.adapters.schema import events, undated_boots
from hub.adapters.sql_literals import word_text
from hub.core.dating import AHEAD_US, FIRST_US, Segment, moment, watched_since
from protocol.events import Coverage

BOOT_US: ColumnElement[int] = events.c.boottime_ns.op("div")(1000)
"""The boot's clock of an event."""
ESTIMATE = (undated_boots.c.earliest_us, undated_boots.c.latest_us, undated_boots.c.begin_us)
"""To be read with each event whose `time_basis` is `estimated`, where `of_undated_boot`: `when` needs them."""

_BOOT = "(boottime_ns div 1000)"
_ZERO = "cast('1970-01-01' as datetime(6))"
# As `hub.core.dating.Segment.at_us`. A unit may say any number, so the product is no integer of 64 bits.
_BY_ANCHOR = (
    f"timestampadd(microsecond, segment.begin_us + {_BOOT}"
    f" + (cast({_BOOT} - segment.base_us as decimal(40)) * segment.slope_ppb) div 1000000000, {_ZERO})"
)
# As `hub.core.dating_stream.Reading.set_right`, and then the tolerance.
_KEEPS = (
    "(clock = 'synced' and at_claimed >= :first_possible"
    f" and at_claimed <= timestampadd(microsecond, {AHEAD_US}, received_at)"
    f" and (:anchored = 0 or abs(timestampdiff(microsecond, at_claimed, {_BY_ANCHOR})) <= segment.tolerance_us))"
)
# On one day in UTC each, before and after: its first and its last moment name every local day of those between.
_CONCERNED = (
    "select student_id, kind = 'coverage' as covers, kind = 'review' as reviews,"
    " min(at_corrected) as old_first, max(at_corrected) as old_last,"
    " min(new_at) as new_first, max(new_at) as new_last, min(at_earliest) as old_earliest,"
    " max(at_latest) as old_latest from (select student_id, kind, at_corrected, at_earliest, at_latest,"
    " {at} as new_at from {source} where {scope}) as moved"
    " group by student_id, kind = 'coverage', kind = 'review', date(at_corrected), date(new_at)"
)
_MOMENTS = ("old_first", "old_last", "new_first", "new_last", "old_earliest", "old_latest")
_COVERAGE = "select body, at_corrected, {at} as new_at from {source} where {scope} and kind = 'coverage'"
_REVIEWS = (
    "select body, at_corrected, at_earliest, at_latest, {at} as new_at from {source} where {scope} and kind = 'review'"
)
_CHANGE = (
    "update {source} set at_corrected = {at}, time_basis = {basis}, at_earliest = null, at_latest = null where {scope}"
)
_NO_END = 2**62


@dataclass(frozen=True, slots=True)
class Place:
    """Whose events are dated: those of a unit's boot, all or some."""

    unit_id: str
    boot_id: str
    spans: Mapping[str, tuple[int, int]] | None = None
    """Only from one seq to another, both included, by epoch."""


@dataclass(frozen=True, slots=True)
class Change:
    """New dates as SQL expressions, for the events of a place that also fulfil `where`."""

    place: Place
    at: str
    basis: str
    parameters: Mapping[str, Any]
    where: str = ""
    source: str = "events"

    def bound(self, query: str) -> TextClause:
        """Return a query for the events that get another date by this, with every parameter that it names."""
        said = query.format(at=self.at, basis=self.basis, source=self.source, scope=self._scope())
        clause = text(said).bindparams(
            bindparam("unit_id", self.place.unit_id, type_=UuidColumn),
            bindparam("boot_id", self.place.boot_id, type_=UuidColumn),
        )
        named = {name: value for name, value in self.parameters.items() if f":{name}" in said}
        return clause.bindparams(*(bindparam(name, value, type_=_type(value)) for name, value in named.items()))

    def _scope(self) -> str:
        spans = ""
        if self.place.spans is not None:
            several = (
                f"(epoch = {word_text(epoch)} and seq between {first:d} and {last:d})"
                for epoch, (first, last) in sorted(self.place.spans.items())
            )
            spans = f" and ({' or '.join(several)})"
        same = (
            f"at_corrected <=> {self.at} and time_basis <=> {self.basis} and at_earliest is null and at_latest is null"
        )
        return f"unit_id = :unit_id and boot_id = :boot_id{spans}{self.where} and not ({same})"


def _type(value: object) -> Any:
    return UtcColumn if isinstance(value, datetime) else None


def by_anchor(place: Place, segments: Iterable[Segment], *, anchored: bool) -> Change:
    """Return the dates of the events in some stretches of a boot of which something is known, at least one."""
    ordered = sorted((_reach(one), one) for one in segments)
    bounds: list[int] = []
    rows = []
    for (from_ns, until_ns), one in ordered:
        if not bounds or bounds[-1] != from_ns:
            bounds.append(from_ns)
        # Its number is how many bounds lie at or below its events.
        rows.append(
            f"select {len(bounds):d} as number, {one.begin_us:d} as begin_us, {one.base_us:d} as base_us,"
            f" {one.slope_ppb:d} as slope_ppb, {one.tolerance_us:d} as tolerance_us"
        )
        bounds.append(until_ns)
    told = " union all ".join(rows)
    number = f"interval(boottime_ns, {', '.join(format(bound, 'd') for bound in bounds)})"
    return Change(
        place,
        at=f"if({_KEEPS}, at_claimed, {_BY_ANCHOR})",
        basis=f"if({_KEEPS}, 'claimed', 'anchor')",
        parameters={"anchored": int(anchored), "first_possible": moment(FIRST_US)},
        where=f" and boottime_ns >= {bounds[0]:d} and boottime_ns < {bounds[-1]:d}",
        source=f"events straight_join ({told}) as segment on segment.number = {number}",
    )


def _reach(segment: Segment) -> tuple[int, int]:
    from_ns = -_NO_END if segment.from_us is None else segment.from_us * 1000
    return from_ns, _NO_END if segment.until_us is None else segment.until_us * 1000


def of_undated_boot() -> ColumnElement[bool]:
    """Return the condition for what is known of the boot of an event of which nothing is known."""
    names = ("unit_id", "boot_id", "epoch")
    return and_(*(events.c[name] == undated_boots.c[name] for name in names))


def when(row: Row[*tuple[Any, ...]]) -> tuple[datetime, tuple[datetime, datetime] | None]:
    """Return when an event was; and if nobody knows, between which moments. `row`: `events` and ESTIMATE."""
    if row.time_basis != "estimated":
        return row.at_corrected, None
    if row.earliest_us is None or row.latest_us is None:
        # Only an older program has estimated it.
        return row.at_corrected, (row.at_earliest or row.at_corrected, row.at_latest or row.at_corrected)
    boot_us = row.boottime_ns // 1000
    at = row.at_claimed if row.begin_us is None else moment(row.begin_us + boot_us)
    return at, (moment(row.earliest_us + boot_us), moment(row.latest_us + boot_us))


def call_estimated(connection: Connection, place: Place) -> bool:
    """Call events estimated that were not so far; tell whether there were any."""
    change = Change(place, at="at_claimed", basis="'estimated'", parameters={})
    return connection.execute(change.bound(_CHANGE)).rowcount > 0


@dataclass(slots=True)
class Moved:
    """What depends on the dates that were changed: whose register of which days, and what was watched when."""

    zone: ZoneInfo
    days: set[tuple[str, date]] = field(default_factory=set)
    bounds: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)
    """Between which moments a student may have been seen, before or now."""
    watched: list[Watched] = field(default_factory=list)

    def pairs(self, connection: Connection) -> set[tuple[str, date]]:
        """Return whose register of which days is to be derived again for it."""
        within = attended_within(connection, self.bounds, self.zone)
        return self.days | within | covered(connection, self.watched, self.zone)

    def add(self, student_id: str, moments: Sequence[datetime]) -> None:
        """Note a student; these moments lie on one day in UTC, hence on the days of the first and the last here."""
        for one in moments:
            self.days.add((student_id, one.astimezone(self.zone).date()))

    def add_bounds(self, student_id: str, moments: Iterable[datetime | None]) -> None:
        """Note between which moments a student may have been seen; of a time that is known there are none."""
        told = [one for one in moments if one is not None]
        if told:
            told += self.bounds.get(student_id, ())
            self.bounds[student_id] = min(told), max(told)


def apply(connection: Connection, change: Change, moved: Moved, now: datetime) -> bool:
    """Change dates, note in `moved` what depends on them, return whether anything was changed at all."""
    query = change.bound(_CONCERNED).columns(student_id=UuidColumn, **dict.fromkeys(_MOMENTS, UtcColumn))
    grouped = connection.execute(query).all()
    if not grouped:
        return False
    for row in grouped:
        if row.student_id is not None:
            moved.add(row.student_id, (row.old_first, row.old_last, row.new_first, row.new_last))
            # Of an older program, which wrote beside each event between which moments it was.
            moved.add_bounds(row.student_id, (row.old_earliest, row.old_latest))
    if any(row.covers for row in grouped):
        moved.watched += _watched(connection, change, now)
    if any(row.reviews for row in grouped):
        _note_reviews(connection, change, moved)
    connection.execute(change.bound(_CHANGE))
    return True


def candidates_of(body: str) -> list[str]:
    """Return the students whom a sighting that nobody has decided may show; `body` is that of a `review` event."""
    return [str(one["student_id"]) for one in json.loads(body)["candidates"]]


def _note_reviews(connection: Connection, change: Change, moved: Moved) -> None:
    times = dict.fromkeys(("at_corrected", "at_earliest", "at_latest", "new_at"), UtcColumn)
    for row in connection.execute(change.bound(_REVIEWS).columns(**times)):
        for student_id in candidates_of(row.body):
            moved.add(student_id, (row.at_corrected, row.new_at))
            moved.add_bounds(student_id, (row.at_earliest, row.at_latest))


def _watched(connection: Connection, change: Change, now: datetime) -> list[Watched]:
    rows = connection.execute(change.bound(_COVERAGE).columns(at_corrected=UtcColumn, new_at=UtcColumn))
    spans: dict[tuple[bool, date], tuple[datetime, datetime]] = {}
    for row in rows:
        for new, until in ((False, row.at_corrected), (True, row.new_at)):
            since = _since(row, until)
            first, last = spans.get((new, until.date()), (since, until))
            spans[new, until.date()] = min(first, since), max(last, until)
    return [Watched(change.place.unit_id, since, until, now) for _, (since, until) in sorted(spans.items())]


def _since(row: Row[Any], until: datetime) -> datetime:
    body = Coverage.model_validate_json(row.body)
    return watched_since(body.since, body.at, body.watched_s, until)
