"""Messages from units: understood, committed, and only then answered."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from zlib import crc32

from hub.core.errors import HubError, StoreBusy, StoreRefused, StoreUnavailable
from hub.core.ingest import Arrival, Batch, Unusable, busy, busy_unread, read, sort_batch
from hub.core.ports import Clock, EventStore, Inbox, Link, Taken
from hub.loops.deferred import Deferred
from hub.loops.desk import Desk, Greeted
from hub.loops.held_up import HeldUp
from hub.loops.ingest_state import IngestState
from hub.loops.set_aside import SetAside
from protocol import codec, topics
from protocol.base import Envelope
from protocol.content import Want
from protocol.delivery import EventBatch, Limits

LOG = logging.getLogger("rollcall.hub.ingest")
MOST_ARRIVALS = 200
MOST_EVENTS = 3000
_WAIT_S = 0.5
_RETRY_AFTER_S = 5.0
_MOST_NOT_TAKEN = 3
"""Batches that the database may not take in one step, each tried alone; the others are then told to come again."""

_MOST_NOT_ANSWERED = 2
"""Units over which the database may be busy in one step with what they say besides events: each may be a long wait."""

_TIMES_UNTIL_SET_ASIDE = 3
_LONGEST_PAUSE_S, _LONGEST_PAUSE_OF_OTHERS_S = 600.0, 30.0
"""For a unit whose events the database does not take; and for what else it says, so that it is not taken for dead."""

Wanting = Callable[[str, Want], None]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A batch that is to be committed, and the message it came in."""

    batch: Batch
    arrival: Arrival


