"""What drivers hand out, as pictures of colour bytes."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.adapters.frame_format import as_bgr_bytes
from edge.core.errors import CameraLost

COLOURS = np.random.default_rng(3).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def test_colour_bytes_are_not_copied() -> None:
    assert as_bgr_bytes(COLOURS) is COLOURS


@pytest.mark.parametrize(
    "deep",
    [
        COLOURS.astype(np.uint16) << 8 | 255,
        np.dstack([COLOURS, COLOURS[:, :, 0]]).astype(np.uint16) << 8,
        np.dstack([COLOURS, COLOURS[:, :, 0]]),
        COLOURS[:, ::-1][:, ::-1],
    ],
    ids=["16 bit", "16 bit with transparency", "transparency", "view"],
)
def test_every_pixel_keeps_its_colour(deep: NDArray[Any]) -> None:
    picture = as_bgr_bytes(deep)
    assert picture.dtype == np.uint8
    assert np.array_equal(picture, COLOURS)


@pytest.mark.parametrize(
    ("image", "named"),
    [
        (COLOURS[:, :, :2], "uint8, 48 x 64 x 2"),
        (COLOURS.astype(np.float32), "float32, 48 x 64 x 3"),
        (COLOURS.astype(np.int8), "int8, 48 x 64 x 3"),
        (COLOURS[:0], "uint8, 0 x 64 x 3"),
        (COLOURS[:, :, :0], "uint8, 48 x 64 x 0"),
        (COLOURS.ravel(), "uint8, 9216"),
        (COLOURS[np.newaxis], "uint8, 1 x 48 x 64 x 3"),
    ],
)
def test_anything_else_is_a_lost_camera_that_names_the_format(image: NDArray[Any], named: str) -> None:
    with pytest.raises(CameraLost, match=named) as caught:
        as_bgr_bytes(image)
    assert caught.value.hint
