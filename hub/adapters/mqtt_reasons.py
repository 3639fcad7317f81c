"""Where the broker is, and in plain words why there is no connection to it."""

import socket
from dataclasses import dataclass, field

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

# The broker's words for what only a person can change; with any other it may let us in later.
_REFUSALS = {
    0x84: "it does not speak MQTT 5",
    0x85: "it does not accept our client id",
    0x86: "wrong user name or password",
    0x87: "we are not allowed to connect",
    0x8A: "we are banned",
}
_BROKEN = {
    MQTTErrorCode.MQTT_ERR_CONN_LOST: "the connection broke",
    MQTTErrorCode.MQTT_ERR_NO_CONN: "the connection broke",
    MQTTErrorCode.MQTT_ERR_KEEPALIVE: "it does not answer any more",
    MQTTErrorCode.MQTT_ERR_CONN_REFUSED: "the broker refuses us",
    MQTTErrorCode.MQTT_ERR_PROTOCOL: "it does not speak MQTT",
}


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker is and how to introduce ourselves; times in seconds."""

    host: str
    port: int
    client_id: str
    username: str | None = None
    password: str = field(default="", repr=False)
    keepalive_s: int = 30

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def refusal(reason: ReasonCode) -> tuple[str, bool]:
    """Return why the broker refuses us, and whether a person has to change something before it lets us in."""
    return "the broker refuses us: " + _REFUSALS.get(reason.value, str(reason)), reason.value in _REFUSALS


def broken(outcome: MQTTErrorCode) -> str | None:
    """Return why a connection is gone, or None while it is not."""
    if outcome == MQTTErrorCode.MQTT_ERR_SUCCESS:
        return None
    return _BROKEN.get(outcome, mqtt.error_string(outcome))


def unreachable(exc: Exception) -> str:
    """Return why no connection could be made."""
    if isinstance(exc, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(exc, socket.gaierror):
        return "its name is not known"
    if isinstance(exc, TimeoutError):
        return "it does not answer"
    return getattr(exc, "strerror", None) or type(exc).__name__