class IngestLoop:
    """Takes what units say. One thread calls `step`.

    A process has several of these, each with its own inbox and store: lanes for events, so that one reads while others
    wait for the database, and one for everything else. They share `state`.

    `on_want` and `on_greeted` are called in the loop's thread and must only note what they are told: a unit asks for
    content, and a unit said hello and should hear its gallery's head again. `limits` tells what a unit may send now.
    """

    def __init__(  # noqa: PLR0913 (the parts it is made of; each is a port)
        self,
        *,
        site: str,
        inbox: Inbox,
        link: Link,
        store: EventStore,
        clock: Clock,
        on_want: Wanting,
        on_greeted: Greeted,
        state: IngestState | None = None,
        limits: Callable[[], Limits] = Limits,
        name: str = "ingest",
        most: int = MOST_ARRIVALS,
    ) -> None:
        """Take at most `most` messages in one step."""
        self.name = name
        self._most = most
        self._site = site
        self._inbox = inbox
        self._link = link
        self._store = store
        self._clock = clock
        self._on_want = on_want
        self._deferred = Deferred()
        self._set_aside = SetAside(clock)
        self._events_held_up = HeldUp(clock, _LONGEST_PAUSE_S)
        self._others_held_up = HeldUp(clock, _LONGEST_PAUSE_OF_OTHERS_S)
        self._not_taken = 0
        self._state = state or IngestState(clock)
        self._desk = Desk(store, clock, self._state, self._answer, on_greeted, limits)
        self.committed = 0
        """Events committed since the start."""

    def step(self) -> None:
        """Take what has arrived, commit it, answer it. Raises StoreRefused: the tables or rights are not ours."""
        batches: list[_Waiting] = []
        unusable: list[Unusable] = []
        self._not_taken = 0
        for arrival in self._inbox.take(self._most, _WAIT_S):
            self._sort(arrival, batches, unusable)
        # An idle step proves nothing about the store, and must not take the turn of one that could.
        if (batches or unusable or self._something_due()) and self._state.may_try():
            try:
                self._answer_deferred(unusable)
                self._commit(batches, unusable)
                self._keep(unusable)
            except StoreUnavailable as exc:
                self._state.lost(exc)
            else:
                self._state.reached()
        # What was committed is not in the list any more.
        self._say_busy(one.batch for one in batches)
        self._turn_away()
        self._state.report()

    def _sort(self, arrival: Arrival, batches: list[_Waiting], unusable: list[Unusable]) -> None:
        heard = read(arrival, self._site)
        if isinstance(heard, Unusable):
            self._state.unusable(heard.code)
            self._set_aside_some(heard, unusable)
            return
        self._state.heard(heard.unit_id)
        if isinstance(heard.message, EventBatch):
            wait_s = self._events_held_up.wait_s(heard.unit_id)
            if wait_s:
                self._answer(heard.unit_id, "receipt", busy(heard.message, wait_s))
                return
            batches.append(_Waiting(sort_batch(heard.unit_id, heard.message, heard.received_at), arrival))
        elif isinstance(heard.message, Want):
            self._on_want(heard.unit_id, heard.message)
        else:
            # Status, hello and applied wait for the store without keeping their sender from going on. What does not fit
            # is left: its unit says it again.
            self._deferred.put(heard, arrival)

    # ---- events ----------------------------------------------------------------------------------------------------

    def _commit(self, batches: list[_Waiting], unusable: list[Unusable]) -> None:
        """Commit the batches, some at a time, and answer each as soon as it is committed."""
        while batches:
            # Whoever comes back from a pause is tried last, and alone: it may well not be taken again.
            batches.sort(key=lambda one: self._events_held_up.is_known(one.batch.unit_id))
            fresh = [one.batch for one in batches if not self._events_held_up.is_known(one.batch.unit_id)]
            some = batches[: len(_first_events(fresh, MOST_EVENTS)) or 1]
            self._conclude(self._take(some, unusable) if fresh else self._take_alone(some[0], unusable))
            # Only now: what could not be committed is answered with `busy` by our caller.
            del batches[: len(some)]

    def _conclude(self, done: Iterable[Taken]) -> None:
        for taken in done:
            unit_id = taken.batch.unit_id
            if taken.receipt is None:
                self._state.stranger(unit_id)
                continue
            if taken.too_many_streams:
                self._state.too_many_streams(unit_id)
            # Not over another batch of the same unit: the one that it waits over may never be taken.
            elif self._events_held_up.is_over(taken.batch):
                self._events_held_up.remove(unit_id)
            _tell(taken)
            self.committed += sum(one.last - one.first + 1 for one in taken.receipt.accepted)
            self._answer(unit_id, "receipt", taken.receipt)

    def _take(self, some: list[_Waiting], unusable: list[Unusable]) -> list[Taken]:
        """Return what became of these batches; what the database does not take is found, and its unit waits alone."""
        try:
            return self._store.take([one.batch for one in some])
        except StoreRefused:
            raise
        except HubError as exc:
            if _is_away(exc):
                raise
            if len(some) > 1:
                return [taken for one in some for taken in self._take_alone(one, unusable)]
            self._hold_up(some[0], exc, unusable)
            return []

    def _take_alone(self, one: _Waiting, unusable: list[Unusable]) -> list[Taken]:
        unit_id = one.batch.unit_id
        # Not one after the other, each after a long wait, when it is the database that takes nothing.
        if self._not_taken >= _MOST_NOT_TAKEN or self._events_held_up.wait_s(unit_id):
            self._say_busy([one.batch])
            return []
        return self._take([one], unusable)

    def _hold_up(self, one: _Waiting, exc: HubError, unusable: list[Unusable]) -> None:
        """Let a unit wait whose batch is not taken: nothing of it is on record, nothing confirmed, it asks again."""
        unit_id = one.batch.unit_id
        self._not_taken += 1
        times = self._events_held_up.add(unit_id, exc, one.batch)
        # A lock is let go of some time. What nobody expected, or what stays so, is for a person to look at.
        if not isinstance(exc, StoreBusy) or times == _TIMES_UNTIL_SET_ASIDE:
            self._leave(unit_id, one.arrival, exc, unusable)
        self._say_busy([one.batch])

    def _leave(self, unit_id: str, arrival: Arrival, exc: HubError, unusable: list[Unusable]) -> None:
        """Set one message aside that the store can make nothing of; the others go on."""
        kind = type(exc).__name__
        LOG.error("message set aside unit=%s reason=%s", unit_id, kind)
        self._state.unusable("not_taken")
        self._set_aside_some(Unusable("not_taken", kind, arrival, unit_id), unusable)

    def _set_aside_some(self, message: Unusable, unusable: list[Unusable]) -> None:
        """Set a message aside for a person, unless there are enough of its unit."""
        if self._set_aside.may_keep(message):
            unusable.append(message)

    def _keep(self, unusable: list[Unusable]) -> None:
        try:
            self._store.quarantine(unusable)
        except StoreRefused:
            raise
        except HubError as exc:
            if _is_away(exc):
                raise
            LOG.error("%d messages could not be kept reason=%s", len(unusable), type(exc).__name__)  # noqa: TRY400

    def _say_busy(self, batches: Iterable[Batch]) -> None:
        for batch in batches:
            self._answer(batch.unit_id, "receipt", busy(batch, _retry_after_s(batch.unit_id)))

    def _turn_away(self) -> None:
        """Tell units to wait whose batches found no room: cheaper than hearing them again and again."""
        for arrival in self._inbox.turned_away():
            answer = busy_unread(arrival, self._site, _retry_after_s(arrival.topic))
            if answer is not None:
                self._answer(answer[0], "receipt", answer[1])

    # ---- everything else -------------------------------------------------------------------------------------------

    def _something_due(self) -> bool:
        return bool(self._others_held_up.in_turn(self._deferred.whose()))

    def _answer_deferred(self, unusable: list[Unusable]) -> None:
        busy_with = 0
        for unit_id in self._others_held_up.in_turn(self._deferred.whose()):
            busy_with += not self._answer_unit(unit_id, unusable)
            if busy_with >= _MOST_NOT_ANSWERED:
                # The rest in the next step, after whoever has come meanwhile and never had to wait.
                return

    def _answer_unit(self, unit_id: str, unusable: list[Unusable]) -> bool:
        """Handle what a unit said; False when the database is busy over it: it stays, with all that came after it."""
        while (first := self._deferred.first_of(unit_id)) is not None:
            heard, arrival = first
            try:
                if not self._desk.handle(heard):
                    self._state.stranger(unit_id)
            except StoreBusy as exc:
                self._others_held_up.add(unit_id, exc)
                return False
            except (StoreRefused, StoreUnavailable):
                raise
            except HubError as exc:
                self._leave(unit_id, arrival, exc, unusable)
            else:
                self._others_held_up.remove(unit_id)
            self._deferred.drop_first(unit_id)
        return True

    def _answer(self, unit_id: str, channel: str, message: Envelope) -> None:
        # Not delivered: the unit sends again and is answered again.
        self._link.publish(topics.down(self._site, unit_id, channel).topic, codec.encode(message))


