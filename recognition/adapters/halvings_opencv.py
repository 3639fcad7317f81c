"""A picture in halves, quarters and eighths, each made when it is first asked for."""

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.core.face import Image

Squares = NDArray[np.float32]
"""Shape (n, 4) or more columns, float32: left, top, right, bottom in pixels of the whole picture."""

MID_GREY = (127, 127, 127)
"""What lies outside of the picture: 0 to networks that see -1 to 1."""


class Halvings:
    """Gives any part of a picture at any smaller size for the price of the small size.

    Halving exactly is many times faster than averaging to an odd fraction of the size, and from the next larger half
    one bilinear step, which never skips a pixel, does the rest. One instance belongs to one thread.
    """

    def __init__(self, image: Image) -> None:
        """Take a picture (height, width, 3) uint8 BGR; ValueError for anything else, and for one without a pixel."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            # OpenCV would make something of it, and a network would find faces in that, or nobody.
            raise ValueError(f"a picture is {image.dtype} {image.shape}, expected uint8 (height, width, 3)")
        self._halves = [image]

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of the whole picture."""
        height, width = self._halves[0].shape[:2]
        return width, height

    def scaled(self, scale: float) -> Image:
        """Return the whole picture at `scale` (above 0, up to 1), at least 1 x 1 pixel."""
        width, height = self.size_px
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        half, _ = self._at_least(scale)
        if half.shape[1::-1] == size:
            return half
        return np.asarray(cv2.resize(half, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)

    def patches(self, squares: Squares, size_px: int) -> NDArray[np.uint8]:
        """Return what lies in each square, (n, size_px, size_px, 3) uint8 BGR, mid-grey outside of the picture."""
        patches = np.empty((len(squares), size_px, size_px, 3), dtype=np.uint8)
        for index, (left, top, right, _) in enumerate(squares[:, :4].astype(np.float64)):
            side = max(right - left, 1e-3)
            half, factor = self._at_least(min(1.0, size_px / side))
            step = side * factor / size_px
            # From a pixel of the patch to the place it is read from; pixel centres keep their places.
            reading = np.array(
                [[step, 0, left * factor + step / 2 - 0.5], [0, step, top * factor + step / 2 - 0.5]], dtype=np.float64
            )
            # Not with `dst`: where that does not fit OpenCV writes elsewhere, and says nothing.
            patches[index] = cv2.warpAffine(
                half,
                reading,
                (size_px, size_px),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=MID_GREY,
            )
        return patches

    def _at_least(self, scale: float) -> tuple[Image, float]:
        """Return the smallest half that is not smaller than `scale`, and its own scale."""
        step = 0
        while scale <= 0.5 ** (step + 1) and min(self._half(step).shape[:2]) >= 2:
            step += 1
        return self._half(step), 0.5**step

    def _half(self, step: int) -> Image:
        while len(self._halves) <= step:
            last = self._halves[-1]
            # An odd last row or column is dropped: a factor that is not exactly two takes the slow way.
            height, width = last.shape[0] // 2, last.shape[1] // 2
            even = last[: height * 2, : width * 2]
            self._halves.append(np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8))
        return self._halves[step]
