"""Units that have to wait because the database, which answers, does not take what they sent: the others go on."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from hub.core.errors import HubError
from hub.core.ingest import Batch
from hub.core.ports import Clock

LOG = logging.getLogger("rollcall.hub.ingest")
_FIRST_PAUSE_S = 10.0
_MOST_DOUBLED = 10
_MOST_UNITS = 1000


@dataclass(frozen=True, slots=True)
class _Wait:
    until_s: float
    times: int
    place: tuple[str, int] | None
    """Where the batch begins that it waits over: epoch and seq."""


class HeldUp:
    """Who waits, until when, and over what. One thread."""

    def __init__(self, clock: Clock, longest_s: float) -> None:
        """Nobody waits longer than `longest_s` at a time."""
        self._clock = clock
        self._longest_s = longest_s
        self._waits: dict[str, _Wait] = {}

    def add(self, unit_id: str, exc: HubError, batch: Batch | None = None) -> int:
        """Let a unit wait, over a batch or what else it said, longer each time; return how many times in a row."""
        before = self._waits.get(unit_id)
        times = 1 if before is None else before.times + 1
        pause_s = min(_FIRST_PAUSE_S * 2 ** min(times - 1, _MOST_DOUBLED), self._longest_s)
        if before is None and len(self._waits) >= _MOST_UNITS:
            # Whose pause is over, or will be first.
            del self._waits[min(self._waits, key=lambda one: self._waits[one].until_s)]
        self._waits[unit_id] = _Wait(self._clock.monotonic_s() + pause_s, times, min(_places(batch)) if batch else None)
        LOG.error(
            "database does not take what one unit sent; the others go on unit=%s reason=%r times=%d again_in_s=%.0f",
            unit_id,
            str(exc),
            times,
            pause_s,
        )
        return times

    def wait_s(self, unit_id: str) -> float:
        """Return for how long a unit still has to wait; 0 when it need not."""
        wait = self._waits.get(unit_id)
        return 0.0 if wait is None else max(0.0, wait.until_s - self._clock.monotonic_s())

    def is_known(self, unit_id: str) -> bool:
        """Tell whether a unit waits, or waited and nothing has been taken since: it may well not be taken again."""
        return unit_id in self._waits

    def is_over(self, batch: Batch) -> bool:
        """Tell whether the batch that a unit waits over begins in this one, which was taken."""
        wait = self._waits.get(batch.unit_id)
        return wait is not None and wait.place in _places(batch)

    def in_turn(self, unit_ids: Iterable[str]) -> list[str]:
        """Return those that need not wait now: who never had to, then whose pause has been over for longest."""
        now_s = self._clock.monotonic_s()
        until_s = {one: self._waits[one].until_s if one in self._waits else -1.0 for one in unit_ids}
        return sorted((one for one in until_s if until_s[one] <= now_s), key=lambda one: until_s[one])

    def remove(self, unit_id: str) -> None:
        """Note that the database took what a unit waited over."""
        if self._waits and self._waits.pop(unit_id, None) is not None:
            LOG.info("taken again unit=%s", unit_id)


def _places(batch: Batch) -> set[tuple[str, int]]:
    return {(batch.epoch, row.event.seq) for row in batch.rows} | {(batch.epoch, one.seq) for one in batch.refused}
