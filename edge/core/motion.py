"""What changed between two pictures, cell by cell: where nothing moved, no face came and none went."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recognition.core.face import Box, Image

CELL_PX = 8
"""Side of the cell that is compared, in pixels: small enough for a face at the edge of usefulness."""

_STRIDE = 2
"""Every second pixel is read: a cell is then the mean of 16, which is enough to average sensor noise away."""

Cells = NDArray[np.int16]
"""Mean green of each cell of a picture, shape (rows, columns); a picture smaller than a cell has none."""

Changes = NDArray[np.bool_]
"""Which cells changed, shape (rows, columns)."""


@dataclass(frozen=True, slots=True)
class MotionLimits:
    """When a part of the picture counts as changed."""

    brightness_step: int = 12
    """Grey levels (0-255) a cell must differ to count: above sensor noise, which averages out within a cell."""
    changed_fraction: float = 0.001
    """Share of cells that must differ: at 1280x720, 15 of 14,400 cells, a face of 30 px."""


def cells(image: Image) -> Cells:
    """Return the cells of `image` (height, width, 3) uint8 BGR."""
    rows, columns = image.shape[0] // CELL_PX, image.shape[1] // CELL_PX
    green = image[: rows * CELL_PX, : columns * CELL_PX, 1]
    total = np.zeros((rows, columns), dtype=np.uint16)
    # Sixteen sums of whole planes: a reduction over small blocks takes ten times as long.
    for down in range(0, CELL_PX, _STRIDE):
        for right in range(0, CELL_PX, _STRIDE):
            total += green[down::CELL_PX, right::CELL_PX]
    means: Cells = (total // (CELL_PX // _STRIDE) ** 2).astype(np.int16)
    return means


def changes(now: Cells, before: Cells, limits: MotionLimits) -> Changes:
    """Return which cells differ; ValueError for pictures of two sizes."""
    if now.shape != before.shape:
        raise ValueError(f"cells of {now.shape} cannot be compared with {before.shape}")
    found: Changes = np.abs(now - before) > limits.brightness_step
    return found


def is_enough(changed: Changes, limits: MotionLimits) -> bool:
    """Say whether so many cells changed that it is not just noise."""
    return bool(np.count_nonzero(changed) > limits.changed_fraction * changed.size)


def within(changed: Changes, box: Box) -> Changes:
    """Return the part of `changed` (a view) that lies under a box in pixels."""
    left, top = max(0, int(box.x // CELL_PX)), max(0, int(box.y // CELL_PX))
    right = max(left, int(-(-(box.x + box.width) // CELL_PX)))
    bottom = max(top, int(-(-(box.y + box.height) // CELL_PX)))
    return changed[top:bottom, left:right]


def around(changed: Changes) -> Box | None:
    """Return the smallest box in pixels around all changed cells, None when there are none."""
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    if len(rows) == 0:
        return None
    left, top = int(columns[0]) * CELL_PX, int(rows[0]) * CELL_PX
    right, bottom = (int(columns[-1]) + 1) * CELL_PX, (int(rows[-1]) + 1) * CELL_PX
    return Box(left, top, right - left, bottom - top)
