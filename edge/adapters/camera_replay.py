"""A recording instead of a camera: a video file, or a folder of pictures whose sub-folders are scenes.

The pictures of a folder are half a second apart, or as far apart as a sweep's stills. Tests, demonstrations and reports
of faults use this.
"""

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edge.adapters.frame_format import decoded
from edge.adapters.stamping import moved
from edge.core.errors import CameraEnded, CameraLost
from edge.core.frame import NS_PER_S, Frame
from edge.core.ports import Clock
from protocol.events import Stamp
from recognition.core.face import Image

PICTURE_EVERY_S = 0.5
_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
_USUAL_RATE = 25.0
_DAMAGED_FRAMES = 25
"""Frames in a row that may be unreadable before a video counts as over: a decoder does not tell one from the other."""
_REMEDY = "check camera.source"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Picture:
    scene: int
    offset_s: float
    image: Image


class ReplayCamera:
    """`edge.core.ports.Camera` over a recording.

    At its own pace, frames come when they are due and are dated now. With `fast` they come as quickly as they are read,
    none is dropped, and they are dated as if the recording had just ended: nothing is dated in the future.
    """

    def __init__(
        self, source: Path, clock: Clock, *, fast: bool, again: bool = False, still_every_s: float | None = None
    ) -> None:
        """Open the recording. Raises CameraLost when there is none.

        With `still_every_s` it plays a camera that takes stills: of a video one frame in so many seconds, of a folder
        each picture, so many seconds apart.
        """
        self._source = source
        self._clock = clock
        self._fast = fast
        self._again = again
        self._picture_every_s = still_every_s or PICTURE_EVERY_S
        self._thinning = _Thinning(still_every_s or 0.0)
        self._closed = threading.Event()
        self._pictures = self._open()
        self._readable = False
        self._first_scene = 0
        self._last_scene = 0
        self._start: Stamp | None = None
        self._start_s = 0.0

    @property
    def lossless(self) -> bool:
        """True when played as fast as possible."""
        return self._fast

    def read(self) -> Frame:
        """Return the next frame, at its own pace when it is due.

        Raises CameraEnded after the last, and CameraLost when there was none: a recording that cannot be read is not
        one that is over.
        """
        picture = self._next_picture()
        if picture is None or self._closed.is_set():
            raise CameraEnded(f"the recording {self._source.name} is over")
        if self._start is None:
            self._start = self._first_stamp()
            self._start_s = self._clock.monotonic_s() - picture.offset_s
        self._last_scene = self._first_scene + picture.scene
        if self._fast:
            return Frame(picture.image, moved(self._start, int(picture.offset_s * NS_PER_S)), self._last_scene)
        early_s = self._start_s + picture.offset_s - self._clock.monotonic_s()
        if early_s > 0 and self._closed.wait(early_s):
            raise CameraEnded(f"the recording {self._source.name} was stopped")
        return Frame(picture.image, self._clock.stamp(), self._last_scene)

    def pace(self, frames_per_s: float) -> None:
        """Leave frames of a video out, at its own pace only. The thread that reads."""
        if not self._fast:
            self._thinning.pace_s = 1 / frames_per_s

    def rest(self, for_s: float) -> None:
        """Wait; the recording itself decides when its next picture is due."""
        self._closed.wait(for_s)

    def close(self) -> None:
        """Stop; a `read` that waits ends."""
        self._closed.set()

    def _next_picture(self) -> _Picture | None:
        picture = next(self._pictures, None)
        if picture is None and self._again and self._readable and not self._closed.is_set():
            self._begin_again()
            picture = next(self._pictures, None)
        if picture is not None:
            self._readable = True
        elif not self._readable and not self._closed.is_set():
            self._pictures = self._open()
            raise CameraLost(f"nothing in {self._source.name} can be read as video or picture", hint=_REMEDY)
        return picture

    def _begin_again(self) -> None:
        self._pictures = self._open()
        self._first_scene = self._last_scene + 1
        self._start = None

    def _first_stamp(self) -> Stamp:
        now = self._clock.stamp()
        length_s = _length_s(self._source, self._picture_every_s)
        return moved(now, -int(length_s * NS_PER_S)) if self._fast else now

    def _open(self) -> Iterator[_Picture]:
        if self._source.is_dir():
            scenes = _scenes(self._source)
            if not any(scenes):
                raise CameraLost(f"there are no pictures in {self._source}", hint=_REMEDY)
            return _pictures(scenes, self._picture_every_s)
        if not self._source.is_file():
            raise CameraLost(f"there is no recording {self._source}", hint=_REMEDY)
        return _video(self._source, self._thinning)


