"""What the connection to the broker reports."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker let us in: greet the hub."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is gone, or was refused; `reason` is for people, `twin` that another unit uses our id."""

    reason: str
    twin: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The broker would not take a message; `reason` is for people."""

    reason: str


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message for this unit."""

    topic: str
    payload: bytes


News = Connected | Disconnected | Refused | Arrived
