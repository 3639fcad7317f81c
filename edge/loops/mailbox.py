"""The newest frame, handed from the camera to recognition: an older one that nobody took is dropped and counted."""

import threading

from edge.core.frame import Frame


class Mailbox:
    """Holds one frame. One writer, one reader."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._closed = False
        self.dropped = 0

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
            self._changed.wait_for(lambda: self._frame is not None or self._closed, timeout_s)
            frame, self._frame = self._frame, None
            self._changed.notify_all()
            return frame

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
