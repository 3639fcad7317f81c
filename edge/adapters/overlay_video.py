"""A video of what the unit makes of its pictures: boxes, track numbers, states, why a face was not compared, and when.

It shows faces, so it is for a person who looks into a fault, and is deleted afterwards. Never a name; the student's
surrogate id only where it is asked for.
"""

import os
import shutil
import threading
from pathlib import Path

import cv2
import numpy as np

from edge.core.errors import SettingsWrong, StorageFailed, StorageFull
from edge.core.frame import NS_PER_S
from edge.core.looks import Look, TrackState, TrackView
from recognition.core.face import Box, Image

_CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "MJPG"}
_WIDEST_PX = 1920
"""Wider pictures are reduced: a video of stills would fill the disk, and players refuse it."""
_LONGEST_REPEAT_S = 2.0
"""A picture is shown until the next one came, but not for longer: a night in which nothing moved is a cut."""
_LEAST_FREE_BYTES = 300_000_000
"""Below this the video ends: what is left of the disk belongs to the unit's record."""

Colour = tuple[int, int, int]
_COLOURS: dict[TrackState, Colour] = {
    "present": (80, 200, 60),
    "review": (0, 190, 255),
    "unknown": (60, 60, 230),
    "undecided": (230, 180, 60),
    "unusable": (150, 150, 150),
}
_REGION_COLOUR: Colour = (200, 120, 200)
_INK: Colour = (255, 255, 255)
_PAPER: Colour = (0, 0, 0)


