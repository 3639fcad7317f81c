"""Gives events on record other dates, and marks what of the register depends on them, before and after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, bindparam, text
from sqlalchemy.sql.elements import TextClause

from hub.adapters.attendance_store import Watched, covered, mark_pairs
from hub.adapters.column_types import UtcColumn, UuidColumn
from hub.core.dating import AHEAD_US, FIRST_US, Segment, moment, watched_since
from hub.core.dating_bounds import Estimate
from protocol.events import Coverage

_BOOT = "(boottime_ns div 1000)"
_ZERO = "cast('1970-01-01' as datetime(6))"
# As `hub.core.dating.Segment.at_us`. A unit may say any number, so the product is no integer of 64 bits.
_BY_ANCHOR = (
    f"timestampadd(microsecond, :begin + {_BOOT}"
    f" + (cast({_BOOT} - :base as decimal(40)) * :slope) div 1000000000, {_ZERO})"
)
# As `hub.core.dating_stream.Reading.set_right`, and then the tolerance.
_KEEPS = (
    "(clock = 'synced' and at_claimed >= :first_possible"
    f" and at_claimed <= timestampadd(microsecond, {AHEAD_US}, received_at)"
    f" and (:anchored = 0 or abs(timestampdiff(microsecond, at_claimed, {_BY_ANCHOR})) <= :tolerance))"
)
# On one day in UTC each, before and after: its first and its last moment name every local day of those between.
_CONCERNED = (
    "select student_id, kind = 'coverage' as covers, min(at_corrected) as old_first, max(at_corrected) as old_last,"
    " min(new_at) as new_first, max(new_at) as new_last"
    " from (select student_id, kind, at_corrected, {at} as new_at from events where {scope}) as moved"
    " group by student_id, kind = 'coverage', date(at_corrected), date(new_at)"
)
_COVERAGE = "select body, at_corrected, {at} as new_at from events where {scope} and kind = 'coverage'"
_CHANGE = (
    "update events set at_corrected = {at}, time_basis = {basis}, at_earliest = {earliest}, at_latest = {latest}"
    " where {scope}"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Whose events are dated: those of a unit's boot, all or some."""

    unit_id: str
    boot_id: str
    seqs: tuple[str, int, int] | None = None
    """Only from one seq to another, both included, of an epoch."""


@dataclass(frozen=True, slots=True)
class Change:
    """New dates as SQL expressions, for the events of a place that also fulfil `where`."""

    place: Place
    at: str
    basis: str
    parameters: Mapping[str, Any]
    earliest: str = "null"
    latest: str = "null"
    where: str = ""

    @property
    def scope(self) -> str:
        """Return the condition for the events that get another date by this."""
        seqs = "" if self.place.seqs is None else " and epoch = :epoch and seq between :first_seq and :last_seq"
        same = (
            f"at_corrected <=> {self.at} and time_basis <=> {self.basis}"
            f" and at_earliest <=> {self.earliest} and at_latest <=> {self.latest}"
        )
        return f"unit_id = :unit_id and boot_id = :boot_id{seqs}{self.where} and not ({same})"

    def bound(self, query: str) -> TextClause:
        """Return a query with every parameter that it names."""
        place = self.place
        values: dict[str, Any] = {**self.parameters}
        if place.seqs is not None:
            values |= dict(zip(("epoch", "first_seq", "last_seq"), place.seqs, strict=True))
        clause = text(query).bindparams(
            bindparam("unit_id", place.unit_id, type_=UuidColumn), bindparam("boot_id", place.boot_id, type_=UuidColumn)
        )
        named = {name: value for name, value in values.items() if f":{name}" in query}
        return clause.bindparams(*(bindparam(name, value, type_=_type(value)) for name, value in named.items()))


def _type(value: object) -> Any:
    return UtcColumn if isinstance(value, datetime) else None


def by_anchor(place: Place, segment: Segment, *, anchored: bool) -> Change:
    """Return the dates of the events in one stretch of a boot of which something is known."""
    where, parameters = (
        "",
        {
            "begin": segment.begin_us,
            "base": segment.base_us,
            "slope": segment.slope_ppb,
            "tolerance": segment.tolerance_us,
            "anchored": int(anchored),
            "first_possible": moment(FIRST_US),
        },
    )
    if segment.from_us is not None:
        where += " and boottime_ns >= :from_ns"
        parameters["from_ns"] = segment.from_us * 1000
    if segment.until_us is not None:
        where += " and boottime_ns < :until_ns"
        parameters["until_ns"] = segment.until_us * 1000
    return Change(
        place,
        at=f"if({_KEEPS}, at_claimed, {_BY_ANCHOR})",
        basis=f"if({_KEEPS}, 'claimed', 'anchor')",
        parameters=parameters,
        where=where,
    )


def by_estimate(place: Place, guess: Estimate) -> Change:
    """Return the dates of the events of a boot of which nothing is known."""
    parameters = {"earliest": guess.earliest_us, "latest": guess.latest_us}
    at = "at_claimed"
    if guess.begin_us is not None:
        at, parameters["begin"] = f"timestampadd(microsecond, :begin + {_BOOT}, {_ZERO})", guess.begin_us
    return Change(
        place,
        at=at,
        basis="'estimated'",
        parameters=parameters,
        earliest=f"timestampadd(microsecond, :earliest + {_BOOT}, {_ZERO})",
        latest=f"timestampadd(microsecond, :latest + {_BOOT}, {_ZERO})",
    )


@dataclass(slots=True)
class Moved:
    """What depends on the dates that were changed: whose register of which days, and what was watched when."""

    zone: ZoneInfo
    days: set[tuple[str, date]] = field(default_factory=set)
    watched: list[Watched] = field(default_factory=list)

    def mark(self, connection: Connection) -> None:
        """Ask for all of it to be derived again."""
        mark_pairs(connection, self.days | covered(connection, self.watched, self.zone))

    def add(self, student_id: str, moments: Sequence[datetime]) -> None:
        """Note a student; these moments lie on one day in UTC, hence on the days of the first and the last here."""
        for one in moments:
            self.days.add((student_id, one.astimezone(self.zone).date()))


def apply(connection: Connection, change: Change, moved: Moved, now: datetime) -> bool:
    """Change dates, note in `moved` what depends on them, return whether anything was changed at all."""
    grouped = connection.execute(
        change.bound(_CONCERNED.format(at=change.at, scope=change.scope)).columns(
            student_id=UuidColumn, old_first=UtcColumn, old_last=UtcColumn, new_first=UtcColumn, new_last=UtcColumn
        )
    ).all()
    if not grouped:
        return False
    for row in grouped:
        if row.student_id is not None:
            moved.add(row.student_id, (row.old_first, row.old_last, row.new_first, row.new_last))
    if any(row.covers for row in grouped):
        moved.watched += _watched(connection, change, now)
    new = {"at": change.at, "basis": change.basis, "earliest": change.earliest, "latest": change.latest}
    connection.execute(change.bound(_CHANGE.format(**new, scope=change.scope)))
    return True


def _watched(connection: Connection, change: Change, now: datetime) -> list[Watched]:
    query = change.bound(_COVERAGE.format(at=change.at, scope=change.scope))
    rows = connection.execute(query.columns(at_corrected=UtcColumn, new_at=UtcColumn))
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
