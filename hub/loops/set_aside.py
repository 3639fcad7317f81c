"""Messages that are set aside for a person to look at: some of each unit a day, since it sends them again and again."""

from collections import Counter

from hub.core.ingest import Unusable
from hub.core.ports import Clock

_MOST_A_DAY = 10
_MOST_UNITS = 5000
_DAY_S = 86400.0


class SetAside:
    """Counts what was set aside of each unit. One thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since_s = clock.monotonic_s()
        self._counts: Counter[str | None] = Counter()

    def may_keep(self, message: Unusable) -> bool:
        """Count a message, and tell whether it is to be kept: not when there are enough of its unit today."""
        now_s = self._clock.monotonic_s()
        if now_s - self._since_s >= _DAY_S or len(self._counts) >= _MOST_UNITS:
            self._counts.clear()
            self._since_s = now_s
        self._counts[message.unit_id] += 1
        return self._counts[message.unit_id] <= _MOST_A_DAY
