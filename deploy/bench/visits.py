"""A student who comes and goes, again and again: how long the frame of each arrival takes until it is on disk."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from deploy.bench.unit_vision import stamp_at
from edge.core.frame import Frame
from edge.core.known import KnownStudents
from edge.core.vision import Vision
from edge.loops.recorder import Recorder
from protocol.events import Seen
from recognition.core.face import Image

LOOK_EVERY_S = 0.2
"""Between two frames: the unit's own setting is five a second."""
LOOKS_AT_MOST = 25
GONE_FOR_S = 70.0
"""Longer than the minute after which a student who is not seen has left."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What many arrivals took: milliseconds of the frame that made each event, and seconds of looking before it."""

    commit_ms: list[float] = field(default_factory=list)
    looked_s: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Visits:
    """The road from a frame to the disk, and the moment it has reached on the camera's clock. One thread."""

    vision: Vision
    recorder: Recorder
    known: KnownStudents
    at_s: float = 0.0

    def repeat(self, nobody: NDArray[np.uint8], somebody: NDArray[np.uint8], count: int) -> Arrivals:
        """Let the student of the clip `somebody` come `count` times; in between the room is as in `nobody`."""
        arrivals = Arrivals()
        for number in range(count):
            self._leave(nobody[number % len(nobody)])
            order = (np.arange(LOOKS_AT_MOST) + number) % len(somebody)
            self._arrive([somebody[index] for index in order], arrivals)
        return arrivals

    def _leave(self, room: Image) -> None:
        for pause_s in (LOOK_EVERY_S, GONE_FOR_S, LOOK_EVERY_S):
            self.at_s += pause_s
            self._see(room)

    def _arrive(self, looks: Sequence[Image], arrivals: Arrivals) -> None:
        began_s = self.at_s
        for image in looks:
            self.at_s += LOOK_EVERY_S
            took_ms, arrived = self._see(image)
            if arrived:
                arrivals.commit_ms.append(took_ms)
                arrivals.looked_s.append(self.at_s - began_s)
                return

    def _see(self, image: Image) -> tuple[float, bool]:
        """Return milliseconds until everything the frame made is on disk, and whether somebody arrived with it."""
        frame = Frame(np.array(image), stamp_at(self.at_s))
        began = time.perf_counter()
        stored = self.recorder.record(self.vision.process(frame, self.known), self.known.names)
        took_ms = (time.perf_counter() - began) * 1000
        return took_ms, any(isinstance(event, Seen) for event in stored)
