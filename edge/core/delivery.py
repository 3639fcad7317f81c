"""What is on its way to the hub: batches sent and not yet answered by a receipt.

Pure: takes events and a monotonic time, returns what to send. Nothing here is durable and nothing needs to be: what has
no receipt is still in the outbox, and after a restart it is simply sent again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from edge.core.backoff import delay_s
from protocol.base import MAX_BATCH_BYTES
from protocol.delivery import EventBatch, Limits, Receipt

_BATCH_ENVELOPE_BYTES = 512
BATCH_CONTENT_BYTES = MAX_BATCH_BYTES - _BATCH_ENVELOPE_BYTES
_FIRST_ANSWER_S = 5.0
_LONGEST_ANSWER_S = 15.0
"""Kept short: when a hub comes back, its units should not sit out a wait of minutes."""
_SILENT_AFTER = 3

Fetch = Callable[[int, int, int], Sequence[dict[str, Any]]]
"""(after seq, most events, most bytes) -> undelivered events by rising seq."""


@dataclass(slots=True)
class _Flight:
    events: tuple[dict[str, Any], ...]
    due_s: float
    attempt: int = 1
    """How often it was sent since the hub last said anything about it."""


@dataclass(slots=True)
class DeliveryWindow:
    """Up to `limits.batches_in_flight` unanswered batches. One thread.

    `jitter` returns numbers in 0..1; `new_id` batch ids.
    """

    epoch: str
    new_id: Callable[[], str]
    jitter: Callable[[], float]
    limits: Limits = field(default_factory=Limits)
    _flights: dict[str, _Flight] = field(default_factory=dict)
    _sent_up_to: int = 0
    _paused_until_s: float = float("-inf")

    def reset(self, limits: Limits | None = None) -> None:
        """Forget what was sent: after a connect, everything without a receipt goes out again."""
        self._flights.clear()
        self._sent_up_to = 0
        self._paused_until_s = float("-inf")
        self.limits = limits or self.limits

    def due(self, now_s: float, fetch: Fetch) -> list[EventBatch]:
        """Return the batches to send now: repetitions of unanswered ones first, then new ones."""
        if now_s < self._paused_until_s:
            return []
        batches = [self._repeat(batch_id, now_s) for batch_id, f in list(self._flights.items()) if now_s >= f.due_s]
        while len(self._flights) < self.limits.batches_in_flight:
            events = fetch(self._sent_up_to, self.limits.batch_events, BATCH_CONTENT_BYTES)
            if not events:
                self._go_back_for_the_unanswered(now_s, fetch)
                break
            self._sent_up_to = events[-1]["seq"]
            batches.append(self._launch(tuple(events), now_s))
        return batches

    def answered(self, receipt: Receipt, now_s: float) -> bool:
        """Take note of a receipt; return whether its ranges count (False: busy, or of another epoch)."""
        if receipt.epoch != self.epoch:
            return False
        if receipt.result == "busy":
            flight = self._flights.get(receipt.batch_id)
            pause_s = receipt.retry_after_s or _FIRST_ANSWER_S
            self._paused_until_s = now_s + pause_s * (1.0 + 0.5 * self.jitter())
            if flight:
                # It did answer: a busy hub is not a silent one, however often it is busy.
                flight.attempt, flight.due_s = 0, self._paused_until_s
            return False
        # A late receipt for a batch that is no longer in flight is just as true.
        self._flights.pop(receipt.batch_id, None)
        return True

    @property
    def in_flight(self) -> int:
        """Number of unanswered batches."""
        return len(self._flights)

    @property
    def unanswered(self) -> bool:
        """True when a batch was sent three times and more: the hub is not listening any longer."""
        return any(flight.attempt >= _SILENT_AFTER for flight in self._flights.values())

    def _go_back_for_the_unanswered(self, now_s: float, fetch: Fetch) -> None:
        # A receipt that left events out would otherwise strand them until the next connect.
        if not self._flights and self._sent_up_to and fetch(0, 1, BATCH_CONTENT_BYTES):
            self._sent_up_to = 0
            self._paused_until_s = now_s + _FIRST_ANSWER_S

    def _launch(self, events: tuple[dict[str, Any], ...], now_s: float) -> EventBatch:
        batch_id = self.new_id()
        self._flights[batch_id] = _Flight(events, now_s + self._patience_s(1))
        return EventBatch(epoch=self.epoch, batch_id=batch_id, events=events)

    def _repeat(self, batch_id: str, now_s: float) -> EventBatch:
        flight = self._flights[batch_id]
        flight.attempt += 1
        flight.due_s = now_s + self._patience_s(flight.attempt)
        return EventBatch(epoch=self.epoch, batch_id=batch_id, events=flight.events)

    def _patience_s(self, attempt: int) -> float:
        return 2 * delay_s(attempt, first_s=_FIRST_ANSWER_S, most_s=_LONGEST_ANSWER_S, jitter=self.jitter())
