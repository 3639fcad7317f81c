"""A camera and models that play a script: students of the real gallery come and go, without a picture or a network.

The camera paints a square for each student who is there, with the student's number as its colour. The detector finds
squares, and the embedder gives each number the vector that was enrolled for it. Everything after that is real.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.core.errors import CameraLost
from edge.core.frame import NS_PER_S, Frame
from edge.core.identities import Eyes
from edge.core.ports import Clock
from recognition.core.face import Box, ChipGeometry, Face, Image, Vector

WIDTH_PX, HEIGHT_PX = 384, 256
_CELL_PX = 64
_FACE_PX = 60
_COLUMNS, _ROWS = WIDTH_PX // _CELL_PX, HEIGHT_PX // _CELL_PX
MOST_STUDENTS = _COLUMNS * _ROWS
_MARK = 200
"""In the red channel of a face; nothing else in the picture has it."""
_CHIP_PX = 64
_LANDMARKS = np.array([[0.3, 0.35], [0.7, 0.35], [0.5, 0.55], [0.35, 0.75], [0.65, 0.75]], dtype=np.float32)
_CONFIDENCE = 0.99


def vector_of(number: int, dimensions: int) -> Vector:
    """Return the template of student `number` (from 1): unit length, far from every other's."""
    vector = np.random.default_rng(7000 + number).standard_normal(dimensions)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Script:
    """Who is there when: each student comes for a moment, again and again, by a clock that nobody sets."""

    seed: int
    students: int = 20
    there_s: float = 1.6
    away_s: float = 6.0
    """Longer than `presence.absence_s`, so that each visit is one `seen` and one `left`."""

    def there(self, at_s: float) -> list[int]:
        """Return the numbers of those who are there at `at_s` seconds of the boot clock."""
        round_s = self.there_s + self.away_s
        shifts = np.random.default_rng(self.seed).uniform(0, round_s, MOST_STUDENTS)
        return [n + 1 for n in range(self.students) if (at_s + shifts[n]) % round_s < self.there_s]


class ScriptedCamera:
    """`edge.core.ports.Camera` that paints who is there. The file `fault` beside it makes it fail while it exists."""

    def __init__(self, script: Script, clock: Clock, frames_per_s: float, fault: Path | None = None) -> None:
        self._script = script
        self._clock = clock
        self._every_s = 1 / frames_per_s
        self._fault = fault
        self._closed = threading.Event()
        self._next_s = clock.monotonic_s()
        self._number = 0

    @property
    def lossless(self) -> bool:
        """A live camera."""
        return False

    def read(self) -> Frame:
        """Return the next picture at its time. Raises CameraLost while the fault is there."""
        now_s = self._clock.monotonic_s()
        self._next_s = max(self._next_s + self._every_s, now_s - self._every_s)
        self._closed.wait(max(0.0, self._next_s - now_s))
        if self._fault is not None and self._fault.exists():
            raise CameraLost("the scripted camera is unplugged", hint="delete the file that unplugs it")
        stamp = self._clock.stamp()
        self._number += 1
        return Frame(paint(self._script.there(stamp.boottime_ns / NS_PER_S), self._number), stamp)

    def pace(self, frames_per_s: float) -> None:
        """Slow down as a real one does; never below four pictures a second, or visits would be missed."""
        self._every_s = 1 / max(4.0, min(frames_per_s, 12.0))

    def rest(self, for_s: float) -> None:
        """Let time pass."""
        self._closed.wait(for_s)

    def close(self) -> None:
        """End a wait."""
        self._closed.set()


def paint(numbers: Sequence[int], frame: int) -> Image:
    """Return a picture with the students of these numbers; those who are there move from frame to frame."""
    picture = np.full((HEIGHT_PX, WIDTH_PX, 3), 40, dtype=np.uint8)
    for number in numbers:
        row, column = divmod(number - 1, _COLUMNS)
        top, left = row * _CELL_PX + frame % 2, column * _CELL_PX + 1
        # The green channel is where movement is looked for.
        picture[top : top + _FACE_PX, left : left + _FACE_PX] = (number, 90 + 70 * (frame % 2), _MARK)
    return picture


class ScriptedDetector:
    """`recognition.core.ports.FaceDetector` for painted squares; with `hang_after`, it never returns from that look."""

    def __init__(self, hang_after: int | None = None) -> None:
        self._hang_after = hang_after
        self._looks = 0

    def detect(self, image: Image) -> list[Face]:
        """Return a face for each colour."""
        self._looks += 1
        if self._hang_after is not None and self._looks > self._hang_after:
            threading.Event().wait()
        marked = image[:, :, 2] == _MARK
        if not marked.any():
            return []
        numbers = np.unique(image[:, :, 0][marked])
        return [_face(marked & (image[:, :, 0] == number)) for number in numbers]

    def follow(self, image: Image, boxes: Sequence[Box]) -> list[Face | None]:
        """Return the face at each place."""
        faces = self.detect(image)
        return [_nearest(faces, box) for box in boxes]


def _nearest(faces: Sequence[Face], box: Box) -> Face | None:
    near = [face for face in faces if face.box.iou(box) > 0.3]
    return max(near, key=lambda face: face.box.iou(box), default=None)


def _face(covered: NDArray[np.bool_]) -> Face:
    rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
    left, top = float(columns[0]), float(rows[0])
    width, height = float(columns[-1] - columns[0] + 1), float(rows[-1] - rows[0] + 1)
    landmarks = _LANDMARKS * np.array([width, height], dtype=np.float32) + np.array([left, top], dtype=np.float32)
    return Face(Box(left, top, width, height), landmarks.astype(np.float32), _CONFIDENCE)


def cut_chip(image: Image, face: Face, _geometry: ChipGeometry) -> Image:
    """Return a chip of good quality whose corners hold the number, so that a mirrored one says the same."""
    x, y = face.box.centre
    number = image[int(y), int(x), 0]
    chip = np.random.default_rng(int(number)).integers(60, 200, (_CHIP_PX, _CHIP_PX, 3)).astype(np.uint8)
    chip[0, :, :] = number
    return chip


@dataclass(frozen=True, slots=True)
class ScriptedEmbedder:
    """`recognition.core.ports.FaceEmbedder` that knows every number's vector."""

    pack_id: str
    dimensions: int

    @property
    def geometry(self) -> ChipGeometry:
        """Any: nothing is aligned."""
        return ChipGeometry(_CHIP_PX, (_LANDMARKS * _CHIP_PX).astype(np.float32))

    def embed(self, chips: Sequence[Image]) -> NDArray[np.float32]:
        """Return the vectors of the numbers in the chips."""
        rows = [vector_of(int(chip[0, 0, 0]), self.dimensions) for chip in chips]
        return np.stack(rows) if rows else np.zeros((0, self.dimensions), dtype=np.float32)


def scripted_eyes(pack_id: str, dimensions: int, hang_after: int | None = None) -> Eyes:
    """Return eyes for painted squares."""
    return Eyes(ScriptedDetector(hang_after), ScriptedEmbedder(pack_id, dimensions), cut_chip, same_person_floor=0.2)
