"""Looks after the disk, off the path of the pictures: space, the reserve, and what the hub has had for long.

When space runs out, things are given up in this order, and come back by themselves:

1. the overlay video: not begun while space is low, and ended (`OverlayTap`);
2. what has come of a model pack that is only on its way: fetched again when there is space;
3. the reserve is released; from then on the CSV copy stops: it is written again from the record;
4. pieces of a gallery that is only on its way: asked for again;
5. events that the hub has, oldest first, before their time: the audit can then no longer have them sent again;
6. new events stay in memory, a bounded number of them (`Recorder`);
7. the oldest of those are lost, and counted.

What the hub does not have yet is never given up on disk.
"""

import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Protocol

from edge.core.errors import StorageFull, StorageReadOnly
from edge.core.ports import Clock
from edge.loops.health import Health

DiskState = Literal["ok", "low", "full", "read_only"]

_STEP_EVERY_S = 10.0
_TRY_EVERY_S = 5.0
"""Freeing space costs time: not for each picture of a full hour."""
_WRITE_BACK_EVERY_S = 300.0
_PORTIONS_PER_STEP = 20
_ENOUGH_BYTES = 1024 * 1024
"""With less than this, the next write may find no space again."""


class Reserves(Protocol):
    """What the disk has and what can be given up. Each raises StorageFull and StorageFailed. Any thread."""

    def free_bytes(self) -> int:
        """Return how much is free, not counting the ballast."""
        ...

    def hold_ballast(self) -> bool:
        """Reserve the ballast when there is space for it; return whether it is reserved."""
        ...

    def release_ballast(self) -> bool:
        """Give the ballast's space to the record; return whether there was any."""
        ...

    def write_back(self) -> None:
        """Empty the log into the file; a reader in the way or a full disk leave it for the next time."""
        ...

    def erase_damaged(self) -> bool:
        """Overwrite a part of damaged files that must go: seconds; return False when there is no more to do at once."""
        ...

    def try_erasing_again(self) -> None:
        """Have `erase_damaged` also try what could not be overwritten before."""
        ...

    def try_to_write(self) -> None:
        """Write something down that nobody needs, to see whether the disk takes it."""
        ...

    def drop_pack(self) -> int:
        """Delete what has come of a model pack on its way; return how many bytes."""
        ...

    def drop_staged(self) -> int:
        """Delete pieces of a gallery that is on its way; return how many."""
        ...

    def prune_early(self) -> int:
        """Delete some of the oldest events that the hub has; return how many."""
        ...

    def prune(self, keep_days: float) -> int:
        """Delete some of the events that the hub has had for longer than this; return how many.

        None while the clock is not synced.
        """
        ...


@dataclass(frozen=True, slots=True)
class StorageLimits:
    """When space is low, and how long the unit keeps what the hub has."""

    low_bytes: int
    keep_delivered_days: float


