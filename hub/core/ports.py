"""What the hub's loops need from the outside. Adapters keep these contracts; tests have fakes that keep them too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

# Every command needs the clock's port; the messages, a tenth of what it would import, only `serve` needs.
if TYPE_CHECKING:
    from hub.core.ingest import Arrival, Batch, Unusable
    from protocol.content import Applied, ContentKind
    from protocol.delivery import Audit, AuditAnswer, Hello, Receipt
    from protocol.status import Status


class Clock(Protocol):
    """Tells the time. The only source of time in the hub; any thread may ask."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds that never go back, for measuring waits."""
        ...


class Inbox(Protocol):
    """Messages from the broker, the urgent first; bounded: what does not fit is dropped (units send again)."""

    def take(self, most: int, timeout_s: float) -> list[Arrival]:
        """Return up to `most` messages, waiting at most `timeout_s` for the first. One thread takes."""
        ...

    def turned_away(self) -> list[Arrival]:
        """Return the beginnings of batches that found no room since the last call, to be told to come again."""
        ...


class Link(Protocol):
    """The way to the broker. Any thread may publish."""

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Hand over a message with QoS 1; False when there is no connection or too much is under way.

        True does not mean that anybody received it: whoever needs to know waits for an answer.
        """
        ...

    @property
    def connections(self) -> int:
        """How often the broker accepted us; a change means that retained messages have to be published again."""
        ...


@dataclass(frozen=True, slots=True)
class Taken:
    """What a store did with one batch: the receipt to send, or None for a unit that is unknown or revoked."""

    batch: Batch
    receipt: Receipt | None
    conflicts: int = 0
    refused: int = 0
    misplaced: int = 0
    """Events at whose place another one stands: their unit has an old copy of its file."""
    moved: int = 0
    """Late copies of events that are on record in another stream of their unit; not among `refused`."""
    too_many_streams: bool = False
    """Its unit begins one stream after the other: this one is not begun, and the receipt says to come again."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a store knows of a unit that says hello."""

    high_water: int
    clone_suspected: bool
    too_many_streams: bool = False
    """The unit begins one stream after the other: this one is not begun, and there is nothing to welcome."""


class EventStore(Protocol):
    """Units' messages on record. Every method is one transaction and may be repeated with the same effect.

    Every method raises StoreUnavailable (nothing may be acknowledged; try again; of which StoreBusy: try something else
    meanwhile) or StoreRefused (stop). One thread.
    """

    def take(self, batches: Sequence[Batch]) -> list[Taken]:
        """Commit the new events of several batches at once; return, in their order, what happened to each."""
        ...

    def greet(self, unit_id: str, hello: Hello, at: datetime) -> Greeting | None:
        """Note that a stream is alive; None for a unit that is unknown or revoked."""
        ...

    def keep_status(self, unit_id: str, status: Status, at: datetime) -> bool:
        """Keep a unit's status unless a newer one is on record; False for a unit that is unknown or revoked."""
        ...

    def confirm_gallery(self, unit_id: str, applied: Applied, at: datetime) -> bool:
        """Note what a unit has applied and erased; False for a unit that is unknown or revoked."""
        ...

    def audit(self, unit_id: str, audit: Audit) -> AuditAnswer | None:
        """Return in which ranges the record differs from the unit's; None for a unit that is unknown or revoked."""
        ...

    def quarantine(self, unusable: Sequence[Unusable]) -> int:
        """Keep messages that cannot be used, up to a bound; return how many were kept."""
        ...


@dataclass(frozen=True, slots=True)
class GalleryState:
    """Which gallery a unit should have, and whether its head is ready to be announced."""

    unit_id: str
    revision: int
    prepared_revision: int
    push_count: int


@dataclass(frozen=True, slots=True)
class PreparedHead:
    """The head that is published for a unit, as bytes on the wire, and of which revision it is."""

    revision: int
    payload: bytes


class GalleryStore(Protocol):
    """Galleries on record. Raises StoreUnavailable or StoreRefused. One thread."""

    def states(self) -> list[GalleryState]:
        """Return the state of every unit that is not revoked."""
        ...

    def prepare(self, unit_id: str) -> None:
        """Build, seal, sign and keep the gallery of the unit's present revision; does nothing when it is there."""
        ...

    def head(self, unit_id: str) -> PreparedHead | None:
        """Return the newest prepared head, if there is one."""
        ...

    def content(self, unit_id: str, kind: ContentKind, content_hash: str) -> bytes | None:
        """Return the sealed content that a unit may have under this hash, or None."""
        ...


@dataclass(frozen=True, slots=True)
class PackPart:
    """One part of a pack's list or of one of its files."""

    index: int
    count: int
    data: bytes


class PackShelf(Protocol):
    """The model pack that units may fetch. One thread."""

    def part(self, kind: ContentKind, content_hash: str, index: int) -> PackPart | None:
        """Return a part; None when there is no such content, no such part, or the file is not what it was."""
        ...


class RegisterStore(Protocol):
    """The derived register. Raises StoreUnavailable or StoreRefused. One thread."""

    def mark_ended_lessons(self, now: datetime) -> int:
        """Ask for the students of lessons that ended since the last call to be derived; return how many lessons."""
        ...

    def derive(self, now: datetime, most: int) -> int:
        """Derive up to `most` marked students and days anew; return how many. Repeating it changes nothing."""
        ...
