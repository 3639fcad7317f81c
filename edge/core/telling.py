"""The unit's account of itself, for people: what its status says and when it is due."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from edge.core.actions import Moment
from edge.core.ports import Journal, Waiting
from protocol.base import Epoch
from protocol.status import Problem, Status

State = Literal["watching", "degraded", "stopped"]
Disk = Literal["ok", "low", "full", "read_only"]


@dataclass(frozen=True, slots=True)
class UnitFacts:
    """What does not change while the program runs."""

    site: str
    unit_id: str
    software: str
    pack_id: str
    session: int


@dataclass(frozen=True, slots=True)
class Condition:
    """What the rest of the unit says of itself now; None where it does not say."""

    problems: tuple[Problem, ...] = ()
    gallery_revision: int = 0
    students: int = 0
    events_lost: int = 0
    """Events that a full disk cost since the start."""
    frames_per_s: float | None = None
    disk_free_bytes: int | None = None
    disk: Disk | None = None
    held_events: int | None = None
    temperature_c: float | None = None
    throttled: tuple[str, ...] | None = None
    up_s: float | None = None


class Surroundings(Protocol):
    """The rest of the unit, as the conversation asks for it. The thread of the conversation calls."""

    def condition(self) -> Condition:
        """Return how the unit is now: to be asked once for each status, for some of it tells what was since then."""
        ...

    def gallery_revision(self) -> int:
        """Return which gallery is in use. Cheap."""
        ...

    def events_lost(self) -> int:
        """Return how many events a full disk cost since the start. Cheap."""
        ...

    def changes(self) -> int:
        """Return a number that rises whenever a problem begins or ends. Cheap."""
        ...


class Alone:
    """Surroundings of a unit of which only the conversation exists, as in a simulation."""

    def condition(self) -> Condition:
        """Return nothing."""
        return Condition()

    def gallery_revision(self) -> int:
        """Return that there is none."""
        return 0

    def events_lost(self) -> int:
        """Return that none was lost."""
        return 0

    def changes(self) -> int:
        """Return that nothing changed."""
        return 0


@dataclass(slots=True)
class Progress:
    """Whether the hub takes what waits. Monotonic seconds, but for what people read. One thread."""

    last_receipt_at: datetime | None = None
    _since_s: float | None = None
    """When the hub took something, or nothing waited, last."""
    _looked_s: float = float("-inf")

    def taken(self, now: Moment) -> None:
        """Note that the hub took something."""
        self.last_receipt_at = now.stamp.at
        self._since_s = now.monotonic_s

    def look(self, now_s: float, every_s: float, journal: Journal) -> None:
        """Look from time to time whether anything waits, also without a connection: the first status then tells."""
        if now_s >= self._looked_s + every_s:
            self._looked_s = now_s
            self.stalled_s(now_s, journal.waiting().events)

    def stalled_s(self, now_s: float, waiting_events: int) -> float:
        """Return for how long something has waited and nothing was taken."""
        if not waiting_events or self._since_s is None:
            self._since_s = now_s
        return max(0.0, now_s - self._since_s)


@dataclass(slots=True)
class StatusBook:
    """When a status is due, and what it says."""

    every_s: float
    due_s: float = float("-inf")
    _told_changes: int = -1

    def at_once(self) -> None:
        """Make a status due."""
        self.due_s = float("-inf")

    def is_due(self, now_s: float, changes: int) -> bool:
        """Tell whether to send one: from time to time, and whenever a problem begins or ends."""
        return now_s >= self.due_s or self._told_changes != changes

    def told(self, now_s: float, changes: int) -> None:
        """Note that one goes out."""
        self.due_s, self._told_changes = now_s + self.every_s, changes


@dataclass(slots=True)
class Teller:
    """Composes the status from what many parts know."""

    facts: UnitFacts
    progress: Progress

    def compose(self, state: State, epoch: Epoch, now: Moment, waiting: Waiting, unit: Condition) -> Status:
        """Return the status of this moment."""
        stamp = now.stamp
        age_s = max(0.0, (stamp.at - waiting.oldest_at).total_seconds()) if waiting.oldest_at else None
        return Status(
            state=state,
            session=self.facts.session,
            epoch=epoch,
            at=stamp.at,
            waiting_events=waiting.events,
            oldest_waiting_s=age_s,
            last_receipt_at=self.progress.last_receipt_at,
            dead_letters=waiting.dead_letters,
            gallery_revision=unit.gallery_revision,
            pack_id=self.facts.pack_id,
            students=unit.students,
            frames_per_s=unit.frames_per_s,
            disk_free_bytes=unit.disk_free_bytes,
            disk=unit.disk,
            held_events=unit.held_events,
            progress_s=self.progress.stalled_s(now.monotonic_s, waiting.events),
            temperature_c=unit.temperature_c,
            throttled=unit.throttled,
            boot_id=stamp.boot_id,
            up_s=unit.up_s,
            clock=stamp.clock,
            software=self.facts.software,
            problems=unit.problems,
        )