def _is_away(exc: HubError) -> bool:
    """Tell whether nobody can be served: the database is away, and not only busy with one message."""
    return isinstance(exc, StoreUnavailable) and not isinstance(exc, StoreBusy)


def _tell(taken: Taken) -> None:
    unit_id, epoch = taken.batch.unit_id, taken.batch.epoch
    if taken.conflicts:
        LOG.error("event contradicts the record unit=%s count=%d", unit_id, taken.conflicts)
    elif taken.refused:
        LOG.warning("events refused unit=%s count=%d", unit_id, taken.refused)
    if taken.moved:
        LOG.info("late copies of events that were numbered anew unit=%s count=%d", unit_id, taken.moved)
    if taken.misplaced:
        LOG.error(
            "other events stand where a unit counts on; was an old file put back? unit=%s epoch=%s count=%d",
            unit_id,
            epoch,
            taken.misplaced,
        )


def _retry_after_s(whose: str) -> float:
    # Not all at the same moment, and for each unit always the same.
    return _RETRY_AFTER_S * (1 + crc32(whose.encode()) % 1000 / 1000)


def _first_events(batches: list[Batch], most: int) -> list[Batch]:
    """Return the first batches with at most `most` events together, at least one batch."""
    taken: list[Batch] = []
    events = 0
    for batch in batches:
        events += len(batch.rows) + len(batch.refused)
        if taken and events > most:
            break
        taken.append(batch)
    return taken
