"""The fit finds the tail that made the scores, and the points that follow from it hold on other people."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recognition.core.calibration import ScoreStatistics, StrangerScores, point_once
from recognition.core.calibration_fit import (
    LEAST_COMPARISONS,
    SHORTEST_TAIL,
    extrapolate_stranger_scores,
    fit_genuine_scores,
    fit_stranger_scores,
)


def with_tail(count: int, shape: float) -> NDArray[np.float64]:
    """Return scores of which the top hundredth is a generalised Pareto tail above 0.9, by inverting it exactly."""
    ranks = (np.arange(count // 100) + 0.5) / (count // 100)
    excess = -np.log(ranks) if shape == 0 else (ranks**-shape - 1) / shape
    return np.concatenate([np.linspace(0.2, 0.9, count - len(ranks)), 0.9 + 0.006 * excess])


@pytest.mark.parametrize("count", [100_000, 800_000])
@pytest.mark.parametrize("shape", [0.0, -0.1, -0.25])
def test_the_tail_that_made_the_scores_is_found(shape: float, count: int) -> None:
    found = fit_stranger_scores(1, with_tail(count, shape), 0.01)
    true = StrangerScores(1, count, 0.9, 0.01, 0.006, shape, 0.01)
    assert (found.comparisons, found.margin) == (count, 0.01)
    assert found.tail_share * count == pytest.approx(1000, rel=0.01)
    assert found.tail_shape == pytest.approx(shape, abs=0.03)
    for rate in (1e-3, 1e-4, 1e-5):
        assert found.threshold(rate) == pytest.approx(true.threshold(rate), abs=0.001)


def test_a_tail_that_ends_at_once_is_not_believed() -> None:
    abrupt = np.concatenate([np.full(9_900, 0.5), np.full(100, 0.6)])
    assert fit_stranger_scores(1, abrupt, 0.01).tail_shape == SHORTEST_TAIL


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(LEAST_COMPARISONS, 20_000))
@settings(max_examples=25)
def test_the_order_of_scores_is_of_no_importance(seed: int, count: int) -> None:
    scores = np.random.default_rng(seed).normal(0.8, 0.05, count).clip(-1, 1)
    assert fit_stranger_scores(2, scores, 0.01) == fit_stranger_scores(2, scores[::-1], 0.01)


@pytest.mark.parametrize(
    ("scores", "why"),
    [
        (np.linspace(0, 0.9, LEAST_COMPARISONS - 1), "too few"),
        (np.full(5_000, 0.5), "stand out"),
        (np.append(np.linspace(0, 0.9, 5_000), np.nan), "not finite"),
        (np.zeros(0), "too few"),
    ],
)
def test_scores_without_a_tail_are_refused(scores: NDArray[np.float64], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        fit_stranger_scores(1, scores, 0.01)


def test_points_set_on_half_of_the_strangers_hold_on_the_other_half() -> None:
    """Made-up people in 128 dimensions with a common direction, as faces have; 20 random halves, pooled."""
    # Few effective dimensions make some strangers far more alike than others, as among faces.
    shrinking = 0.9 ** np.arange(128)
    people = np.random.default_rng(17).normal(size=(450, 128)) * shrinking
    people[:, 0] += 6.0
    people /= np.linalg.norm(people, axis=1, keepdims=True)
    scores = people[100:] @ people[:100].T
    crossed = tried = 0
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(len(scores))
        half, other = scores[order[:175]], scores[order[175:]]
        fitted = ScoreStatistics((fit_stranger_scores(1, half, 0.0),), 0.8, "half")
        threshold = point_once(fitted, 100, 0.01).threshold
        crossed += int((other.max(axis=1) >= threshold).sum())
        tried += len(other)
    assert 0.003 <= crossed / tried <= 0.03


def test_more_fused_samples_than_measured_score_higher() -> None:
    row = StrangerScores(3, 9_000, 0.93, 0.01, 0.006, -0.1, 0.01)
    five = extrapolate_stranger_scores(row, 5, 0.95)
    assert five.samples == 5
    # The mean of three keeps (0.95 + 0.05 / 3) of its length squared, that of five (0.95 + 0.01).
    assert five.tail_start == pytest.approx(0.93 * (0.966667 / 0.96) ** 0.5, abs=1e-5)
    assert five.tail_scale > row.tail_scale
    assert extrapolate_stranger_scores(row, 3, 0.95) == row
    for samples, alike in ((2, 0.95), (5, 0.0), (5, 1.1)):
        with pytest.raises(ValueError, match="say nothing"):
            extrapolate_stranger_scores(row, samples, alike)


def test_own_scores_are_described_by_mean_and_deviation() -> None:
    found = fit_genuine_scores(2, np.array([0.9, 0.95, 1.0]))
    assert (found.samples, found.comparisons, found.mean, found.deviation) == (2, 3, 0.95, 0.05)
    assert fit_genuine_scores(1, np.array([0.9, 0.9])).deviation > 0
    for scores in (np.array([0.9]), np.array([0.9, np.inf])):
        with pytest.raises(ValueError, match="two finite"):
            fit_genuine_scores(1, scores)


def test_a_tail_is_not_believed_to_end_sooner_than_the_caller_allows() -> None:
    scores = np.concatenate([np.full(9000, 0.5), np.linspace(0.9, 0.95, 1000)])
    free = fit_stranger_scores(1, scores, 0.01)
    held = fit_stranger_scores(1, scores, 0.01, shortest_tail=-0.1)
    assert free.tail_shape < -0.1 == held.tail_shape
    assert held.threshold(1e-6) > free.threshold(1e-6)
