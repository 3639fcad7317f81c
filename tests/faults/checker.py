"""The judge: what units hold, what the hub holds, and what must never be.

It knows sets and nothing of processes: a loss or a duplicate that is planted in its input must be found.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Delivery = Literal["waiting", "delivered", "refused"]
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class LocalEvent:
    """An event on a unit's disk."""

    event_id: str
    epoch: str
    seq: int
    delivery: Delivery
    sha256: str


@dataclass(frozen=True, slots=True)
class HubEvent:
    """An event in the hub's table."""

    event_id: str
    unit_id: str
    epoch: str
    seq: int
    sha256: str


@dataclass(frozen=True, slots=True)
class UnitRecord:
    """Everything one unit knows, and what its program said it had committed."""

    unit_id: str
    events: tuple[LocalEvent, ...]
    committed: frozenset[str] = frozenset()
    """Ids that the program wrote to a file of its own after each commit returned: independent of the database file."""
    dead_letters: frozenset[str] = frozenset()
    gallery_hash: str | None = None
    replaced: bool = False
    """The database file was replaced on the way, so the hub may hold more than the unit."""


@dataclass(frozen=True, slots=True)
class HubRecord:
    """Everything the hub knows."""

    events: tuple[HubEvent, ...]
    quarantined: frozenset[str] = frozenset()
    """Event ids that can be read in what was set aside."""
    gallery_hashes: Mapping[str, str | None] = field(default_factory=dict)
    """By unit: the gallery it should have."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong (nothing, if all is well) and how much was looked at."""

    problems: tuple[str, ...]
    committed: int
    at_hub: int
    dead: int

    @property
    def figures(self) -> str:
        """The counts in words."""
        dead = f", {self.dead} refused" if self.dead else ""
        return f"{self.committed} events committed, {self.at_hub} at the hub{dead}, 0 lost, 0 twice"


def judge(units: Sequence[UnitRecord], hub: HubRecord, *, settled: bool = True) -> Verdict:
    """Compare what units hold with what the hub holds.

    `settled`: everything had time to arrive, so that nothing may wait any more.
    """
    problems: list[str] = []
    stored = {event.event_id: event for event in hub.events}
    problems += _twice(hub)
    for unit in units:
        problems += _acknowledged(unit, stored, hub)
        problems += _committed(unit, stored, hub, settled=settled)
        problems += _invented(unit, hub)
        problems += _altered(unit, stored)
        problems += _gallery(unit, hub)
    everything = {event.event_id for unit in units for event in unit.events} | {
        event_id for unit in units for event_id in unit.committed
    }
    dead = sum(len(unit.dead_letters) for unit in units)
    return Verdict(tuple(problems), len(everything), len(stored), dead)


def _twice(hub: HubRecord) -> Iterable[str]:
    ids = Counter(event.event_id for event in hub.events)
    places = Counter((event.unit_id, event.epoch, event.seq) for event in hub.events)
    yield from _say("events are at the hub more than once", [key for key, count in ids.items() if count > 1])
    taken = [f"{unit}/{epoch}/{seq}" for (unit, epoch, seq), count in places.items() if count > 1]
    yield from _say("places hold more than one event", taken)


def _acknowledged(unit: UnitRecord, stored: Mapping[str, HubEvent], hub: HubRecord) -> Iterable[str]:
    lost = [
        event.event_id
        for event in unit.events
        if event.delivery == "delivered" and event.event_id not in stored and event.event_id not in hub.quarantined
    ]
    yield from _say("acknowledged events are not at the hub", lost)


def _committed(unit: UnitRecord, stored: Mapping[str, HubEvent], hub: HubRecord, *, settled: bool) -> Iterable[str]:
    local = {event.event_id: event for event in unit.events}
    safe = set(stored) | hub.quarantined | unit.dead_letters
    waiting = {event.event_id for event in unit.events if event.delivery == "waiting"}
    if settled:
        yield from _say("events still wait on the unit", sorted(waiting - safe))
    gone = sorted(unit.committed - safe - set(local))
    yield from _say("committed events are nowhere any more", gone)
    neither = [one for one in sorted(unit.committed & set(local)) if one not in safe and one not in waiting]
    unsaid = [one for one in neither if local[one].delivery != "delivered"]
    yield from _say("committed events are neither waiting, at the hub nor refused", unsaid)


def _invented(unit: UnitRecord, hub: HubRecord) -> Iterable[str]:
    if unit.replaced:
        return
    known = {event.event_id for event in unit.events} | unit.committed
    extra = [event.event_id for event in hub.events if event.unit_id == unit.unit_id and event.event_id not in known]
    yield from _say("events are at the hub that the unit never committed", extra)


def _altered(unit: UnitRecord, stored: Mapping[str, HubEvent]) -> Iterable[str]:
    # Of the same place only: one that was moved to another epoch has another seq in its body.
    other = [
        event.event_id
        for event in unit.events
        if event.event_id in stored
        and event.delivery == "delivered"
        and (event.epoch, event.seq) == (stored[event.event_id].epoch, stored[event.event_id].seq)
        and event.sha256 != stored[event.event_id].sha256
    ]
    yield from _say("events differ between unit and hub", other)


def _gallery(unit: UnitRecord, hub: HubRecord) -> Iterable[str]:
    wanted = hub.gallery_hashes.get(unit.unit_id)
    if wanted is not None and unit.gallery_hash != wanted:
        yield f"unit {unit.unit_id[:8]} has another gallery than the hub prepared for it"


def _say(what: str, which: Sequence[str]) -> Iterable[str]:
    if which:
        shown = ", ".join(one[:36] for one in which[:_SHOWN])
        yield f"{len(which)} {what} ({shown}{', ...' if len(which) > _SHOWN else ''})"
