"""Camera to mailbox; a lost camera is opened again, for as long as it takes."""

import threading
from collections.abc import Callable

from edge.core.backoff import delay_s
from edge.core.errors import CameraEnded, CameraLost
from edge.core.ports import Camera
from edge.loops.health import Health
from edge.loops.mailbox import Mailbox


class CaptureLoop:
    """Reads frames until stopped, or until a recording ends. One thread calls `step`."""

    def __init__(
        self, camera: Camera, mailbox: Mailbox, health: Health, stop: threading.Event, jitter: Callable[[], float]
    ) -> None:
        self._camera = camera
        self._mailbox = mailbox
        self._health = health
        self._stop = stop
        self._jitter = jitter
        self._failures = 0

    def step(self) -> bool:
        """Read one frame; return False after the last one of a recording."""
        try:
            frame = self._camera.read()
        except CameraEnded:
            self._mailbox.close()
            return False
        except CameraLost as exc:
            self._failures += 1
            self._health.failed("camera_lost", exc)
            self._stop.wait(delay_s(self._failures, first_s=1.0, most_s=10.0, jitter=self._jitter()))
            return True
        self._failures = 0
        self._health.fine("camera_lost")
        self._mailbox.put(frame, wait=self._camera.lossless)
        return True

    def close(self) -> None:
        """Release the camera and whoever waits for a frame."""
        self._mailbox.close()
        self._camera.close()
