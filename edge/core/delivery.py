"""What is on its way to the hub: batches sent and not yet answered by a receipt, in two lanes.

Pure: takes events and a monotonic time, returns what to send. Nothing here is durable and nothing needs to be: what has
no receipt is still in the journal, and after a restart it is simply sent again.

The live lane carries what is written down now, the backlog lane what waited longer; the boundary between them is a
place in the journal's order. An event is under way at most once, whatever lane it is found in.

A batch that gets no answer while a later one on the same channel does is suspected: its events are sent again in halves
until one stands alone. Only one that was sent alone many times, each time passed over by a hub that answered what came
after it, is put aside. A hub, a broker or a network that is silent to everybody puts nothing aside.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from edge.core.flights import Channel, Earlier, Fetch, Flight, Key, Lane, Outgoing, Suspicion, Ways, holds, reduced
from edge.core.patience import BATCH_CONTENT_BYTES, Patience
from edge.core.ports import Queued
from protocol.delivery import EventBatch, Limits, Receipt, SeqRange

__all__ = ["BATCH_CONTENT_BYTES", "DeliveryWindow", "Fetch", "Outgoing"]

_PAUSE_S = 5.0
_SILENT_AFTER = 3
_TRIED = 2
_LIVE_AT_MOST = 500
"""More than this waiting in the live lane is no longer live."""
_LARGE_BYTES = 4096


@dataclass(slots=True)
class DeliveryWindow:
    """Unanswered batches within the hub's limits. One thread.

    `jitter` returns numbers in 0..1; `new_id` batch ids.
    """

    new_id: Callable[[], str]
    jitter: Callable[[], float]
    limits: Limits = field(default_factory=Limits)
    patience: Patience = field(init=False)
    boundary: int = 0
    """Places up to here are backlog."""
    ways: Ways = field(default_factory=Ways)
    paused_until_s: float = float("-inf")
    _live: Lane = field(default_factory=lambda: Lane("events"))
    _backlog: Lane = field(default_factory=lambda: Lane("backlog"))
    _flights: dict[str, Flight] = field(default_factory=dict)
    _earlier: Earlier = field(default_factory=Earlier)
    _under_way: set[Key] = field(default_factory=set)
    _suspicion: Suspicion = field(default_factory=Suspicion)
    _order: int = 0
    _heard_s: float = float("-inf")

    def __post_init__(self) -> None:
        """Begin without experience."""
        self.patience = Patience(self.jitter)

    # ---- lanes -----------------------------------------------------------------------------------------------------

    def reset(self, limits: Limits | None = None, boundary: int | None = None) -> None:
        """Forget what was sent: after a connect, everything without a receipt goes out again.

        What was learned of the network and of suspected events stays, and receipts that come late still count.
        """
        self._earlier.keep(self._flights.values())
        self._flights.clear()
        self._under_way.clear()
        self.paused_until_s = float("-inf")
        self.limits = limits or self.limits
        self.boundary = self.boundary if boundary is None else boundary
        self.look_again()

    def forget_earlier(self) -> None:
        """Believe no late receipt any more: the hub lost what it had confirmed."""
        self._earlier.forget()

    def look_again(self, at_s: float | None = None) -> None:
        """Look through both lanes from their beginning, now or at a moment.

        What is under way stays under way and is not sent twice.
        """
        for lane in (self._live, self._backlog):
            if at_s is None:
                lane.sent_up_to, lane.back_s, lane.drained = 0, float("inf"), False
            else:
                lane.back_s = min(lane.back_s, at_s)

    def move_boundary(self, place: int) -> None:
        """Make everything up to this place backlog."""
        self.boundary = max(place, self.boundary)
        # What the live lane had sent is under way or answered; what it had not lies anywhere before the place.
        self._backlog.sent_up_to, self._backlog.drained = 0, False

    # ---- sending ---------------------------------------------------------------------------------------------------

    def due(self, now_s: float, fetch: Fetch, last_place: Callable[[], int]) -> list[Outgoing]:
        """Return the batches to send now: repetitions of unanswered ones first, then live ones, then backlog."""
        if now_s < self.paused_until_s:
            return []
        out, newest = self._repeat_late_ones(now_s), last_place()
        for lane in (self._live, self._backlog):
            if not self.ways.is_open(lane.channel):
                continue
            if now_s >= lane.back_s:
                lane.sent_up_to, lane.back_s, lane.drained = 0, float("inf"), False
            out += self._fresh(lane, newest if lane is self._live else self.boundary, now_s, fetch)
            if lane is self._live and self._room(lane) <= 0:
                self._hand_over_to_backlog(newest)
        return out

    def next_due_s(self, now_s: float) -> float:
        """Return when something is to be sent or looked for again, unless something new is written down before."""
        if now_s < self.paused_until_s:
            return self.paused_until_s
        flights = [flight for flight in self._flights.values() if self.ways.is_open(flight.channel)]
        due = [one.due_s for one in flights if not one.resting or self._room(self._lane(one.lane)) > 0]
        due += [lane.back_s for lane in (self._live, self._backlog) if self.ways.is_open(lane.channel)]
        return min(due, default=float("inf"))

    def _hand_over_to_backlog(self, newest: int) -> None:
        if newest - max(self._live.sent_up_to, self.boundary) > _LIVE_AT_MOST:
            self.move_boundary(newest)

    def _fresh(self, lane: Lane, until: int, now_s: float, fetch: Fetch) -> list[Outgoing]:
        out: list[Outgoing] = []
        if lane is self._backlog and (lane.drained or until == 0):
            return out
        while self._room(lane) > 0:
            events = self._next(lane, until, fetch)
            if not events:
                self._look_for_stranded(lane, until, now_s, fetch)
                break
            out.append(self._launch(lane, events, now_s))
        return out

    def _next(self, lane: Lane, until: int, fetch: Fetch) -> list[Queued]:
        """Return the events of the next batch of a lane; those under way are passed over."""
        while (after := max(lane.sent_up_to, self._begin(lane))) < until:
            found = fetch(after, until, self.limits.batch_events, self.patience.batch_bytes)
            if not found:
                break
            taken: list[Queued] = []
            most = self.limits.batch_events
            for queued in found:
                key = (queued.epoch, queued.seq)
                if key not in self._under_way and not self._suspicion.is_aside(key):
                    most = self._suspicion.together(key, most)
                    if len(taken) >= most:
                        break
                    taken.append(queued)
                lane.sent_up_to = queued.place
            if taken:
                return taken
        return []

    def _look_for_stranded(self, lane: Lane, until: int, now_s: float, fetch: Fetch) -> None:
        # A receipt that left events out, or that a full disk could not note, would otherwise strand them.
        if lane.drained or any(flight.lane == lane.channel for flight in self._flights.values()):
            return
        begin = self._begin(lane)
        if lane.sent_up_to > begin and fetch(begin, until, 1, BATCH_CONTENT_BYTES):
            lane.back_s = min(lane.back_s, now_s + _PAUSE_S)
        else:
            lane.drained = True

    def _begin(self, lane: Lane) -> int:
        return self.boundary if lane is self._live else 0

    def _room(self, lane: Lane) -> int:
        limits = self.limits
        most = limits.batches_in_flight if lane is self._live else limits.backlog_in_flight
        return most - sum(flight.lane == lane.channel and not flight.resting for flight in self._flights.values())

    def _launch(self, lane: Lane, events: list[Queued], now_s: float) -> Outgoing:
        events.sort(key=lambda queued: queued.seq)
        bodies = tuple(queued.body for queued in events)
        batch = EventBatch(epoch=events[0].epoch, batch_id=self.new_id(), events=bodies)
        keys = tuple((queued.epoch, queued.seq) for queued in events)
        flight = Flight(batch, keys, lane.channel, self.ways.of(lane.channel), 0, now_s, now_s)
        self._flights[batch.batch_id] = flight
        self._under_way.update(keys)
        lane.drained = False
        return self._send(flight, now_s)

    def _send(self, flight: Flight, now_s: float) -> Outgoing:
        flight.channel = self.ways.of(flight.channel)
        self._order += 1
        flight.try_again(self._order, now_s, self._heard_s)
        flight.due_s = now_s + self.patience.wait_s(flight.attempt)
        return Outgoing(flight.channel, flight.batch)

    # ---- repeating -------------------------------------------------------------------------------------------------

    def _repeat_late_ones(self, now_s: float) -> list[Outgoing]:
        late = [one for one in self._flights.values() if now_s >= one.due_s and self.ways.is_open(one.channel)]
        late.sort(key=lambda flight: flight.lane != "events")
        return [again for flight in late if (again := self._repeat(flight, now_s)) is not None]

    def _repeat(self, flight: Flight, now_s: float) -> Outgoing | None:
        if flight.resting and self._room(self._lane(flight.lane)) <= 0:
            return None
        if self._was_passed_over(flight):
            if (flight.attempt >= _TRIED or len(flight.keys) == 1) and self._suspicion.passed_over(flight.keys):
                self._drop(flight)
                self.look_again()
                return None
        elif flight.attempt >= _TRIED and not flight.resting and self._gives_way(flight, now_s):
            return None
        if flight.attempt >= _SILENT_AFTER:
            # Perhaps it is this channel that does not get through.
            flight.channel = "events"
        return self._send(flight, now_s)

    def _was_passed_over(self, flight: Flight) -> bool:
        return flight.attempt > 0 and self._lane(flight.channel).proved > flight.order

    def _gives_way(self, flight: Flight, now_s: float) -> bool:
        """Send less at once, or let another batch try; return whether this one is not sent now."""
        self.patience.shrink(now_s)
        if len(flight.keys) > 1 and flight.content_bytes > self.patience.batch_bytes:
            self._drop(flight)
            self.look_again()
            return True
        lane = self._lane(flight.lane)
        others = [other for other in self._flights.values() if other.lane == lane.channel]
        if self._room(lane) > 0 or any(other.attempt < _TRIED for other in others):
            return False
        # The lane is full of batches without an answer: another one may show who is at fault.
        flight.resting, flight.due_s = True, now_s + self.patience.wait_s(1)
        return True

    def _lane(self, channel: Channel) -> Lane:
        return self._live if channel == "events" else self._backlog

    def _drop(self, flight: Flight) -> None:
        self._earlier.keep([flight])
        self._end(flight)

    def _end(self, flight: Flight) -> None:
        del self._flights[flight.batch.batch_id]
        self._under_way.difference_update(flight.keys)

    # ---- answers ---------------------------------------------------------------------------------------------------

    def is_ours(self, receipt: Receipt) -> bool:
        """Tell whether a receipt answers a batch that this program has sent; others may be another machine's."""
        carried = self._carried(receipt.batch_id)
        return carried is not None and carried[0] == receipt.epoch

    def answered(self, receipt: Receipt, now_s: float) -> Receipt | None:
        """Take note of a receipt; return what it says of the events that its batch carried.

        None when it says nothing of them: `busy`, or not ours.
        """
        carried = self._carried(receipt.batch_id)
        if carried is None or carried[0] != receipt.epoch:
            return None
        flight = self._flights.get(receipt.batch_id)
        self._heard_s = now_s
        if receipt.result == "busy":
            pause_s = receipt.retry_after_s or _PAUSE_S
            self.paused_until_s = now_s + pause_s * (1.0 + 0.5 * self.jitter())
            if flight:
                # It did answer: a busy hub is not a silent one, however often it is busy.
                flight.attempt, flight.due_s = 0, self.paused_until_s
            return None
        mine = reduced(receipt, carried[1])
        refused = [SeqRange(first=rejection.seq, last=rejection.seq) for rejection in mine.rejected]
        settled = [*mine.accepted, *mine.duplicate, *refused]
        if flight:
            self._land(flight, settled, now_s)
        else:
            self._earlier.forget(receipt.batch_id)
            self._land_late(receipt.epoch, settled)
        return mine

    def _carried(self, batch_id: str) -> tuple[str, tuple[SeqRange, ...]] | None:
        flight = self._flights.get(batch_id)
        return (flight.batch.epoch, flight.spans) if flight else self._earlier.carried(batch_id)

    def _land(self, flight: Flight, settled: list[SeqRange], now_s: float) -> None:
        self._end(flight)
        self._suspicion.forget(flight.keys)
        lane = self._lane(flight.channel)
        lane.proved = max(lane.proved, flight.first_order)
        self.patience.answered(now_s - flight.sent_s, repeated=flight.attempt > 1)
        if not all(holds(settled, seq) for _, seq in flight.keys):
            self.look_again(now_s + _PAUSE_S)

    def _land_late(self, epoch: str, settled: list[SeqRange]) -> None:
        for flight in list(self._flights.values()):
            if flight.batch.epoch == epoch and all(holds(settled, seq) for _, seq in flight.keys):
                self._drop(flight)
                self._suspicion.forget(flight.keys)

    def cut_off(self, now_s: float) -> None:
        """Take note that the connection ended, or that the broker refused a batch: perhaps it was too large."""
        unheard = [flight for flight in self._flights.values() if flight.sent_s > self._heard_s]
        if any(flight.content_bytes > _LARGE_BYTES for flight in unheard):
            self.patience.shrink(now_s)

    def put_aside(self) -> list[Key]:
        """Return the events that are put aside since the last call: the hub answers everything but them."""
        return self._suspicion.take_aside()

    @property
    def in_flight(self) -> int:
        """Number of unanswered batches, without those that are no longer waited for."""
        return sum(not flight.resting for flight in self._flights.values())

    @property
    def unanswered(self) -> bool:
        """True when a batch was sent three times and nothing at all was answered since: the hub is not listening."""
        return any(
            flight.quiet_tries >= _SILENT_AFTER and self._heard_s <= flight.quiet_s for flight in self._flights.values()
        )
