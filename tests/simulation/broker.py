"""A broker that keeps no promise but one: what it lets through on one connection comes in order, mostly.

Clean sessions, retained messages, wills, take-over of a client id, shared subscriptions. Messages may be lost, doubled,
late or out of order; connections break with or without anybody noticing; the broker forgets everything when it dies.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from protocol import topics
from protocol.topics import Address
from tests.simulation.parcel import damaged
from tests.simulation.scheduler import Scheduler

KEEPALIVE_S = 30.0
_FOR_THE_FIRST = frozenset({"status", "want"})
"""As `hub.core.roles.subscriptions`: not divided among the workers."""


@dataclass(slots=True)
class Weather:
    """How bad the way to the broker and back is, for everybody."""

    delay_s: float = 0.05
    lost: float = 0.0
    """Share of messages that vanish although the connection stands."""
    doubled: float = 0.0
    disordered: float = 0.0
    """Share that comes late and lets others pass."""
    damaged: float = 0.0
    """Share of gallery pieces that arrive altered."""
    late_s: float = 30.0
    """How late, at most."""

    @property
    def bad(self) -> bool:
        """Whether anything but time can happen to a message."""
        return bool(self.lost or self.doubled or self.disordered)


@dataclass(frozen=True, slots=True)
class Letter:
    """A message on its way; `payload` is bytes, or for speed the message itself."""

    topic: str
    payload: Any
    retain: bool = False


@dataclass(slots=True, eq=False)
class Connection:
    """One client's connection. `on_letter` and `on_lost` are called in the client."""

    broker: "Broker"
    client_id: str
    on_letter: Callable[[Letter], None]
    on_lost: Callable[[str, bool], None]
    will: Letter | None
    unit_id: str | None = None
    alive: bool = True
    silent: bool = False
    """Half open: nothing goes through any more and nobody has noticed."""
    _up_s: float = 0.0
    _down_s: float = 0.0

    def publish(self, letter: Letter) -> None:
        """Hand a letter to the network; whether it arrives is another matter."""
        if not self.silent:
            self._up_s = self.broker.carry_up(self, letter, self._up_s)

    def deliver(self, letter: Letter) -> None:
        """Send a letter down this connection."""
        if self.alive and not self.silent:
            self._down_s = self.broker.carry_down(self, letter, self._down_s)

    def arrive(self, letter: Letter) -> None:
        """Hand a letter to the client."""
        if self.alive and not self.silent:
            self.on_letter(letter)

    def close(self) -> None:
        """Say goodbye: no will."""
        self.will = None
        self.broker.drop(self, "closed", tell=False)

    def vanish(self) -> None:
        """The client's process is gone: the socket closes, the broker publishes the will."""
        self.broker.drop(self, "gone", tell=False)

    def cut(self) -> None:
        """The connection breaks and both sides notice."""
        self.broker.drop(self, "connection lost")

    def go_silent(self) -> None:
        """The connection breaks and nobody notices until the keep-alive is over."""
        if self.alive and not self.silent:
            self.silent = True
            self.broker.scheduler.after(1.5 * KEEPALIVE_S, self.cut)


@dataclass(slots=True, eq=False)
class _Share:
    members: list[Connection] = field(default_factory=list)
    turn: int = 0

    def next(self) -> Connection | None:
        if not self.members:
            return None
        self.turn += 1
        return self.members[self.turn % len(self.members)]


