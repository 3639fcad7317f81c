"""One hub process: the real ingest loop over simulated inbox, link and store, and its deaths."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any
from zlib import crc32

from hub.adapters.inbox import Inbox
from hub.core.ingest import Arrival, limits
from hub.loops.ingest import IngestLoop
from hub.loops.ingest_state import IngestState
from hub.loops.publisher import PublisherLoop
from hub.loops.requests import Asked, Requests
from protocol.base import Envelope
from protocol.content import Want
from protocol.delivery import Limits, Receipt, Welcome
from protocol.topics import Address
from tests.simulation.broker import Connection, Letter, address
from tests.simulation.clocks import HubClock
from tests.simulation.disk import Killed

if TYPE_CHECKING:
    from tests.simulation.world import World

_CRASH_AT = ("take", "take", "greet", "publish")
_DESK_HOLDS, _LANE_HOLDS = 5000, 2500
_LANES = 2
_STEP_S = 0.02
"""How long a worker needs for what it has taken."""
_IDLE_STEP_S = 2.0
_RECONNECT_S = 5.0
_PUBLISH_EVERY_S, _LOOK_EVERY_S = 1.0, 60.0
"""The publisher comes round while it is asked for something, and otherwise looks for what has changed."""


class _Inbox(Inbox):
    """The hub's own inbox, which here waits for nobody."""

    def take(self, most: int, timeout_s: float) -> list[Arrival]:  # noqa: ARG002 (waiting is the scheduler's part)
        return super().take(most, 0.0)

    @property
    def filled(self) -> bool:
        """True when there is something to do."""
        return any(self._waiting) or bool(self._turned_away)


class _Requests(Requests):
    """What the publisher is asked; waits for nobody."""

    def take(self, timeout_s: float) -> Asked:  # noqa: ARG002 (waiting is the scheduler's part)
        return super().take(0.0)

    @property
    def waiting(self) -> bool:
        """True when somebody waits for content."""
        return bool(self._wants or self._pack_wants or self._greeted)


@dataclass(slots=True)
class _Lane:
    inbox: _Inbox
    loop: IngestLoop


