"""A unit's card: what was committed survives a crash, what was not never was. It can be copied and put back."""

import copy
from dataclasses import dataclass, field
from random import Random
from typing import Any

from protocol.delivery import Rejection
from tests.simulation.facts import Fact, Prepared, prepare

WAITING, DELIVERED, DEAD = 0, 1, 2
_HASH64 = 16
_COMPACT_AFTER = 5000


class Killed(BaseException):
    """The power is gone, or the process was killed: nothing after this line happens. Only the world catches it."""


@dataclass(slots=True, eq=False)
class Row:
    """An event on disk."""

    fact: Fact
    epoch: str
    seq: int
    place: int
    state: int = WAITING
    hash64: int = 0
    """First 64 bits of the hash, 0 until it was computed."""
    prepared: Prepared | None = None
    """Only while it waits."""
    settled_us: int = 0
    """By the unit's wall clock."""
    rejection: Rejection | None = None

    def ready(self) -> Prepared:
        """Return the event as it is sent."""
        if self.prepared is None:
            self.prepared = prepare(self.fact, self.seq)
            self.hash64 = int(self.prepared.sha256[:_HASH64], 16)
        return self.prepared


@dataclass(slots=True, eq=False)
class Stream:
    """One epoch on a disk: `rows[seq]`, without those that were pruned or moved away."""

    epoch: str
    last: int = 0
    rows: dict[int, Row] = field(default_factory=dict)
    low: int = 0
    """Every seq up to here is settled."""


@dataclass(slots=True, eq=False)
class Disk:
    """What is on a unit's card."""

    chance: Random
    streams: dict[str, Stream] = field(default_factory=dict)
    epoch: str = ""
    session: int = 0
    queue: list[Row | None] = field(default_factory=list)
    base: int = 1
    """The place of the first element of `queue`."""
    head: int = 0
    """Everything before this index of `queue` is None."""
    waiting: int = 0
    dead: int = 0
    open: dict[str, Fact] = field(default_factory=dict)
    """Open intervals by the id of their `seen`."""
    extra: dict[str, Any] = field(default_factory=dict)
    """What else is on the card: gallery, packs."""
    full: bool = False
    broken: bool = False

    def __post_init__(self) -> None:
        if not self.epoch:
            self.begin_epoch()

    def begin_epoch(self) -> str:
        """Begin a stream."""
        self.epoch = f"{self.chance.getrandbits(64):016x}"
        self.streams[self.epoch] = Stream(self.epoch)
        return self.epoch

    def copy(self) -> "Disk":
        """Return the same card once more, as `dd` makes it."""
        rows: dict[int, Row] = {}

        def again(row: Row) -> Row:
            if id(row) not in rows:
                rows[id(row)] = copy.copy(row)
            return rows[id(row)]

        return Disk(
            chance=self.chance,
            streams={
                name: Stream(name, one.last, {seq: again(row) for seq, row in one.rows.items()}, one.low)
                for name, one in self.streams.items()
            },
            epoch=self.epoch,
            session=self.session,
            queue=[row and again(row) for row in self.queue],
            base=self.base,
            head=self.head,
            waiting=self.waiting,
            dead=self.dead,
            open=dict(self.open),
            extra={name: copy.copy(part) for name, part in self.extra.items()},
        )

    def put(self, row: Row) -> None:
        """Put a row at the end of the queue."""
        row.place = self.base + len(self.queue)
        row.state = WAITING
        self.queue.append(row)
        self.waiting += 1

    def settle(self, row: Row, state: int) -> None:
        """Take a row out of the queue."""
        self.queue[row.place - self.base] = None
        row.state, row.prepared = state, None
        self.waiting -= 1
        queue, head = self.queue, self.head
        while head < len(queue) and queue[head] is None:
            head += 1
        if head > _COMPACT_AFTER:
            del queue[:head]
            self.base += head
            head = 0
        self.head = head

    def facts(self) -> list[Fact]:
        """Return everything that is written down here."""
        return [row.fact for stream in self.streams.values() for row in stream.rows.values()]
