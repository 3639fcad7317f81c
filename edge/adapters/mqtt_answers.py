"""What the broker answers to single messages: paho tells a number, we want to know the kind.

Mosquitto 2.0.11 ends the connection over a message that its rules forbid. What it answers before is lost when more was
on its way to it; then only the oldest message without an answer shows over which one that was.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable

from paho.mqtt.reasoncodes import ReasonCode

from protocol.base import MAX_MESSAGE_BYTES

TAKEN_OVER = 0x8E
TWIN = "another unit connected with this unit's id: was a card copied? Each unit needs its own `unit add`"
HEADER_BYTES = 256
"""More than MQTT adds to a payload, topic included."""
_REFUSALS = {
    0x85: "the broker refuses this unit's name",
    0x86: "the broker refuses user name or password: check broker.username and broker.password_file",
    # Mosquitto says this of a wrong password too.
    0x87: "the broker does not let this unit in: check broker.username and broker.password_file; "
    "has the unit been added, or revoked?",
    0x8A: "the broker has banned this unit",
    0x97: "the broker says its quota is used up",
    0x8B: "the broker is being shut down",
    TAKEN_OVER: TWIN,
    0x95: f"a message was too large for the broker: its max_packet_size must be {MAX_MESSAGE_BYTES + HEADER_BYTES}",
}
_MOST_UNANSWERED = 1000
AT_ONCE_S = 2.0
"""A connection that ends so soon after a message, or after its refusal, may have ended over it."""
_CUTS_TO_BELIEVE = 2
"""Once, the network may have broken at that moment."""


class Unanswered:
    """Which channel each unanswered message is for, and on which the broker refused the last one. Any thread."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._sent: dict[int, tuple[str, float]] = {}
        self._early: dict[int, ReasonCode] = {}
        self._taken: set[str] = set()
        """Channels of which the broker took a message in this connection."""
        self._refused: set[str] = set()
        self._cuts: Counter[str] = Counter()
        """How often the connection ended over each channel since a message of it was taken."""

    def sent(self, mid: int, channel: str) -> tuple[str, ReasonCode] | None:
        """Note a message; return what to tell when its answer was faster than we."""
        with self._lock:
            if len(self._sent) >= _MOST_UNANSWERED:
                self._sent.clear()
            reason = self._early.pop(mid, None)
            if reason is not None:
                return self._news(channel, reason)
            self._sent[mid] = channel, self._monotonic_s()
            return None

    def answered(self, mid: int, reason: ReasonCode) -> tuple[str, ReasonCode] | None:
        """Note an answer; return what to tell of it: every refusal, and the first message taken after one."""
        with self._lock:
            sent = self._sent.pop(mid, None)
            if sent is not None:
                return self._news(sent[0], reason)
            if len(self._early) >= _MOST_UNANSWERED:
                self._early.clear()
            self._early[mid] = reason
            return None

    def cut(self) -> tuple[str, bool] | None:
        """Return over which channel the connection seems to have ended, and whether to believe it; None: over none."""
        with self._lock:
            channel, sent_s = next(iter(self._sent.values()), ("", float("-inf")))
            # Under traffic there is always a message without an answer. If others of its kind were taken, that is all.
            if self._monotonic_s() - sent_s > AT_ONCE_S or channel in self._taken:
                return None
            self._cuts[channel] += 1
            believed = self._cuts[channel] >= _CUTS_TO_BELIEVE
            if believed:
                self._refused.add(channel)
            return channel, believed

    def forget(self) -> None:
        """Forget the messages of a connection that is over: numbers are used again. Refusals are remembered."""
        with self._lock:
            self._sent.clear()
            self._early.clear()
            self._taken.clear()

    def _news(self, channel: str, reason: ReasonCode) -> tuple[str, ReasonCode] | None:
        if reason.is_failure:
            self._refused.add(channel)
            self._taken.discard(channel)
            return channel, reason
        self._taken.add(channel)
        self._cuts.pop(channel, None)
        if channel in self._refused:
            self._refused.discard(channel)
            return channel, reason
        return None


def explain(reason: ReasonCode) -> str:
    """Return a refusal or loss in words, with the remedy where there is one."""
    return _REFUSALS.get(reason.value, f"the broker says: {reason.getName()}")
