"""The unit's ports in memory. Each keeps the promises that `edge.core.ports` makes, and can be told to fail."""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from edge.core.errors import CameraEnded, StorageFailed, StorageFull, UplinkUnavailable
from edge.core.frame import NS_PER_S, Frame
from edge.core.ports import Clock, DeadLetter, OpenInterval, Queued, StagedGallery, Waiting
from protocol import codec
from protocol.base import Envelope, canonical_bytes
from protocol.content import Head, HeadBody
from protocol.delivery import RangeDigest, Rejection, SeqRange, ranges, xor64
from protocol.events import ClockQuality, Event, Left, Seen, Stamp, event_json, event_sha256
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


@dataclass
class _Kept:
    """An event on the disk of `MemoryJournal`."""

    epoch: str
    event: Event
    place: int | None
    """Where it waits; None when it does not."""
    delivered_at: datetime | None = None
    dated: bool = False
    """Whether the clock knew the time when it was delivered."""
    dead: DeadLetter | None = None


class MemoryJournal:
    """`Journal` in memory. `trouble` makes every write fail as a full or broken disk does."""

    def __init__(self, epoch: str = EPOCH, clock: Clock | None = None) -> None:
        self.trouble = Trouble()
        self._clock = clock or FakeClock()
        self._streams = {epoch: 0}
        """Last seq by epoch, the present one last."""
        self._kept: dict[tuple[str, int], _Kept] = {}
        self._refusals: list[tuple[str, int]] = []
        self._place = 0
        self._session = 0
        self._open: dict[str, OpenInterval] = {}
        self._lock = threading.RLock()

    @property
    def epoch(self) -> str:
        return list(self._streams)[-1]

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
            known = {kept.event.event_id for kept in self._kept.values()}
            new = [event.event_id for event in events]
            if len(set(new)) != len(new) or known.intersection(new):
                raise StorageFailed("an event with this id is stored already")
            last = self._streams[self.epoch]
            numbered = [event.model_copy(update={"seq": last + n}) for n, event in enumerate(events, 1)]
            for event in numbered:
                self._kept[self.epoch, event.seq] = _Kept(self.epoch, event, self._next_place())
                self._follow_interval(event)
            self._streams[self.epoch] = last + len(numbered)
            return numbered

    def _next_place(self) -> int:
        self._place += 1
        return self._place

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

    def undelivered(self, after: int, until: int | None, limit: int, max_bytes: int) -> list[Queued]:
        with self._lock:
            found: list[Queued] = []
            size = 0
            for place, kept in self._queue():
                if place <= after or (until is not None and place > until) or len(found) == limit:
                    continue
                raw = event_json(kept.event)
                size += len(canonical_bytes(raw)) + 1
                if found and (size > max_bytes or kept.epoch != found[0].epoch):
                    break
                found.append(Queued(place, kept.epoch, raw))
            return found

    def _queue(self) -> list[tuple[int, _Kept]]:
        waiting = [(kept.place, kept) for kept in self._kept.values() if kept.place is not None]
        return sorted(waiting, key=lambda pair: pair[0])

    def _of(self, epoch: str, ranges: Sequence[SeqRange]) -> list[_Kept]:
        """Return what there is of these ranges, by rising seq."""
        keys = sorted(key for key in self._kept if key[0] == epoch)
        named = [key for span in ranges for key in keys if span.first <= key[1] <= span.last]
        return [self._kept[key] for key in dict.fromkeys(named)]

    def last_place(self) -> int:
        with self._lock:
            return self._place

    def delivered(self, epoch: str, ranges: Sequence[SeqRange]) -> int:
        if not ranges:
            return 0
        with self._lock:
            self.trouble.strike()
            done = [kept for kept in self._of(epoch, ranges) if kept.place is not None]
            now = self._clock.stamp()
            for kept in done:
                kept.place, kept.delivered_at, kept.dated = None, now.at, now.clock == "synced"
            return len(done)

    def rejected(self, epoch: str, rejections: Sequence[Rejection]) -> int:
        if not rejections:
            return 0
        with self._lock:
            self.trouble.strike()
            moved = 0
            for rejection in rejections:
                kept = self._kept.get((epoch, rejection.seq))
                if kept and kept.place is not None:
                    at, raw = self._clock.stamp().at, event_json(kept.event)
                    kept.dead = DeadLetter(epoch, rejection.seq, rejection.code, rejection.detail, at, raw)
                    kept.place = None
                    self._refusals.append((epoch, rejection.seq))
                    moved += 1
            return moved

    def requeue(self, epoch: str, ranges: Sequence[SeqRange]) -> int:
        with self._lock:
            self.trouble.strike()
            lost = [kept for kept in self._of(epoch, ranges) if kept.delivered_at is not None]
            for kept in lost:
                kept.place, kept.delivered_at = self._next_place(), None
            return len(lost)

    def begin_epoch(self) -> str:
        with self._lock:
            self.trouble.strike()
            epoch = f"{int(self.epoch, 16) + 1:016x}"
            self._streams[epoch] = 0
            return epoch

    def renumber(self, epoch: str, seqs: Sequence[int]) -> int:
        with self._lock:
            if epoch == self.epoch:
                raise ValueError("events cannot be moved from the present stream into itself")
            self.trouble.strike()
            moved = [kept for _, kept in self._queue() if kept.epoch == epoch and kept.event.seq in set(seqs)]
            for kept in moved:
                del self._kept[kept.epoch, kept.event.seq]
                self._streams[self.epoch] += 1
                kept.epoch, kept.place = self.epoch, self._next_place()
                kept.event = kept.event.model_copy(update={"seq": self._streams[self.epoch]})
                self._kept[kept.epoch, kept.event.seq] = kept
            return len(moved)

    def digests(self, epoch: str, size: int, most: int, below: int | None = None) -> list[RangeDigest]:
        with self._lock:
            last, found = self._streams.get(epoch, 0), []
            last = last if below is None else min(last, below - 1)
            for first in range(1, last + 1, size):
                end = min(first + size - 1, last)
                there = {kept.event.seq: kept for kept in self._of(epoch, [SeqRange(first=first, last=end)])}
                if any(kept.place is not None for kept in there.values()):
                    continue
                for run in ranges(list(there)):
                    of_run = [there[seq] for seq in range(run.first, run.last + 1)]
                    hashes = [event_sha256(event_json(kept.event)) for kept in of_run if kept.dead is None]
                    found.append(RangeDigest(first=run.first, last=run.last, count=len(hashes), xor64=xor64(hashes)))
            return found[-most:]

    def epochs(self) -> list[str]:
        with self._lock:
            used = {epoch for epoch, _ in self._kept}
            return [epoch for epoch in self._streams if epoch in used or epoch == self.epoch]

    def kept_seq(self) -> int | None:
        with self._lock:
            return min((seq for epoch, seq in self._kept if epoch == self.epoch), default=None)

    def dead_letters(self) -> list[DeadLetter]:
        with self._lock:
            letters = [self._kept[key].dead for key in self._refusals]
            return [letter for letter in letters if letter is not None]

    def refusals(self, epoch: str, first: int, last: int, code: str | None = None) -> list[tuple[int, str]]:
        found = [(one.seq, one.code) for one in self.dead_letters() if one.epoch == epoch and first <= one.seq <= last]
        return sorted(one for one in found if code in (None, one[1]))

    def retry(self, letters: Sequence[tuple[str, int]] | None) -> int:
        with self._lock:
            self.trouble.strike()
            again = [key for key in (self._refusals if letters is None else letters) if key in self._refusals]
            for key in dict.fromkeys(again):
                self._refusals.remove(key)
                self._kept[key].dead, self._kept[key].place = None, self._next_place()
            return len(dict.fromkeys(again))

    def prune(self, delivered_before: datetime) -> int:
        with self._lock:
            self.trouble.strike()
            now = self._clock.stamp()
            if now.clock != "synced":
                return 0
            for kept in self._kept.values():
                if kept.delivered_at and not kept.dated:
                    kept.delivered_at, kept.dated = now.at, True
            old = [
                key for key, kept in self._kept.items() if kept.delivered_at and kept.delivered_at < delivered_before
            ]
            for key in old:
                del self._kept[key]
            return len(old)

    def positions(self) -> tuple[int, int]:
        with self._lock:
            last = self._streams[self.epoch]
            waiting = (kept.event.seq for _, kept in self._queue() if kept.epoch == self.epoch)
            return last, min(waiting, default=last + 1) - 1

    def waiting(self) -> Waiting:
        with self._lock:
            queue = [kept for _, kept in self._queue()]
            streams = list(self._streams)
            oldest = min(queue, key=lambda kept: (streams.index(kept.epoch), kept.event.seq), default=None)
            return Waiting(len(queue), oldest.event.at if oldest else None, len(self._refusals))

    @property
    def events(self) -> list[Event]:
        """Everything stored, in the order in which it was written down."""
        with self._lock:
            return [kept.event for kept in self._kept.values()]


class MemoryGalleryStore:
    """`GalleryStore` in memory. `trouble` makes every write fail as a full or broken disk does."""

    def __init__(self) -> None:
        self.trouble = Trouble()
        self.content: dict[str, bytes] = {}
        self.not_erased = ""
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
            self.content[content_hash] = sealed

    def staged(self, content_hash: str) -> bytes | None:
        with self._lock:
            return self.content.get(content_hash)

    def has(self, content_hashes: Sequence[str]) -> set[str]:
        with self._lock:
            return set(content_hashes) & set(self.content)

    def held(self) -> set[str]:
        with self._lock:
            return set(self.content)

    def drop(self, content_hashes: Collection[str]) -> None:
        if not content_hashes:
            return
        with self._lock:
            self.trouble.strike()
            for content_hash in content_hashes:
                self.content.pop(content_hash, None)

    def remains(self) -> str:
        return self.not_erased

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
