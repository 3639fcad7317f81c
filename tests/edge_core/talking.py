"""A unit's conversation on a journal in memory, and an honest hub: both as their contracts say, without any network."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from edge.core.actions import (
    Action,
    BeginEpoch,
    Clear,
    Delivered,
    Moment,
    Raise,
    Record,
    Rejected,
    Renumber,
    Requeue,
    Retry,
    Send,
)
from edge.core.conversation import Conversation
from edge.core.errors import StorageFull
from edge.core.telling import UnitFacts
from protocol import codec, topics
from protocol.base import Envelope
from protocol.delivery import (
    Audit,
    AuditAnswer,
    EventBatch,
    Hello,
    Limits,
    Receipt,
    Rejection,
    SeqRange,
    Welcome,
    ranges,
    xor64,
)
from protocol.events import Event, event_sha256
from tests.builders import PACK, SITE, UNIT, seen
from tests.fakes import FakeClock, MemoryJournal


def facts() -> UnitFacts:
    """Return who the unit is."""
    return UnitFacts(SITE, UNIT, "0.1.0", PACK, session=3)


@dataclass
class HubModel:
    """Keeps what a database would keep: each event once, by its place and by its id."""

    limits: Limits = field(default_factory=Limits)
    places: dict[tuple[str, int], tuple[str, str]] = field(default_factory=dict)
    """(event id, hash) by (epoch, seq)."""
    ids: dict[str, tuple[str, int]] = field(default_factory=dict)
    refused: dict[tuple[str, int], str] = field(default_factory=dict)
    """Code by (epoch, seq): the quarantine."""
    invalid: set[str] = field(default_factory=set)
    """Ids of events that this hub will never take."""
    times_taken: dict[str, int] = field(default_factory=dict)

    def take(self, batch: EventBatch) -> Receipt:
        """Commit a batch; return its receipt."""
        accepted: list[int] = []
        duplicate: list[int] = []
        rejected: list[Rejection] = []
        for event in batch.events:
            place, mine = (batch.epoch, event["seq"]), (event["event_id"], event_sha256(event))
            if mine[0] in self.invalid:
                self.refused[place] = "invalid"
                rejected.append(Rejection(seq=place[1], code="invalid"))
            elif self.places.get(place) == mine:
                duplicate.append(place[1])
            elif mine[0] in self.ids:
                rejected.append(Rejection(seq=place[1], code="conflict"))
            elif place in self.places:
                rejected.append(Rejection(seq=place[1], code="seq_taken"))
            else:
                self.places[place], self.ids[mine[0]] = mine, place
                self.times_taken[mine[0]] = self.times_taken.get(mine[0], 0) + 1
                accepted.append(place[1])
        return Receipt(
            epoch=batch.epoch,
            batch_id=batch.batch_id,
            accepted=ranges(accepted),
            duplicate=ranges(duplicate),
            rejected=tuple(rejected),
            high_water=self.high_water(batch.epoch),
        )

    def high_water(self, epoch: str) -> int:
        """Return up to where every event is on record or refused."""
        high = 0
        while (epoch, high + 1) in self.places or (epoch, high + 1) in self.refused:
            high += 1
        return high

    def welcome(self, hello: Hello, server_time: datetime) -> Welcome:
        """Answer a greeting."""
        return Welcome(
            epoch=hello.epoch,
            high_water=self.high_water(hello.epoch),
            server_time=server_time,
            limits=self.limits,
            hello_id=hello.hello_id,
        )

    def compare(self, audit: Audit) -> AuditAnswer:
        """Answer an audit."""
        differing: list[SeqRange] = []
        for digest in audit.digests:
            places = [(audit.epoch, seq) for seq in range(digest.first, digest.last + 1)]
            hashes = [self.places[place][1] for place in places if place in self.places]
            if (len(hashes), xor64(hashes)) != (digest.count, digest.xor64):
                differing.append(SeqRange(first=digest.first, last=digest.last))
        return AuditAnswer(epoch=audit.epoch, audit_id=audit.audit_id, differing=tuple(differing))

    def forget(self, epoch: str, seqs: Iterable[int]) -> None:
        """Lose what was committed, as a restored backup or a failover does."""
        for seq in seqs:
            event = self.places.pop((epoch, seq), None)
            if event:
                self.ids.pop(event[0], None)
            self.refused.pop((epoch, seq), None)


class Unit:
    """A conversation whose actions are carried out on a journal in memory; what it sends lies in `sent`."""

    def __init__(
        self,
        journal: MemoryJournal | None = None,
        clock: FakeClock | None = None,
        *,
        jitter: float = 1.0,
        status_every_s: float = float("inf"),
    ) -> None:
        self.clock = clock or FakeClock(quality="holdover")
        self.journal = journal or MemoryJournal(clock=self.clock)
        self.talk = Conversation(
            facts(), self.journal, self.clock.new_id, lambda: jitter, status_every_s=status_every_s
        )
        self.sent: list[Send] = []
        self.problems: dict[str, str] = {}
        self.connected = False
        self.true_time = self.clock.at
        """What the hub's clock says; the unit's own may be set to anything."""

    @property
    def now(self) -> Moment:
        """This moment, as the conversation wants it."""
        return Moment(self.clock.monotonic_s(), self.clock.stamp())

    def connect(self, most_bytes: int | None = None) -> None:
        """Come to the broker."""
        self.connected = True
        self.do(self.talk.connected(self.now, most_bytes))

    def disconnect(self) -> None:
        """Lose the broker."""
        self.connected = False
        self.do(self.talk.disconnected(self.now, "the connection broke"))

    def record(self, count: int = 1) -> list[Event]:
        """Write something down."""
        return self.journal.append([seen(event=0).model_copy(update=self._fresh()) for _ in range(count)])

    def _fresh(self) -> dict[str, object]:
        stamp = self.clock.stamp()
        return {"event_id": self.clock.new_id(), **{name: getattr(stamp, name) for name in type(stamp).model_fields}}

    def tick(self, after_s: float = 0.0) -> list[Send]:
        """Let time pass; return what is sent."""
        self.pass_time(after_s)
        before = len(self.sent)
        self.do(self.talk.tick(self.now))
        self.do(self.talk.losses(self.now))
        self.do(self.talk.status(self.now))
        return self.sent[before:]

    def pass_time(self, seconds: float) -> None:
        """Let time pass on every clock."""
        self.clock.advance(seconds)
        self.true_time += timedelta(seconds=seconds)

    def hear(self, message: Envelope) -> None:
        """Hear something from the hub, as it comes over the wire."""
        channel = {Welcome: "welcome", Receipt: "receipt", AuditAnswer: "audit"}[type(message)]
        read = codec.decode(topics.down(SITE, UNIT, channel), codec.encode(message))
        self.do(self.talk.heard(read, self.now))

    def do(self, actions: Sequence[Action]) -> None:
        """Carry out; what a full disk refuses is left out."""
        for action in actions:
            try:
                self._carry_out(action)
            except StorageFull:
                self.problems["disk_full"] = ""
                self.talk.not_done(action, self.now)

    def _carry_out(self, action: Action) -> None:  # noqa: C901 (one line for each kind of action)
        match action:
            case Send():
                self.sent.append(action)
            case Delivered(epoch, spans):
                self.journal.delivered(epoch, spans)
            case Rejected(epoch, rejections):
                self.journal.rejected(epoch, rejections)
            case Requeue(epoch, spans):
                self.journal.requeue(epoch, spans)
            case Retry(letters):
                self.journal.retry(letters)
            case BeginEpoch(instead_of):
                if self.journal.epoch == instead_of:
                    self.journal.begin_epoch()
            case Renumber(epoch, seqs):
                if epoch != self.journal.epoch:
                    self.journal.renumber(epoch, seqs)
            case Record(event):
                self.journal.append([event])
            case Raise(code, text):
                self.problems[code] = text
            case Clear(code):
                self.problems.pop(code, None)

    def on(self, channel: str) -> list[Envelope]:
        """Return what was sent on a channel."""
        return [send.message for send in self.sent if send.channel == channel]

    def serve(self, hub: HubModel, sends: Sequence[Send] | None = None) -> None:
        """Let a hub answer what was sent, all of it or some of it."""
        for send in list(self.sent if sends is None else sends):
            if send in self.sent:
                self.sent.remove(send)
            match send.message:
                case Hello() as hello:
                    self.hear(hub.welcome(hello, self.true_time))
                case EventBatch() as batch:
                    self.hear(hub.take(batch))
                case Audit() as audit:
                    self.hear(hub.compare(audit))

    def settle(self, hub: HubModel, *, rounds: int = 300, step_s: float = 1.0) -> None:
        """Talk with an honest hub until nothing waits any more."""
        for _ in range(rounds):
            self.tick(step_s)
            self.serve(hub)
            if not self.journal.waiting().events and self.talk.welcomed:
                return
        raise AssertionError("events are stranded")
