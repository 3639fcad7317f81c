"""All levels of the pyramid lie on one canvas and none sees another."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognition.adapters.halvings_opencv import Halvings
from recognition.adapters.mtcnn_boxes import CELL_PX, STRIDE_PX
from recognition.adapters.mtcnn_canvas import MARGIN_PX, laid_out


@given(width=st.integers(1, 2000), height=st.integers(1, 1200), smallest=st.integers(12, 200))
def test_tiles_lie_on_the_canvas_beside_each_other_on_even_places(width: int, height: int, smallest: int) -> None:
    canvas = laid_out((width, height), smallest)
    for tile in canvas.tiles:
        assert tile.left % STRIDE_PX == 0
        assert tile.top % STRIDE_PX == 0
        assert tile.left + tile.width <= canvas.size_px[0]
        assert tile.top + tile.height <= canvas.size_px[1]
    for index, one in enumerate(canvas.tiles):
        for other in canvas.tiles[:index]:
            apart = one.left >= other.left + other.width or other.left >= one.left + one.width
            assert apart or one.top >= other.top + other.height or other.top >= one.top + one.height


@pytest.mark.parametrize(("size", "smallest"), [((1280, 720), 40), ((1920, 1080), 40), ((640, 480), 20)])
def test_little_of_the_canvas_is_wasted(size: tuple[int, int], smallest: int) -> None:
    canvas = laid_out(size, smallest)
    used = sum(tile.width * tile.height for tile in canvas.tiles)
    assert used > 0.87 * canvas.size_px[0] * canvas.size_px[1]


def test_the_cells_of_a_tile_see_only_the_tile() -> None:
    canvas = laid_out((200, 150), 30)
    width, height = canvas.size_px
    rows, columns = (height - CELL_PX) // STRIDE_PX + 1, (width - CELL_PX) // STRIDE_PX + 1
    place = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), axis=2).astype(np.float32)
    for tile in canvas.tiles:
        cells = tile.cells(place).reshape(-1, 2)
        assert len(cells)
        assert (cells[:, 0] * STRIDE_PX).min() == tile.top
        assert (cells[:, 1] * STRIDE_PX).min() == tile.left
        assert (cells[:, 0] * STRIDE_PX).max() + CELL_PX <= tile.top + tile.height
        assert (cells[:, 1] * STRIDE_PX).max() + CELL_PX <= tile.left + tile.width


def test_a_picture_smaller_than_a_face_has_no_levels() -> None:
    assert laid_out((30, 30), 40).tiles == ()


def test_each_level_is_painted_in_its_place() -> None:
    image = np.full((150, 200, 3), 200, dtype=np.uint8)
    canvas = laid_out((200, 150), 30)
    painted = canvas.painted(Halvings(image))
    for tile in canvas.tiles:
        rows = slice(tile.top + MARGIN_PX, tile.top + tile.height - MARGIN_PX)
        columns = slice(tile.left + MARGIN_PX, tile.left + tile.width - MARGIN_PX)
        assert (painted[rows, columns] == 200).all()
        assert (painted[tile.top : tile.top + MARGIN_PX, tile.left : tile.left + tile.width] == 127).all()
    assert (painted == 127).any()
