"""Events to disk: SQLite first, then the CSV copy. What a full disk refuses is held in memory and tried again."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Protocol

from edge.core.backoff import delay_s
from edge.core.errors import StorageFull
from edge.core.ports import Journal, OpenInterval
from edge.loops.health import Health
from edge.loops.storage import NoReserves
from protocol.events import Event

_AT_ONCE = 500
_HELD_AT_MOST = 10_000
"""About 10 MB of events; beyond this the oldest are lost, and counted."""
_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 5.0


class CsvCopy(Protocol):
    """The readable copy."""

    def append(self, events: Sequence[Event], names: Mapping[str, str]) -> None:
        """Have the lines of these events written; does not wait for it, and fails for nobody. Any thread."""
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

    def __init__(
        self,
        journal: Journal,
        csv_copy: CsvCopy,
        health: Health,
        storage: Storage | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal = journal
        self._csv = csv_copy
        self._storage = storage or NoReserves(health)
        self._monotonic_s = monotonic_s
        # Recognition records what it saw, delivery records clock anchors: what is held must be stored by one of them.
        self._lock = threading.Lock()
        self._held: deque[Event] = deque()
        self._refusals = 0
        """How often the disk refused since everything was stored."""
        self._again_s = float("-inf")
        self.lost = 0

    @property
    def held(self) -> int:
        """How many events are in memory only, because the disk takes nothing."""
        return len(self._held)

    def record(self, events: Sequence[Event], names: Mapping[str, str], *, at_once: bool = False) -> list[Event]:
        """Commit events, with what was held back before; return those now on disk, with their seq.

        Raises StorageFailed when the disk is broken (the program must end: what is written after a failed fsync cannot
        be trusted). A disk that is full or read-only is no error here: the events wait, and the problem is reported.
        It is tried again with a later call, at most a few seconds later; with `at_once` also now.
        """
        with self._lock:
            self._held.extend(events)
            due = at_once or self._monotonic_s() >= self._again_s
            stored = self._store() if self._held and due else []
            while len(self._held) > _HELD_AT_MOST:
                self._held.popleft()
                self.lost += 1
            if stored:
                self._csv.append(stored, names)
            return stored

    def write(self, event: Event, names: Mapping[str, str]) -> None:
        """Commit an event for which somebody waits. Raises StorageFull and StorageFailed: it is then nowhere."""
        with self._lock:
            stored = self._append([event])
            self._csv.append(stored, names)

    def _store(self) -> list[Event]:
        stored: list[Event] = []
        try:
            while self._held:
                # A disk that refused is asked with one event first: that costs little if it refuses again.
                portion = list(islice(self._held, 1 if self._refusals and not stored else _AT_ONCE))
                stored += self._append(portion)
                for _ in portion:
                    self._held.popleft()
        except StorageFull:
            self._refusals += 1
            # Once more with the next call, as a moment's shortage may be over; then by the clock.
            wait_s = delay_s(self._refusals - 1, first_s=_FIRST_WAIT_S, most_s=_LONGEST_WAIT_S, jitter=1.0)
            self._again_s = self._monotonic_s() + (wait_s if self._refusals > 1 else 0.0)
        else:
            self._refusals, self._again_s = 0, float("-inf")
            self._storage.wrote()
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
