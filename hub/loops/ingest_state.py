"""What the ingest loops of one process share: whether the database is away, who speaks, what people are told."""

import logging
import threading
from collections import Counter
from collections.abc import Callable

from hub.core.errors import StoreUnavailable
from hub.core.ports import Clock

LOG = logging.getLogger("rollcall.hub.ingest")
_PROBE_EVERY_S = 2.0
_REPORT_EVERY_S = 60.0
_MOST_STRANGERS = 5000
_LATELY_S = 600.0
_MOST_UNITS = 100_000


class IngestState:
    """Any thread may call any method."""

    def __init__(self, clock: Clock, repeated: Callable[[], int] = lambda: 0) -> None:
        """`repeated` tells how many lost transactions were run again since the start."""
        self._clock = clock
        self._repeated = repeated
        self._lock = threading.Lock()
        self._lost_at_s: float | None = None
        self._probe_at_s = 0.0
        self._strangers: Counter[str] = Counter()
        self._unusable: Counter[str] = Counter()
        self._reported_at_s = clock.monotonic_s()
        self._reported_repeats = 0
        self._heard_at_s: dict[str, float] = {}
        self._beginners: set[str] = set()

    # ---- the database ----------------------------------------------------------------------------------------------

    def may_try(self) -> bool:
        """Tell whether to ask the database: while it is away, one loop does, every other second."""
        with self._lock:
            if self._lost_at_s is None:
                return True
            now_s = self._clock.monotonic_s()
            if now_s < self._probe_at_s:
                return False
            self._probe_at_s = now_s + _PROBE_EVERY_S
            return True

    def lost(self, exc: StoreUnavailable) -> None:
        """Note that the database cannot be reached."""
        with self._lock:
            now_s = self._clock.monotonic_s()
            self._probe_at_s = now_s + _PROBE_EVERY_S
            if self._lost_at_s is None:
                self._lost_at_s = now_s
                LOG.warning("database lost reason=%r; nothing is confirmed, units keep their events", str(exc))

    def reached(self) -> None:
        """Note that the database took something."""
        with self._lock:
            if self._lost_at_s is not None:
                LOG.info("database recovered after_s=%.0f", self._clock.monotonic_s() - self._lost_at_s)
                self._lost_at_s = None

    # ---- units -----------------------------------------------------------------------------------------------------

    def heard(self, unit_id: str) -> None:
        """Note that a unit spoke."""
        with self._lock:
            if len(self._heard_at_s) >= _MOST_UNITS:
                self._heard_at_s.clear()
            self._heard_at_s[unit_id] = self._clock.monotonic_s()

    def units_heard(self) -> int:
        """Return how many units spoke in the last ten minutes."""
        with self._lock:
            return len(self._heard_at_s)

    def stranger(self, unit_id: str) -> None:
        """Note a message of a unit that is unknown or revoked."""
        with self._lock:
            self._strangers[unit_id] += 1
            if self._strangers[unit_id] == 1:
                LOG.error("unknown or revoked unit=%s; nothing of it is taken or answered", unit_id)
            if len(self._strangers) > _MOST_STRANGERS:
                self._strangers.clear()

    def too_many_streams(self, unit_id: str) -> None:
        """Note that a unit wants to begin more streams than anybody needs."""
        with self._lock:
            if unit_id in self._beginners:
                return
            if len(self._beginners) >= _MOST_STRANGERS:
                self._beginners.clear()
            self._beginners.add(unit_id)
            LOG.error(
                "a unit begins one stream after the other, new ones wait until tomorrow; does its disk forget? unit=%s",
                unit_id,
            )

    def unusable(self, code: str) -> None:
        """Count a message that cannot be used."""
        with self._lock:
            self._unusable[code] += 1

    def report(self) -> None:
        """Once a minute: forget who has been silent, and say what was counted."""
        with self._lock:
            now_s = self._clock.monotonic_s()
            if now_s - self._reported_at_s < _REPORT_EVERY_S:
                return
            self._reported_at_s = now_s
            self._heard_at_s = {unit: at_s for unit, at_s in self._heard_at_s.items() if now_s - at_s < _LATELY_S}
            if self._unusable:
                counts = " ".join(f"{code}={count}" for code, count in sorted(self._unusable.items()))
                LOG.warning("messages that cannot be used %s", counts)
                self._unusable.clear()
            repeated = self._repeated()
            if repeated > self._reported_repeats:
                LOG.info("lost transactions run again count=%d", repeated - self._reported_repeats)
                self._reported_repeats = repeated
