"""The unit's side of the conversation with the hub, without clock, threads or network: events in, actions out.

Whoever drives it tells what happened (`connected`, `disconnected`, `refused`, `accepted`, `heard`), calls `tick` again
and again, and carries out what each call returns, in the order given. It reads the journal and never writes to it. What
is not carried out, because a disk is full or the connection breaks, comes again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from edge.core.actions import (
    Action,
    BeginEpoch,
    Clear,
    Moment,
    Raise,
    Rejected,
    Renumber,
    Requeue,
    Retry,
    Send,
)
from edge.core.anchors import LONGEST_ROUND_TRIP_S, TimeBook
from edge.core.audit import AuditBook
from edge.core.delivery import DeliveryWindow
from edge.core.greeting import NO_ANSWER, Greeting, HighWater, introduction
from edge.core.ports import Journal, Waiting
from edge.core.problems import ProblemBook
from edge.core.receipts import consequences
from edge.core.refusals import RefusedChannels
from edge.core.repairs import RepairBook
from edge.core.telling import Alone, Condition, Progress, State, StatusBook, Surroundings, Teller, UnitFacts
from protocol.base import MAX_MESSAGE_BYTES, Envelope
from protocol.delivery import AuditAnswer, Receipt, Rejection, Welcome

_WITHOUT_STREAM_S = 10.0


@dataclass(slots=True)
class Conversation:
    """Greeting, window, audit, time and status as one. One thread. `jitter` returns 0..1, `new_id` UUIDs."""

    facts: UnitFacts
    journal: Journal
    new_id: Callable[[], str]
    jitter: Callable[[], float]
    surroundings: Surroundings = field(default_factory=Alone)
    status_every_s: float = 30.0
    """Infinite: no status."""
    window: DeliveryWindow = field(init=False)
    progress: Progress = field(default_factory=Progress)
    is_connected: bool = False
    _greeting: Greeting = field(init=False)
    _high_water: HighWater = field(default_factory=HighWater)
    _audit: AuditBook = field(init=False)
    _repairs: RepairBook = field(default_factory=RepairBook)
    _time: TimeBook = field(init=False)
    _status: StatusBook = field(init=False)
    _queue_changed: bool = False
    """What was put back into the queue stands at its end, and is no news."""
    _refused: RefusedChannels = field(init=False)
    _problems: ProblemBook = field(default_factory=ProblemBook)
    _teller: Teller = field(init=False)
    _most_bytes: int | None = None

    def __post_init__(self) -> None:
        """Put the parts together."""
        self.window = DeliveryWindow(self.new_id, self.jitter)
        self._greeting = Greeting(self.jitter)
        self._audit = AuditBook(self.new_id, self.jitter)
        self._refused = RefusedChannels(self.jitter)
        self._time = TimeBook(self.new_id)
        self._status = StatusBook(self.status_every_s)
        self._teller = Teller(self.facts, self.progress)

    # ---- what happened ---------------------------------------------------------------------------------------------

    def connected(self, now: Moment, most_bytes: int | None = None) -> list[Action]:
        """The broker let us in; `most_bytes` is the largest packet it takes, when it says so."""
        self.is_connected = True
        self._most_bytes = self.window.patience.broker_bytes = most_bytes
        self.window.reset()
        self._greeting.connected()
        self._time.connected()
        self._status.at_once()
        return self._news([Clear("broker_lost"), Clear("broker_hinders")], now)

    def disconnected(self, now: Moment, reason: str, *, twin: bool = False) -> list[Action]:
        """The connection is gone or was refused; `twin`: because another unit uses our id."""
        if self.is_connected:
            self.window.cut_off(now.monotonic_s)
        self.is_connected = False
        return self._news([Raise("broker_lost", reason), *([Raise("twin_unit", reason)] if twin else [])], now)

    def hindered(self, now: Moment, reason: str) -> list[Action]:
        """The connection stands, and the broker keeps it from being of full use."""
        return self._news([Raise("broker_hinders", reason)], now)

    def refused(self, now: Moment, reason: str, channel: str) -> list[Action]:
        """The broker would not take a message of a channel. That stays a problem until it takes one."""
        self._refused.refused(channel, now.monotonic_s)
        if channel in ("events", "backlog"):
            self.window.cut_off(now.monotonic_s)
        return self._news([Raise("broker_refuses", reason)], now)

    def accepted(self, now: Moment, channel: str) -> list[Action]:
        """The broker took a message of a channel of which it had refused one."""
        self._refused.accepted(channel)
        return [] if self._refused else self._news([Clear("broker_refuses")], now)

    def not_done(self, action: Action, now: Moment) -> None:
        """A full disk refused an action: what does not come again by itself is asked for again after a while."""
        self._repairs.not_done(action, now.monotonic_s)
        if isinstance(action, BeginEpoch):
            # What is sent meanwhile is refused as well, again and again.
            self.window.paused_until_s = max(self.window.paused_until_s, now.monotonic_s + _WITHOUT_STREAM_S)

    def heard(self, message: Envelope, now: Moment) -> list[Action]:
        """The hub said something. What is no matter of this conversation is left alone."""
        now_s = now.monotonic_s
        match message:
            case Welcome():
                return self._news(self._repairs.take(self._welcomed(message, now), now_s, self.journal), now)
            case Receipt():
                return self._news(self._receipt(message, now), now)
            case AuditAnswer():
                return self._news(self._repairs.take(self._audit.answered(message, now_s), now_s, self.journal), now)
            case _:
                return []

    # ---- what is due -----------------------------------------------------------------------------------------------

    def tick(self, now: Moment) -> list[Action]:
        """Return what is due now. To be called after every event and at least once a second, connected or not."""
        actions = self._time.observe(now.stamp)
        if self._queue_changed:
            self._queue_changed = False
            self.window.move_boundary(self.journal.last_place())
        actions += self._problems.faded(now.monotonic_s)
        actions += self._repairs.step(now.monotonic_s, self.journal)
        if self.is_connected:
            actions += self._greet_if_due(now)
            if self._greeting.welcomed:
                actions += self._send_events(now.monotonic_s)
                actions += self._audit_if_due(now.monotonic_s)
        return self._news(actions, now)

    def losses(self, now: Moment, *, always: bool = False) -> list[Action]:
        """Return problems with what is refused or lost, when a status is due (or `always`): to be called before it."""
        self.progress.look(now.monotonic_s, self.status_every_s, self.journal)
        if not (always or self._status_is_due(now)):
            return []
        actions: list[Action] = []
        waiting = self.journal.waiting()
        if waiting.dead_letters:
            text = f"the hub refused {waiting.dead_letters} records; they are kept on the unit"
            actions.append(Raise("dead_letters", text))
        else:
            actions.append(Clear("dead_letters"))
        if lost := self.surroundings.events_lost():
            actions.append(Raise("events_lost", f"{lost} records were lost: the disk was full for too long"))
        return self._news([*actions, *self._heal(waiting)], now)

    def status(self, now: Moment) -> list[Action]:
        """Return the status when one is due."""
        if not self._status_is_due(now):
            return []
        self._status.told(now.monotonic_s, self.surroundings.changes())
        condition = self.surroundings.condition()
        return [self._tell("degraded" if condition.problems else "watching", now, condition)]

    def goodbye(self, now: Moment) -> list[Action]:
        """Return the last status: the unit stops on purpose."""
        return [self._tell("stopped", now, self.surroundings.condition())] if self.is_connected else []

    def next_due_s(self, now_s: float) -> float:
        """Return when `tick`, `losses` and `status` have something to do, if nothing happens before.

        Whatever is written down, heard or lost is such a happening: call `tick` then.
        """
        due = [float("-inf") if self._queue_changed else self._problems.next_due_s, self._repairs.next_due_s]
        if self.is_connected:
            on = {"status": self._status.due_s, "hello": self._greeting.next_due_s}
            if self._greeting.welcomed:
                due.append(self.window.next_due_s(now_s))
                on["audit"] = float("inf") if self._repairs.pending else self._audit.next_due_s
            due.append(self._refused.next_due_s(now_s))
            due += [due_s for channel, due_s in on.items() if not self.holds_back(channel, now_s)]
        return max(now_s, min(due))

    def holds_back(self, channel: str, now_s: float) -> bool:
        """Tell whether to send nothing on a channel now, because the broker refuses it: a want, say, waits then."""
        return self._refused.holds_back(channel, now_s)

    @property
    def welcomed(self) -> bool:
        """True while the hub is known to listen on this connection."""
        return self.is_connected and self._greeting.welcomed

    @property
    def all_delivered(self) -> bool:
        """True when nothing waits for the hub."""
        return not self.journal.waiting().events

    # ---- greeting --------------------------------------------------------------------------------------------------

    def _greet_if_due(self, now: Moment) -> list[Action]:
        if self._greeting.welcomed and self.window.unanswered:
            # It had welcomed us and is gone: say so, and notice when it is back.
            self._greeting.anew()
        self._greeting.follow(self.journal.epoch)
        self._greeting.ask_time_if_due(now.monotonic_s, synced=now.stamp.clock == "synced")
        if not self._greeting.is_due(now.monotonic_s) or self.holds_back("hello", now.monotonic_s):
            return []
        actions: list[Action] = []
        if self._greeting.in_vain:
            actions.append(Raise("hub_silent", "connected to the broker, but no hub answers: is it running?"))
        revision = self.surroundings.gallery_revision()
        hello = introduction(self.journal, self.facts, revision, now.stamp, self.new_id())
        self._greeting.sent(hello, now.monotonic_s)
        return [*actions, Send("hello", hello)]

    def _welcomed(self, welcome: Welcome, now: Moment) -> list[Action]:
        if welcome.epoch != self.journal.epoch:
            return []
        first = not self._greeting.welcomed
        greeted = self._greeting.answered(welcome)
        if greeted is None:
            return []
        if first:
            self.window.reset(welcome.limits, boundary=self.journal.last_place())
            self._audit.welcomed(now.monotonic_s)
        else:
            # The answer to an earlier hello: what is under way since the first answer stays under way.
            self.window.limits = welcome.limits
        actions: list[Action] = [Clear("hub_silent")]
        if self._repairs.was_over(greeted.sent_s):
            # Before, what was put back first is confirmed again, and the rest looks lost once more.
            actions += self._high_water.judge(welcome, greeted.hello, self.journal)
        round_trip_s = now.monotonic_s - greeted.sent_s
        if round_trip_s <= LONGEST_ROUND_TRIP_S:
            return [*actions, *self._time.told(welcome.server_time, round_trip_s, now.stamp)]
        self._greeting.ask_time_again()
        return actions

    # ---- events ----------------------------------------------------------------------------------------------------

    def _send_events(self, now_s: float) -> list[Action]:
        journal = self.journal
        self.window.ways.closed = self._refused.closed(now_s)
        actions: list[Action] = [
            Send(out.channel, out.batch) for out in self.window.due(now_s, journal.undelivered, journal.last_place)
        ]
        for epoch, seq in self.window.put_aside():
            detail = "the hub answers others and never this one; kept on the unit"
            actions.append(Rejected(epoch, (Rejection(seq=seq, code=NO_ANSWER, detail=detail),)))
            self._status.at_once()
        return actions

    def _receipt(self, receipt: Receipt, now: Moment) -> list[Action]:
        ours = self.window.is_ours(receipt)
        mine = self.window.answered(receipt, now.monotonic_s)
        if mine is None:
            if ours:
                text = "the hub takes no records now; they wait here and are sent again"
                return [Raise("hub_busy", text)]
            return []
        self.progress.taken(now)
        if mine.rejected:
            self._status.at_once()
        return consequences(mine)

    # ---- audit, problems, status -----------------------------------------------------------------------------------

    def _audit_if_due(self, now_s: float) -> list[Action]:
        if now_s < self._audit.next_due_s or self._repairs.pending or self.holds_back("audit", now_s):
            return []
        audits, actions = self._audit.step(now_s, self.journal, self._most_bytes or MAX_MESSAGE_BYTES)
        return [*actions, *(Send("audit", audit) for audit in audits)]

    def _heal(self, waiting: Waiting) -> list[Action]:
        if not self._problems.is_told("hub_restored") or self._repairs.pending:
            return []
        if not self._high_water.is_whole(self.journal, waiting.events):
            return []
        self._high_water.whole_at = None
        return [Clear("hub_restored")]

    def _status_is_due(self, now: Moment) -> bool:
        if not self.is_connected or self.holds_back("status", now.monotonic_s):
            return False
        return self._status.is_due(now.monotonic_s, self.surroundings.changes())

    def _tell(self, state: State, now: Moment, condition: Condition) -> Send:
        status = self._teller.compose(state, self.journal.epoch, now, self.journal.waiting(), condition)
        return Send("status", status, retain=True)

    def _news(self, actions: list[Action], now: Moment) -> list[Action]:
        """Leave out problems that are told already, and take note of what the other actions will change."""
        for action in actions:
            match action:
                case Requeue():
                    # Whatever a late receipt says, it was said before that.
                    self.window.forget_earlier()
                    self._queue_changed = True
                case Renumber() | Retry():
                    self._queue_changed = True
        return self._problems.news(actions, now.monotonic_s)
