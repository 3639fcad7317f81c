"""Camera to mailbox, at a pace the machine can bear; a lost camera is opened again, for as long as it takes."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from edge.core.backoff import delay_s
from edge.core.errors import CameraEnded, CameraLost
from edge.core.frame import Frame
from edge.core.ports import Camera, Clock
from edge.core.sweep import SweepSchedule
from edge.loops.health import Health
from edge.loops.mailbox import Mailbox
from edge.loops.pace import Pacer

_REST_S = 1.0
"""The longest wait between two stills after which somebody looks whether the program stops."""


@dataclass(frozen=True, slots=True)
class Stills:
    """A camera that takes stills, and the clock by which they are due. Not for recordings, which know it themselves."""

    schedule: SweepSchedule
    clock: Clock


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When pictures are taken: as stills, or at a pace that follows the machine; neither is what the camera does."""

    stills: Stills | None = None
    pacer: Pacer | None = None


class CaptureLoop:
    """Reads frames until stopped, or until a recording ends. One thread calls `step`."""

    def __init__(
        self,
        camera: Camera,
        mailbox: Mailbox,
        health: Health,
        stop: threading.Event,
        jitter: Callable[[], float],
        rhythm: Rhythm | None = None,
    ) -> None:
        self._camera = camera
        self._mailbox = mailbox
        self._health = health
        self._stop = stop
        self._jitter = jitter
        rhythm = rhythm or Rhythm()
        self._stills = rhythm.stills
        # A recording that is played as fast as possible waits for recognition by itself.
        self._pacer = None if camera.lossless else rhythm.pacer
        self._failures = 0

    def step(self) -> bool:
        """Read one frame, or let a little of the time until the next still pass; False after a recording's last one."""
        try:
            frame = self._next_frame()
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
        if frame is not None:
            self._mailbox.put(frame, wait=self._camera.lossless)
        if self._pacer is not None:
            self._pacer.step(self._camera)
        return True

    def _next_frame(self) -> Frame | None:
        if self._stills is None:
            return self._camera.read()
        wait_s = self._stills.schedule.wait_s(self._stills.clock.monotonic_s())
        if wait_s > 0:
            self._camera.rest(min(wait_s, _REST_S))
            return None
        frame = self._camera.read()
        self._stills.schedule.taken(self._stills.clock.monotonic_s())
        return frame

    def close(self) -> None:
        """Release the camera and whoever waits for a frame."""
        self._mailbox.close()
        self._camera.close()
