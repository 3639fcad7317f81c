"""What changed between two pictures: noise is nothing, a face that moves by a cell is something."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.motion import CELL_PX, Changes, MotionLimits, around, cells, changes, is_enough, within
from recognition.core.face import Box, Image
from tests.edge_core.painted import Person, picture

LIMITS = MotionLimits()


def noisy(image: Image, seed: int) -> Image:
    noise = np.random.default_rng(seed).normal(0, 4, image.shape)
    return np.clip(image.astype(np.float64) + noise, 0, 255).astype(np.uint8)


def changed(now: Image, before: Image) -> Changes:
    return changes(cells(now), cells(before), LIMITS)


def test_noise_of_the_sensor_is_no_change() -> None:
    assert not any(is_enough(changed(noisy(picture(), seed), noisy(picture(), 0)), LIMITS) for seed in range(1, 20))


def test_a_face_that_moves_by_a_cell_is_one() -> None:
    before, now = picture(Person(1, x=40, width=30)), picture(Person(1, x=48, width=30))
    found = changed(now, before)
    assert is_enough(found, LIMITS)
    box = around(found)
    assert box is not None
    assert (box.x, box.x + box.width) == (40, 80)


def test_a_cell_is_the_mean_of_what_lies_in_it() -> None:
    image = np.zeros((16, 24, 3), dtype=np.uint8)
    image[:8, 8:16, 1] = 200
    image[8:, 16:, 1] = np.tile(np.array([0, 0, 100, 100], dtype=np.uint8), (8, 2))
    assert cells(image).tolist() == [[0, 200, 0], [0, 0, 50]]


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 7, 3), (8, 500, 3)])
def test_pictures_of_any_size_have_cells(shape: tuple[int, int, int]) -> None:
    assert cells(np.zeros(shape, dtype=np.uint8)).shape == (shape[0] // CELL_PX, shape[1] // CELL_PX)


def test_pictures_of_two_sizes_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        changed(np.zeros((64, 64, 3), dtype=np.uint8), np.zeros((64, 72, 3), dtype=np.uint8))


@given(
    x=st.floats(-100, 500), y=st.floats(-100, 500), width=st.floats(0, 300), height=st.floats(0, 300), place=st.data()
)
def test_whatever_lies_under_a_box_is_found_under_it(
    x: float, y: float, width: float, height: float, place: st.DataObject
) -> None:
    found = np.zeros((30, 40), dtype=np.bool_)
    row, column = place.draw(st.integers(0, 29)), place.draw(st.integers(0, 39))
    found[row, column] = True
    left, top = column * CELL_PX, row * CELL_PX
    overlaps = x < left + CELL_PX and x + width > left and y < top + CELL_PX and y + height > top
    if overlaps:
        assert within(found, Box(x, y, width, height)).any()
    assert around(found) == Box(left, top, CELL_PX, CELL_PX)
