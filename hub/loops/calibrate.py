"""Calibration: looks from time to time whether the school has changed enough to measure its scores again."""

import logging
from collections.abc import Callable

from hub.core.calibration import Calibration
from hub.core.errors import StoreUnavailable

LOG = logging.getLogger("rollcall.hub.calibration")
_EVERY_S = 600.0
_RETRY_S = 5.0


class CalibrationLoop:
    """Keeps operating points in step with who is enrolled. One thread calls `step`.

    A thread of its own: comparing a thousand students takes seconds, and units wait for the publisher.
    """

    name = "calibration"

    def __init__(self, *, check: Callable[[], Calibration | None], pause: Callable[[float], object]) -> None:
        """Take what calibrates when it is due (None: it was not), and what waits or returns early to stop."""
        self._check = check
        self._pause = pause

    def step(self) -> None:
        """Calibrate when it is due, then wait. Raises StoreRefused."""
        try:
            found = self._check()
        except StoreUnavailable:
            # The ingest loop says that the database is away; here it only means to wait.
            self._pause(_RETRY_S)
            return
        if found is not None:
            LOG.info(
                "calibrated pack=%s method=%s students=%d comparisons=%d",
                found.pack_id,
                found.method,
                found.students,
                found.comparisons,
            )
        self._pause(_EVERY_S)
