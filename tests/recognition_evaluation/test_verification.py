"""Verification: rates follow from the scores, pictures are not compared with themselves, failures are misses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognition.evaluation.figures import Choices, verification
from recognition.evaluation.resampling import draw_weights
from recognition.evaluation.verification import Comparisons, compare, curve, equal_error_rate, verify
from tests.recognition_evaluation.builders import material

SCORES = st.lists(st.floats(-1, 1), min_size=1, max_size=60).map(np.array)
WEIGHTS = draw_weights(np.random.default_rng(1), np.zeros(60, dtype=np.int64), 50)


@settings(deadline=None)
@given(genuine=SCORES, impostor=SCORES)
def test_tar_falls_with_far_and_far_is_never_exceeded(genuine: np.ndarray, impostor: np.ndarray) -> None:
    comparisons = Comparisons(genuine, np.arange(len(genuine)), impostor)
    loose, strict = verify(comparisons, (0.2, 0.01), WEIGHTS).rows
    assert strict.tar <= loose.tar
    for row in (loose, strict):
        assert row.far_found <= row.far + 1e-12
        assert row.interval.low <= row.tar <= row.interval.high


@settings(deadline=None)
@given(genuine=SCORES, impostor=SCORES)
def test_the_equal_error_rate_lies_between_both_errors_everywhere(genuine: np.ndarray, impostor: np.ndarray) -> None:
    rate = equal_error_rate(genuine, impostor)
    assert 0.0 <= rate <= 1.0
    for threshold in np.concatenate([genuine, impostor]):
        far, frr = (impostor >= threshold).mean(), (genuine < threshold).mean()
        assert min(far, frr) - 1e-9 <= rate <= max(far, frr) + 1e-9


def test_the_equal_error_rate_of_known_scores() -> None:
    assert equal_error_rate(np.array([0.8, 0.9]), np.array([0.1, 0.2])) == 0.0
    assert equal_error_rate(np.array([0.1, 0.2]), np.array([0.8, 0.9])) == 1.0
    assert equal_error_rate(np.array([0.4, 0.6, 0.8, 0.9]), np.array([0.1, 0.2, 0.3, 0.5])) == 0.25


@settings(deadline=None)
@given(genuine=SCORES, impostor=SCORES)
def test_curves_fall_from_everything_to_nothing(genuine: np.ndarray, impostor: np.ndarray) -> None:
    points = curve(genuine, impostor)
    assert (points[0].far, points[0].tar) == (1.0, 1.0)
    assert [point.far for point in points] == sorted((point.far for point in points), reverse=True)
    assert [point.tar for point in points] == sorted((point.tar for point in points), reverse=True)


def test_failed_captures_are_genuine_misses_and_no_impostors() -> None:
    vectors = np.array([[1, 0], [np.nan, np.nan]], dtype=np.float32)
    templates = np.array([[1, 0], [0, 1]], dtype=np.float32)
    found = compare(vectors, np.array([0, 1]), templates, np.array([0, 1]))
    assert found.genuine.tolist() == [1.0, -np.inf]
    assert found.impostor.tolist() == [0.0]


def test_pictures_are_compared_once_and_not_with_themselves() -> None:
    weights = draw_weights(np.random.default_rng(1), np.array([0] * 4 + [1] * 2), 20)
    kinds = verification(material(4, 2), Choices(), 3, weights)
    genuine, impostor = (len(kinds["pictures"][0].genuine), len(kinds["pictures"][0].impostor))
    assert genuine == 4 * 15
    assert genuine + impostor == 26 * 25 // 2
    assert kinds["template"][0].genuine.shape == (12,)
    assert kinds["template"][0].impostor.shape == (12 * 3 + 2 * 4,)


def test_nothing_can_be_said_of_one_kind_alone() -> None:
    with pytest.raises(ValueError, match="equal and of different"):
        verify(Comparisons(np.array([0.5]), np.array([0]), np.array([])), (0.01,), WEIGHTS)
