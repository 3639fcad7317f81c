"""YuNet, an optional detector: one ONNX file that an operator installs, run by OpenCV."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.adapters.halvings_opencv import Halvings
from recognition.core.errors import PackInvalid, PackMissing
from recognition.core.face import Box, Face, Image

SMALLEST_SIDE_PX = 32
"""The network halves a picture five times; a smaller one is set into a black frame of this size."""
YUNET_SCORE = 0.7
"""Confidence from which a face counts when a picture stands alone."""
WORKING_FACE_PX = 20.0
"""Width the smallest wanted face has in the picture the network sees; it was made for faces from about 10 pixels."""
SMALLER_BY = 0.6
"""Share of the smallest width asked for from which a face is reported: detectors draw one face that differently."""
LEAST_SIDE_PX = 640
"""Longer side under which no picture is reduced: it makes the points of a face worse, and there is little to gain."""
PLACE_PX = 160
"""Side of the patch in which a face is followed."""
SURROUNDINGS = 2.4
"""Side of that patch in widths of the face: room for half a width of movement to each side."""


class YunetDetector:
    """A FaceDetector over YuNet. One instance belongs to one thread."""

    def __init__(
        self, model_file: Path, smallest_face_px: int = 40, score: float = YUNET_SCORE, overlap: float = 0.3
    ) -> None:
        """Load the network; PackMissing without the file, PackInvalid when OpenCV refuses it.

        `smallest_face_px` is the width of the smallest face worth finding; YuNet itself sees them from about 10 pixels.
        """
        if not model_file.is_file():
            raise PackMissing(
                f"there is no YuNet model at {model_file}",
                hint="face_detection_yunet from github.com/opencv/opencv_zoo (MIT)",
            )
        self._smallest_face_px = smallest_face_px
        try:
            # Two of them: each change of the picture's size has everything planned anew.
            self._whole = _network(model_file, SMALLEST_SIDE_PX, score, overlap)
            self._part = _network(model_file, PLACE_PX, score, overlap)
        except cv2.error as exc:
            raise PackInvalid(f"OpenCV cannot read {model_file} as a YuNet model: {exc.err}") from exc

    def detect(self, image: Image) -> list[Face]:
        """See FaceDetector. Raises ValueError for what is no picture of at least 1 x 1 pixel."""
        halvings = Halvings(image)
        wanted = max(WORKING_FACE_PX / self._smallest_face_px, LEAST_SIDE_PX / max(image.shape[:2]))
        scale = min(1.0, wanted)
        frame = halvings.scaled(scale)
        factor = np.array([image.shape[1] / frame.shape[1], image.shape[0] / frame.shape[0]], dtype=np.float32)
        found = [_scaled(face, factor) for face in self._found(self._whole, frame)]
        wide_enough = [face for face in found if face.box.width >= SMALLER_BY * self._smallest_face_px]
        return sorted(wide_enough, key=lambda face: -face.confidence)

    def follow(self, image: Image, boxes: Sequence[Box]) -> list[Face | None]:
        """See FaceDetector. Raises ValueError as `detect` does."""
        halvings = Halvings(image)
        return [self._followed(halvings, box) for box in boxes]

    def _followed(self, halvings: Halvings, box: Box) -> Face | None:
        side = SURROUNDINGS * max(box.width, box.height)
        x, y = box.centre
        left, top = x - side / 2, y - side / 2
        (patch,) = halvings.patches(np.array([[left, top, left + side, top + side]], dtype=np.float32), PLACE_PX)
        scale = np.float32(side / PLACE_PX)
        found = [
            _moved(_scaled(face, np.array([scale, scale])), left, top)
            for face in self._found(self._part, np.asarray(patch, dtype=np.uint8))
        ]
        nearest = max(found, key=lambda face: face.box.iou(box), default=None)
        return nearest if nearest is not None and nearest.box.iou(box) > 0.2 else None

    def _found(self, network: cv2.FaceDetectorYN, frame: Image) -> list[Face]:
        height, width = frame.shape[:2]
        below, right = max(0, SMALLEST_SIDE_PX - height), max(0, SMALLEST_SIDE_PX - width)
        if below or right:
            frame = np.asarray(cv2.copyMakeBorder(frame, 0, below, 0, right, cv2.BORDER_CONSTANT), dtype=np.uint8)
        if network.getInputSize() != (frame.shape[1], frame.shape[0]):
            network.setInputSize((frame.shape[1], frame.shape[0]))
        _, rows = network.detect(frame)
        if rows is None:
            return []
        found = np.asarray(rows, dtype=np.float32)
        return [_face(row) for row in found if _is_in(row, frame.shape[1], frame.shape[0])]


def _network(model_file: Path, side_px: int, score: float, overlap: float) -> cv2.FaceDetectorYN:
    return cv2.FaceDetectorYN.create(str(model_file), "", (side_px, side_px), score, overlap)


def _scaled(face: Face, factor: NDArray[np.float32]) -> Face:
    box, (x, y) = face.box, (float(number) for number in factor)
    landmarks = (face.landmarks * factor).astype(np.float32)
    return Face(Box(box.x * x, box.y * y, box.width * x, box.height * y), landmarks, face.confidence)


def _moved(face: Face, left: float, top: float) -> Face:
    box = face.box
    landmarks = (face.landmarks + np.array([left, top])).astype(np.float32)
    return Face(Box(box.x + left, box.y + top, box.width, box.height), landmarks, face.confidence)


def _is_in(row: NDArray[np.float32], width_px: int, height_px: int) -> bool:
    """Tell whether a row can be a face of the picture.

    On pictures of a few pixels OpenCV's decoding now and then returns numbers from nowhere, with full confidence.
    """
    if not np.isfinite(row).all():
        return False
    x, y, width, height = row[:4]
    fits = 0 < width <= 2 * width_px and 0 < height <= 2 * height_px
    return bool(fits and -width < x < width_px and -height < y < height_px)


def _face(row: NDArray[np.float32]) -> Face:
    """A row holds the box (x, y, width, height), five points in the order of `Points`, and the score."""
    x, y, width, height = (float(number) for number in row[:4])
    return Face(Box(x, y, width, height), row[4:14].reshape(5, 2).copy(), min(max(float(row[14]), 0.0), 1.0))
