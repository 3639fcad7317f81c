"""How long to wait for a receipt and how much to send at once: learned from the receipts that come."""

from collections.abc import Callable
from dataclasses import dataclass

from edge.core.backoff import delay_s
from protocol.base import MAX_BATCH_BYTES

_BATCH_ENVELOPE_BYTES = 512
BATCH_CONTENT_BYTES = MAX_BATCH_BYTES - _BATCH_ENVELOPE_BYTES
LEAST_BATCH_BYTES = 2048
"""A handful of events: with fewer, envelopes would be most of what is sent."""

_SHORTEST_S = 5.0
_LONGEST_S = 120.0
_LONGEST_USUALLY_S = 30.0
"""Kept short where the hub usually answers at once: when it comes back, its units should not sit out minutes."""
_PACKET_BYTES = 256
"""More than MQTT adds to a payload, topic included."""
_ANSWERS_TO_GROW = 8


@dataclass(slots=True)
class Patience:
    """Smoothed answer times, as TCP keeps them, and the size of a batch. One thread; `jitter` returns 0..1."""

    jitter: Callable[[], float]
    broker_bytes: int | None = None
    """The largest packet that the broker takes, when it says so."""
    _batch_bytes: int = BATCH_CONTENT_BYTES
    _usual_s: float | None = None
    _spread_s: float = 0.0
    _answers: int = 0
    _shrunk_s: float = float("-inf")

    @property
    def batch_bytes(self) -> int:
        """How many bytes of events one batch may hold now."""
        if self.broker_bytes is None:
            return self._batch_bytes
        return max(1, min(self._batch_bytes, self.broker_bytes - _PACKET_BYTES - _BATCH_ENVELOPE_BYTES))

    @property
    def timeout_s(self) -> float:
        """After how long an answer is late."""
        if self._usual_s is None:
            return _SHORTEST_S
        return min(_LONGEST_S, max(_SHORTEST_S, self._usual_s + 4 * self._spread_s))

    def wait_s(self, attempt: int) -> float:
        """Return how long to wait for the answer to try number `attempt` (1 is the first)."""
        first_s = 2 * self.timeout_s
        most_s = min(_LONGEST_S, max(_LONGEST_USUALLY_S, 2 * first_s))
        return delay_s(attempt, first_s=min(first_s, most_s), most_s=most_s, jitter=self.jitter())

    def answered(self, after_s: float, *, repeated: bool) -> None:
        """Learn how long a batch waited for its receipt, counted from its first send.

        For a repeated one nobody knows which send was answered. Where that was later than we wait, we wait longer from
        now on, at most twice as long: a link that is always slower would never be measured otherwise.
        """
        if repeated:
            if after_s > self.timeout_s:
                self._usual_s = min(after_s, 2 * self.timeout_s)
                self._spread_s = self._usual_s / 4
        elif self._usual_s is None:
            self._usual_s, self._spread_s = after_s, after_s / 2
        else:
            self._spread_s += (abs(after_s - self._usual_s) - self._spread_s) / 4
            self._usual_s += (after_s - self._usual_s) / 8
        self._answers += not repeated
        if self._answers >= _ANSWERS_TO_GROW:
            self._answers = 0
            self._batch_bytes = min(BATCH_CONTENT_BYTES, 2 * self._batch_bytes)

    def shrink(self, now_s: float) -> None:
        """Send half as much at once from now on; what happens to many batches at the same time counts once."""
        self._answers = 0
        if now_s - self._shrunk_s >= _SHORTEST_S:
            self._shrunk_s = now_s
            self._batch_bytes = max(LEAST_BATCH_BYTES, self._batch_bytes // 2)
