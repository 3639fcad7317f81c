"""Fakes that keep the contracts of `hub.core.ports`: a clock moved by hand, a link, an inbox, a store in memory."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hub.core.errors import StoreUnavailable
from hub.core.ingest import MOVED, Arrival, Batch, Known, OnRecord, Unusable, Verdict, advance, judge
from hub.core.ports import Greeting, Taken
from protocol.base import Envelope
from protocol.codec import decode
from protocol.content import Applied
from protocol.delivery import Audit, AuditAnswer, Hello, RangeDigest, SeqRange, xor64
from protocol.status import Status
from protocol.topics import parse
from tests.hub_core.builders import START


class FakeClock:
    """Stands still until it is moved."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self._monotonic_s = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def move(self, step: timedelta) -> None:
        self._now += step
        self._monotonic_s += step.total_seconds()


class FakeInbox:
    """Gives what was put in, at once."""

    def __init__(self) -> None:
        self.waiting: list[Arrival] = []
        self.no_room_for: list[Arrival] = []

    def take(self, most: int, timeout_s: float) -> list[Arrival]:  # noqa: ARG002 (the port's signature)
        taken, self.waiting = self.waiting[:most], self.waiting[most:]
        return taken

    def turned_away(self) -> list[Arrival]:
        away, self.no_room_for = self.no_room_for, []
        return away


@dataclass
class Sent:
    """A message that was published."""

    topic: str
    payload: bytes
    retain: bool

    @property
    def message(self) -> Envelope:
        return decode(parse(self.topic), self.payload)


@dataclass
class FakeLink:
    """Keeps what is published; refuses while `up` is False."""

    up: bool = True
    connections: int = 1
    sent: list[Sent] = field(default_factory=list)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        if self.up:
            self.sent.append(Sent(topic, payload, retain))
        return self.up

    def take(self) -> list[Sent]:
        taken, self.sent = self.sent, []
        return taken


class MemoryEventStore:
    """Keeps the contract of `EventStore` with the verdicts of the real one, at a cost that does not grow.

    `away` makes it unavailable, `lose_answer` breaks it between the commit and its answer.
    """

    def __init__(self, units: Sequence[str]) -> None:
        self.units = set(units)
        self.events: dict[tuple[str, str, int], OnRecord] = {}
        self.places: dict[str, tuple[str, str, int]] = {}
        """Where an event stands, by its id."""
        self.refused: set[tuple[str, str, int]] = set()
        """Places of events in quarantine that wait for a decision."""
        self.settled: dict[tuple[str, str], set[int]] = defaultdict(set)
        """Every seq of a stream that is on record or was refused."""
        self.high: dict[tuple[str, str], int] = {}
        self.statuses: dict[str, Status] = {}
        self.status_at: dict[str, datetime] = {}
        self.applied: dict[str, Applied] = {}
        self.all_applied: list[Applied] = []
        self.unusable: list[Unusable] = []
        self.greetings: list[str] = []
        self.clone = False
        self.away = False
        self.lose_answer = False
        """Commit, and then break before the answer: nobody knows whether it was committed."""
        self.calls = 0

    def _check(self) -> None:
        self.calls += 1
        if self.away:
            raise StoreUnavailable("no database listens")

    def _known(self, batches: Sequence[Batch]) -> Known:
        """Return what is on record under any id or place of these batches."""
        rows = [row for batch in batches for row in batch.rows]
        places = {row.place for row in rows} | {self.places.get(row.event.event_id) for row in rows}
        return Known(self.events[place] for place in places if place in self.events)

    def take(self, batches: Sequence[Batch]) -> list[Taken]:
        self._check()
        served = [batch for batch in batches if batch.unit_id in self.units]
        known = self._known(served)
        verdicts = {id(batch): judge(batch, known) for batch in served}
        # The marks of one transaction are those at its end, as in the database.
        for verdict in verdicts.values():
            self._commit(verdict)
        taken = [self._taken(batch, verdicts.get(id(batch))) for batch in batches]
        if self.lose_answer:
            raise StoreUnavailable("the connection broke")
        return taken

    def _commit(self, verdict: Verdict) -> None:
        stream = (verdict.batch.unit_id, verdict.batch.epoch)
        for row in verdict.new:
            assert row.place not in self.events, "an event twice"
            assert row.event.event_id not in self.places, "an event at two places"
            self.events[row.place] = OnRecord(row.event.event_id, row.place, row.sha256)
            self.places[row.event.event_id] = row.place
        self.refused -= {(*stream, seq) for seq in [row.event.seq for row in verdict.new] + verdict.duplicate}
        self.refused |= {(one.unit_id, one.epoch, one.seq) for one in verdict.refused if one.code != MOVED}
        self.settled[stream] |= verdict.settled
        self.high[stream] = advance(self.high.get(stream, 0), self.settled[stream])

    def _taken(self, batch: Batch, verdict: Verdict | None) -> Taken:
        if verdict is None:
            return Taken(batch, None)
        return Taken(
            batch,
            verdict.receipt(self.high[batch.unit_id, batch.epoch]),
            conflicts=verdict.conflicts,
            refused=len(verdict.refused) - verdict.moved,
            misplaced=len(verdict.misplaced),
            moved=verdict.moved,
        )

    def audit(self, unit_id: str, audit: Audit) -> AuditAnswer | None:
        self._check()
        if unit_id not in self.units:
            return None
        differing = tuple(
            SeqRange(first=one.first, last=one.last)
            for one in audit.digests
            if one.count and self._digest(unit_id, audit.epoch, one) != (one.count, one.xor64)
        )
        return AuditAnswer(epoch=audit.epoch, audit_id=audit.audit_id, differing=differing)

    def _digest(self, unit_id: str, epoch: str, asked: RangeDigest) -> tuple[int, str]:
        places = [(unit_id, epoch, seq) for seq in range(asked.first, asked.last + 1)]
        held = [self.events[place].sha256 for place in places if place in self.events]
        return len(held), xor64(held)

    def lose(self, places: Iterable[tuple[str, str, int]]) -> None:
        """Lose committed events, as a failover to a replica that lags does; the marks stay."""
        for place in places:
            del self.places[self.events.pop(place).event_id]

    def remembered(self) -> "MemoryEventStore":
        """Return a copy of all that is on record, to go back to: a backup."""
        copy = MemoryEventStore(sorted(self.units))
        copy.events, copy.places, copy.refused = dict(self.events), dict(self.places), set(self.refused)
        copy.settled.update({stream: set(seqs) for stream, seqs in self.settled.items()})
        copy.high, copy.statuses, copy.applied = dict(self.high), dict(self.statuses), dict(self.applied)
        return copy

    def greet(self, unit_id: str, hello: Hello, at: datetime) -> Greeting | None:  # noqa: ARG002
        self._check()
        if unit_id not in self.units:
            return None
        self.greetings.append(unit_id)
        return Greeting(self.high.get((unit_id, hello.epoch), 0), clone_suspected=self.clone)

    def keep_status(self, unit_id: str, status: Status, at: datetime) -> bool:
        self._check()
        if unit_id in self.units:
            self.statuses[unit_id] = status
            self.status_at[unit_id] = at
        return unit_id in self.units

    def confirm_gallery(self, unit_id: str, applied: Applied, at: datetime) -> bool:  # noqa: ARG002
        self._check()
        if unit_id in self.units:
            self.applied[unit_id] = applied
            self.all_applied.append(applied)
        return unit_id in self.units

    def quarantine(self, unusable: Sequence[Unusable]) -> int:
        if unusable:
            self._check()
        self.unusable.extend(unusable)
        return len(unusable)
