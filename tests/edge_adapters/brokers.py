"""An uplink against a real broker, and somebody else who listens and speaks there."""

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from edge.adapters.mqtt_uplink import BrokerAddress, MqttUplink, Waits
from edge.core.news import Accepted, Arrived, Connected, Disconnected, Hindered, News, Refused
from protocol import topics
from protocol.topics import Address
from tests.edge_adapters.pieces import UNIT, eventually

WILL = b'{"state":"lost"}'


QUICK = Waits(first_s=1.0, longest_s=1.0, will_s=0, jitter=lambda: 0.5)


def fresh_site() -> str:
    """Return a site that no other test uses: the broker is shared."""
    return f"t-{uuid4().hex[:16]}"


def address(port: int, *, keepalive_s: int = 30, unit: str = UNIT) -> BrokerAddress:
    """Return where a broker of ours listens."""
    return BrokerAddress(host="127.0.0.1", port=port, client_id=unit, keepalive_s=keepalive_s)


def status_of(site: str, unit: str = UNIT) -> Address:
    """Return where the unit speaks of itself."""
    return topics.up(site, unit, "status")


def uplink(where: BrokerAddress, site: str) -> MqttUplink:
    """Return an uplink as the unit's program makes it, that tries again sooner than in a school."""
    unit = where.client_id
    return MqttUplink(where, topics.unit_filter(site, unit), will=(status_of(site, unit), WILL), waits=QUICK)


@contextmanager
def started(link: MqttUplink) -> Iterator[MqttUplink]:
    """Start an uplink and stop it afterwards, whatever happened."""
    link.start()
    try:
        yield link
    finally:
        link.stop()


def taken(link: MqttUplink) -> list[News]:
    """Return the news that arrived since the last call."""
    found: list[News] = []
    while True:
        try:
            found.append(link.news.get_nowait())
        except queue.Empty:
            return found


def waits_for(link: MqttUplink, wanted: Callable[[News], bool], timeout_s: float = 15.0) -> News:
    """Return the first news of this kind; those before it are thrown away."""
    found: list[News] = []

    def arrived() -> bool:
        found.extend(news for news in taken(link) if wanted(news))
        return bool(found)

    assert eventually(arrived, timeout_s), "the news did not come"
    for later in found[1:]:
        link.news.put_nowait(later)
    return found[0]


def is_connected(news: News) -> bool:
    """Tell whether this is the news of a connection."""
    return isinstance(news, Connected)


def is_disconnected(news: News) -> bool:
    """Tell whether this is the news of a lost or refused connection."""
    return isinstance(news, Disconnected)


def is_refused(news: News) -> bool:
    """Tell whether this is the news of a message that the broker would not take."""
    return isinstance(news, Refused)


def is_arrived(news: News) -> bool:
    """Tell whether this is a message."""
    return isinstance(news, Arrived)


def is_hindered(news: News) -> bool:
    """Tell whether this is the news of a connection that is not of full use."""
    return isinstance(news, Hindered)


def is_accepted(news: News) -> bool:
    """Tell whether this is the news of a message that the broker takes again."""
    return isinstance(news, Accepted)


class Listener:
    """Somebody else at the broker: subscribes, keeps what arrives, can publish."""

    def __init__(self, port: int, topic: str) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self._subscribed = False
        self._topic = topic
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, f"listener-{uuid4()}", protocol=mqtt.MQTTv5)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        self._client.on_subscribe = lambda *_: setattr(self, "_subscribed", True)
        self._client.on_message = lambda _c, _d, message: self.messages.append((message.topic, bytes(message.payload)))
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert eventually(lambda: self._subscribed), "the listener was not let in"

    def payloads(self) -> list[bytes]:
        """Return what arrived so far."""
        return [payload for _topic, payload in self.messages]

    def speak(self, topic: str, payload: bytes) -> None:
        """Publish as somebody else."""
        self._client.publish(topic, payload, qos=1).wait_for_publish(10)

    def again_connected(self) -> None:
        """Wait until the listener is back after a restart of the broker."""
        assert eventually(self._client.is_connected)
        self._subscribed = False
        self._client.subscribe(self._topic, qos=1)
        assert eventually(lambda: self._subscribed)

    def stop(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def listening(port: int, topic: str) -> Iterator[Listener]:
    """Listen while the block runs."""
    listener = Listener(port, topic)
    try:
        yield listener
    finally:
        listener.stop()
