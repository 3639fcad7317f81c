"""What the connection to the broker reports."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker let us in: greet the hub. `most_bytes`: the largest packet it takes, None when it does not say."""

    most_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is gone, or was refused; `reason` is for people, `twin` that another unit uses our id."""

    reason: str
    twin: bool = False


@dataclass(frozen=True, slots=True)
class Hindered:
    """The connection stands, and is not of full use; `reason` is for people."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The broker would not take a message of this channel; `reason` is for people."""

    reason: str
    channel: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The broker took a message of a channel of which it had refused one before."""

    channel: str


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message for this unit."""

    topic: str
    payload: bytes


News = Connected | Disconnected | Hindered | Refused | Accepted | Arrived
