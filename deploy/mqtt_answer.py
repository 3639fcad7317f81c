"""Asks whether something at an address really speaks MQTT 5, and what it calls itself."""

import time

from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

KEEPALIVE_S = 5
CONNECT_TIMEOUT_S = 2.0
VERSION_TIMEOUT_S = 2.0
VERSION_TOPIC = "$SYS/broker/version"


def answers_connect(host: str, port: int) -> bool:
    """Tell whether CONNECT is answered; a refusal (wrong password) is an answer too."""
    answers: list[object] = []
    client = _client()
    client.on_connect = lambda _client, _data, _flags, reason, _properties: answers.append(reason)
    try:
        client.connect(host, port, KEEPALIVE_S)
    except OSError:
        return False
    try:
        _loop_until(client, answers, CONNECT_TIMEOUT_S)
    finally:
        client.disconnect()
    return bool(answers)


def broker_version(host: str, port: int) -> str:
    """Return what the broker calls itself, for example `Mosquitto 2.0.11`, or that it does not say."""
    said: list[object] = []

    def keep(_client: Client, _data: object, message: MQTTMessage) -> None:
        said.append(message.payload.decode("utf-8", errors="replace"))

    client = _client()
    client.on_connect = lambda client, _data, _flags, _reason, _properties: client.subscribe(VERSION_TOPIC)
    client.on_message = keep
    try:
        client.connect(host, port, KEEPALIVE_S)
    except OSError:
        return "an MQTT broker that is gone"
    try:
        _loop_until(client, said, VERSION_TIMEOUT_S)
    finally:
        client.disconnect()
    if not said:
        return "an MQTT broker"
    return str(said[0]).replace("mosquitto version", "Mosquitto")


def _client() -> Client:
    return Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)


def _loop_until(client: Client, wanted: list[object], timeout_s: float) -> None:
    """Serve the connection until something is in `wanted`, the connection ends, or time is up."""
    deadline = time.monotonic() + timeout_s
    while not wanted and time.monotonic() < deadline:
        if client.loop(timeout=0.05) != 0:
            return
