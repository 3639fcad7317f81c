"""The machine's clocks: believed UTC, the boot clock that nobody sets, and whether NTP disciplines them.

That NTP has set the clock shows in a stamp whose quality turns `synced`: a stamp never says so with a time from before.
"""

import ctypes
import secrets
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from protocol.events import ClockQuality, Stamp
from protocol.identifiers import uuid7

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIME_ERROR = 5
"""`adjtimex(2)`: the clock is not synchronised."""
_TIMEX_BYTES = 512
"""More than sizeof(struct timex), 208 bytes on 64-bit Linux; a zeroed one asks without changing anything."""
_ASK_AGAIN_S = 10.0
_STEP_NS = 100_000_000
"""Wall clock and boot clock drift apart by less than this between two looks, unless somebody sets the wall clock."""


class SystemClock:
    """`edge.core.ports.Clock` over the kernel's clocks. Any thread."""

    def __init__(self) -> None:
        self._boot_id = str(UUID(_BOOT_ID.read_text().strip()))
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._lock = threading.Lock()
        self._was_synced = False
        self._asked_at_s = float("-inf")
        self._quality: ClockQuality = "unsynced"
        self._offset_ns: int | None = None

    def stamp(self) -> Stamp:
        """Return now."""
        # Asked before the time is read: a clock that is set in between has then not said yet that it is right.
        quality = self.quality()
        at, boottime_ns = self._read()
        if self._was_set(at, boottime_ns):
            with self._lock:
                self._asked_at_s = float("-inf")
            quality = self.quality()
            at, boottime_ns = self._read()
        return Stamp(at=at, boot_id=self._boot_id, boottime_ns=boottime_ns, clock=quality)

    def monotonic_s(self) -> float:
        """Return seconds since some moment; never goes back."""
        return time.monotonic()

    def new_id(self) -> str:
        """Return a new UUID version 7."""
        return str(uuid7(time.time_ns() // 1_000_000, secrets.token_bytes(10)))

    def quality(self) -> ClockQuality:
        """Return what the kernel says of its clock; asked at most every ten seconds."""
        with self._lock:
            now_s = time.monotonic()
            if now_s - self._asked_at_s >= _ASK_AGAIN_S:
                self._asked_at_s = now_s
                synced = self._kernel_is_synced()
                self._was_synced = self._was_synced or synced
                self._quality = "synced" if synced else "holdover" if self._was_synced else "unsynced"
            return self._quality

    def _read(self) -> tuple[datetime, int]:
        at = datetime.now(UTC)  # noqa: TID251 (this is the Clock)
        return at, time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def _was_set(self, at: datetime, boottime_ns: int) -> bool:
        """Tell whether somebody set the wall clock since the last stamp: what the kernel said of it holds no longer."""
        offset_ns = round(at.timestamp() * 1e9) - boottime_ns
        with self._lock:
            before, self._offset_ns = self._offset_ns, offset_ns
        return before is not None and abs(offset_ns - before) > _STEP_NS

    def _kernel_is_synced(self) -> bool:
        state = int(self._libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)))
        return 0 <= state < _TIME_ERROR
