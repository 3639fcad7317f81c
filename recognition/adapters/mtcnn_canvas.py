"""All levels of MTCNN's pyramid on one canvas: the first network runs once a frame instead of ten times."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recognition.adapters.halvings_opencv import MID_GREY, Halvings
from recognition.adapters.mtcnn_boxes import CELL_PX, STRIDE_PX
from recognition.core.face import Image

PYRAMID_STEP = 0.709
MARGIN_PX = 4
"""Ground around each level, a third of a window: of a face that fills the picture the network must see an edge too."""

Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A level's place on the canvas with its margin; `scale` from the picture to the level. The place is even."""

    scale: float
    left: int
    top: int
    width: int
    height: int

    def cells(self, maps: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the part (a view) of a map (rows, columns, ...) whose cells see this tile and nothing else.

        Cells on the seams see two levels, or a level and the ground: they are in nobody's part.
        """
        # A cell at c sees pixels 2 c to 2 c + 11.
        rows = max(0, (self.height - CELL_PX) // STRIDE_PX + 1)
        columns = max(0, (self.width - CELL_PX) // STRIDE_PX + 1)
        row, column = self.top // STRIDE_PX, self.left // STRIDE_PX
        return maps[row : row + rows, column : column + columns]


@dataclass(frozen=True, slots=True)
class Canvas:
    """Where each level of a picture of one size goes."""

    size_px: Size
    tiles: tuple[Tile, ...]

    def painted(self, halvings: Halvings) -> Image:
        """Return the canvas with all levels of a picture, (height, width, 3) uint8 BGR, mid-grey between them."""
        width, height = self.size_px
        canvas = np.full((height, width, 3), MID_GREY, dtype=np.uint8)
        for tile in self.tiles:
            level = halvings.scaled(tile.scale)
            top, left = tile.top + MARGIN_PX, tile.left + MARGIN_PX
            canvas[top : top + level.shape[0], left : left + level.shape[1]] = level
        return canvas


def laid_out(size_px: Size, smallest_px: float) -> Canvas:
    """Lay out the levels at which a face of 12 pixels is one of `smallest_px` and larger ones in steps."""
    levels = [(scale, _level(size_px, scale)) for scale in _scales(size_px, smallest_px)]
    if not levels:
        return Canvas((CELL_PX, CELL_PX), ())
    canvas_width = _even(levels[0][1][0])
    free = [_Space(0, 0, canvas_width, None)]
    tiles = []
    for scale, (width, height) in levels:
        space = next(space for space in free if space.fits(width, height))
        free.remove(space)
        tiles.append(Tile(scale, space.left, space.top, width, height))
        # Beside the tile first, which is a hole; below it the canvas grows.
        free = [*space.around(_even(width), _even(height)), *free]
        free.sort(key=lambda space: space.height is None)
    bottom = max(tile.top + _even(tile.height) for tile in tiles)
    return Canvas((canvas_width, bottom), tuple(tiles))


@dataclass(frozen=True, slots=True)
class _Space:
    """A part of the canvas where nothing lies yet; without a height it is open below."""

    left: int
    top: int
    width: int
    height: int | None

    def fits(self, width: int, height: int) -> bool:
        """Say whether a tile of this size can lie here."""
        return width <= self.width and (self.height is None or height <= self.height)

    def around(self, width: int, height: int) -> list["_Space"]:
        """Return what is left when a tile lies in the upper left corner: beside it, and below both."""
        beside = _Space(self.left + width, self.top, self.width - width, height)
        below = _Space(self.left, self.top + height, self.width, None if self.height is None else self.height - height)
        return [space for space in (beside, below) if space.width > 0 and (space.height is None or space.height > 0)]


def _scales(size_px: Size, smallest_px: float) -> list[float]:
    shorter = min(size_px)
    scale = CELL_PX / smallest_px
    scales = []
    while shorter * scale >= CELL_PX:
        scales.append(scale)
        scale *= PYRAMID_STEP
    return scales


def _level(size_px: Size, scale: float) -> Size:
    """Return the size of a level with its margin."""
    return max(1, round(size_px[0] * scale)) + 2 * MARGIN_PX, max(1, round(size_px[1] * scale)) + 2 * MARGIN_PX


def _even(length: int) -> int:
    """Return the next even length: cells are two pixels apart, so every tile must begin on one of them."""
    return length + length % 2
