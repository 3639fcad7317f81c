"""The unit's connection to the broker, over paho-mqtt with MQTT 5.

What paho does on its own is kept away from the record: its queue is never used (nothing is handed over while
disconnected, what is unanswered when the connection ends is forgotten), its callbacks only put into a queue and cannot
raise, its thread is watched.
"""

import contextlib
import logging
import queue
import random
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.client import ConnectFlags, DisconnectFlags
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.adapters.mqtt_answers import AT_ONCE_S, HEADER_BYTES, TAKEN_OVER, TWIN, Unanswered, explain
from edge.core.backoff import delay_s
from edge.core.errors import UplinkUnavailable
from edge.core.news import Accepted, Arrived, Connected, Disconnected, Hindered, News, Refused
from protocol.base import MAX_MESSAGE_BYTES
from protocol.topics import Address

log = logging.getLogger(__name__)

_SILENT = 0x8D
_STOP_S = 3.0
_INBOX = 100
"""Messages of the largest size would then take 11 MB."""
_FIRST_RETRY_S, _LONGEST_RETRY_S = 4.0, 60.0
_TWIN_RETRY_S = 120.0
"""Two units with one id throw each other out whenever one connects: once a minute is enough to be noticed."""
_WILL_DELAY_S = 30
"""A unit that is back within this time was not lost, and nobody is told that it was."""
_SESSION_S = 60
"""Longer than the delay of the will, or the end of the session would publish it at once."""
_SHORT_S = 30.0
_SHORT_AT_MOST = 3


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker is and how to get in."""

    host: str
    port: int
    client_id: str
    keepalive_s: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Waits:
    """How long the unit waits for what; `jitter` returns 0..1, other each time."""

    first_s: float = _FIRST_RETRY_S
    """Before it connects again, halved at random and doubled with each failure."""
    longest_s: float = _LONGEST_RETRY_S
    twin_s: float = _TWIN_RETRY_S
    """The same while another one uses its id."""
    will_s: int = _WILL_DELAY_S
    """For how long the broker waits before it says that the unit is lost."""
    jitter: Callable[[], float] = random.random


class MqttUplink:
    """`edge.core.ports.Uplink`; news arrive in `news`. Any thread."""

    def __init__(
        self,
        address: BrokerAddress,
        subscription: str,
        *,
        will: tuple[Address, bytes],
        waits: Waits | None = None,
    ) -> None:
        """Prepare; `start` connects."""
        self.news: queue.Queue[News] = queue.Queue(_INBOX)
        self._address = address
        self._subscription = subscription
        self._waits = waits or Waits()
        self._client = client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=address.client_id, protocol=mqtt.MQTTv5
        )
        # A callback that raises would end paho's thread, while is_connected() stays true.
        client.suppress_exceptions = True
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        # Otherwise paho holds back the twenty-first message until it hears an answer; the window is ours to keep.
        client.max_inflight_messages_set(0)
        if address.username:
            client.username_pw_set(address.username, address.password)
        self.set_will(*will)
        self._failures = 0
        self._wait_before_next(0)
        self._connected_at_s = float("-inf")
        self._short_connections = 0
        self._refused = False
        self._message_refused_s = float("-inf")
        self._most_bytes: int | None = None
        self._kinds = Unanswered()

    def set_will(self, address: Address, payload: bytes) -> None:
        """Say what the broker tells of us when we vanish. Holds from the next connection on, see `reconnect`."""
        delay = Properties(PacketTypes.WILLMESSAGE)  # type: ignore[no-untyped-call]  # paho leaves it unannotated
        delay.WillDelayInterval = self._waits.will_s
        self._client.will_set(address.topic, payload, qos=1, retain=True, properties=delay)

    def reconnect(self) -> None:
        """End the connection so that another is made. Any thread."""
        connection = self._client.socket()
        if isinstance(connection, socket.socket):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def start(self) -> None:
        """Begin to connect, now and after every loss; returns at once."""
        wishes = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        # The broker then keeps what is too large to be ours away from this machine's memory.
        wishes.MaximumPacketSize = MAX_MESSAGE_BYTES + HEADER_BYTES
        wishes.SessionExpiryInterval = self._waits.will_s + _SESSION_S - _WILL_DELAY_S
        self._client.connect_async(
            self._address.host,
            self._address.port,
            keepalive=self._address.keepalive_s,
            # Nothing may wait for us at the broker: the hub answers again whatever we ask again.
            clean_start=True,
            properties=wishes,
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
        if self._most_bytes is not None and len(payload) + HEADER_BYTES > self._most_bytes:
            # The broker would end the connection, each time.
            raise UplinkUnavailable(f"a message of {len(payload)} bytes is too large for the broker")
        info = self._client.publish(address.topic, payload, qos=1, retain=retain)
        self._tell_answer(self._kinds.sent(info.mid, address.channel))
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            # The connection broke in between. paho has kept the message; `_on_connect` makes it forget that.
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
        # Full: the delivery loop is stuck or flooded. Dropping messages is safe, every sender repeats what matters;
        # the state of the connection is told only once, and takes the place of a message.
        while True:
            try:
                self.news.put_nowait(news)
            except queue.Full:
                if isinstance(news, Arrived):
                    return
                self._make_room()
            else:
                return

    def _make_room(self) -> None:
        waiting = self.news.queue
        with self.news.mutex:
            oldest = next((number for number, one in enumerate(waiting) if isinstance(one, Arrived)), 0)
            if waiting:
                del waiting[oldest]

    def _wait_before_next(self, first_s: float) -> None:
        """Choose how long paho waits before it connects again: anew each time, so that no fleet comes in step."""
        most_s = max(first_s, self._waits.longest_s)
        wait_s = delay_s(self._failures, first_s=first_s, most_s=most_s, jitter=self._waits.jitter())
        # paho would double the wait by itself, always in the same way.
        self._client.reconnect_delay_set(wait_s, wait_s)  # type: ignore[arg-type]  # it only adds and compares them

    def _on_connect(
        self, client: mqtt.Client, _data: Any, _flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self._refused = reason.is_failure
        if reason.is_failure:
            self._tell(Disconnected(explain(reason)))
            return
        self._failures = 0
        self._connected_at_s = time.monotonic()
        self._message_refused_s = float("-inf")
        # Before paho sends it again: our outbox has it too, and what ended the last connection would end this one.
        self._forget_unanswered()
        self._most_bytes = getattr(properties, "MaximumPacketSize", None)
        client.subscribe(self._subscription, qos=1)
        self._tell(Connected(self._most_bytes))
        needed = MAX_MESSAGE_BYTES + HEADER_BYTES
        if self._most_bytes is not None and self._most_bytes < needed:
            self._tell(
                Hindered(f"the broker takes messages of {self._most_bytes} bytes: its max_packet_size must be {needed}")
            )

    def _on_connect_fail(self, _client: mqtt.Client, _data: Any) -> None:
        self._short_connections = 0
        self._failures += 1
        self._wait_before_next(self._waits.first_s)
        self._tell(Disconnected(f"no broker answers at {self._where}"))

    def _on_disconnect(
        self, _client: mqtt.Client, _data: Any, flags: DisconnectFlags, reason: ReasonCode, _props: Properties | None
    ) -> None:
        said = flags.is_disconnect_packet_from_server
        refused = time.monotonic() - self._message_refused_s <= AT_ONCE_S
        over = None if said or refused or reason.value == _SILENT else self._kinds.cut()
        self._forget_unanswered()
        self._failures += 1
        if self._refused:
            # Told already, with the reason.
            self._refused = False
            self._wait_before_next(self._waits.first_s)
            return
        if over is not None and over[1]:
            refused = True
            text = "the broker ends the connection over a message of this unit: do its rules (ACL) allow it?"
            self._tell(Refused(text, over[0]))
        # Mosquitto 2.0.11 ends the connection when it refuses a message: then that is the reason, and no twin. What is
        # refused is held back from now on, and the rest should not wait for it.
        cut_often = not (said or over or refused) and self._is_cut_again_and_again(reason)
        twin = (said and reason.value == TAKEN_OVER) or cut_often
        self._wait_before_next(self._waits.twin_s if twin else self._waits.first_s)
        if said:
            self._tell(Disconnected(explain(reason), twin))
        elif twin:
            self._tell(Disconnected(f"the connection is cut again and again; perhaps {TWIN}", twin))
        elif refused:
            self._tell(Disconnected(f"{self._where} ended the connection after it had refused a message"))
        elif reason.value == _SILENT:
            self._tell(Disconnected(f"the broker at {self._where} no longer answers"))
        else:
            self._tell(Disconnected(f"the connection to {self._where} broke"))

    def _is_cut_again_and_again(self, reason: ReasonCode) -> bool:
        """Tell whether connections end soon after they were made: Mosquitto 2.0 does not tell a unit of its twin."""
        # A line that went silent was not cut by anybody, and an attempt that no broker let in was no connection.
        if reason.value == _SILENT or self._connected_at_s == float("-inf"):
            return False
        short = time.monotonic() - self._connected_at_s < _SHORT_S
        self._connected_at_s = float("-inf")
        self._short_connections = self._short_connections + 1 if short else 0
        return self._short_connections >= _SHORT_AT_MOST

    @property
    def _where(self) -> str:
        return f"{self._address.host}:{self._address.port}"

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        self._tell(Arrived(message.topic, bytes(message.payload)))

    def _on_subscribe(
        self, _client: mqtt.Client, _data: Any, _mid: int, reasons: list[ReasonCode], _props: Properties | None
    ) -> None:
        for reason in reasons:
            if reason.is_failure:
                self._tell(Hindered(f"the broker does not let this unit listen: {explain(reason)}"))

    def _on_publish(self, _client: mqtt.Client, _data: Any, mid: int, reason: ReasonCode, _props: Any) -> None:
        # paho calls a message published that the broker has refused; only the reason code tells.
        if reason.is_failure:
            self._message_refused_s = time.monotonic()
        self._tell_answer(self._kinds.answered(mid, reason))

    def _tell_answer(self, answer: tuple[str, ReasonCode] | None) -> None:
        if answer is None:
            return
        channel, reason = answer
        if reason.is_failure:
            self._tell(Refused(f"the broker refuses a message of this unit: {explain(reason)}", channel))
        else:
            self._tell(Accepted(channel))

    def _forget_unanswered(self) -> None:
        # Our outbox has it too; and what ended the last connection would end this one.
        self._client.drop_out_messages()
        self._kinds.forget()
