"""The machine's clocks: believed UTC, the boot clock that nobody sets, and whether NTP disciplines them."""

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


class SystemClock:
    """`edge.core.ports.Clock` over the kernel's clocks. Any thread."""

    def __init__(self) -> None:
        self._boot_id = str(UUID(_BOOT_ID.read_text().strip()))
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._lock = threading.Lock()
        self._was_synced = False
        self._asked_at_s = float("-inf")
        self._quality: ClockQuality = "unsynced"

    def stamp(self) -> Stamp:
        """Return now."""
        return Stamp(
            at=datetime.now(UTC),  # noqa: TID251 (this is the Clock)
            boot_id=self._boot_id,
            boottime_ns=time.clock_gettime_ns(time.CLOCK_BOOTTIME),
            clock=self.quality(),
        )

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

    def _kernel_is_synced(self) -> bool:
        state = int(self._libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)))
        return 0 <= state < _TIME_ERROR
