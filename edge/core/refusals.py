"""Channels of which the broker takes nothing now: held back, so that the others get on.

Mosquitto ends the connection over a message that its rules forbid: sent again and again, it would let nothing through.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from edge.core.backoff import delay_s

_FIRST_S = 5.0
_LONGEST_S = 60.0
"""So long it may take, once the rules are repaired, until everything flows again."""


@dataclass(slots=True)
class _Held:
    times: int
    until_s: float


@dataclass(slots=True)
class RefusedChannels:
    """Which channels to hold back, and until when. One thread; over connections. `jitter` returns 0..1."""

    jitter: Callable[[], float]
    _held: dict[str, _Held] = field(default_factory=dict)

    def refused(self, channel: str, now_s: float) -> None:
        """Note that the broker refused a message; what was sent before the last refusal counts with that one."""
        held = self._held.get(channel)
        if held is None or now_s >= held.until_s:
            times = held.times + 1 if held else 1
            wait_s = delay_s(times, first_s=_FIRST_S, most_s=_LONGEST_S, jitter=self.jitter())
            self._held[channel] = _Held(times, now_s + wait_s)

    def accepted(self, channel: str) -> None:
        """Note that the broker took a message."""
        self._held.pop(channel, None)

    def holds_back(self, channel: str, now_s: float) -> bool:
        """Tell whether nothing is to be sent on this channel now."""
        held = self._held.get(channel)
        return held is not None and now_s < held.until_s

    def next_due_s(self, now_s: float) -> float:
        """Return when the next channel is tried again."""
        return min((held.until_s for held in self._held.values() if now_s < held.until_s), default=float("inf"))

    def closed(self, now_s: float) -> frozenset[str]:
        """Return the channels on which nothing is to be sent now."""
        return frozenset(channel for channel in self._held if self.holds_back(channel, now_s))

    def __bool__(self) -> bool:
        """Tell whether the broker took nothing on some channel since it refused something there."""
        return bool(self._held)
