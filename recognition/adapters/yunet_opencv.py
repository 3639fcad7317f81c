"""YuNet, an optional detector: one ONNX file that an operator installs, run by OpenCV."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.core.errors import PackInvalid, PackMissing
from recognition.core.face import Box, Face, Image

SMALLEST_SIDE_PX = 32
"""The network halves a picture five times; a smaller one is set into a black frame of this size."""


class YunetDetector:
    """A FaceDetector over YuNet. One instance belongs to one thread."""

    def __init__(self, model_file: Path, smallest_face_px: int = 40, score: float = 0.7, overlap: float = 0.3) -> None:
        """Load the network; PackMissing without the file, PackInvalid when OpenCV refuses it.

        `smallest_face_px` is the width under which faces are dropped; YuNet itself sees them from about 10 pixels.
        """
        if not model_file.is_file():
            raise PackMissing(
                f"there is no YuNet model at {model_file}",
                hint="face_detection_yunet from github.com/opencv/opencv_zoo (MIT)",
            )
        self._smallest_face_px = smallest_face_px
        size = (SMALLEST_SIDE_PX, SMALLEST_SIDE_PX)
        try:
            self._network = cv2.FaceDetectorYN.create(str(model_file), "", size, score, overlap)
        except cv2.error as exc:
            raise PackInvalid(f"OpenCV cannot read {model_file} as a YuNet model: {exc.err}") from exc

    def detect(self, image: Image) -> list[Face]:
        """See FaceDetector."""
        height, width = image.shape[:2]
        below, right = max(0, SMALLEST_SIDE_PX - height), max(0, SMALLEST_SIDE_PX - width)
        if below or right:
            image = np.asarray(cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_CONSTANT), dtype=np.uint8)
        self._network.setInputSize((image.shape[1], image.shape[0]))
        _, rows = self._network.detect(image)
        if rows is None:
            return []
        found = np.asarray(rows, dtype=np.float32)
        faces = [_face(row) for row in found if _is_in(row, image.shape[1], image.shape[0])]
        wide_enough = [face for face in faces if face.box.width >= self._smallest_face_px]
        return sorted(wide_enough, key=lambda face: -face.confidence)


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