@dataclass(slots=True)
class _Thinning:
    """Which frames of a video are wanted: those far enough after the last one that was."""

    still_every_s: float
    pace_s: float = 0.0
    _due_s: float = float("-inf")

    def wants(self, offset_s: float, frame_s: float) -> bool:
        """Tell whether the frame at `offset_s` is wanted; a frame lasts `frame_s`."""
        gap_s = max(self.still_every_s, self.pace_s)
        # Half a frame of tolerance: a rate that is the video's own must not leave out every other frame.
        if offset_s > 0 and offset_s < self._due_s - frame_s / 2:
            return False
        # On a grid, so that 10 of 25 frames are 10 and not 8.
        on_grid_s = self._due_s + gap_s
        self._due_s = on_grid_s if offset_s - frame_s < on_grid_s and offset_s > 0 else offset_s + gap_s
        return True


def _scenes(folder: Path) -> list[list[Path]]:
    """Return the pictures of each scene by name: those of the folder itself first, then of each sub-folder."""
    folders = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    scenes = [sorted(path for path in scene.iterdir() if path.suffix.lower() in _ENDINGS) for scene in folders]
    return [scene for scene in scenes if scene]


def _pictures(scenes: list[list[Path]], every_s: float) -> Iterator[_Picture]:
    offset_s = 0.0
    for number, scene in enumerate(scenes):
        for path in scene:
            image = _read(path)
            if image is not None:
                yield _Picture(number, offset_s, image)
            offset_s += every_s


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _read(path: Path) -> Image | None:
    """Return a picture, or None (and a warning) for a damaged one: a recording goes on after it."""
    try:
        data = np.fromfile(path, dtype=np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except (OSError, cv2.error):
        # Also what only looks like a picture: a folder, a link to nothing, one too large to decode.
        image = None
    if image is None:
        # Not by its name: recordings are often made of pictures that are called after people.
        log.warning("picture skipped: not readable bytes=%d", _size(path))
        return None
    return np.asarray(image, dtype=np.uint8)


def _video(path: Path, thinning: _Thinning) -> Iterator[_Picture]:
    capture = cv2.VideoCapture(str(path))
    try:
        rate = _rate(capture)
        expected = 0
        # Taken and only then decoded, if it is wanted: decoding is what costs.
        for number in _grabbed(capture):
            image = None
            if wanted := thinning.wants(number / rate, 1 / rate):
                image = decoded(capture)
            if wanted and image is None:
                continue
            _tell_of_gap(number - expected)
            expected = number + 1
            if image is not None:
                yield _Picture(0, number / rate, image)
        # Some headers only estimate the number of frames.
        if expected and (missing := int(_count(capture)) - expected) > 1:
            log.warning("video ends early: not readable frames=%d", missing)
    finally:
        capture.release()


def _grabbed(capture: cv2.VideoCapture) -> Iterator[int]:
    """Take frame after frame and give its number, from 0; frames that are damaged are passed over and counted."""
    count = _count(capture)
    number = damaged = 0
    while damaged <= _DAMAGED_FRAMES:
        if capture.grab():
            damaged = 0
            yield number
        elif number >= count > 0:
            return
        else:
            damaged += 1
        number += 1


def _tell_of_gap(frames: int) -> None:
    if frames:
        log.warning("video goes on after a gap: not readable frames=%d", frames)


def _count(capture: cv2.VideoCapture) -> float:
    """Return how many frames the headers promise; 0 where they do not say."""
    return max(0.0, float(capture.get(cv2.CAP_PROP_FRAME_COUNT)))


def _rate(capture: cv2.VideoCapture) -> float:
    rate = float(capture.get(cv2.CAP_PROP_FPS))
    return rate if 0.1 <= rate <= 1000 else _USUAL_RATE


def _length_s(source: Path, picture_every_s: float) -> float:
    """Return how long the recording lasts; counted where its headers do not say."""
    if source.is_dir():
        return picture_every_s * sum(len(scene) for scene in _scenes(source))
    capture = cv2.VideoCapture(str(source))
    try:
        count = _count(capture) or 1.0 + max(_grabbed(capture), default=-1)
        return count / _rate(capture)
    finally:
        capture.release()
