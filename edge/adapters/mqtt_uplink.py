"""The unit's connection to the broker, over paho-mqtt with MQTT 5.

What paho does on its own is kept away from the record: its queue is never used (nothing is handed over while
disconnected), its callbacks only put into a queue and cannot raise, its thread is watched.
"""

import contextlib
import logging
import queue
import random
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.core.errors import UplinkUnavailable
from edge.core.news import Arrived, Connected, Disconnected, News
from protocol.topics import Address

log = logging.getLogger(__name__)

_TAKEN_OVER = 0x8E
_STOP_S = 3.0
_INBOX = 1000


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker is and how to get in."""

    host: str
    port: int
    client_id: str
    keepalive_s: int
    username: str | None = None
    password: str | None = None


_REFUSALS = {
    0x85: "the broker refuses this unit's name",
    0x86: "the broker refuses user name or password: check broker.username and broker.password_file",
    0x87: "the broker does not let this unit in: has it been added, or revoked?",
    0x8A: "the broker has banned this unit",
    0x97: "the broker says its quota is used up",
    _TAKEN_OVER: "another unit connected with this unit's id: was a card copied? Each unit needs its own `unit add`",
}


class MqttUplink:
    """`edge.core.ports.Uplink`; news arrive in `news`. Any thread."""

    def __init__(self, address: BrokerAddress, subscription: str, *, will: tuple[Address, bytes]) -> None:
        self.news: queue.Queue[News] = queue.Queue(_INBOX)
        self._address = address
        self._subscription = subscription
        self._client = client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=address.client_id, protocol=mqtt.MQTTv5
        )
        # A callback that raises would end paho's thread, while is_connected() stays true.
        client.suppress_exceptions = True
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        if address.username:
            client.username_pw_set(address.username, address.password)
        client.will_set(will[0].topic, will[1], qos=1, retain=True)
        # Units that lost the broker together must not come back together: paho itself adds no jitter.
        first_s = random.randint(1, 4)  # noqa: S311 (spreads load, guards nothing)
        client.reconnect_delay_set(first_s, 30)

    def start(self) -> None:
        """Begin to connect, now and after every loss; returns at once."""
        self._client.connect_async(
            self._address.host, self._address.port, keepalive=self._address.keepalive_s, clean_start=True
        )
        self._client.loop_start()

    @property
    def connected(self) -> bool:
        """True when messages can be sent now."""
        return self._client.is_connected() and self.thread_is_alive()

    def thread_is_alive(self) -> bool:
        """Return whether paho's thread runs: when it died, the process must be restarted."""
        thread = self._client._thread
        return thread is not None and thread.is_alive()

    def publish(self, address: Address, payload: bytes, *, retain: bool = False) -> None:
        """Hand a message to the network. Raises UplinkUnavailable when not connected."""
        if not self.connected:
            raise UplinkUnavailable("not connected to the broker")
        info = self._client.publish(address.topic, payload, qos=1, retain=retain)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            # The connection broke in between. paho has kept the message; forget that, our outbox has it.
            raise UplinkUnavailable("the connection broke while sending")

    def stop(self) -> None:
        """Disconnect and end paho's thread within seconds, even when the broker is frozen."""
        self._client.disconnect()
        thread = self._client._thread
        # loop_stop() would wait for messages a frozen broker never acknowledges.
        self._client._thread_terminate = True
        if thread is not None:
            thread.join(_STOP_S)

    def _tell(self, news: News) -> None:
        # Full: the delivery loop is stuck or flooded. Dropping is safe, every sender repeats what matters.
        with contextlib.suppress(queue.Full):
            self.news.put_nowait(news)

    def _on_connect(self, client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, _props: Any) -> None:
        if reason.is_failure:
            self._tell(Disconnected(explain(reason)))
            return
        # What paho kept from before is in our outbox too: sending both would only make duplicates.
        client.subscribe(self._subscription, qos=1)
        self._tell(Connected())

    def _on_connect_fail(self, _client: mqtt.Client, _data: Any) -> None:
        self._tell(Disconnected(f"no broker answers at {self._address.host}:{self._address.port}"))

    def _on_disconnect(
        self, _client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, _props: Properties | None
    ) -> None:
        self._tell(Disconnected(explain(reason), twin=reason.value == _TAKEN_OVER))

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        self._tell(Arrived(message.topic, bytes(message.payload)))

    def _on_publish(self, _client: mqtt.Client, _data: Any, _mid: int, reason: ReasonCode, _props: Any) -> None:
        # paho calls a message published that the broker has refused; only the reason code tells.
        if reason.is_failure:
            log.warning("broker refused a message reason=%s", explain(reason))


def explain(reason: ReasonCode) -> str:
    """Return a refusal or loss in words, with the remedy where there is one."""
    return _REFUSALS.get(reason.value, f"the broker says: {reason.getName()}")
