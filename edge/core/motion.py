"""Is this frame worth looking at? A frame in which nothing moved needs no detection."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recognition.core.face import Image

_CELL_PX = 8
"""Side of the cell that is compared, in pixels: small enough for a face at the edge of usefulness."""

_STRIDE = 2
"""Every second pixel is read: a cell is then the mean of 16, which is enough to average sensor noise away."""


@dataclass(frozen=True, slots=True)
class MotionLimits:
    """When a frame counts as changed."""

    brightness_step: int = 12
    """Grey levels (0-255) a cell must differ to count: above sensor noise, which averages out within a cell."""
    changed_fraction: float = 0.001
    """Share of cells that must differ: at 1280x720, 15 of 14,400 cells, a face of 30 px."""
    look_anyway_s: float = 5.0
    """A still frame is looked at this often, so that a person who stands still from the start is found."""


class MotionGate:
    """Compares each frame with the last one that was looked at. One thread."""

    def __init__(self, limits: MotionLimits | None = None) -> None:
        self._limits = limits or MotionLimits()
        self._reference: NDArray[np.int16] | None = None
        self._looked_at_s = float("-inf")

    def worth_looking(self, image: Image, at_s: float) -> bool:
        """Return whether something changed since the last frame for which this was True."""
        cells = _cells(image)
        if self._is_still(cells) and at_s - self._looked_at_s < self._limits.look_anyway_s:
            return False
        self._reference = cells
        self._looked_at_s = at_s
        return True

    def _is_still(self, cells: NDArray[np.int16]) -> bool:
        if self._reference is None or self._reference.shape != cells.shape or cells.size == 0:
            return False
        changed = np.abs(cells - self._reference) > self._limits.brightness_step
        return bool(np.count_nonzero(changed) <= self._limits.changed_fraction * cells.size)


def _cells(image: Image) -> NDArray[np.int16]:
    """Return the mean green value of each cell, shape (rows, columns); frames smaller than a cell have none."""
    side = _CELL_PX // _STRIDE
    green = image[::_STRIDE, ::_STRIDE, 1]
    rows, columns = green.shape[0] // side, green.shape[1] // side
    blocks = green[: rows * side, : columns * side].reshape(rows, side, columns, side)
    means: NDArray[np.int16] = (blocks.sum(axis=(1, 3), dtype=np.uint32) // (side * side)).astype(np.int16)
    return means
