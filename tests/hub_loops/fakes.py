"""Fakes that keep the contracts of `hub.core.ports`: a clock moved by hand, a link, an inbox, a store in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hub.core.errors import StoreUnavailable
from hub.core.ingest import Arrival, Batch, Known, OnRecord, Unusable, advance, judge
from hub.core.ports import Greeting, Taken
from protocol.base import Envelope
from protocol.codec import decode
from protocol.content import Applied
from protocol.delivery import Hello
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

    def take(self, most: int, timeout_s: float) -> list[Arrival]:  # noqa: ARG002 (the port's signature)
        taken, self.waiting = self.waiting[:most], self.waiting[most:]
        return taken


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
    """Keeps the contract of `EventStore`; `away` makes it unavailable, `fail_after` breaks it after so many commits."""

    def __init__(self, units: Sequence[str]) -> None:
        self.units = set(units)
        self.events: dict[tuple[str, str, int], OnRecord] = {}
        self.refused: set[tuple[str, str, int]] = set()
        self.high: dict[tuple[str, str], int] = {}
        self.statuses: dict[str, Status] = {}
        self.status_at: dict[str, datetime] = {}
        self.applied: dict[str, Applied] = {}
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

    def take(self, batches: Sequence[Batch]) -> list[Taken]:
        self._check()
        known = Known(self.events.values())
        taken = []
        for batch in batches:
            if batch.unit_id not in self.units:
                taken.append(Taken(batch, None))
                continue
            verdict = judge(batch, known)
            for row in verdict.new:
                assert row.place not in self.events, "an event twice"
                self.events[row.place] = OnRecord(row.event.event_id, row.place, row.sha256)
            self.refused |= {(one.unit_id, one.epoch, one.seq) for one in verdict.refused}
            stream = (batch.unit_id, batch.epoch)
            settled = {seq for *place, seq in [*self.events, *self.refused] if tuple(place) == stream}
            self.high[stream] = advance(self.high.get(stream, 0), settled)
            conflicts = sum(1 for one in verdict.refused if one.code == "conflict")
            receipt = verdict.receipt(self.high[stream])
            taken.append(Taken(batch, receipt, conflicts=conflicts, refused=len(verdict.refused)))
        if self.lose_answer:
            raise StoreUnavailable("the connection broke")
        return taken

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
        return unit_id in self.units

    def quarantine(self, unusable: Sequence[Unusable]) -> int:
        if unusable:
            self._check()
        self.unusable.extend(unusable)
        return len(unusable)
