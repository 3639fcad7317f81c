"""Hello and welcome: who we are, how far both sides are, what time it is, and what it means when that does not fit."""

from collections.abc import Callable
from dataclasses import dataclass, field

from edge.core.actions import Action, BeginEpoch, Raise, Requeue
from edge.core.ports import Journal
from edge.core.telling import UnitFacts
from protocol.delivery import Hello, SeqRange, Welcome
from protocol.events import Stamp

NO_ANSWER = "no_answer"
"""Code of the events that this unit has put aside by itself: a hub never heard of them."""

_EVERY_S = 10.0
_TIME_EVERY_S = 6 * 3600.0 + 60.0
"""A little longer than an anchor is new: by then a crystal is off by half a second."""
_REMEMBERED = 16


def introduction(journal: Journal, facts: UnitFacts, gallery_revision: int, stamp: Stamp, hello_id: str) -> Hello:
    """Return the hello of this moment: which stream is ours, how far it is, and who we are."""
    last, delivered = journal.positions()
    return Hello(
        epoch=journal.epoch,
        boot_id=stamp.boot_id,
        last_seq=last,
        delivered_seq=delivered,
        gallery_revision=gallery_revision,
        pack_id=facts.pack_id,
        software=facts.software,
        clock=stamp.clock,
        at=stamp.at,
        hello_id=hello_id,
        kept_seq=journal.kept_seq(),
    )


@dataclass(frozen=True, slots=True)
class Greeted:
    """What a hello said, and when it was sent."""

    hello: Hello
    sent_s: float


@dataclass(slots=True)
class Greeting:
    """Hellos of one connection, repeated until the hub answers. One thread; `jitter` returns 0..1."""

    jitter: Callable[[], float]
    welcomed: bool = False
    _due_s: float = float("-inf")
    _again: bool = False
    _asked_again: bool = False
    """A welcome came too late to tell the time, and was asked for once more."""
    _time_due_s: float = float("inf")
    _epoch: str | None = None
    """The stream that the last hello of this connection named."""
    _sent: dict[str, Greeted] = field(default_factory=dict)
    _unanswered: Greeted | None = None
    """The first hello that has no answer yet: that is how old an answer that names no hello may be."""

    def connected(self) -> None:
        """Begin again: answers to hellos of an earlier connection are too old to be of use."""
        self._sent.clear()
        self._again = self._asked_again = False
        self._epoch = None
        self.anew()

    def anew(self) -> None:
        """Greet again on this connection: the hub is silent."""
        self.welcomed = False
        self._unanswered = None
        self._due_s = float("-inf")

    def follow(self, epoch: str) -> None:
        """Greet again when another stream was begun: the hub must know it before its first batch."""
        if self._epoch not in (None, epoch):
            self.anew()

    def is_due(self, now_s: float) -> bool:
        """Tell whether to say hello now."""
        return self._again or (not self.welcomed and now_s >= self._due_s)

    @property
    def next_due_s(self) -> float:
        """When to say hello, if nothing is heard before."""
        return float("-inf") if self._again else self._time_due_s if self.welcomed else self._due_s

    @property
    def in_vain(self) -> bool:
        """True when a hello was sent and not answered."""
        return not self.welcomed and self._due_s > float("-inf")

    def sent(self, hello: Hello, now_s: float) -> None:
        """Note that a hello goes out."""
        self._again = False
        # A fleet that lost its hub together should not greet it in step.
        self._due_s = now_s + _EVERY_S * (0.8 + 0.2 * self.jitter())
        self._time_due_s, self._epoch = now_s + _TIME_EVERY_S, hello.epoch
        greeted = Greeted(hello, now_s)
        self._unanswered = self._unanswered or greeted
        if hello.hello_id:
            self._sent[hello.hello_id] = greeted
            while len(self._sent) > _REMEMBERED:
                del self._sent[next(iter(self._sent))]

    def answered(self, welcome: Welcome) -> Greeted | None:
        """Return the hello that a welcome answers, None for one of an earlier connection or answered before.

        A hub that does not name the hello is taken to answer the first one without an answer.
        """
        named = welcome.hello_id
        greeted = self._unanswered if named is None else self._sent.pop(named, None)
        if greeted is None or greeted.hello.epoch != welcome.epoch:
            return None
        self.welcomed, self._unanswered = True, None
        return greeted

    def ask_time_again(self) -> None:
        """Greet once more for the time: the hub was away and is back, or it is slow."""
        if not self._asked_again:
            self._again = self._asked_again = True

    def ask_time_if_due(self, now_s: float, *, synced: bool) -> None:
        """Greet for the time from time to time, while nobody but the hub tells it."""
        if self.welcomed and now_s >= self._time_due_s:
            self._again, self._asked_again = not synced, False
            self._time_due_s = now_s + _TIME_EVERY_S


@dataclass(slots=True)
class HighWater:
    """What it means when the hub has less, or more, than we thought."""

    _sent_again: set[tuple[str, int]] = field(default_factory=set)
    """(epoch, high water) for which everything was sent again already."""
    whole_at: tuple[str, int] | None = None
    """(epoch, seq): up to there everything must be confirmed before the loss is healed."""

    def judge(self, welcome: Welcome, hello: Hello, journal: Journal) -> list[Action]:
        """Return what to do about the hub's high water."""
        last_seq, _ = journal.positions()
        epoch, high_water = welcome.epoch, welcome.high_water
        if high_water > last_seq:
            text = "this unit's record is an old copy; what it records now goes into a new stream"
            return [Raise("old_copy", text), BeginEpoch(epoch)]
        # Compared with what the hello said: since then more may have been delivered.
        if high_water >= hello.delivered_seq or (epoch, high_water) in self._sent_again:
            return []
        if any(code == NO_ANSWER for _, code in journal.refusals(epoch, high_water + 1, high_water + 1)):
            # The hub has not lost this one, it never had it: what lies above it only the audit can tell.
            return []
        self._sent_again.add((epoch, high_water))
        self.whole_at = (epoch, last_seq)
        text = f"the hub lost what it had confirmed after event {high_water}; it is sent again from this unit"
        # Before the oldest that is kept there is nothing to put back.
        first = max(high_water + 1, hello.kept_seq or 1)
        return [Raise("hub_restored", text), Requeue(epoch, (SeqRange(first=first, last=last_seq),))]

    def is_whole(self, journal: Journal, waiting_events: int) -> bool:
        """Tell whether everything that the hub had lost is confirmed again; to be asked while that is a problem."""
        if self.whole_at and self.whole_at[0] == journal.epoch:
            return journal.positions()[1] >= self.whole_at[1]
        return not waiting_events
