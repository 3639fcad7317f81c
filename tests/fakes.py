"""The unit's ports in memory. Each keeps the promises that `edge.core.ports` makes, and can be told to fail."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from edge.core.errors import CameraEnded, StorageFailed, StorageFull, UplinkUnavailable
from edge.core.frame import NS_PER_S, Frame
from edge.core.ports import OpenInterval, StagedGallery, Waiting
from protocol import codec
from protocol.base import Envelope, canonical_bytes
from protocol.content import Head, HeadBody
from protocol.delivery import Rejection, SeqRange
from protocol.events import ClockQuality, Event, Left, Seen, Stamp, event_json
from protocol.identifiers import uuid7
from protocol.topics import Address

EPOCH = "00112233445566ff"
BOOT = str(UUID(int=0xB007))
MORNING = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


class FakeClock:
    """`Clock`: time passes only when a test says so, and identifiers are 1, 2, 3, ..."""

    def __init__(self, at: datetime = MORNING, *, quality: ClockQuality = "synced", boot_id: str = BOOT) -> None:
        self.at = at
        self.quality = quality
        self.boot_id = boot_id
        self.boottime_ns = 1_000 * NS_PER_S
        self._ids = 0
        self._lock = threading.Lock()

    def stamp(self) -> Stamp:
        return Stamp(at=self.at, boot_id=self.boot_id, boottime_ns=self.boottime_ns, clock=self.quality)

    def monotonic_s(self) -> float:
        return self.boottime_ns / NS_PER_S

    def new_id(self) -> str:
        with self._lock:
            self._ids += 1
            return str(uuid7(int(self.at.timestamp() * 1000), self._ids.to_bytes(10)))

    def advance(self, seconds: float) -> Stamp:
        """Let time pass on both clocks; return the new moment."""
        self.at += timedelta(seconds=seconds)
        self.boottime_ns += round(seconds * NS_PER_S)
        return self.stamp()

    def set_wall(self, at: datetime) -> None:
        """Set the wall clock, as NTP or a person does: the boot clock does not notice."""
        self.at = at


@dataclass
class Trouble:
    """What a disk does: nothing special, or refuse the next `times` writes (-1: all of them)."""

    error: StorageFailed | None = None
    times: int = -1

    def strike(self) -> None:
        """Raise the error when it is due."""
        if self.error is None or self.times == 0:
            return
        self.times -= self.times > 0
        raise self.error

    def fill(self, times: int = -1) -> None:
        """From now on there is no space."""
        self.error, self.times = StorageFull("the disk is full", hint="free some space"), times

    def break_down(self, times: int = -1) -> None:
        """From now on the disk fails."""
        self.error, self.times = StorageFailed("the disk does not answer", hint="check the disk"), times

    def heal(self) -> None:
        """From now on everything works."""
        self.error = None


class MemoryJournal:
    """`Journal` in memory. `trouble` makes every write fail as a full or broken disk does."""

    def __init__(self, epoch: str = EPOCH) -> None:
        self.trouble = Trouble()
        self.stored: dict[int, Event] = {}
        self.dead_letters: dict[int, Rejection] = {}
        self._epoch = epoch
        self._session = 0
        self._outbox: set[int] = set()
        self._open: dict[str, OpenInterval] = {}
        self._lock = threading.RLock()

    @property
    def epoch(self) -> str:
        return self._epoch

    def next_session(self) -> int:
        with self._lock:
            session = self._session + 1
            with suppress(StorageFull):
                self.trouble.strike()
                self._session = session
            return session

    def append(self, events: Sequence[Event]) -> list[Event]:
        if not events:
            return []
        with self._lock:
            self.trouble.strike()
            known = {event.event_id for event in self.stored.values()}
            new = [event.event_id for event in events]
            if len(set(new)) != len(new) or known.intersection(new):
                raise StorageFailed("an event with this id is stored already")
            last = len(self.stored)
            numbered = [event.model_copy(update={"seq": last + n}) for n, event in enumerate(events, 1)]
            for event in numbered:
                self.stored[event.seq] = event
                self._outbox.add(event.seq)
                self._follow_interval(event)
            return numbered

    def _follow_interval(self, event: Event) -> None:
        if isinstance(event, Seen):
            stamp = Stamp.model_validate(event.model_dump(include=set(Stamp.model_fields)))
            self._open[event.event_id] = OpenInterval(event.event_id, event.student_id, stamp, stamp)
        elif isinstance(event, Left):
            self._open.pop(event.interval_id, None)

    def keep_open(self, intervals: Sequence[OpenInterval]) -> None:
        with self._lock:
            self.trouble.strike()
            for interval in intervals:
                known = self._open.get(interval.interval_id)
                if known:
                    self._open[interval.interval_id] = OpenInterval(
                        known.interval_id, known.student_id, known.first_seen, interval.last_seen
                    )

    def open_intervals(self) -> list[OpenInterval]:
        with self._lock:
            return list(self._open.values())

    def undelivered(self, after_seq: int, limit: int, max_bytes: int) -> list[dict[str, Any]]:
        with self._lock:
            found: list[dict[str, Any]] = []
            size = 0
            for seq in sorted(seq for seq in self._outbox if seq > after_seq)[:limit]:
                raw = event_json(self.stored[seq])
                size += len(canonical_bytes(raw)) + 1
                if found and size > max_bytes:
                    break
                found.append(raw)
            return found

    def delivered(self, ranges: Sequence[SeqRange]) -> int:
        if not ranges:
            return 0
        with self._lock:
            self.trouble.strike()
            gone = {seq for seq in self._outbox if any(span.first <= seq <= span.last for span in ranges)}
            self._outbox -= gone
            return len(gone)

    def rejected(self, rejections: Sequence[Rejection]) -> int:
        if not rejections:
            return 0
        with self._lock:
            self.trouble.strike()
            moved = {rejection.seq: rejection for rejection in rejections if rejection.seq in self._outbox}
            self._outbox -= set(moved)
            self.dead_letters |= moved
            return len(moved)

    def positions(self) -> tuple[int, int]:
        with self._lock:
            last = len(self.stored)
            return last, min(self._outbox, default=last + 1) - 1

    def waiting(self) -> Waiting:
        with self._lock:
            oldest = self.stored[min(self._outbox)].at if self._outbox else None
            return Waiting(len(self._outbox), oldest, len(self.dead_letters))

    @property
    def events(self) -> list[Event]:
        """Everything stored, by rising seq."""
        with self._lock:
            return list(self.stored.values())


class MemoryGalleryStore:
    """`GalleryStore` in memory. `trouble` makes every write fail as a full or broken disk does."""

    def __init__(self) -> None:
        self.trouble = Trouble()
        self.content: dict[str, bytes] = {}
        self._signed: bytes | None = None
        self._lock = threading.RLock()

    def signed_head(self) -> Head | None:
        """Return the signed head of the gallery in use, as the program reads it at its start."""
        with self._lock:
            return Head.model_validate_json(self._signed) if self._signed else None

    def in_use(self) -> HeadBody | None:
        head = self.signed_head()
        return HeadBody.model_validate_json(head.body) if head else None

    def stage(self, content_hash: str, sealed: bytes) -> None:
        with self._lock:
            self.trouble.strike()
            self.content.setdefault(content_hash, sealed)

    def staged(self, content_hash: str) -> bytes | None:
        with self._lock:
            return self.content.get(content_hash)

    def has(self, content_hashes: Sequence[str]) -> set[str]:
        with self._lock:
            return set(content_hashes) & set(self.content)

    def swap(self, gallery: StagedGallery) -> None:
        with self._lock:
            self.trouble.strike()
            head = gallery.head
            named = {head.manifest_hash} | ({head.timetable_hash} if head.timetable_hash else set())
            if not named <= set(self.content):
                raise StorageFailed("the gallery names a list of students or a timetable that is not on disk")
            listed = named | set(gallery.template_hashes)
            self._signed = gallery.signed_head
            self.content = {key: sealed for key, sealed in self.content.items() if key in listed}

    def damage(self, content_hash: str) -> None:
        """Turn over one bit of a piece, as an old card does."""
        sealed = bytearray(self.content[content_hash])
        sealed[-1] ^= 1
        self.content[content_hash] = bytes(sealed)


@dataclass(frozen=True)
class Published:
    """A message that reached the network."""

    address: Address
    payload: bytes
    retain: bool

    @property
    def message(self) -> Envelope:
        """The message, read as the hub reads it."""
        return codec.decode(self.address, self.payload)


class FakeUplink:
    """`Uplink` that keeps what was published. `breaks_after` more messages, the connection is gone."""

    def __init__(self, *, connected: bool = True) -> None:
        self.published: list[Published] = []
        self.breaks_after: int | None = None
        self._connected = connected

    @property
    def connected(self) -> bool:
        return self._connected

    @connected.setter
    def connected(self, value: bool) -> None:
        self._connected = value

    def publish(self, address: Address, payload: bytes, *, retain: bool = False) -> None:
        if self.breaks_after == 0:
            self._connected, self.breaks_after = False, None
        if not self._connected:
            raise UplinkUnavailable("not connected to the broker")
        if self.breaks_after is not None:
            self.breaks_after -= 1
        self.published.append(Published(address, payload, retain))

    def on(self, channel: str) -> list[Envelope]:
        """Return what was published on a channel so far, oldest first."""
        return [sent.message for sent in self.published if sent.address.channel == channel]

    def drain(self) -> list[Published]:
        """Return what was published since the last call."""
        taken, self.published = self.published, []
        return taken


class FakeCamera:
    """`Camera` that plays a script: frames are returned, errors are raised, and at its end it has ended."""

    def __init__(self, script: Iterable[Frame | Exception], *, lossless: bool = True) -> None:
        self._script = iter(script)
        self._lossless = lossless
        self.closed = 0
        self.paces: list[float] = []
        self.rests: list[float] = []

    @property
    def lossless(self) -> bool:
        return self._lossless

    def read(self) -> Frame:
        step = next(self._script, None)
        if step is None:
            raise CameraEnded("the recording is over")
        if isinstance(step, Exception):
            raise step
        return step

    def pace(self, frames_per_s: float) -> None:
        self.paces.append(frames_per_s)

    def rest(self, for_s: float) -> None:
        self.rests.append(for_s)

    def close(self) -> None:
        self.closed += 1


@dataclass
class MemoryCsv:
    """The CSV copy: (event id, display name) of each line."""

    trouble: Trouble = field(default_factory=Trouble)
    lines: list[tuple[str, str]] = field(default_factory=list)

    def append(self, events: Sequence[Event], names: Mapping[str, str]) -> None:
        self.trouble.strike()
        self.lines += [
            (event.event_id, names.get(event.student_id, event.student_id))
            for event in events
            if isinstance(event, Seen)
        ]


def counting(start: int = 1) -> Callable[[], str]:
    """Return a source of identifiers: 1, 2, 3, ... as UUIDs."""
    numbers = iter(range(start, 2**64))
    return lambda: str(UUID(int=next(numbers)))
