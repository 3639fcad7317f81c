"""Messages from units: understood, committed, and only then answered."""

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from zlib import crc32

from hub.core.errors import HubError, StoreRefused, StoreUnavailable
from hub.core.ingest import Arrival, Batch, Heard, Unusable, busy, busy_unread, read, sort_batch
from hub.core.ports import Clock, EventStore, Inbox, Link, Taken
from hub.loops.ingest_state import IngestState
from protocol import codec, topics
from protocol.base import Envelope
from protocol.content import Applied, Want
from protocol.delivery import Audit, EventBatch, Hello, Limits, Welcome
from protocol.status import Status

LOG = logging.getLogger("rollcall.hub.ingest")
MOST_ARRIVALS = 200
MOST_EVENTS = 3000
_WAIT_S = 0.5
_RETRY_AFTER_S = 5.0
_MOST_DEFERRED = 5000
_MOST_SET_ASIDE = 10
"""Messages of one unit that are kept for a person to look at; it sends them again and again."""

Wanting = Callable[[str, Want], None]
Greeted = Callable[[str], None]


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
    ) -> None:
        self.name = name
        self._site = site
        self._inbox = inbox
        self._link = link
        self._store = store
        self._clock = clock
        self._on_want = on_want
        self._on_greeted = on_greeted
        self._deferred: deque[tuple[Heard, Arrival]] = deque(maxlen=_MOST_DEFERRED)
        self._set_aside: Counter[str] = Counter()
        self._state = state or IngestState(clock)
        self._limits = limits
        self.committed = 0
        """Events committed since the start."""

    def step(self) -> None:
        """Take what has arrived, commit it, answer it. Raises StoreRefused: the tables or rights are not ours."""
        batches: list[_Waiting] = []
        unusable: list[Unusable] = []
        for arrival in self._inbox.take(MOST_ARRIVALS, _WAIT_S):
            self._sort(arrival, batches, unusable)
        # An idle step proves nothing about the store, and must not take the turn of one that could.
        if (batches or unusable or self._deferred) and self._state.may_try():
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
            unusable.append(heard)
            return
        self._state.heard(heard.unit_id)
        if isinstance(heard.message, EventBatch):
            batches.append(_Waiting(sort_batch(heard.unit_id, heard.message, heard.received_at), arrival))
        elif isinstance(heard.message, Want):
            self._on_want(heard.unit_id, heard.message)
        else:
            # Status, hello and applied wait for the store without keeping their sender from going on.
            self._deferred.append((heard, arrival))

    # ---- events ----------------------------------------------------------------------------------------------------

    def _commit(self, batches: list[_Waiting], unusable: list[Unusable]) -> None:
        """Commit the batches, some at a time, and answer each as soon as it is committed."""
        while batches:
            some = batches[: len(_first_events([one.batch for one in batches], MOST_EVENTS))]
            for taken in self._take(some, unusable):
                if taken.receipt is None:
                    self._state.stranger(taken.batch.unit_id)
                    continue
                _tell(taken)
                self.committed += sum(one.last - one.first + 1 for one in taken.receipt.accepted)
                self._answer(taken.batch.unit_id, "receipt", taken.receipt)
            # Only now: what could not be committed is answered with `busy` by our caller.
            del batches[: len(some)]

    def _take(self, some: list[_Waiting], unusable: list[Unusable]) -> list[Taken]:
        try:
            return self._store.take([one.batch for one in some])
        except (StoreUnavailable, StoreRefused):
            raise
        except HubError as exc:
            if len(some) > 1:
                return [taken for one in some for taken in self._take([one], unusable)]
            # Nothing of it is on record and nothing is confirmed: the unit keeps it and asks again later.
            self._leave(some[0].batch.unit_id, some[0].arrival, exc, unusable)
            self._say_busy([some[0].batch])
            return []

    def _leave(self, unit_id: str, arrival: Arrival, exc: HubError, unusable: list[Unusable]) -> None:
        """Set one message aside that the store can make nothing of; the others go on."""
        kind = type(exc).__name__
        LOG.error("message set aside unit=%s reason=%s", unit_id, kind)
        self._state.unusable("not_taken")
        self._set_aside[unit_id] += 1
        if self._set_aside[unit_id] <= _MOST_SET_ASIDE:
            unusable.append(Unusable("not_taken", kind, arrival, unit_id))

    def _keep(self, unusable: list[Unusable]) -> None:
        try:
            self._store.quarantine(unusable)
        except (StoreUnavailable, StoreRefused):
            raise
        except HubError as exc:
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

    def _answer_deferred(self, unusable: list[Unusable]) -> None:
        while self._deferred:
            heard, arrival = self._deferred[0]
            try:
                if not self._handle(heard):
                    self._state.stranger(heard.unit_id)
            except (StoreUnavailable, StoreRefused):
                raise
            except HubError as exc:
                self._leave(heard.unit_id, arrival, exc, unusable)
            self._deferred.popleft()

    def _handle(self, heard: Heard) -> bool:
        message = heard.message
        if isinstance(message, Hello):
            return self._greet(heard.unit_id, message, heard.received_at)
        if isinstance(message, Status):
            return self._store.keep_status(heard.unit_id, message, _heard_at(heard, message))
        if isinstance(message, Applied):
            if message.problem is not None:
                LOG.warning("gallery not applied unit=%s reason=%s", heard.unit_id, message.problem)
            return self._store.confirm_gallery(heard.unit_id, message, heard.received_at)
        if isinstance(message, Audit):
            return self._compare(heard.unit_id, message)
        return True

    def _compare(self, unit_id: str, audit: Audit) -> bool:
        answer = self._store.audit(unit_id, audit)
        if answer is None:
            return False
        if answer.differing:
            LOG.error(
                "the record differs from what the unit holds receipts for; it sends again unit=%s epoch=%s ranges=%d",
                unit_id,
                audit.epoch,
                len(answer.differing),
            )
        self._answer(unit_id, "audit", answer)
        return True

    def _greet(self, unit_id: str, hello: Hello, at: datetime) -> bool:
        greeting = self._store.greet(unit_id, hello, at)
        if greeting is None:
            return False
        if greeting.clone_suspected:
            LOG.error("two units speak as one; was a card copied? unit=%s epoch=%s", unit_id, hello.epoch)
        if hello.delivered_seq > greeting.high_water:
            LOG.error(
                "the database lacks events it had confirmed; was it restored? unit=%s epoch=%s confirmed=%d has=%d",
                unit_id,
                hello.epoch,
                hello.delivered_seq,
                greeting.high_water,
            )
        welcome = Welcome(
            epoch=hello.epoch,
            high_water=greeting.high_water,
            server_time=self._clock.now(),
            limits=self._limits(),
            hello_id=hello.hello_id,
        )
        self._answer(unit_id, "welcome", welcome)
        self._on_greeted(unit_id)
        return True

    def _answer(self, unit_id: str, channel: str, message: Envelope) -> None:
        # Not delivered: the unit sends again and is answered again.
        self._link.publish(topics.down(self._site, unit_id, channel).topic, codec.encode(message))


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


def _heard_at(heard: Heard, status: Status) -> datetime:
    """Return when a status was true: a retained one may be weeks old, whatever the moment it reached us."""
    if heard.retained and status.at is not None:
        return min(status.at, heard.received_at)
    return heard.received_at
