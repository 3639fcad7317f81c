"""The hub's connection to the broker: one thread of our own drives paho, and nothing else touches its socket.

What paho would do wrong by itself, and what is done instead:

- An exception in a callback ends paho's thread silently: callbacks only note and queue, inside a try, and the thread
  is ours.
- Publishing while offline queues for ever: here it is refused, and what was under way is dropped at every new
  connection. Everything the hub says can be said again.
- Its limits of what is under way are not kept after a reconnect: they are counted here.
- Stopping blocks while messages are under way: our thread just ends.
"""

import logging
import secrets
import selectors
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from hub.adapters.inbox import Lanes
from hub.adapters.mqtt_parts import PartsUnderWay, is_content
from hub.adapters.mqtt_reasons import BrokerAddress, broken, refusal, unreachable
from hub.core.ingest import Arrival
from hub.core.ports import Clock
from protocol.base import MAX_MESSAGE_BYTES

LOG = logging.getLogger("rollcall.hub.link")
_PACKET_OVERHEAD = 1024
_TICK_S = 1.0
_ANSWER_TIMEOUT_S = 10.0
_CONNECT_TIMEOUT_S = 5.0
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_STOP_TIMEOUT_S = 2.5
_MOST_UNDER_WAY = 1000
_INBOX = 5000