class StorageKeeper:
    """One thread calls `look` and `rest` by turns; the others, any."""

    def __init__(self, reserves: Reserves, health: Health, clock: Clock, limits: StorageLimits) -> None:
        self._reserves = reserves
        self._health = health
        self._clock = clock
        self._limits = limits
        self._lock = threading.Lock()
        self._on_reserve = False
        """The ballast was released, and there was no space yet to reserve it again."""
        self._refused = False
        """The last write found no space."""
        self._read_only = False
        self._low = False
        self._tried_s = float("-inf")
        self._written_back_s = float("-inf")
        self._wake = threading.Event()

    def disk_state(self) -> DiskState:
        """Return how the disk is, for the status."""
        if self._read_only:
            return "read_only"
        if self._on_reserve or self._refused:
            return "full"
        return "low" if self._low else "ok"

    @property
    def copies(self) -> bool:
        """Whether copies of the record may be written: not from its reserve."""
        return self.disk_state() in ("ok", "low")

    @property
    def may_film(self) -> bool:
        """Whether an overlay video may be written."""
        return self.disk_state() == "ok"

    def make_room(self, exc: StorageFull) -> bool:
        """Do what can be done for a write that found no space; return whether it is worth trying again at once."""
        with self._lock:
            if isinstance(exc, StorageReadOnly):
                self._read_only = True
                self._health.failed("disk_read_only", exc)
                return False
            self._refused = True
            now_s = self._clock.monotonic_s()
            if now_s - self._tried_s < _TRY_EVERY_S:
                return False
            self._tried_s = now_s
            self._health.failed("disk_full", exc)
            return self._free_some()

    def _free_some(self) -> bool:
        try:
            if self._reserves.drop_pack() >= _ENOUGH_BYTES:
                return True
            if self._reserves.release_ballast():
                self._on_reserve = True
                self._reserves.write_back()
                return True
            freed = self._reserves.drop_staged() + self._reserves.prune_early()
            self._reserves.write_back()
        except StorageFull:
            return False
        return freed > 0

    def wrote(self) -> None:
        """Note that a write found its space. Cheap."""
        if self._read_only or self._refused:
            with self._lock:
                self._read_only = self._refused = False
            self._tell()

    def rest(self) -> None:
        """Wait for ten seconds, or until interrupted."""
        self._wake.wait(_STEP_EVERY_S)

    def interrupt(self) -> None:
        """End a rest."""
        self._wake.set()

    def look(self) -> None:
        """Do once what there is to do. Raises StorageFailed when the disk is broken."""
        with self._lock:
            self._low = self._reserves.free_bytes() < self._limits.low_bytes
            try:
                self._prune()
                if self._reserves.hold_ballast():
                    self._on_reserve = False
                else:
                    # Also at a start on a disk that was full before: there is no reserve to write copies from.
                    self._on_reserve = True
                self._write_back()
                if self._refused or self._read_only:
                    # At night nothing is recorded for hours: somebody who freed space should not have to wait for it.
                    self._reserves.try_to_write()
                    self._refused = self._read_only = False
            except StorageReadOnly as exc:
                self._read_only = True
                self._health.failed("disk_read_only", exc)
            except StorageFull:
                self._refused, self._read_only = True, False
        self._tell()

    def erase_damaged(self) -> None:
        """Overwrite what must go of damaged files, for some seconds. Raises StorageFailed when the disk is broken."""
        # Without the lock: nobody who needs room waits for it.
        until_s = self._clock.monotonic_s() + _STEP_EVERY_S
        with suppress(StorageFull):
            while not self._wake.is_set() and self._clock.monotonic_s() < until_s:
                if not self._reserves.erase_damaged():
                    break

    def _prune(self) -> None:
        for _ in range(_PORTIONS_PER_STEP):
            if not self._reserves.prune(self._limits.keep_delivered_days):
                break

    def _write_back(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._written_back_s >= _WRITE_BACK_EVERY_S:
            self._written_back_s = now_s
            self._reserves.write_back()
            self._reserves.try_erasing_again()

    def _tell(self) -> None:
        state = self.disk_state()
        free_mb = self._reserves.free_bytes() / 1e6
        if state == "low":
            text = f"only {free_mb:.0f} MB are free: delete something before records have nowhere to go"
            self._health.problem("disk_low", text)
        else:
            self._health.fine("disk_low")
        if state == "full":
            text = f"{free_mb:.1f} MB are free: free some space; recognition goes on, the CSV copy waits"
            self._health.problem("disk_full", f"the disk is full, the reserve is in use; {text}")
        else:
            self._health.fine("disk_full")
        if state != "read_only":
            self._health.fine("disk_read_only")


class NoReserves:
    """`Storage` of a unit that has nothing to give up: it only says how things are."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def make_room(self, exc: StorageFull) -> bool:
        """Say it."""
        self._health.failed("disk_read_only" if isinstance(exc, StorageReadOnly) else "disk_full", exc)
        return False

    def wrote(self) -> None:
        """Say that it is over."""
        self._health.fine("disk_full")
        self._health.fine("disk_read_only")
