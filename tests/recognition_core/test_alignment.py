"""Alignment finds the similarity, and refuses points from which none follows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognition.core.alignment import scale_of, similarity
from tests.recognition_core.builders import CHIP_POINTS, GEOMETRY


@given(
    angle=st.floats(-3.1, 3.1),
    scale=st.floats(0.05, 20),
    shift_x=st.floats(-5000, 5000),
    shift_y=st.floats(-5000, 5000),
)
def test_a_turned_scaled_and_moved_face_is_brought_back_exactly(
    angle: float, scale: float, shift_x: float, shift_y: float
) -> None:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * scale
    points = (CHIP_POINTS.astype(np.float64) @ turn.T + [shift_x, shift_y]).astype(np.float32)

    matrix = similarity(points, GEOMETRY)

    back = np.c_[points.astype(np.float64), np.ones(5)] @ matrix.T
    # float32 pixels of a far away face are themselves only so exact.
    tolerance = 0.01 + 0.01 / scale
    np.testing.assert_allclose(back, CHIP_POINTS, atol=tolerance)
    assert scale_of(matrix) == pytest.approx(1 / scale, rel=0.05)


def test_a_mirrored_face_is_not_mirrored_back() -> None:
    """A reflection would fit better, and would swap the eyes of a face whose points were swapped."""
    mirrored = (CHIP_POINTS * [-1, 1]).astype(np.float32)
    assert np.linalg.det(similarity(mirrored, GEOMETRY)[:, :2]) > 0


def test_no_other_similarity_fits_better() -> None:
    noisy = (CHIP_POINTS * 2 + np.random.default_rng(3).normal(size=(5, 2)) * 4).astype(np.float32)
    matrix = similarity(noisy, GEOMETRY)

    def error(candidate: np.ndarray) -> float:
        return float((((np.c_[noisy, np.ones(5)] @ candidate.T) - CHIP_POINTS) ** 2).sum())

    for a, b, x, y in np.random.default_rng(4).normal(size=(200, 4)) * [0.01, 0.01, 1, 1]:
        assert error(matrix) <= error(matrix + np.array([[a, -b, x], [b, a, y]])) + 1e-9


@pytest.mark.parametrize(
    "points",
    [
        np.full((5, 2), 7, dtype=np.float32),  # all in one place
        np.full((5, 2), np.nan, dtype=np.float32),
        np.full((5, 2), np.inf, dtype=np.float32),
        np.zeros((4, 2), dtype=np.float32),  # one missing
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_points_without_a_similarity_are_refused(points: np.ndarray) -> None:
    with pytest.raises(ValueError, match="landmarks"):
        similarity(points, GEOMETRY)
