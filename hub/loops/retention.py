"""Retention: once a day at a quiet hour, what was kept long enough is deleted, a slice at a time."""

from collections.abc import Callable

from hub.core.errors import StoreUnavailable

_LOOK_EVERY_S = 60.0
_BETWEEN_SLICES_S = 0.2
"""What comes in and what is derived go first: deleting has until the morning."""
_RETRY_S = 30.0


class RetentionLoop:
    """Deletes what is due. One thread calls `step`; `pause` waits, or returns early when we are to stop."""

    name = "retention"

    def __init__(self, *, step: Callable[[], bool], pause: Callable[[float], object]) -> None:
        """Take what does one piece when the run is due (and says whether there is more), and what waits."""
        self._step = step
        self._pause = pause

    def step(self) -> None:
        """Do one piece, or wait. Raises StoreRefused."""
        try:
            more = self._step()
        except StoreUnavailable:
            # The ingest loop says that the database is away; here it only means to wait.
            self._pause(_RETRY_S)
            return
        self._pause(_BETWEEN_SLICES_S if more else _LOOK_EVERY_S)
