"""The pieces of the delivery window: a batch under way, a lane, and what is held against events that get no answer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from edge.core.ports import Queued
from protocol.base import canonical_bytes
from protocol.delivery import EventBatch, Receipt, SeqRange, ranges

ALONE_AT_MOST = 12
"""Tries of an event on its own that a hub which answers others passes over, before it is put aside: at a loss of one
message in five each way, chance alone does that to one event in two hundred thousand."""

REMEMBERED_BATCHES = 512
"""How many batches that are no longer in flight a late receipt may still be for."""

Channel = Literal["events", "backlog"]
Key = tuple[str, int]
"""(epoch, seq)."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A batch to send, and on which channel."""

    channel: Channel
    batch: EventBatch


class Fetch(Protocol):
    """`Journal.undelivered`: undelivered events of one epoch by rising place, `after` < place <= `until`."""

    def __call__(self, after: int, until: int | None, limit: int, max_bytes: int) -> Sequence[Queued]:
        """Return them."""
        ...


@dataclass(slots=True)
class Ways:
    """On which channel to send while the broker refuses some: what belongs there takes the other one, or waits."""

    closed: frozenset[str] = frozenset()

    def of(self, channel: Channel) -> Channel:
        """Return the channel to take."""
        other: Channel = "backlog" if channel == "events" else "events"
        return other if channel in self.closed else channel

    def is_open(self, channel: Channel) -> bool:
        """Tell whether there is a way for what belongs on a channel."""
        return self.of(channel) not in self.closed


@dataclass(slots=True)
class Flight:
    """A batch that was sent and has no receipt yet."""

    batch: EventBatch
    keys: tuple[Key, ...]
    lane: Channel
    channel: Channel
    """On which the latest try went."""
    order: int
    """Which send of all sends the latest try was."""
    sent_s: float
    due_s: float
    first_order: int = 0
    attempt: int = 0
    """How often it was sent since the hub last said anything about it."""
    quiet_s: float = 0.0
    quiet_tries: int = 0
    """How often it was sent since `quiet_s`, in which time the hub said nothing about anything."""
    resting: bool = False
    """Unanswered for long, and not sent again for now: its slot is lent to another batch."""
    _bytes: int = 0

    def try_again(self, order: int, now_s: float, heard_s: float) -> None:
        """Note that it is sent, for the first time or again; `heard_s` is when the hub last said anything."""
        self.attempt += 1
        self.resting = False
        self.order = order
        if self.attempt == 1:
            self.sent_s, self.first_order = now_s, order
        if self.quiet_tries == 0 or heard_s > self.quiet_s:
            self.quiet_s, self.quiet_tries = now_s, 0
        self.quiet_tries += 1

    @property
    def spans(self) -> tuple[SeqRange, ...]:
        """The seqs it carries."""
        return ranges([seq for _, seq in self.keys])

    @property
    def content_bytes(self) -> int:
        """How large its events are; computed once, and only for the few that get no answer."""
        if not self._bytes:
            self._bytes = sum(len(canonical_bytes(event)) + 1 for event in self.batch.events)
        return self._bytes


@dataclass(slots=True)
class Lane:
    """One of the two orders in which events go out."""

    channel: Channel
    sent_up_to: int = 0
    drained: bool = False
    """Nothing undelivered was found from its beginning on, and nothing was sent since."""
    back_s: float = float("inf")
    """When to look from the beginning again."""
    proved: int = 0
    """Order of the newest batch, by its first send, that was answered on this channel."""


@dataclass(slots=True)
class Suspicion:
    """Events that a hub which answers others does not answer. Survives a new connection, not a restart."""

    _together: dict[Key, int] = field(default_factory=dict)
    _alone: dict[Key, int] = field(default_factory=dict)
    _aside: list[Key] = field(default_factory=list)

    def together(self, key: Key, most: int) -> int:
        """Return how many events may travel in one batch with this one, at most `most`."""
        return min(most, self._together.get(key, most))

    def passed_over(self, keys: Sequence[Key]) -> bool:
        """Hold it against a batch that it was passed over; return whether it must not be sent again as it is."""
        if len(keys) > 1:
            for key in keys:
                self._together[key] = max(1, len(keys) // 2)
            return True
        self._alone[keys[0]] = self._alone.get(keys[0], 0) + 1
        if self._alone[keys[0]] < ALONE_AT_MOST:
            return False
        self._aside.append(keys[0])
        return True

    def forget(self, keys: Sequence[Key]) -> None:
        """Hold nothing against these any more."""
        for key in keys:
            self._together.pop(key, None)
            self._alone.pop(key, None)

    def is_aside(self, key: Key) -> bool:
        """Tell whether the last chance of an event has passed, and nobody has taken note of it yet."""
        return key in self._aside

    def take_aside(self) -> list[Key]:
        """Return the events whose last chance has passed since the previous call."""
        aside, self._aside = self._aside, []
        self.forget(aside)
        return aside


@dataclass(slots=True)
class Earlier:
    """Batches of this program that left the window without an answer: what a late receipt for one of them may confirm.

    Over connections, not over a restart: a receipt for a batch that is not known here may be another machine's, with a
    copy of this card, and says nothing about what stands on this disk.
    """

    _carried: dict[str, tuple[str, tuple[SeqRange, ...]]] = field(default_factory=dict)

    def keep(self, flights: Iterable[Flight]) -> None:
        """Remember these; of too many the oldest are forgotten."""
        for flight in flights:
            self._carried[flight.batch.batch_id] = flight.batch.epoch, flight.spans
        while len(self._carried) > REMEMBERED_BATCHES:
            del self._carried[next(iter(self._carried))]

    def carried(self, batch_id: str) -> tuple[str, tuple[SeqRange, ...]] | None:
        """Return the epoch and the seqs of a batch."""
        return self._carried.get(batch_id)

    def forget(self, batch_id: str | None = None) -> None:
        """Forget a batch that is answered, or all: what was said of them is out of date."""
        if batch_id is None:
            self._carried.clear()
        else:
            self._carried.pop(batch_id, None)


def reduced(receipt: Receipt, carried: Sequence[SeqRange]) -> Receipt:
    """Return what a receipt says of these seqs."""
    return receipt.model_copy(
        update={
            "accepted": _both(receipt.accepted, carried),
            "duplicate": _both(receipt.duplicate, carried),
            "rejected": tuple(one for one in receipt.rejected if holds(carried, one.seq)),
        }
    )


def holds(spans: Iterable[SeqRange], seq: int) -> bool:
    """Tell whether a seq is in one of the ranges."""
    return any(span.first <= seq <= span.last for span in spans)


def _both(spans: Sequence[SeqRange], others: Sequence[SeqRange]) -> tuple[SeqRange, ...]:
    return tuple(
        SeqRange(first=max(one.first, other.first), last=min(one.last, other.last))
        for one in spans
        for other in others
        if one.first <= other.last and other.first <= one.last
    )
