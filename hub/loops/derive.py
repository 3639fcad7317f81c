"""The register: derives anew what has changed, a bounded amount at a time."""

import logging
from collections.abc import Callable

from hub.core.errors import StoreUnavailable
from hub.core.ports import Clock, RegisterStore

LOG = logging.getLogger("rollcall.hub.derive")
MOST_AT_ONCE = 200
_IDLE_S = 1.0
_ENDED_EVERY_S = 20.0
_RETRY_S = 5.0


class DeriveLoop:
    """Keeps the register up to date. One thread calls `step`; `pause` waits, or returns early when we are to stop.

    While `pressed` says so, what comes in goes first: a student of whom much comes in is derived again anyway.
    """

    name = "derive"

    def __init__(
        self,
        *,
        store: RegisterStore,
        clock: Clock,
        pause: Callable[[float], object],
        pressed: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._clock = clock
        self._pause = pause
        self._pressed = pressed
        self._ended_at_s: float | None = None

    def step(self) -> None:
        """Derive up to MOST_AT_ONCE marked students and days. Raises StoreRefused."""
        try:
            now_s = self._clock.monotonic_s()
            if self._ended_at_s is None or now_s - self._ended_at_s >= _ENDED_EVERY_S:
                self._store.mark_ended_lessons(self._clock.now())
                self._ended_at_s = now_s
            done = self._store.derive(self._clock.now(), MOST_AT_ONCE)
        except StoreUnavailable:
            # The ingest loop says that the database is away; here it only means to wait.
            self._pause(_RETRY_S)
            return
        if done < MOST_AT_ONCE or self._pressed():
            self._pause(_IDLE_S)
