"""Events to disk: SQLite first, then the CSV copy. What a full disk refuses is held in memory and tried again."""

import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Protocol

from edge.core.errors import StorageFailed, StorageFull
from edge.core.ports import Journal, OpenInterval
from edge.loops.health import Health
from edge.loops.storage import NoReserves
from protocol.events import Event

_AT_ONCE = 500
_HELD_AT_MOST = 10_000
"""About 10 MB of events; beyond this the oldest are lost, and counted."""


class CsvCopy(Protocol):
    """The readable copy."""

    def append(self, events: Sequence[Event], names: Mapping[str, str]) -> None:
        """Write the lines of these events. Raises StorageFailed."""
        ...


class Storage(Protocol):
    """What can be done about a full disk. Any thread."""

    def make_room(self, exc: StorageFull) -> bool:
        """Note that a write found no space; return whether it is worth trying again at once."""
        ...

    def wrote(self) -> None:
        """Note that a write found its space."""
        ...


class Recorder:
    """The only way for events into the record. Any thread."""

    def __init__(self, journal: Journal, csv_copy: CsvCopy, health: Health, storage: Storage | None = None) -> None:
        self._journal = journal
        self._csv = csv_copy
        self._health = health
        self._storage = storage or NoReserves(health)
        # Recognition records what it saw, delivery records clock anchors: what is held must be stored by one of them.
        self._lock = threading.Lock()
        self._held: deque[Event] = deque()
        self.lost = 0

    @property
    def held(self) -> int:
        """How many events are in memory only, because the disk takes nothing."""
        return len(self._held)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Keep everybody from recording, while the CSV copy is written anew."""
        with self._lock:
            yield

    def record(self, events: Sequence[Event], names: Mapping[str, str]) -> list[Event]:
        """Commit events, with what was held back before; return those now on disk, with their seq.

        Raises StorageFailed when the disk is broken (the program must end: what is written after a failed fsync cannot
        be trusted). A disk that is full or read-only is no error here: the events wait, and the problem is reported.
        """
        with self._lock:
            return self._record(events, names)

    def _record(self, events: Sequence[Event], names: Mapping[str, str]) -> list[Event]:
        if not events and not self._held:
            return []
        self._held.extend(events)
        stored: list[Event] = []
        try:
            # In portions: a disk that is still full refuses the first one, which costs little.
            while portion := list(islice(self._held, _AT_ONCE)):
                stored += self._append(portion)
                for _ in portion:
                    self._held.popleft()
        except StorageFull:
            while len(self._held) > _HELD_AT_MOST:
                self._held.popleft()
                self.lost += 1
        else:
            self._storage.wrote()
        if stored:
            self._copy(stored, names)
        return stored

    def _append(self, portion: Sequence[Event]) -> list[Event]:
        try:
            return self._journal.append(portion)
        except StorageFull as exc:
            if not self._storage.make_room(exc):
                raise
        return self._journal.append(portion)

    def remember(self, intervals: Sequence[OpenInterval]) -> None:
        """Note until when the students of open intervals were seen. Raises StorageFailed, not for a full disk."""
        try:
            self._journal.keep_open(intervals)
        except StorageFull as exc:
            self._storage.make_room(exc)

    def _copy(self, stored: Sequence[Event], names: Mapping[str, str]) -> None:
        try:
            self._csv.append(stored, names)
        except StorageFailed as exc:
            # Only the copy: the record is safe, and the lines are written again from it.
            self._health.failed("csv_failed", exc)
        else:
            self._health.fine("csv_failed")
