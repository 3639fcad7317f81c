"""How many parts of content are under way: few, so that a receipt never waits behind many of them."""

from paho.mqtt.client import MQTTMessageInfo

from hub.adapters.inbox import channel_of

_CONTENT_CHANNEL = "part"
_MOST = 8
"""Of up to MAX_MESSAGE_BYTES each: some milliseconds of a line in the house."""


def is_content(topic: str) -> bool:
    """Tell whether a message on this topic is a part of content."""
    return channel_of(topic) == _CONTENT_CHANNEL


class PartsUnderWay:
    """The parts that the broker has not confirmed. Not for several threads at once."""

    def __init__(self) -> None:
        self._sent: list[tuple[int, MQTTMessageInfo]] = []

    def have_room(self, connection: int) -> bool:
        """Tell whether one more may be sent; what went over another connection than this does not count any more."""
        self._sent = [one for one in self._sent if one[0] == connection and not one[1].is_published()]
        return len(self._sent) < _MOST

    def add(self, connection: int, info: MQTTMessageInfo) -> None:
        """Note one that was sent."""
        self._sent.append((connection, info))
