"""Messages from units: understood, committed, and only then answered."""

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from hub.core.errors import HubError, StoreRefused, StoreUnavailable
from hub.core.ingest import Arrival, Batch, Heard, Unusable, busy, read, sort_batch
from hub.core.ports import Clock, EventStore, Inbox, Link, Taken
from protocol import codec, topics
from protocol.base import Envelope
from protocol.content import Applied, Want
from protocol.delivery import EventBatch, Hello, Welcome
from protocol.status import Status

LOG = logging.getLogger("rollcall.hub.ingest")
MOST_ARRIVALS = 60
MOST_EVENTS = 2000
_WAIT_S = 0.5
_PROBE_EVERY_S = 2.0
_RETRY_AFTER_S = 5.0
_MOST_DEFERRED = 5000
_REPORT_EVERY_S = 60.0
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

    `on_want` and `on_greeted` are called in that thread and must only note what they are told: a unit asks for
    content, and a unit said hello and should hear its gallery's head again.
    """

    name = "ingest"

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
    ) -> None:
        self._site = site
        self._inbox = inbox
        self._link = link
        self._store = store
        self._clock = clock
        self._on_want = on_want
        self._on_greeted = on_greeted
        self._deferred: deque[tuple[Heard, Arrival]] = deque(maxlen=_MOST_DEFERRED)
        self._set_aside: Counter[str] = Counter()
        self._lost_at_s: float | None = None
        self._probe_at_s = 0.0
        self._strangers: Counter[str] = Counter()
        self._unusable: Counter[str] = Counter()
        self._reported_at_s = clock.monotonic_s()
        self.committed = 0
        """Events committed since the start."""

    def step(self) -> None:
        """Take what has arrived, commit it, answer it. Raises StoreRefused: the tables or rights are not ours."""
        batches: list[_Waiting] = []
        unusable: list[Unusable] = []
        for arrival in self._inbox.take(MOST_ARRIVALS, _WAIT_S):
            self._sort(arrival, batches, unusable)
        if self._may_try():
            # An idle step proves nothing about the store.
            asking = bool(batches or unusable or self._deferred)
            try:
                self._answer_deferred(unusable)
                self._commit(batches, unusable)
                self._keep(unusable)
            except StoreUnavailable as exc:
                self._note_lost(exc)
            else:
                if asking:
                    self._note_recovered()
        # What was committed is not in the list any more.
        self._say_busy(one.batch for one in batches)
        self._report()

    def _sort(self, arrival: Arrival, batches: list[_Waiting], unusable: list[Unusable]) -> None:
        heard = read(arrival, self._site)
        if isinstance(heard, Unusable):
            self._unusable[heard.code] += 1
            unusable.append(heard)
        elif isinstance(heard.message, EventBatch):
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
                    self._note_stranger(taken.batch.unit_id)
                    continue
                if taken.conflicts:
                    LOG.error("event contradicts the record unit=%s count=%d", taken.batch.unit_id, taken.conflicts)
                elif taken.refused:
                    LOG.warning("events refused unit=%s count=%d", taken.batch.unit_id, taken.refused)
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
        self._unusable["not_taken"] += 1
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
            self._answer(batch.unit_id, "receipt", busy(batch, _RETRY_AFTER_S))

    # ---- everything else -------------------------------------------------------------------------------------------

    def _answer_deferred(self, unusable: list[Unusable]) -> None:
        while self._deferred:
            heard, arrival = self._deferred[0]
            try:
                if not self._handle(heard):
                    self._note_stranger(heard.unit_id)
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
        welcome = Welcome(epoch=hello.epoch, high_water=greeting.high_water, server_time=self._clock.now())
        self._answer(unit_id, "welcome", welcome)
        self._on_greeted(unit_id)
        return True

    def _answer(self, unit_id: str, channel: str, message: Envelope) -> None:
        # Not delivered: the unit sends again and is answered again.
        self._link.publish(topics.down(self._site, unit_id, channel).topic, codec.encode(message))

    # ---- what people are told --------------------------------------------------------------------------------------

    def _may_try(self) -> bool:
        return self._lost_at_s is None or self._clock.monotonic_s() >= self._probe_at_s

    def _note_lost(self, exc: StoreUnavailable) -> None:
        now_s = self._clock.monotonic_s()
        self._probe_at_s = now_s + _PROBE_EVERY_S
        if self._lost_at_s is None:
            self._lost_at_s = now_s
            LOG.warning("database lost reason=%r; nothing is confirmed, units keep their events", str(exc))

    def _note_recovered(self) -> None:
        if self._lost_at_s is not None:
            LOG.info("database recovered after_s=%.0f", self._clock.monotonic_s() - self._lost_at_s)
            self._lost_at_s = None

    def _note_stranger(self, unit_id: str) -> None:
        self._strangers[unit_id] += 1
        if self._strangers[unit_id] == 1:
            LOG.error("unknown or revoked unit=%s; nothing of it is taken or answered", unit_id)
        if len(self._strangers) > _MOST_DEFERRED:
            self._strangers.clear()

    def _report(self) -> None:
        now_s = self._clock.monotonic_s()
        if self._unusable and now_s - self._reported_at_s >= _REPORT_EVERY_S:
            counts = " ".join(f"{code}={count}" for code, count in sorted(self._unusable.items()))
            LOG.warning("messages that cannot be used %s", counts)
            self._unusable.clear()
            self._reported_at_s = now_s


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