class Broker:
    """The broker and the network around it."""

    def __init__(self, scheduler: Scheduler, weather: Weather) -> None:
        self.scheduler = scheduler
        self.weather = weather
        self.up = True
        self.offline: set[str] = set()
        """Client ids that find no network."""
        self.retained: dict[str, Letter] = {}
        self.persistent = False
        self.carried = self.lost = self.doubled = self.disordered = 0
        self._chance = scheduler.random("network").random
        self._clients: dict[str, Connection] = {}
        self._units: dict[str, Connection] = {}
        self._first: list[Connection] = []
        self._share = _Share()

    # ---- connections -----------------------------------------------------------------------------------------------

    def connect(
        self,
        client_id: str,
        on_letter: Callable[[Letter], None],
        on_lost: Callable[[str, bool], None],
        will: Letter | None = None,
    ) -> Connection | None:
        """Let a client in, None when it cannot be reached; whoever has this client id is thrown out."""
        if not self.up or client_id in self.offline:
            return None
        before = self._clients.get(client_id)
        if before is not None:
            self.drop(before, "taken over", twin=True)
        connection = Connection(self, client_id, on_letter, on_lost, will)
        self._clients[client_id] = connection
        return connection

    def subscribe_unit(self, connection: Connection, unit_id: str) -> None:
        """Send a unit what is for it, first what is retained."""
        self._units[unit_id], connection.unit_id = connection, unit_id
        for channel in topics.DOWN_CHANNELS:
            letter = self.retained.get(topics.down(site_of(connection.client_id), unit_id, channel).topic)
            if letter is not None:
                connection.deliver(letter)

    def subscribe_worker(self, connection: Connection, *, first: bool) -> None:
        """Give a hub worker its share of what units say, and the first one also what only one may hear."""
        self._share.members.append(connection)
        if not first:
            return
        self._first.append(connection)
        for topic, letter in list(self.retained.items()):
            if address(topic).channel == "status":
                connection.deliver(Letter(topic, letter.payload, retain=True))

    def drop(self, connection: Connection, reason: str, *, twin: bool = False, tell: bool = True) -> None:
        """End a connection, publish its will, tell the client."""
        if not connection.alive:
            return
        connection.alive = False
        if self._clients.get(connection.client_id) is connection:
            del self._clients[connection.client_id]
        if connection.unit_id is not None and self._units.get(connection.unit_id) is connection:
            del self._units[connection.unit_id]
        for group in (self._share.members, self._first):
            if connection in group:
                group.remove(connection)
        if connection.will is not None and self.up:
            self._route(connection.will)
        if tell:
            self.scheduler.after(0.0, connection.on_lost, reason, twin)

    def cut_off(self, client_id: str, *, silently: bool = False) -> None:
        """Take the network from a client."""
        self.offline.add(client_id)
        connection = self._clients.get(client_id)
        if connection is not None:
            if silently:
                connection.go_silent()
            else:
                connection.cut()

    def flap(self, client_id: str) -> None:
        """Break a client's connection; it may come back at once."""
        connection = self._clients.get(client_id)
        if connection is not None:
            connection.cut()

    def reach_again(self, client_id: str) -> None:
        """Give the network back."""
        self.offline.discard(client_id)

    def die(self) -> None:
        """Kill the broker: connections, sessions and what was under way are gone, and mostly what was retained."""
        self.up = False
        for connection in list(self._clients.values()):
            self.drop(connection, "connection lost")
        if not self.persistent:
            self.retained.clear()

    def come_back(self) -> None:
        """Start the broker again."""
        self.up = True

    # ---- messages --------------------------------------------------------------------------------------------------

    def carry_up(self, connection: Connection, letter: Letter, not_before_s: float) -> float:
        """Carry a letter to the broker; return when the next one may arrive."""
        return self._carry(self._take, connection, letter, not_before_s)

    def carry_down(self, connection: Connection, letter: Letter, not_before_s: float) -> float:
        """Carry a letter to a client; return when the next one may arrive."""
        if self.weather.damaged and self._chance() < self.weather.damaged:
            letter = Letter(letter.topic, damaged(letter.payload), letter.retain)
        return self._carry(_arrive, connection, letter, not_before_s)

    def _carry(
        self, action: Callable[[Connection, Letter], None], connection: Connection, letter: Letter, not_before_s: float
    ) -> float:
        weather, chance = self.weather, self._chance()
        self.carried += 1
        when_s = self.scheduler.now_s + weather.delay_s * (0.2 + chance)
        when_s = max(when_s, not_before_s)
        if not weather.bad:
            self.scheduler.at(when_s, action, connection, letter)
            return when_s
        fate = self._chance()
        if fate < weather.lost:
            self.lost += 1
            return not_before_s
        fate -= weather.lost
        if fate < weather.doubled:
            self.doubled += 1
            self.scheduler.at(when_s + weather.late_s * chance, action, connection, letter)
        elif fate < weather.doubled + weather.disordered:
            self.disordered += 1
            self.scheduler.at(when_s + weather.late_s * chance, action, connection, letter)
            return not_before_s
        self.scheduler.at(when_s, action, connection, letter)
        return when_s

    def _take(self, connection: Connection, letter: Letter) -> None:
        # What came before the connection broke is taken: the broker does not look at who still lives.
        if self.up and not connection.silent:
            self._route(letter)

    def _route(self, letter: Letter) -> None:
        to = address(letter.topic)
        if letter.retain:
            if letter.payload == b"":
                self.retained.pop(letter.topic, None)
            else:
                self.retained[letter.topic] = letter
        if to.direction == "down":
            unit = self._units.get(to.unit_id)
            if unit is not None:
                unit.deliver(letter)
        elif to.channel in _FOR_THE_FIRST:
            for worker in self._first:
                worker.deliver(Letter(letter.topic, letter.payload))
        else:
            member = self._share.next()
            if member is not None:
                member.deliver(letter)
            else:
                self.lost += 1


def _arrive(connection: Connection, letter: Letter) -> None:
    connection.arrive(letter)


@lru_cache(maxsize=100_000)
def address(topic: str) -> Address:
    """Return what a topic says."""
    return topics.parse(topic)


def site_of(client_id: str) -> str:
    """Return the site in a client id, which is `site/unit` here."""
    return client_id.partition("/")[0]
