"""Brings the readable copy up to the record, off the path of the pictures: its disk may be slow, full or not there."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from edge.core.backoff import delay_s
from edge.core.errors import StorageDamaged, StorageFailed
from edge.core.ports import Clock
from edge.loops.health import Health
from protocol.events import Event

_REST_S = 10.0
_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 30.0
_FINISH_WITHIN_S = 3.0
"""What is left then is written after the next start."""
_HANGS_AFTER_S = 60.0


class RecordCopy(Protocol):
    """A copy that knows how far it is."""

    @property
    def lost(self) -> int:
        """Number of events that were deleted, since this start, before their line was written."""
        ...

    def copy_some(self, names: Mapping[str, str]) -> bool:
        """Write the lines of the next few events that the copy lacks; return whether there may be more.

        Raises StorageFailed; the same events are tried again with the next call.
        """
        ...


class CopyKeeper:
    """`edge.loops.recorder.CsvCopy` that writes later. One thread calls `look` and `rest` by turns; the others, any.

    `names` returns the display names of the gallery in use by student id.
    """

    def __init__(self, copy: RecordCopy, names: Callable[[], Mapping[str, str]], health: Health, clock: Clock) -> None:
        self._copy = copy
        self._names = names
        self._health = health
        self._clock = clock
        self._wake = threading.Event()
        self._more = False
        self._failures = 0
        self._again_s = float("-inf")
        self._began_s = float("inf")
        """When the write that is going on began."""

    def append(self, _events: Sequence[Event], _names: Mapping[str, str]) -> None:
        """Have what the record has got written soon, with the names of then."""
        self._wake.set()

    def look(self) -> None:
        """Write a little of what lacks, if there is anything; after a failure, only when enough time has passed.

        Raises StorageDamaged for a record that cannot be read.
        """
        if self._clock.monotonic_s() >= self._again_s:
            self._more = self._write_some()

    def rest(self) -> None:
        """Wait for something to write, or until it may be tried again, or until interrupted."""
        if not self._more:
            self._wake.wait(self._rest_s())
            self._wake.clear()

    def interrupt(self) -> None:
        """End a rest."""
        self._wake.set()

    def watch(self) -> None:
        """Report a write that does not get on: a disk that hangs refuses nothing. Any thread."""
        for_s = self._clock.monotonic_s() - self._began_s
        if for_s > _HANGS_AFTER_S:
            text = f"a write to the CSV files has not come back for {for_s:.0f} s: check the disk of storage.csv_dir"
            self._health.problem("csv_failed", text)

    def finish(self) -> None:
        """Write what lacks, as far as a few seconds go. Raises StorageDamaged."""
        deadline_s = self._clock.monotonic_s() + _FINISH_WITHIN_S
        while self._write_some() and self._clock.monotonic_s() < deadline_s:
            pass

    def _rest_s(self) -> float:
        wait_s = self._again_s - self._clock.monotonic_s()
        return wait_s if 0 < wait_s < _REST_S else _REST_S

    def _write_some(self) -> bool:
        self._began_s = self._clock.monotonic_s()
        try:
            more = self._copy.copy_some(self._names())
        except StorageDamaged:
            raise
        except StorageFailed as exc:
            # Only the copy: the record is safe, and the lines are written again from it.
            self._failures += 1
            wait_s = delay_s(self._failures, first_s=_FIRST_WAIT_S, most_s=_LONGEST_WAIT_S, jitter=1.0)
            self._again_s = self._clock.monotonic_s() + wait_s
            self._health.failed("csv_failed", exc)
            return False
        finally:
            self._began_s = float("inf")
        self._failures, self._again_s = 0, float("-inf")
        self._health.fine("csv_failed")
        if lost := self._copy.lost:
            text = f"{lost} records were deleted before their lines were in the CSV files; the hub has them"
            self._health.problem("csv_gap", text)
        return more
