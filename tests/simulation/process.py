"""The program on a unit, from its start to its death: the real conversation core, and what carries out its actions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edge.core import actions as act
from edge.core.conversation import Conversation
from edge.core.errors import StorageFull
from edge.core.telling import Condition, UnitFacts
from protocol.base import Envelope
from protocol.content import Head, Part, Want
from protocol.delivery import Receipt
from protocol.status import Status
from tests.simulation.broker import Connection, Letter, address
from tests.simulation.clocks import true_us
from tests.simulation.facts import PACK, Fact, fact_of
from tests.simulation.galleries import Follower
from tests.simulation.recorder import Recorder

if TYPE_CHECKING:
    from tests.simulation.unit import SimUnit

_LOOK_S = 0.5
"""On average, how long after something was written down the program's loop looks."""
_FOLLOW_S, _FETCHING_S = 5.0, 300.0
_SHORTEST_S = 0.25
_FIRST_RECONNECT_S, _LONGEST_RECONNECT_S = 4.0, 60.0
_TWIN_PAUSE_S = 120.0


class UnitProcess:
    """One life of the unit's program."""

    def __init__(self, unit: SimUnit) -> None:
        self.unit = unit
        self.dead = False
        self.begun_s = unit.scheduler.now_s
        self.journal = unit.world.parts.journal(
            unit.disk,
            unit.clock,
            lambda: true_us(unit.scheduler.now_s),
            unit.checker.settled,
            unit.checker.written,
            unit.world.prepared,
        )
        self.recorder = Recorder(self.journal)
        self.present: dict[str, Fact] = {}
        """Who is in view, with the event that said so."""
        self.problems: dict[str, str] = {}
        self.session = self.journal.next_session()
        self.follower = Follower(unit, self._reopen) if unit.world.galleries is not None else None
        self.conversation = Conversation(
            UnitFacts(unit.site, unit.unit_id, "simulation", self._pack_id, self.session),
            self.journal,
            unit.clock.new_id,
            unit.chance.random,
            surroundings=self,
            status_every_s=unit.world.setting.status_every_s,
        )
        self._connection: Connection | None = None
        self._attempts = 0
        self._due_s = self._asked_for_s = float("inf")
        """When the loop comes round, and when the conversation wants it to."""
        self._follows_until_s = 0.0

    # ---- surroundings, as the conversation asks for them -----------------------------------------------------------

    @property
    def _pack_id(self) -> str:
        return self.follower.pack_id if self.follower is not None else PACK

    def condition(self) -> Condition:
        """Return how the unit is."""
        return Condition(gallery_revision=self.gallery_revision())

    def gallery_revision(self) -> int:
        """Return which gallery is in use."""
        return self.follower.keeper.known.revision if self.follower is not None else 0

    def events_lost(self) -> int:
        """Return that none was lost."""
        return 0

    def changes(self) -> int:
        """Return that nothing changed."""
        return 0

    def _reopen(self) -> None:
        """Another pack is on the card: the program ends and is started with it."""
        self.unit.scheduler.after(0.5, self._end)

    def _end(self) -> None:
        if not self.dead:
            self.unit.kill()
            self.unit.start()

    # ---- life ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Close what the last life left open, and go to work."""
        left = [self.unit.closing(seen, now=False) for seen in self.unit.disk.open.values()]
        self.recorder.write(left)
        self._look_for_broker()
        self.wake(_LOOK_S)

    def die(self) -> None:
        """Be killed."""
        self.dead = self.journal.dead = True
        if self._connection is not None:
            self._connection.vanish()
            self._connection = None

    def record(self, facts: Sequence[Fact]) -> None:
        """Write down what happened."""
        self.recorder.write(facts)
        self.wake(_LOOK_S)

    # ---- the broker ------------------------------------------------------------------------------------------------

    def _look_for_broker(self) -> None:
        if self.dead or self._is_connected:
            return
        unit = self.unit
        will = Status(state="lost", session=self.session, epoch=self.journal.epoch)
        topic = unit.topics["status"]
        connection = unit.broker.connect(
            unit.client_id, self._on_letter, self._on_lost, Letter(topic, unit.world.wire.encode(will), retain=True)
        )
        if connection is None:
            self._attempts += 1
            self._retry(min(_LONGEST_RECONNECT_S, _FIRST_RECONNECT_S * 2.0 ** min(self._attempts, 10)))
            return
        self._attempts = 0
        self._connection = connection
        self._follows_until_s = unit.scheduler.now_s + _FETCHING_S
        self._carry_out(self.conversation.connected(self._now()))
        unit.broker.subscribe_unit(connection, unit.unit_id)
        self.wake(0.0)

    @property
    def _is_connected(self) -> bool:
        return self._connection is not None and self._connection.alive

    def _retry(self, after_s: float) -> None:
        self.unit.scheduler.after(after_s * (0.5 + 0.5 * self.unit.chance.random()), self._try_again)

    def _try_again(self) -> None:
        if not self.dead:
            self.unit.guarded(self._look_for_broker)

    def _on_lost(self, reason: str, twin: bool) -> None:
        if not self.dead and not self._is_connected:
            self._connection = None
            self.unit.guarded(self._lost, reason, twin)

    def _lost(self, reason: str, twin: bool) -> None:
        self._carry_out(self.conversation.disconnected(self._now(), reason, twin=twin))
        self._retry(_TWIN_PAUSE_S if twin else _FIRST_RECONNECT_S)

    def _on_letter(self, letter: Letter) -> None:
        if not self.dead:
            self.unit.guarded(self._heard, letter)

    def _heard(self, letter: Letter) -> None:
        message = self.unit.world.wire.decode(address(letter.topic), letter.payload)
        if isinstance(message, Head | Part):
            self._follow(message)
        else:
            self._carry_out(self.conversation.heard(message, self._now()))
            if isinstance(message, Receipt) and not self.unit.disk.waiting:
                # Nothing to do until something is written down, or is due: it no longer waits for this receipt.
                if self._due_s == self._asked_for_s:
                    self._due_s = float("inf")
                    self._sleep(self.unit.clock.monotonic_s())
                return
        self.wake(0.0)

    def _follow(self, message: Head | Part | None) -> None:
        """Take a piece in, and do what is due for the gallery."""
        follower = self.follower
        if follower is None or not self._is_connected:
            return
        try:
            follower.store.crash = self.journal.crash
            said = follower.heard(message) if message is not None else follower.due(self._now().monotonic_s)
        except StorageFull:
            return
        follower.check()
        if message is not None or said is not None:
            self._follows_until_s = self.unit.scheduler.now_s + _FETCHING_S
        if said is not None:
            self._send("want" if isinstance(said, Want) else "applied", said, retain=False)

    # ---- work ------------------------------------------------------------------------------------------------------

    def wake(self, after_s: float) -> None:
        """Let the loop come round after a while, or before."""
        self._wake_at(self.unit.scheduler.now_s + after_s)

    def _wake_at(self, when_s: float) -> None:
        if when_s < self._due_s:
            self._due_s = when_s
            self.unit.scheduler.at(when_s, self._round, when_s)

    def _round(self, due_s: float) -> None:
        if not self.dead and due_s == self._due_s:
            self._due_s = float("inf")
            self.unit.guarded(self._tick)

    def _tick(self) -> None:
        now, conversation = self._now(), self.conversation
        if self.follower is not None:
            self._follow(None)
            # Longer than the keeper waits for any answer: while it fetches something, it is asked again and again.
            if self.unit.scheduler.now_s < self._follows_until_s:
                self.wake(_FOLLOW_S)
        self._carry_out(conversation.tick(now))
        self._carry_out(conversation.losses(now))
        self._carry_out(conversation.status(now))
        self._sleep(now.monotonic_s)

    def _sleep(self, now_s: float) -> None:
        """Let the loop come round when something is due."""
        due_s = self.conversation.next_due_s(now_s) - now_s
        if due_s < float("inf"):
            self._asked_for_s = self.unit.scheduler.now_s + max(_SHORTEST_S, due_s + 0.001)
            self._wake_at(self._asked_for_s)

    def _now(self) -> act.Moment:
        return act.Moment(self.unit.clock.monotonic_s(), self.unit.clock.stamp())

    def _carry_out(self, actions: Sequence[act.Action]) -> None:
        for action in actions:
            try:
                self._do(action)
            except StorageFull:
                # As the program does: everything that matters is asked for once more.
                self.problems["disk_full"] = ""
                self.conversation.not_done(action, self._now())

    def _do(self, action: act.Action) -> None:
        journal = self.journal
        match action:
            case act.Send(channel, message, retain):
                self._send(channel, message, retain=retain)
            case act.Delivered(epoch, spans):
                journal.delivered(epoch, spans)
            case act.Rejected(epoch, rejections):
                journal.rejected(epoch, rejections)
            case act.Raise(code, text):
                self.problems[code] = text
            case act.Clear(code):
                self.problems.pop(code, None)
            case act.Record(event):
                self.record([fact_of(event, true_us(self.unit.scheduler.now_s))])
            case _:
                self._repair(action)

    def _repair(self, action: act.Action) -> None:
        journal, counts = self.journal, self.unit.world.counts
        # The program's loop comes round every second anyway; here it has to be said that there is something to see.
        self.wake(_LOOK_S)
        match action:
            case act.Requeue(epoch, spans):
                counts["requeued"] += journal.requeue(epoch, spans)
            case act.Retry(letters):
                counts["retried"] += journal.retry(letters)
            case act.BeginEpoch(instead_of):
                if journal.epoch == instead_of:
                    journal.begin_epoch()
                    counts["new streams"] += 1
            case act.Renumber(epoch, seqs):
                if epoch != journal.epoch:
                    counts["renumbered"] += journal.renumber(epoch, seqs)

    def _send(self, channel: str, message: Envelope, *, retain: bool) -> None:
        journal, unit = self.journal, self.unit
        if journal.crash is not None:
            journal.crash("before send")
        if self._connection is not None and self._connection.alive:
            topic = unit.topics[channel]
            self._connection.publish(Letter(topic, unit.world.wire.encode(message), retain))
        if journal.crash is not None:
            journal.crash("after send")