class OverlayVideo:
    """Writes looks into one video file at a steady rate. `show` belongs to one thread; `close` may be any."""

    def __init__(self, path: Path, *, frames_per_s: float, with_ids: bool = False) -> None:
        """Make the file, readable by its owner only, over an older one.

        Raises SettingsWrong for an ending that is no video and for a place where nothing can be written.
        """
        if path.suffix.lower() not in _CODECS:
            raise SettingsWrong(
                f"{path.name} is not the name of a video", hint=f"let it end in {', '.join(sorted(_CODECS))}"
            )
        self._path = path
        self._frames_per_s = max(1.0, frames_per_s)
        self._with_ids = with_ids
        self._lock = threading.Lock()
        self._writer: cv2.VideoWriter | None = None
        self._size_px = (0, 0)
        self._shown: Image | None = None
        self._begun_ns = 0
        self._slot = 0
        self._closed = False
        _make_private(path)

    def show(self, look: Look) -> None:
        """Add one look; nothing after `close`. Raises StorageFull (then the video is finished) and StorageFailed."""
        with self._lock:
            if self._closed:
                return
            if shutil.disk_usage(self._path.parent).free < _LEAST_FREE_BYTES:
                self._finish()
                raise StorageFull(
                    f"less than {_LEAST_FREE_BYTES / 1e6:.0f} MB are free: the overlay video ends here",
                    hint="delete what is not needed; the unit itself goes on",
                )
            repeats = self._repeats(look.stamp.boottime_ns)
            if repeats == 0 and self._shown is not None:
                # Two looks in one moment of the video.
                return
            self._write_shown(repeats)
            self._shown = self._fitted(draw_look(look, with_ids=self._with_ids))

    def close(self) -> None:
        """Finish the file so that it can be played; safe to call twice. A video without pictures is deleted."""
        with self._lock:
            self._finish()

    def _repeats(self, at_ns: int) -> int:
        """Return how often the picture before is written to fill the time until now."""
        if self._shown is None or at_ns < self._begun_ns:
            # The first one, or a recording that began again.
            self._begun_ns, self._slot = at_ns, 0
            return 1
        slot = round((at_ns - self._begun_ns) / NS_PER_S * self._frames_per_s)
        repeats, self._slot = slot - self._slot, slot
        return min(repeats, max(1, round(_LONGEST_REPEAT_S * self._frames_per_s)))

    def _write_shown(self, times: int) -> None:
        if self._shown is None:
            return
        if self._writer is None:
            self._writer = self._open((self._shown.shape[1], self._shown.shape[0]))
        for _ in range(times):
            self._writer.write(self._shown)

    def _open(self, size_px: tuple[int, int]) -> cv2.VideoWriter:
        codec = cv2.VideoWriter.fourcc(*_CODECS[self._path.suffix.lower()])
        writer = cv2.VideoWriter(str(self._path), cv2.CAP_FFMPEG, codec, self._frames_per_s, size_px)
        if not writer.isOpened():
            self._closed = True
            raise StorageFailed(
                f"{self._path} cannot be written as video", hint="try another ending: .avi works everywhere"
            )
        return writer

    def _fitted(self, picture: Image) -> Image:
        """Bring a picture to the video's size, with black where its shape differs: a video has one size only."""
        if self._size_px == (0, 0):
            # Even numbers: the codec of .mp4 takes no others.
            self._size_px = (max(2, picture.shape[1] // 2 * 2), max(2, picture.shape[0] // 2 * 2))
        width, height = self._size_px
        if picture.shape[1] // 2 * 2 == width and picture.shape[0] // 2 * 2 == height:
            return np.ascontiguousarray(picture[:height, :width])
        scale = min(width / picture.shape[1], height / picture.shape[0])
        fitting = (max(1, int(picture.shape[1] * scale)), max(1, int(picture.shape[0] * scale)))
        canvas = np.zeros((height, width, 3), dtype=np.uint8)
        canvas[: fitting[1], : fitting[0]] = cv2.resize(picture, fitting, interpolation=cv2.INTER_AREA)
        return canvas

    def _finish(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._write_shown(1)
        if self._writer is not None:
            self._writer.release()
        else:
            self._path.unlink(missing_ok=True)
        self._shown = None


def draw_look(look: Look, *, with_ids: bool = False) -> Image:
    """Return a copy of the picture, at most 1920 pixels wide, with everything drawn that a look knows."""
    scale = min(1.0, _WIDEST_PX / max(1, look.image.shape[1]))
    if scale < 1:
        canvas = np.asarray(cv2.resize(look.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    else:
        canvas = look.image.copy()
    for region in look.regions:
        _rectangle(canvas, region, scale, _REGION_COLOUR, 1)
    for view in look.tracks:
        _rectangle(canvas, view.box_xywh, scale, _COLOURS[view.state], 1 if view.found_by == "still" else 2)
        _label(canvas, _words(view, with_ids=with_ids), view.box_xywh, scale, _COLOURS[view.state])
    seconds = look.stamp.boottime_ns / NS_PER_S
    text = f"{look.stamp.at:%H:%M:%S}.{look.stamp.at.microsecond // 100_000} UTC  {seconds:.2f} s  {look.kind}"
    _text(canvas, text, (8, canvas.shape[0] - 10), _INK)
    return canvas


def _words(view: TrackView, *, with_ids: bool) -> list[str]:
    who = f" {view.student_id[:8]}" if with_ids and view.student_id else ""
    return [f"{view.track_id} {view.state}{who} ({view.samples})", *view.refusals[:3]]


def _rectangle(canvas: Image, box: Box, scale: float, colour: Colour, width_px: int) -> None:
    left, top = int(box.x * scale), int(box.y * scale)
    right, bottom = int((box.x + box.width) * scale), int((box.y + box.height) * scale)
    cv2.rectangle(canvas, (left, top), (right, bottom), colour, width_px)


def _label(canvas: Image, lines: list[str], box: Box, scale: float, colour: Colour) -> None:
    x, y = int(box.x * scale), int((box.y + box.height) * scale)
    line_px = round(32 * _font_scale(canvas))
    for number, line in enumerate(lines):
        _text(canvas, line, (max(0, x), y + line_px * (number + 1)), colour)


def _text(canvas: Image, text: str, place: tuple[int, int], colour: Colour) -> None:
    # Dark behind bright, or it cannot be read over a window.
    for ink, width_px in ((_PAPER, 3), (colour, 1)):
        cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, _font_scale(canvas), ink, width_px, cv2.LINE_AA)


def _font_scale(canvas: Image) -> float:
    """Return the size of letters: readable when the whole picture fills a screen."""
    return max(0.4, float(canvas.shape[1]) / 2400)


def _make_private(path: Path) -> None:
    try:
        # Faces are in it: nobody else may read it, not even for a moment.
        path.unlink(missing_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as exc:
        raise SettingsWrong(
            f"the overlay video {path} cannot be written: {exc.strerror}", hint="name a file in a folder of yours"
        ) from exc