class SimWorker:
    """A hub worker. `Killed` from any port ends its process with everything it had in memory."""

    def __init__(self, number: int, world: World) -> None:
        self.number = number
        self.alive = False
        self.connections = 0
        self.deaths = 0
        self.dropped = 0
        self._world = world
        self._site = world.site
        self._scheduler = world.scheduler
        self._broker = world.broker
        self.store = world.parts.store(world.database, world.checker, self._scheduler.random(f"store/{number}"))
        self.store.galleries = world.galleries
        self._chance = self._scheduler.random(f"worker/{number}")
        self._clock = HubClock(self._scheduler)
        self._connection: Connection | None = None
        self._lanes: list[_Lane] = []
        """The desk first, then the lanes of events."""
        self.requests = _Requests()
        self._publisher: PublisherLoop | None = None
        self._publish_due_s = float("inf")
        self._life = 0
        self._armed: str | None = None
        self._step_due_s = float("inf")

    @property
    def first(self) -> bool:
        """Whether this one does what is done once."""
        return self.number == 0

    # ---- life ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the process."""
        if self.alive:
            return
        self.alive = True
        self._life += 1
        self._step_due_s = self._publish_due_s = float("inf")
        self._lanes = self._make_lanes()
        self.requests = _Requests()
        self._connect(self._life)
        if self.first and self._world.galleries is not None:
            self._publisher = PublisherLoop(
                site=self._site,
                link=self,
                store=self._world.galleries,
                clock=self._clock,
                requests=self.requests,
                shelf=self._world.galleries,
            )
            self._publish_at(_PUBLISH_EVERY_S)

    def _make_lanes(self) -> list[_Lane]:
        state = IngestState(self._clock)
        inboxes = [_Inbox(size) for size in (_DESK_HOLDS, *[_LANE_HOLDS] * _LANES)]

        def allowed() -> Limits:
            return limits(state.units_heard(), max(inbox.pressure for inbox in inboxes))

        return [
            _Lane(
                inbox,
                IngestLoop(
                    site=self._site,
                    inbox=inbox,
                    link=self,
                    store=self.store,
                    clock=self._clock,
                    on_want=self.on_want,
                    on_greeted=self.on_greeted,
                    state=state,
                    limits=allowed,
                ),
            )
            for inbox in inboxes
        ]

    def kill(self) -> None:
        """End the process at once."""
        if self.alive:
            self.alive = False
            self.deaths += 1
            self._lanes = []
            if self._connection is not None:
                self._connection.vanish()
                self._connection = None

    def kill_for(self, chance: Random) -> None:
        """End the process and start it again after a while."""
        self._armed = self.store.crash = None
        if self.alive:
            self.kill()
            self._scheduler.after(1 + chance.expovariate(1 / 20), self.start)

    def arm(self, chance: Random) -> None:
        """Let the process die at its next commit or message of some kind, before or after it."""
        self.arm_at(f"{chance.choice(('before', 'after'))} {chance.choice(_CRASH_AT)}")

    def arm_at(self, moment: str) -> None:
        """Let the process die at this moment, such as `after take`."""
        self._armed, self.store.crash = moment, self._crash

    def _crash(self, moment: str) -> None:
        if moment == self._armed:
            raise Killed(moment)

    def heal(self) -> None:
        """End every fault of this worker."""
        self._armed = self.store.crash = self.store.trouble = None
        self.store.refuses = self.store.loses_replies = 0.0
        self.start()

    def _connect(self, life: int) -> None:
        if not self.alive or life != self._life or self._is_connected:
            return
        self._connection = self._broker.connect(f"{self._site}/hub-{self.number}", self._on_letter, self._on_lost)
        if self._connection is None:
            self._scheduler.after(_RECONNECT_S, self._connect, life)
            return
        self.connections += 1
        self._broker.subscribe_worker(self._connection, first=self.first)

    def _on_lost(self, reason: str, twin: bool) -> None:  # noqa: ARG002 (what brokers tell)
        if self.alive and not self._is_connected:
            self._scheduler.after(_RECONNECT_S, self._connect, self._life)

    @property
    def _is_connected(self) -> bool:
        return self._connection is not None and self._connection.alive

    # ---- work ------------------------------------------------------------------------------------------------------

    def _on_letter(self, letter: Letter) -> None:
        to = address(letter.topic)
        events = to.channel in ("events", "backlog")
        lane = self._lanes[1 + crc32(to.unit_id.encode()) % _LANES if events else 0]
        if not lane.inbox.put(Arrival(letter.topic, letter.payload, self._clock.now(), letter.retain)):
            self.dropped += 1
        self._wake(_STEP_S)

    def _wake(self, after_s: float) -> None:
        when_s = self._scheduler.now_s + after_s
        if when_s < self._step_due_s:
            self._step_due_s = when_s
            self._scheduler.at(when_s, self._step, self._life, when_s)

    def _step(self, life: int, due_s: float) -> None:
        if life != self._life or due_s != self._step_due_s:
            return
        self._step_due_s = float("inf")
        try:
            for lane in self._lanes:
                if lane.inbox.filled or self.store.failed:
                    lane.loop.step()
        except Killed:
            self.kill_for(self._chance)
            return
        if any(lane.inbox.filled for lane in self._lanes):
            self._wake(_STEP_S)
        elif self.store.failed:
            # What it could not store it tries again; without that it has nothing to do until it hears something.
            self.store.failed = False
            self._wake(_IDLE_STEP_S)

    def _publish_at(self, after_s: float) -> None:
        when_s = self._scheduler.now_s + after_s
        if when_s < self._publish_due_s:
            self._publish_due_s = when_s
            self._scheduler.at(when_s, self._publish, self._life, when_s)

    def _publish(self, life: int, due_s: float) -> None:
        if life != self._life or due_s != self._publish_due_s or self._publisher is None or not self.alive:
            return
        self._publish_due_s = float("inf")
        try:
            self._publisher.step()
        except Killed:
            self.kill_for(self._chance)
            return
        self._publish_at(_PUBLISH_EVERY_S if self.requests.waiting else _LOOK_EVERY_S)

    # ---- ports -----------------------------------------------------------------------------------------------------

    def publish(self, topic: str, payload: Any, *, retain: bool = False) -> bool:
        """Hand a message to the broker."""
        if self.store.crash is not None:
            self.store.crash("before publish")
        to = address(topic)
        self._check(to, self._world.wire.decode(to, payload))
        if self._connection is None or not self._connection.alive:
            return False
        self._connection.publish(Letter(topic, payload, retain))
        if self.store.crash is not None:
            self.store.crash("after publish")
        return True

    def _check(self, to: Address, message: Envelope) -> None:
        if isinstance(message, Welcome):
            self._world.checker.high_water(to.unit_id, message.epoch, message.high_water)
        elif isinstance(message, Receipt) and message.result == "taken":
            self._world.checker.receipt(to.unit_id, message)

    def on_want(self, unit_id: str, want: Want) -> None:
        """A unit asks for content."""
        self.requests.want(unit_id, want)
        self._publish_at(_PUBLISH_EVERY_S)

    def on_greeted(self, unit_id: str) -> None:
        """A unit said hello: whoever announces galleries is told, whichever process heard it."""
        for worker in self._world.workers:
            if worker.first:
                worker.requests.greeted(unit_id)
                worker._publish_at(_PUBLISH_EVERY_S)
