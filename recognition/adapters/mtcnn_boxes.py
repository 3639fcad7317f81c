"""The arithmetic between MTCNN's three networks: proposals, corrections and the removal of doubles."""

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]
"""Boxes, shape (n, 5), float32: left, top, right, bottom in pixels, score."""

CELL_PX = 12
STRIDE_PX = 2
MOST_PROPOSALS = 600
"""Kept per step, best first: foliage gives tens of thousands, and comparing all with all would stop the unit."""


def proposals(offsets: NDArray[np.float32], scores: NDArray[np.float32], scale: float, threshold: float) -> Boxes:
    """Return the boxes the first network proposes on a level of the pyramid, in pixels of the unscaled frame.

    `offsets` (rows, columns, 4) and `scores` (rows, columns) are its outputs; `scale` is the level's.
    """
    rows, columns = np.nonzero(scores > threshold)
    found = scores[rows, columns]
    if len(found) > MOST_PROPOSALS:
        best = np.argpartition(found, -MOST_PROPOSALS)[-MOST_PROPOSALS:]
        rows, columns, found = rows[best], columns[best], found[best]
    corners = np.stack([columns, rows, columns, rows], axis=1).astype(np.float32) * STRIDE_PX
    corners[:, 2:] += CELL_PX
    corners += offsets[rows, columns] * CELL_PX
    return np.concatenate([corners / scale, found[:, np.newaxis]], axis=1).astype(np.float32)


def corrected(boxes: Boxes, offsets: NDArray[np.float32], scores: NDArray[np.float32]) -> Boxes:
    """Return `boxes` moved by a network's relative `offsets` (n, 4) and with its `scores` (n,)."""
    width = boxes[:, 2] - boxes[:, 0] + 1
    height = boxes[:, 3] - boxes[:, 1] + 1
    moved = boxes[:, :4] + offsets * np.stack([width, height, width, height], axis=1)
    return np.concatenate([moved, scores[:, np.newaxis]], axis=1).astype(np.float32)


def squared(boxes: Boxes) -> Boxes:
    """Return boxes grown around their centres to squares of the longer side."""
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    side = np.maximum(width, height)
    result = boxes.copy()
    result[:, 0] = boxes[:, 0] + (width - side) / 2
    result[:, 1] = boxes[:, 1] + (height - side) / 2
    result[:, 2] = result[:, 0] + side
    result[:, 3] = result[:, 1] + side
    return result


def without_doubles(boxes: Boxes, threshold: float, *, over_smaller: bool = False) -> NDArray[np.intp]:
    """Return the indices of the boxes to keep, best score first.

    A box goes when a better one, kept or not, overlaps it by more than `threshold`: of their union, or of the
    smaller box with `over_smaller`. "Kept or not" is the rule of the package these weights come with.
    """
    order = np.argsort(-boxes[:, 4], kind="stable")[:MOST_PROPOSALS]
    left, top, right, bottom = boxes[order, :4].T
    width = np.minimum(right[:, None], right) - np.maximum(left[:, None], left)
    height = np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top)
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    areas = np.maximum((right - left) * (bottom - top), 1e-6)
    whole = np.minimum(areas[:, None], areas) if over_smaller else areas[:, None] + areas - shared
    doubled = np.triu(shared > threshold * whole, k=1).any(axis=0)
    kept: NDArray[np.intp] = order[~doubled]
    return kept


def jittered(box: Boxes) -> Boxes:
    """Return nine boxes around one, (1, 5): beside, above and below it by a third of its side, larger and smaller."""
    left, top, right, bottom, score = (float(number) for number in box[0])
    side = right - left
    shifts = [(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)]
    moved = [(left + x * side / 3, top + y * side / 3, side) for x, y in shifts]
    sized = [(left + side * (1 - f) / 2, top + (bottom - top) * (1 - f) / 2, side * f) for f in (0.7, 0.85, 1.2, 1.4)]
    return np.array([(x, y, x + size, y + size, score) for x, y, size in moved + sized], dtype=np.float32)
