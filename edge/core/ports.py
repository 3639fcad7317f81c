"""What the unit needs from the outside. Every method names the errors it may raise and who may call it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from protocol.delivery import RangeDigest, Rejection, SeqRange
from protocol.events import Event, Stamp
from protocol.topics import Address

# Whoever only reads the record must wait neither for NumPy nor for the messages of a gallery.
if TYPE_CHECKING:
    from edge.core.frame import Frame
    from protocol.content import HeadBody, PackFile, PackList


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

    def read(self) -> "Frame":
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


@dataclass(frozen=True, slots=True)
class Queued:
    """An undelivered event: its place in the order of this disk, its stream, and itself as a JSON object."""

    place: int
    """Rises with every event that is written down or put back into the queue; never used twice."""
    epoch: str
    body: dict[str, Any]

    @property
    def seq(self) -> int:
        """Where it stands in its stream."""
        return int(self.body["seq"])


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event the hub refused, with the reason."""

    epoch: str
    seq: int
    code: str
    detail: str
    refused_at: datetime
    body: dict[str, Any]


class Journal(Protocol):
    """The unit's record of what happened. Any thread; calls are serialised inside.

    The disk may hold events of several epochs: of the present one, to which everything new belongs, and of earlier ones
    (saved from a damaged file, or written before an old copy of the file was noticed). `(epoch, seq)` names an event.

    Every method raises StorageFull when the disk takes nothing now (full, or read-only) and StorageFailed when it fails
    otherwise.
    """

    @property
    def epoch(self) -> str:
        """The present stream."""
        ...

    def next_session(self) -> int:
        """Return 1, 2, 3, ... one higher at each call, also over restarts."""
        ...

    def append(self, events: Sequence[Event]) -> list[Event]:
        """Give each event the next seq of the present epoch and commit all of them to disk, or none.

        On return they survive a power cut. The seq in the given events is ignored.
        """
        ...

    def keep_open(self, intervals: Sequence[OpenInterval]) -> None:
        """Remember until when the students of open intervals were seen, in case the program is killed."""
        ...

    def open_intervals(self) -> list[OpenInterval]:
        """Return the intervals that have a `seen` and no `left`: after a start, those a restart must close."""
        ...

    def undelivered(self, after: int, until: int | None, limit: int, max_bytes: int) -> list[Queued]:
        """Return undelivered events by rising place, with `after` < place <= `until` (None: to the end).

        All of one epoch (it ends where another begins), at most `limit` of them, together at most `max_bytes` of JSON
        (but at least one when there is one).
        """
        ...

    def last_place(self) -> int:
        """Return the highest place in the queue's order so far, 0 when nothing was ever written down."""
        ...

    def delivered(self, epoch: str, ranges: Sequence[SeqRange]) -> int:
        """Note that the hub has committed these events; return how many were still undelivered."""
        ...

    def rejected(self, epoch: str, rejections: Sequence[Rejection]) -> int:
        """Move events the hub will not take to the dead letters; return how many were still undelivered."""
        ...

    def requeue(self, epoch: str, ranges: Sequence[SeqRange]) -> int:
        """Put delivered events back into the queue, at its end: the hub lost them. Dead letters stay where they are.

        Return how many were put back.
        """
        ...

    def begin_epoch(self) -> str:
        """Begin a new stream, to which everything appended from now on belongs; return its name."""
        ...

    def renumber(self, epoch: str, seqs: Sequence[int]) -> int:
        """Move undelivered events out of a stream whose places are taken, to the end of the present one.

        They keep their event ids. Return how many there were. Raises ValueError when `epoch` is the present one.
        """
        ...

    def digests(self, epoch: str, size: int, most: int, below: int | None = None) -> list[RangeDigest]:
        """Return what was delivered of a stream, in ranges of `size` seqs aligned at 1, the newest `most` of them.

        With `below`, of what stands before this seq. Fewer than `most`: there is no more.

        A range in which something waits is left out. One with holes (pruned, or renumbered into another stream) gives a
        digest for each unbroken run of what is there: nobody else would ever miss it. Dead letters are in no count.
        """
        ...

    def epochs(self) -> list[str]:
        """Return every stream that has events on disk, the present one last."""
        ...

    def kept_seq(self) -> int | None:
        """Return the oldest seq of the present epoch that is on disk."""
        ...

    def dead_letters(self) -> list[DeadLetter]:
        """Return what the hub refused, oldest first."""
        ...

    def refusals(self, epoch: str, first: int, last: int, code: str | None = None) -> list[tuple[int, str]]:
        """Return (seq, code) of the dead letters between two seqs of a stream, both included; with `code`, only those.

        Cheap: their bodies are not read.
        """
        ...

    def retry(self, letters: Sequence[tuple[str, int]] | None) -> int:
        """Put dead letters, by (epoch, seq), or all of them, back into the queue; return how many there were."""
        ...

    def prune(self, delivered_before: datetime) -> int:
        """Delete delivered events whose receipt came before this moment; return how many. Nothing else is deleted.

        At most a few hundred at a time, and nothing while the clock is not synced: what was delivered then counts as
        delivered at the first call after.
        """
        ...

    def positions(self) -> tuple[int, int]:
        """Return (last seq, seq up to which everything is delivered or rejected), of the present epoch."""
        ...

    def waiting(self) -> Waiting:
        """Return what still has to reach the hub. Cheap, however much waits."""
        ...


