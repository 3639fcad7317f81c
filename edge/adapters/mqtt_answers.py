"""What the broker answers to single messages: paho tells a number, we want to know the kind."""

import threading

from paho.mqtt.reasoncodes import ReasonCode

_MOST_UNANSWERED = 1000


class Unanswered:
    """Which channel each unanswered message is for, and on which the broker refused the last one. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent: dict[int, str] = {}
        self._early: dict[int, ReasonCode] = {}
        self._refused: set[str] = set()

    def sent(self, mid: int, channel: str) -> tuple[str, ReasonCode] | None:
        """Note a message; return what to tell when its answer was faster than we."""
        with self._lock:
            if len(self._sent) >= _MOST_UNANSWERED:
                self._sent.clear()
            reason = self._early.pop(mid, None)
            if reason is not None:
                return self._news(channel, reason)
            self._sent[mid] = channel
            return None

    def answered(self, mid: int, reason: ReasonCode) -> tuple[str, ReasonCode] | None:
        """Note an answer; return what to tell of it: every refusal, and the first message taken after one."""
        with self._lock:
            channel = self._sent.pop(mid, None)
            if channel is not None:
                return self._news(channel, reason)
            if len(self._early) >= _MOST_UNANSWERED:
                self._early.clear()
            self._early[mid] = reason
            return None

    def forget(self) -> None:
        """Forget the messages of a connection that is over: numbers are used again. Refusals are remembered."""
        with self._lock:
            self._sent.clear()
            self._early.clear()

    def _news(self, channel: str, reason: ReasonCode) -> tuple[str, ReasonCode] | None:
        if reason.is_failure:
            self._refused.add(channel)
            return channel, reason
        if channel in self._refused:
            self._refused.discard(channel)
            return channel, reason
        return None
