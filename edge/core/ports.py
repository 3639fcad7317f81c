"""What the unit needs from the outside. Every method names the errors it may raise and who may call it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from edge.core.frame import Frame
from protocol.content import HeadBody
from protocol.delivery import Rejection, SeqRange
from protocol.events import Event, Stamp
from protocol.topics import Address


class Clock(Protocol):
    """Time. Any thread."""

    def stamp(self) -> Stamp:
        """Return now, as events carry it."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds that never go back, for time-outs and intervals."""
        ...

    def new_id(self) -> str:
        """Return a new UUID version 7 as text."""
        ...


class Camera(Protocol):
    """A source of frames. One thread; `close` may be called from another."""

    @property
    def lossless(self) -> bool:
        """True for a recording played as fast as possible: wait for the reader instead of dropping frames."""
        ...

    def read(self) -> Frame:
        """Return the next frame; blocks until there is one, at most a few seconds.

        Raises CameraLost when there is none (the camera opens itself again on a later call) and CameraEnded after the
        last frame of a recording.
        """
        ...

    def pace(self, frames_per_s: float) -> None:
        """Give at most so many frames a second from now on; a recording played as fast as possible is not slowed."""
        ...

    def rest(self, for_s: float) -> None:
        """Let time pass between two stills without decoding pictures, up to `for_s` seconds; `close` ends it.

        What the driver holds back meanwhile is taken and thrown away, so that the next `read` is a picture of then.
        Raises CameraLost as `read` does.
        """
        ...

    def close(self) -> None:
        """Release the device; safe to call twice."""
        ...


@dataclass(frozen=True, slots=True)
class OpenInterval:
    """A presence interval that has begun and not ended, with the last moment the student was seen."""

    interval_id: str
    student_id: str
    first_seen: Stamp
    last_seen: Stamp


@dataclass(frozen=True, slots=True)
class Waiting:
    """What still has to reach the hub."""

    events: int
    oldest_at: datetime | None
    dead_letters: int


class Journal(Protocol):
    """The unit's record of what happened. Any thread; calls are serialised inside.

    Every method raises StorageFull when the disk is full and StorageFailed when it fails otherwise.
    """

    @property
    def epoch(self) -> str:
        """Identifies this database file."""
        ...

    def next_session(self) -> int:
        """Return 1, 2, 3, ... one higher at each call, also over restarts."""
        ...

    def append(self, events: Sequence[Event]) -> list[Event]:
        """Give each event the next seq and commit all of them to disk, or none.

        On return they survive a power cut. The seq in the given events is ignored.
        """
        ...

    def keep_open(self, intervals: Sequence[OpenInterval]) -> None:
        """Remember until when the students of open intervals were seen, in case the program is killed."""
        ...

    def open_intervals(self) -> list[OpenInterval]:
        """Return the intervals that have a `seen` and no `left`: after a start, those a restart must close."""
        ...

    def undelivered(self, after_seq: int, limit: int, max_bytes: int) -> list[dict[str, Any]]:
        """Return undelivered events as JSON objects by rising seq, from after `after_seq` on.

        At most `limit` of them, together at most `max_bytes` of JSON (but at least one when there is one).
        """
        ...

    def delivered(self, ranges: Sequence[SeqRange]) -> int:
        """Note that the hub has committed these events; return how many were still undelivered."""
        ...

    def rejected(self, rejections: Sequence[Rejection]) -> int:
        """Move events the hub will never take to the dead letters; return how many were still undelivered."""
        ...

    def positions(self) -> tuple[int, int]:
        """Return (last seq, seq up to which everything is delivered or rejected)."""
        ...

    def waiting(self) -> Waiting:
        """Return what still has to reach the hub."""
        ...


@dataclass(frozen=True, slots=True)
class StagedGallery:
    """A complete gallery that is about to replace the one in use: sealed pieces, and what they say."""

    head: HeadBody
    signed_head: bytes
    sealed_manifest: bytes
    sealed_timetable: bytes | None
    template_hashes: tuple[str, ...]


class GalleryStore(Protocol):
    """The gallery on the unit's disk. Any thread; raises StorageFull and StorageFailed like Journal."""

    def in_use(self) -> HeadBody | None:
        """Return the head of the gallery in use, None without one."""
        ...

    def stage(self, content_hash: str, sealed: bytes) -> None:
        """Keep a piece that has arrived, so that an interrupted transfer goes on where it was."""
        ...

    def staged(self, content_hash: str) -> bytes | None:
        """Return a piece that was staged, or that the gallery in use holds."""
        ...

    def has(self, content_hashes: Sequence[str]) -> set[str]:
        """Return those of the hashes that are on disk already."""
        ...

    def swap(self, gallery: StagedGallery) -> None:
        """Make the staged gallery the one in use and delete what it does not list, all at once or not at all."""
        ...


class Uplink(Protocol):
    """The connection to the broker. Any thread; never blocks for longer than writing to a socket buffer."""

    @property
    def connected(self) -> bool:
        """True when messages can be sent now."""
        ...

    def publish(self, address: Address, payload: bytes, *, retain: bool = False) -> None:
        """Hand a message to the network, at least once (QoS 1).

        Raises UplinkUnavailable when not connected: the message is then not kept by anyone but the caller.
        """
        ...