@dataclass(frozen=True, slots=True)
class StagedGallery:
    """A complete gallery that is about to replace the one in use: its pieces are on disk, by these names."""

    head: "HeadBody"
    signed_head: bytes
    template_hashes: tuple[str, ...]


class GalleryStore(Protocol):
    """The gallery on the unit's disk. Any thread; raises StorageFull and StorageFailed like Journal."""

    def in_use(self) -> "HeadBody | None":
        """Return the head of the gallery in use, None without one."""
        ...

    def stage(self, content_hash: str, sealed: bytes) -> None:
        """Keep a piece that has arrived, so that an interrupted transfer goes on where it was.

        It replaces one of the same name, which was damaged on this disk.
        """
        ...

    def staged(self, content_hash: str) -> bytes | None:
        """Return a piece that was staged, or that the gallery in use holds."""
        ...

    def has(self, content_hashes: Sequence[str]) -> set[str]:
        """Return those of the hashes that are on disk already."""
        ...

    def held(self) -> set[str]:
        """Return the hashes of everything on disk: of the gallery in use, and staged."""
        ...

    def drop(self, content_hashes: Collection[str]) -> None:
        """Delete templates, of the gallery in use or staged, or other pieces that are not in use, and erase them.

        What is not there is no error. Whether it was erased says `remains`.
        """
        ...

    def remains(self) -> str:
        """Return where something that was deleted can still be read on this disk, for a person; empty when nowhere.

        Does what is quick about it; damaged files are erased by the disk's own thread. Cheap when nothing is due.
        """
        ...

    def swap(self, gallery: StagedGallery) -> None:
        """Make the staged gallery the one in use and delete what it does not list, all at once or not at all.

        Its head names the model pack: with this one step gallery and pack change together.
        """
        ...


class PackStore(Protocol):
    """Model packs on the unit's disk, whole ones and those on their way. One thread.

    Raises StorageFull and StorageFailed like Journal. A pack on its way survives a restart with what was kept of it,
    and is gone as soon as the disk is full.
    """

    def has(self, pack_id: str) -> bool:
        """Return whether this pack lies here whole."""
        ...

    def dimensions(self, pack_id: str) -> int:
        """Return the length of a vector of a pack that lies here whole. Raises GalleryRefused(`pack_unusable`)."""
        ...

    def length(self, pack_id: str, path: str) -> int:
        """Return how many bytes of a file of a pack on its way are kept."""
        ...

    def put(self, pack_id: str, path: str, at: int, data: bytes) -> None:
        """Cut a file of a pack on its way to `at` bytes and add these. Raises GalleryRefused(`pack_no_space`)."""
        ...

    def check(self, pack_id: str, file: "PackFile") -> bool:
        """Return whether a file has the size and hash it should have, and is safe on disk; if not, it is deleted."""
        ...

    def plan(self, pack: "PackList") -> "tuple[PackFile, ...]":
        """Return the files this unit needs of a pack whose `manifest.json` is kept, and make room for them.

        Deletes packs that nobody needs. Raises GalleryRefused: `pack_unusable` when the pack does not suit this unit's
        settings, `pack_no_space`, `pack_no_memory`.
        """
        ...

    def finish(self, pack: "PackList") -> None:
        """Put a pack whose needed files are all kept into its place, at once or not at all."""
        ...

    def trial(self, pack_id: str) -> None:
        """Open the models of a whole pack once. Raises GalleryRefused(`pack_unusable`)."""
        ...

    def abandon(self, besides: str | None) -> None:
        """Delete what is kept of packs on their way, besides this one."""
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