class MqttLink:
    """Keeps the contract of `hub.core.ports.Link`, and with `take` that of `Inbox` for all that is not in `lanes`.

    `start` and `stop` belong to one thread; `publish` may be called by any; of each inbox one takes.
    """

    def __init__(
        self, address: BrokerAddress, filters: Sequence[str], clock: Clock, *, inbox_size: int = _INBOX, lanes: int = 0
    ) -> None:
        """Nothing is connected yet. With `lanes`, events are divided among so many inboxes, by unit."""
        self._address = address
        self._filters = list(filters)
        self._clock = clock
        self.inboxes = Lanes(lanes, inbox_size)
        self._client = self._make_client()
        self._stopping = threading.Event()
        self._answered = threading.Event()
        self._thread: threading.Thread | None = None
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._lock = threading.Lock()
        self._under_way = 0
        self._parts = PartsUnderWay()
        self._up = False
        self.connections = 0
        self.dropped = 0
        """Messages that did not fit into the inbox; units send theirs again."""
        self.refusal: str | None = None
        """Why the broker refused us at the last try; None when it did not."""
        self.refused_for_good = False
        """Whether a person has to change something before it lets us in."""
        self._told: str | None = None

    def _make_client(self) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=self._address.client_id, protocol=MQTTProtocolVersion.MQTTv5
        )
        client.suppress_exceptions = True
        client.connect_timeout = _CONNECT_TIMEOUT_S
        if self._address.username is not None:
            client.username_pw_set(self._address.username, self._address.password or None)
        client.on_connect = self._guarded(self._on_connect)
        client.on_message = self._guarded(self._on_message)
        client.on_publish = self._guarded(self._on_publish)
        client.on_subscribe = self._guarded(self._on_subscribe)
        # Its being set tells paho that a loop of our own writes; otherwise `publish` would write to the socket from
        # whichever thread calls it.
        client.on_socket_register_write = lambda *_: self._wake()
        return client

    @staticmethod
    def _guarded(callback: Callable[..., None]) -> Callable[..., None]:
        def run(*arguments: Any) -> None:
            try:
                callback(*arguments)
            except Exception as exc:  # noqa: BLE001 (paho's thread must survive anything; the type alone is logged)
                LOG.error("callback failed name=%s error=%s", callback.__name__, type(exc).__name__)  # noqa: TRY400

        return run

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and the connection is not known to be broken."""
        return self._up

    def start(self) -> None:
        """Begin to connect, and to connect again whenever the connection breaks."""
        self._thread = threading.Thread(target=self._run, name="link", daemon=True)
        self._thread.start()

    def wait_for_answer(self, timeout_s: float) -> bool:
        """Wait until the broker has accepted or refused us once; False when it has not answered in time."""
        return self._answered.wait(timeout_s)

    def stop(self) -> None:
        """Say goodbye and end the thread, within a few seconds even when the broker is frozen. For good."""
        self._stopping.set()
        self._wake()
        if self._thread is not None:
            self._thread.join(_STOP_TIMEOUT_S)
        self._thread = None
        self._wake_write.close()
        self._wake_read.close()

    @property
    def alive(self) -> bool:
        """Whether the thread that drives the connection is there."""
        return self._thread is not None and self._thread.is_alive()

    def take(self, most: int, timeout_s: float) -> list[Arrival]:
        """Return up to `most` messages of the desk's inbox, waiting at most `timeout_s` for the first."""
        return self.inboxes.desk.take(most, timeout_s)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Hand over a message with QoS 1; False when there is no connection or too much is under way.

        Of parts of content few may be under way, so that everything else finds the line free. Raises ValueError for a
        message that is larger than any reader takes: the broker would end the connection.
        """
        if len(payload) > MAX_MESSAGE_BYTES:
            raise ValueError(f"a message of {len(payload)} bytes must not reach the broker")
        content = is_content(topic)
        with self._lock:
            if not self._up or self._under_way >= _MOST_UNDER_WAY:
                return False
            if content and not self._parts.have_room(self.connections):
                return False
            # Counted first: the answer may come before `publish` returns.
            self._under_way += 1
            connection = self.connections
        # Not inside the lock: paho has locks of its own, which its callbacks hold while they wait for ours.
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        self._wake()
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._one_less()
            return False
        if content:
            with self._lock:
                self._parts.add(connection, info)
        return True

    def _one_less(self) -> None:
        with self._lock:
            self._under_way = max(0, self._under_way - 1)

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._stopping.is_set():
            reason = self._connect_and_drive()
            if self._up:
                pause_s = _FIRST_PAUSE_S
            with self._lock:
                was_up, self._up = self._up, False
            if self._stopping.is_set():
                return
            self._tell(was_up, reason)
            # Jitter: a thousand clients of a broker that was restarted must not come back in the same second.
            self._stopping.wait(pause_s * (0.5 + secrets.randbelow(1000) / 1000))
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _tell(self, was_up: bool, reason: str) -> None:
        """Log why there is no connection: once for each reason, not at every try."""
        if was_up or reason != self._told:
            LOG.warning("broker lost address=%s reason=%r; trying again", self._address, reason)
        self._told = reason

    def _connect_and_drive(self) -> str:
        """Connect and serve the connection until it breaks; return why, in plain words."""
        self._client.drop_out_messages()
        with self._lock:
            self._under_way = 0
        self.refusal = None
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 0
        properties.ReceiveMaximum = 200
        properties.MaximumPacketSize = MAX_MESSAGE_BYTES + _PACKET_OVERHEAD
        try:
            self._client.connect(
                self._address.host,
                self._address.port,
                keepalive=self._address.keepalive_s,
                clean_start=True,
                properties=properties,
            )
        except (OSError, ValueError) as exc:
            return unreachable(exc)
        return self._drive()

    def _drive(self) -> str:
        connection = self._client.socket()
        if connection is None:
            return "the connection broke at once"
        deadline = self._clock.monotonic_s() + _ANSWER_TIMEOUT_S
        with selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_READ)
            selector.register(self._wake_read, selectors.EVENT_READ)
            while not self._stopping.is_set():
                wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._client.want_write() else 0)
                selector.modify(connection, wanted)
                wrong = self._serve(selector.select(_TICK_S))
                if wrong is not None or self.refusal is not None:
                    self._close()
                    return self.refusal or wrong or ""
                if not self._up and self._clock.monotonic_s() > deadline:
                    self._close()
                    return "it takes connections but does not answer"
        self._say_goodbye()
        return "stopped"

    def _serve(self, ready: list[tuple[selectors.SelectorKey, int]]) -> str | None:
        """Read and write what is possible now; return why the connection is gone, or None."""
        outcome = MQTTErrorCode.MQTT_ERR_SUCCESS
        for key, events in ready:
            if key.fileobj is self._wake_read:
                self._drain_wakes()
            elif events & selectors.EVENT_READ:
                outcome = self._client.loop_read() or outcome
        if outcome == MQTTErrorCode.MQTT_ERR_SUCCESS and self._client.want_write():
            outcome = self._client.loop_write()
        if outcome == MQTTErrorCode.MQTT_ERR_SUCCESS:
            outcome = self._client.loop_misc()
        return broken(outcome)

    def _drain_wakes(self) -> None:
        try:
            while self._wake_read.recv(4096):
                pass
        except OSError:
            return

    def _say_goodbye(self) -> None:
        self._client.disconnect()
        self._client.loop_write()
        self._close()

    def _close(self) -> None:
        connection = self._client.socket()
        if connection is not None:
            # paho closes and forgets its socket when it reads the end of the stream.
            connection.close()

    def _wake(self) -> None:
        try:
            self._wake_write.send(b"w")
        except OSError:
            # It is full of wakes already, or we are stopped.
            return

    def _on_connect(self, client: mqtt.Client, _: Any, __: Any, reason: ReasonCode, ___: Any) -> None:
        if reason.is_failure:
            self.refusal, self.refused_for_good = refusal(reason)
        else:
            self.refused_for_good = False
            client.subscribe([(one, SubscribeOptions(qos=1)) for one in self._filters])
            with self._lock:
                self._up = True
            self.connections += 1
            LOG.info("broker connected address=%s", self._address)
            self._told = None
        self._answered.set()

    def _on_message(self, _: mqtt.Client, __: Any, message: mqtt.MQTTMessage) -> None:
        arrival = Arrival(message.topic, bytes(message.payload), self._clock.now(), message.retain)
        if not self.inboxes.put(arrival):
            self.dropped += 1
            if self.dropped == 1 or self.dropped % 1000 == 0:
                unit = message.topic.rpartition("/")[0].rpartition("/")[2]
                LOG.warning("inbox full dropped=%d unit=%s; units send again", self.dropped, unit)

    def _on_publish(self, _: mqtt.Client, __: Any, ___: int, reason: ReasonCode, ____: Any) -> None:
        self._one_less()
        if reason.is_failure:
            LOG.warning("broker refused a message reason=%r; check its access rules", str(reason))

    def _on_subscribe(self, _: mqtt.Client, __: Any, ___: int, reasons: list[ReasonCode], ____: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            LOG.error("broker refused a subscription; units cannot be heard: check its access rules")
