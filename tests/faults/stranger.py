"""A client of the broker that speaks the protocol and means no good: copies, forges, replays, sends what is new."""

import json
import queue
import secrets
import time
from typing import Any, Self
from uuid import uuid4

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from deploy.own_process import LOOPBACK, wait_until
from protocol.delivery import Receipt, SeqRange
from tests.faults.school import now_utc

_BOOT = "0b6f5a52-0000-4000-8000-0000000000ee"
_STUDENT = "0b6f5a52-0000-4000-8000-000000000001"


class Stranger:
    """A client with a unit's name or any other. Use it as a context manager."""

    def __init__(
        self, port: int, site: str, unit_id: str, *, username: str | None = None, password: str | None = None
    ) -> None:
        self.unit_id = unit_id
        self.epoch = secrets.token_hex(8)
        self.heard: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.denied = 0
        self._site = site
        self._port = port
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=f"stranger-{secrets.token_hex(4)}", protocol=mqtt.MQTTv5
        )
        if username is not None:
            self._client.username_pw_set(username, password)
        self._client.on_message = lambda _client, _data, message: self.heard.put(
            (message.topic, bytes(message.payload))
        )
        self._client.on_publish = self._published
        self._seq = 0

    def _published(self, _client: Any, _data: Any, _mid: int, reason: Any, _properties: Any) -> None:
        self.denied += bool(reason.is_failure)

    def __enter__(self) -> Self:
        self._client.connect(LOOPBACK, self._port, keepalive=30)
        self._client.loop_start()
        if not wait_until(self._client.is_connected, 10):
            raise OSError("the stranger was not let in")
        return self

    def __exit__(self, *_error: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def listen(self, *filters: str) -> None:
        """Hear what matches."""
        for one in filters:
            self._client.subscribe(one, qos=1)
        time.sleep(0.2)

    def repeat(self, topic: str, payload: bytes) -> None:
        """Send a message as it is."""
        self._client.publish(topic, payload, qos=1)

    def send(self, channel: str, message: dict[str, Any]) -> None:
        """Send a message as this unit."""
        self.send_as(self.unit_id, channel, message)

    def send_as(self, unit_id: str, channel: str, message: dict[str, Any]) -> None:
        """Send a message as any unit; a topic that cannot be sent to counts as denied."""
        try:
            self._client.publish(f"rollcall/1/{self._site}/up/{unit_id}/{channel}", json.dumps(message), qos=1)
        except ValueError:
            self.denied += 1

    def send_down(self, unit_id: str, channel: str, payload: bytes) -> None:
        """Send as if this were the hub."""
        self._client.publish(f"rollcall/1/{self._site}/down/{unit_id}/{channel}", payload, qos=1)

    def answer_to(self, batch: dict[str, Any], timeout_s: float = 15) -> dict[str, Any] | None:
        """Return the receipt for a batch, None when none came."""
        until_s = time.monotonic() + timeout_s
        while (left_s := until_s - time.monotonic()) > 0:
            try:
                topic, payload = self.heard.get(timeout=left_s)
            except queue.Empty:
                break
            if topic.endswith("/receipt"):
                found: dict[str, Any] = json.loads(payload)
                if found["batch_id"] == batch["batch_id"]:
                    return found
        return None

    def event(self, **changes: Any) -> dict[str, Any]:
        """Return a usable event at the next place."""
        self._seq += 1
        event = {
            "event_id": str(uuid4()), "seq": self._seq, "kind": "left", "at": now_utc().isoformat(),
            "boot_id": _BOOT, "boottime_ns": 1_000_000_000 + self._seq, "clock": "synced",
            "interval_id": str(uuid4()), "student_id": _STUDENT, "dwell_s": 1.0, "cause": "absence",
        }  # fmt: skip
        return event | changes

    def batch(self, count: int = 1, **changes: Any) -> dict[str, Any]:
        """Return a batch of new events."""
        return self.batch_of([self.event(**changes) for _ in range(count)])

    def batch_of(self, events: list[dict[str, Any]]) -> dict[str, Any]:
        """Return a batch of these events."""
        return {"minor": 0, "epoch": self.epoch, "batch_id": str(uuid4()), "events": events}

    def receipt_for_everything(self, epoch: str | None = None) -> bytes:
        """Return a forged receipt for a million events."""
        everything = SeqRange(first=1, last=1_000_000)
        receipt = Receipt(
            epoch=epoch or secrets.token_hex(8), batch_id=str(uuid4()), accepted=(everything,), high_water=1_000_000
        )
        return receipt.to_bytes()
