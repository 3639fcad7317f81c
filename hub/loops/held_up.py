"""Units that have to wait because the database, which answers, does not take what they sent: the others go on."""

import logging
from dataclasses import dataclass

from hub.core.errors import HubError
from hub.core.ports import Clock

LOG = logging.getLogger("rollcall.hub.ingest")
_FIRST_PAUSE_S = 10.0
_MOST_DOUBLED = 10
_MOST_UNITS = 1000


@dataclass(frozen=True, slots=True)
class _Wait:
    until_s: float
    times: int


class HeldUp:
    """Who waits, and until when. One thread."""

    def __init__(self, clock: Clock, longest_s: float) -> None:
        """Nobody waits longer than `longest_s` at a time."""
        self._clock = clock
        self._longest_s = longest_s
        self._waits: dict[str, _Wait] = {}

    def add(self, unit_id: str, exc: HubError) -> int:
        """Let a unit wait, longer each time; return how many times in a row it has."""
        before = self._waits.get(unit_id)
        times = 1 if before is None else before.times + 1
        pause_s = min(_FIRST_PAUSE_S * 2 ** min(times - 1, _MOST_DOUBLED), self._longest_s)
        if before is not None or len(self._waits) < _MOST_UNITS:
            self._waits[unit_id] = _Wait(self._clock.monotonic_s() + pause_s, times)
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

    def remove(self, unit_id: str) -> None:
        """Note that the database took what a unit sent."""
        if self._waits and self._waits.pop(unit_id, None) is not None:
            LOG.info("taken again unit=%s", unit_id)
