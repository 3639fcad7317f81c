"""The newest frame, handed from the camera to recognition: an older one that nobody took is dropped and counted."""

import threading
from collections.abc import Callable

from edge.core.frame import Frame


class Mailbox:
    """Holds one frame. One writer, one reader.

    With a clock (`monotonic_s`) it also knows how long a frame keeps the reader busy: from one `take` to the next.
    """

    def __init__(self, monotonic_s: Callable[[], float] | None = None) -> None:
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._closed = False
        self.dropped = 0
        self._monotonic_s = monotonic_s
        self._given_at_s: float | None = None
        self._frames = 0
        self._busy_s = 0.0

    def put(self, frame: Frame, *, wait: bool) -> None:
        """Leave a frame; with `wait`, only after the one before was taken (or the mailbox was closed)."""
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._frame is None or self._closed)
            self.dropped += self._frame is not None
            self._frame = frame
            self._changed.notify_all()

    def take(self, timeout_s: float) -> Frame | None:
        """Return the frame, waiting for one up to `timeout_s`; None when there was none."""
        with self._changed:
            self._note_done()
            self._changed.wait_for(lambda: self._frame is not None or self._closed, timeout_s)
            frame, self._frame = self._frame, None
            self._changed.notify_all()
            if frame is not None and self._monotonic_s is not None:
                self._given_at_s = self._monotonic_s()
            return frame

    def cost_s(self) -> float | None:
        """Return how long a frame kept the reader busy on average since the last call; None when none was done."""
        with self._changed:
            cost_s = self._busy_s / self._frames if self._frames else None
            self._frames, self._busy_s = 0, 0.0
            return cost_s

    def close(self) -> None:
        """No frame will come any more: whoever waits goes on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def finished(self) -> bool:
        """True when the mailbox is closed and empty."""
        with self._changed:
            return self._closed and self._frame is None

    def _note_done(self) -> None:
        if self._given_at_s is not None and self._monotonic_s is not None:
            self._frames += 1
            self._busy_s += self._monotonic_s() - self._given_at_s
            self._given_at_s = None
