"""The only place where topics are built and parsed: `rollcall/1/{site}/up|down/{unit}/{channel}`."""

import re
from dataclasses import dataclass
from typing import Literal

from protocol.errors import UnknownTopic, WrongVersion

ROOT = "rollcall"
MAJOR = 1
Direction = Literal["up", "down"]

UP_CHANNELS = ("hello", "events", "backlog", "status", "want", "applied", "audit")
"""`backlog` carries batches as `events` does, of what waited: a hub takes what happens now first."""

DOWN_CHANNELS = ("welcome", "receipt", "head", "part", "audit")

_SITE = re.compile(r"[a-z0-9-]{1,36}\Z")
_UNIT = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
_MAX_TOPIC = 200


@dataclass(frozen=True, slots=True)
class Address:
    """A topic, taken apart."""

    site: str
    direction: Direction
    unit_id: str
    channel: str

    def __post_init__(self) -> None:
        """Refuse anything that could name another topic than it seems to (wildcards, slashes, unknown channels)."""
        channels = UP_CHANNELS if self.direction == "up" else DOWN_CHANNELS
        if self.channel not in channels or not _SITE.match(self.site) or not _UNIT.match(self.unit_id):
            raise UnknownTopic(f"no such channel {self.direction}/{self.channel[:20]!r}, or an unusable site or unit")

    @property
    def topic(self) -> str:
        """The topic as MQTT carries it."""
        return f"{ROOT}/{MAJOR}/{self.site}/{self.direction}/{self.unit_id}/{self.channel}"


def up(site: str, unit_id: str, channel: str) -> Address:
    """Return the address on which a unit speaks."""
    return Address(site, "up", unit_id, channel)


def down(site: str, unit_id: str, channel: str) -> Address:
    """Return the address on which a unit listens."""
    return Address(site, "down", unit_id, channel)


def unit_filter(site: str, unit_id: str) -> str:
    """Return the subscription of one unit: all its down channels. Raises UnknownTopic for an unusable site or unit."""
    return down(site, unit_id, DOWN_CHANNELS[0]).topic.rpartition("/")[0] + "/+"


def hub_filter(site: str, channel: str, *, share: str | None = None) -> str:
    """Return a hub's subscription to one up channel of every unit.

    With `share`, hub processes of that name divide the messages. Retained messages are not delivered to shared
    subscriptions, so `status` is never shared.
    """
    if channel not in UP_CHANNELS or not _SITE.match(site) or not (share is None or _SITE.match(share)):
        raise UnknownTopic(f"no up channel {channel[:20]!r}, or an unusable site or name of a share")
    plain = f"{ROOT}/{MAJOR}/{site}/up/+/{channel}"
    return f"$share/{share}/{plain}" if share else plain


def parse(topic: str) -> Address:
    """Return the address in a topic.

    Raises WrongVersion for another major version, UnknownTopic for everything else that is not ours.
    """
    levels = topic.split("/") if len(topic) <= _MAX_TOPIC else []
    if len(levels) != 6 or levels[0] != ROOT:
        raise UnknownTopic("not a topic of this protocol")
    _, version, site, direction, unit_id, channel = levels
    if version != str(MAJOR):
        raise WrongVersion(f"this program speaks version {MAJOR} of the protocol, the topic says {version[:8]!r}")
    if direction == "up":
        return Address(site, "up", unit_id, channel)
    if direction == "down":
        return Address(site, "down", unit_id, channel)
    raise UnknownTopic("a topic goes up or down")
