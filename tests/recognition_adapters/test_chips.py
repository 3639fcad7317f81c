"""A chip shows the face where the layout says, however large or far outside the face is."""

import cv2
import numpy as np
import pytest

from recognition.adapters.chips_opencv import cut_chip
from recognition.core.face import Box, Face
from tests.recognition_core.builders import CHIP_POINTS, GEOMETRY


def spots(scale: float, shift: tuple[float, float], size: tuple[int, int]) -> tuple[np.ndarray, Face]:
    """A black picture with a bright spot on each landmark."""
    points = (CHIP_POINTS * scale + np.array(shift)).astype(np.float32)
    image = np.zeros((*size, 3), dtype=np.uint8)
    for x, y in points:
        cv2.circle(image, (round(float(x)), round(float(y))), max(2, round(3 * scale)), (255, 255, 255), -1)
    return image, Face(Box(*shift, 100 * scale, 100 * scale), points, 1.0)


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.9, 2.1, 4.0, 9.3])
def test_the_landmarks_come_to_their_places_at_any_size(scale: float) -> None:
    side = round(150 * scale) + 100
    image, face = spots(scale, (31, 57), (side, side))
    chip = cut_chip(image, face, GEOMETRY)
    assert chip.shape == (150, 150, 3)
    assert chip.dtype == np.uint8
    for x, y in CHIP_POINTS:
        region = chip[round(y) - 6 : round(y) + 7, round(x) - 6 : round(x) + 7, 0].astype(np.float64)
        rows, columns = np.mgrid[-6:7, -6:7]
        centre = np.array([(region * columns).sum(), (region * rows).sum()]) / region.sum()
        # The spots themselves are painted on whole pixels of the picture.
        assert abs(centre).max() < 0.3 + 0.5 / scale, (scale, x, y)


def test_fine_stripes_of_a_large_face_become_grey_and_not_a_pattern() -> None:
    """One bilinear step over a face eight times the chip picks every eighth line and shows bands that are not there."""
    _, face = spots(8, (0, 0), (1200, 1200))
    stripes = np.zeros((1200, 1200, 3), dtype=np.uint8)
    stripes[::2] = 255
    inner = cut_chip(stripes, face, GEOMETRY)[10:-10, 10:-10]
    assert inner.std() < 12
    assert 110 < inner.mean() < 145


@pytest.mark.parametrize("shift", [(-400, -400), (900, 0), (0, 5000)])
def test_a_face_outside_of_the_picture_gives_a_black_chip(shift: tuple[int, int]) -> None:
    for scale in (1.0, 4.0):
        _, face = spots(scale, (shift[0] * scale, shift[1] * scale), (10, 10))
        chip = cut_chip(np.full((100, 100, 3), 200, dtype=np.uint8), face, GEOMETRY)
        assert chip.mean() < 20


def test_landmarks_in_one_point_are_refused() -> None:
    face = Face(Box(0, 0, 1, 1), np.zeros((5, 2), dtype=np.float32), 1.0)
    with pytest.raises(ValueError, match="landmarks"):
        cut_chip(np.zeros((10, 10, 3), dtype=np.uint8), face, GEOMETRY)
