"""Boots of which no moment is known, in MySQL: what their events say of time, summed up, and the estimate they have.

A unit without a time server writes events for weeks into one such boot. So what arrives is added to what is summed up
already, and the estimate is written down here only: an event's date is its boot's and the distance from there.
`undated_telling` tells the register when an estimate has changed.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select, text
from sqlalchemy.dialects.mysql import insert

from hub.adapters.column_types import UuidColumn
from hub.adapters.event_dates import Moved, Place, call_estimated
from hub.adapters.schema import events, undated_boots, units
from hub.adapters.undated_telling import depending, forget_told
from hub.core.batches import EventRow
from hub.core.dating import micros, moment
from hub.core.dating_bounds import Estimate, estimate
from hub.core.dating_facts import Facts, boot_of

Spans = Mapping[str, tuple[int, int]]
"""By epoch, from one seq to another."""

_OF_BOOT = " from events where unit_id = :unit_id and boot_id = :boot_id"
_BEGIN = "timestampdiff(microsecond, cast('1970-01-01' as datetime(6)), {column}) - boottime_ns div 1000"
_CLAIMED = _BEGIN.format(column="at_claimed")
_FACTS = (
    "select epoch, min(seq) as first_seq, max(seq) as last_seq, min(boottime_ns) div 1000 as first_us,"
    f" max(boottime_ns) div 1000 as last_us, min({_CLAIMED}) as lowest_us, max({_CLAIMED}) as highest_us,"
    f" min({_BEGIN.format(column='received_at')}) as received_us{_OF_BOOT} group by epoch order by epoch"
)
_LAST_CLAIM = (
    f"select seq as claimed_seq, {_CLAIMED} as claimed_us{_OF_BOOT} and epoch = :epoch"
    " and boottime_ns >= :last_ns order by boottime_ns div 1000 desc, seq desc limit 1"
)
_DAY = timedelta(days=1)
_COLUMNS = tuple(Facts.__dataclass_fields__)
_OF_OLDER = ("first_seq", "last_seq", "before_seq", "after_seq", "widest_earliest_us", "widest_latest_us")


class UndatedBoots:
    """The undated boots of one unit, in one transaction that no other one about this unit runs beside."""

    def __init__(self, connection: Connection, unit_id: str, rows: Iterable[Row[Any]]) -> None:
        self._connection = connection
        self._unit_id = unit_id
        self._facts: dict[str, dict[str, Facts]] = defaultdict(dict)
        for row in rows:
            told = {name: getattr(row, name) for name in _COLUMNS}
            if row.first_us is None or row.seqs != row.last_seq - row.first_seq + 1:
                # Of an older program: it wrote the row, or has changed it since.
                told = {name: told[name] for name in _OF_OLDER}
            self._facts[row.boot_id][row.epoch] = Facts(**told)
        self._before = {boot_id: dict(facts) for boot_id, facts in self._facts.items()}
        self._certain: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self._news: dict[str, Spans] = {}
        self._rows: dict[str, Sequence[EventRow]] = {}
        self._whole: set[str] = set()
        """Whose older events are read in this transaction."""

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self._facts)

    def summed_up(self, boot_id: str) -> bool:
        """Tell whether everything about a boot is written down: then none of its events knows the time."""
        return boot_id in self._facts and all(one.first_us is not None for one in self._facts[boot_id].values())

    def unread(self) -> list[str]:
        """Return the boots of which an older program has written down that there are such, and no more."""
        return [boot_id for boot_id in sorted(self._facts) if not self.summed_up(boot_id)]

    def forget(self, boot_id: str, moved: Moved) -> None:
        """Leave a boot out of which something is known now; note whose register what was estimated has decided."""
        facts = self._facts.pop(boot_id, None)
        if facts is None:
            return
        place = Place(self._unit_id, boot_id)
        widest = _widest(facts.values())
        if widest is not None:
            moved.days |= depending(self._connection, place, widest, None, moved.zone)
        mine = (undated_boots.c.unit_id == self._unit_id, undated_boots.c.boot_id == boot_id)
        self._connection.execute(delete(undated_boots).where(*mine))
        forget_told(self._connection, place)

    def is_certain(self, spans: Iterable[tuple[str, tuple[int, int]]]) -> None:
        """Note where, by epoch and seqs, something stands or stood whose date is certain and that is new."""
        for epoch, span in spans:
            self._certain[epoch].append(span)

    def add(self, boot_id: str, rows: Sequence[EventRow], received: Sequence[datetime], spans: Spans) -> None:
        """Note new events of a boot of which nothing is known, each with when it was received."""
        self._news[boot_id], self._rows[boot_id] = spans, rows
        if not self.summed_up(boot_id):
            # Older events may be on record, which an older program took.
            self._read_all(boot_id)
            return
        by_epoch: dict[str, list[tuple[EventRow, datetime]]] = defaultdict(list)
        for row, received_at in zip(rows, received, strict=True):
            by_epoch[row.epoch].append((row, received_at))
        facts = self._facts[boot_id]
        for epoch, news in by_epoch.items():
            facts[epoch] = facts.get(epoch, Facts(0, 0)).with_news(news)

    def estimate(self, moved: Moved) -> None:
        """Estimate the boots for which something has changed; note whose register new events may decide."""
        concerned = self._concerned()
        if not concerned:
            return
        for boot_id in sorted(concerned):
            if not self.summed_up(boot_id):
                self._read_all(boot_id)
        stretches = [
            (epoch, one.first_seq, boot_id) for boot_id in concerned for epoch, one in self._facts[boot_id].items()
        ]
        for epoch, _, boot_id in sorted(stretches):
            self._facts[boot_id][epoch] = self._with_neighbours(boot_id, epoch, self._facts[boot_id][epoch])
        boots = [boot_of(boot_id, self._facts[boot_id]) for boot_id in sorted(concerned)]
        added_at = self._connection.execute(select(units.c.added_at).where(units.c.id == self._unit_id)).scalar_one()
        for boot_id, guess in sorted(estimate(boots, micros(added_at)).items()):
            self._date(boot_id, guess, moved, micros(added_at))
        self._keep(concerned)

    def _date(self, boot_id: str, guess: Estimate, moved: Moved, added_us: int) -> None:
        facts = self._facts[boot_id]
        spans = None if boot_id in self._whole else self._news.get(boot_id, {})
        if spans != {} and call_estimated(self._connection, Place(self._unit_id, boot_id, spans)):
            for row in self._rows.get(boot_id, ()):
                if row.student_id is not None:
                    boot_us = row.event.boottime_ns // 1000
                    bounds = moment(guess.earliest_us + boot_us), moment(guess.latest_us + boot_us)
                    moved.add_bounds(row.student_id, bounds)
                    moved.add(row.student_id, bounds if bounds[1] - bounds[0] < _DAY else ())
        before = _widest(self._before.get(boot_id, {}).values())
        if before is None and boot_id in self._whole:
            # An older program may have taken it for anything that was possible at all.
            before = added_us - max(one.last_us for one in facts.values()), guess.latest_us
        told = [*(before or ()), guess.earliest_us, guess.latest_us]
        self._facts[boot_id] = {epoch: one.guessed(guess, (min(told), max(told))) for epoch, one in facts.items()}

    # ---- which ones ------------------------------------------------------------------------------------------------

    def _concerned(self) -> set[str]:
        """Return the boots whose bounds may be others now: those with news, and all that share a gap with these.

        And those of which only an older program knew.
        """
        found: set[str] = set()
        reached = defaultdict(list, {epoch: [*spans] for epoch, spans in self._certain.items()})
        for spans in self._news.values():
            for epoch, span in spans.items():
                reached[epoch].append(span)
        more = {*self._news, *self.unread(), *self._beside(found, reached)}
        while more:
            found |= more
            # A boot in two streams brings together what lies beside it in both.
            for boot_id in more:
                for epoch, one in self._facts[boot_id].items():
                    reached[epoch].append((one.first_seq, one.last_seq))
            more = self._beside(found, reached)
        return found

    def _beside(self, found: Collection[str], reached: Mapping[str, Sequence[tuple[int, int]]]) -> set[str]:
        return {
            boot_id
            for boot_id, facts in self._facts.items()
            if boot_id not in found
            and any(one.beside(*span) for epoch, one in facts.items() for span in reached.get(epoch, ()))
        }

    # ---- what is known of them -------------------------------------------------------------------------------------

    def _read_all(self, boot_id: str) -> None:
        self._facts[boot_id] = self._read(boot_id)
        self._whole.add(boot_id)

    def _read(self, boot_id: str) -> dict[str, Facts]:
        """Sum up all events of a boot that are on record."""
        mine = (
            bindparam("unit_id", self._unit_id, type_=UuidColumn),
            bindparam("boot_id", boot_id, type_=UuidColumn),
        )
        found = {}
        for row in self._connection.execute(text(_FACTS).bindparams(*mine)).all():
            last = text(_LAST_CLAIM).bindparams(*mine, epoch=row.epoch, last_ns=int(row.last_us) * 1000)
            claim = self._connection.execute(last).one()
            told = {name: int(value) for name, value in {**row._mapping, **claim._mapping}.items() if name != "epoch"}
            found[str(row.epoch)] = Facts(**told)
        return found

    def _with_neighbours(self, boot_id: str, epoch: str, one: Facts) -> Facts:
        """Return the same with the nearest certain events around it, looked for only where they may be others."""
        written = self._before.get(boot_id, {}).get(epoch)
        known = written is not None and written.first_us is not None and one.within()
        if known and not any(one.beside(*span) for span in self._certain.get(epoch, ())):
            return one
        certain = (
            select(events.c.seq, events.c.at_corrected, events.c.boottime_ns)
            .where(
                events.c.unit_id == self._unit_id,
                events.c.epoch == epoch,
                events.c.time_basis != "estimated",
                # The new events of these are not certain, although they do not say so yet.
                events.c.boot_id.not_in(sorted(self._facts)),
            )
            .limit(1)
        )
        below = certain.where(events.c.seq < one.first_seq).order_by(events.c.seq.desc())
        above = certain.where(events.c.seq > one.last_seq).order_by(events.c.seq)
        other = self._previous(epoch, one)
        if other is not None:
            # Below its beginning the nearest certain event is its own: a long stream without any is not searched again.
            below = below.where(events.c.seq > other.first_seq)
        lower, upper = (self._connection.execute(query).one_or_none() for query in (below, above))
        if lower is not None:
            one = replace(one, before_seq=lower.seq, before_us=micros(lower.at_corrected))
        elif other is not None:
            one = replace(one, before_seq=other.before_seq, before_us=other.before_us)
        else:
            one = replace(one, before_seq=None, before_us=None)
        return replace(
            one,
            after_seq=None if upper is None else upper.seq,
            after_us=None if upper is None else micros(upper.at_corrected) - upper.boottime_ns // 1000,
        )

    def _previous(self, epoch: str, one: Facts) -> Facts | None:
        """Return the undated stretch before another one; what it says of its neighbours is right by then."""
        earlier = [
            facts[epoch]
            for facts in self._facts.values()
            if epoch in facts and facts[epoch].first_us is not None and facts[epoch].first_seq < one.first_seq
        ]
        return max(earlier, key=lambda facts: facts.first_seq, default=None)

    def _keep(self, boot_ids: Collection[str]) -> None:
        rows = [
            {
                "unit_id": self._unit_id,
                "boot_id": boot_id,
                "epoch": epoch,
                "seqs": one.last_seq - one.first_seq + 1,
                **asdict(one),
            }
            for boot_id in sorted(boot_ids)
            for epoch, one in sorted(self._facts[boot_id].items())
            if self._before.get(boot_id, {}).get(epoch) != one
        ]
        if rows:
            keep(self._connection, rows)


def _widest(facts: Iterable[Facts]) -> tuple[int, int] | None:
    told = [bound for one in facts for bound in one.widest or ()]
    return (min(told), max(told)) if told else None


def keep(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write what is known of undated boots, by the table's columns."""
    statement = insert(undated_boots)
    changed = {name: statement.inserted[name] for name in (*_COLUMNS, "seqs")}
    connection.execute(statement.on_duplicate_key_update(changed), rows)
