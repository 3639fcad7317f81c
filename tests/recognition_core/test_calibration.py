"""Operating points follow from measured scores, and travel as JSON without losing or gaining anything."""

import json
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognition.core.calibration import (
    OperatingPoint,
    OperatingPoints,
    ScoreStatistics,
    StrangerScores,
    operating_points,
)

STATISTICS = ScoreStatistics(
    strangers=(
        StrangerScores(1, 50_000, 0.92, 0.01, 0.006, 0.0, 0.01),
        StrangerScores(3, 9_000, 0.94, 0.01, 0.006, -0.2, 0.01),
    ),
    same_person_floor=0.88,
    measured_on="made up",
)


def test_the_table_uses_the_largest_count_that_was_measured() -> None:
    points = operating_points(STATISTICS, 100, 0.01)
    assert points.for_samples(2) == points.for_samples(1)
    assert points.for_samples(3) == points.for_samples(99)
    assert points.for_samples(3) != points.for_samples(1)
    with pytest.raises(ValueError, match="0 samples"):
        points.for_samples(0)


def test_the_threshold_is_the_tail_at_the_rate_of_one_comparison() -> None:
    rate = 1 - (1 - 0.01) ** (1 / 100)
    threshold = operating_points(STATISTICS, 100, 0.01).for_samples(1).threshold
    assert threshold == pytest.approx(0.92 + 0.006 * log(0.01 / rate))


@given(
    sizes=st.tuples(st.integers(0, 100_000), st.integers(0, 100_000)),
    rates=st.tuples(st.floats(1e-6, 0.5), st.floats(1e-6, 0.5)),
    samples=st.integers(1, 10),
)
def test_more_people_or_fewer_errors_never_lower_the_threshold(
    sizes: tuple[int, int], rates: tuple[float, float], samples: int
) -> None:
    easy = operating_points(STATISTICS, min(sizes), max(rates)).for_samples(samples).threshold
    hard = operating_points(STATISTICS, max(sizes), min(rates)).for_samples(samples).threshold
    assert easy <= hard < 1.0


@given(size=st.integers(0, 10_000), fpir=st.floats(1e-6, 0.999))
def test_points_survive_json(size: int, fpir: float) -> None:
    points = operating_points(STATISTICS, size, fpir)
    assert OperatingPoints.from_dict(json.loads(json.dumps(points.to_dict()))) == points


GOOD = {"gallery_size": 5, "fpir": 0.01, "by_samples": [{"samples": 1, "threshold": 0.9, "margin": 0.1}]}


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        {},
        {**GOOD, "gallery_size": True},
        {**GOOD, "gallery_size": 5.0},
        {**GOOD, "gallery_size": 0},
        {**GOOD, "fpir": 0},
        {**GOOD, "fpir": "0.01"},
        {**GOOD, "fpir": float("nan")},
        {**GOOD, "by_samples": []},
        {**GOOD, "by_samples": {"1": 0.9}},
        {**GOOD, "by_samples": [{"samples": 2, "threshold": 0.9, "margin": 0.1}]},
        {**GOOD, "by_samples": [{"samples": 1, "threshold": 1.9, "margin": 0.1}]},
        {**GOOD, "by_samples": [{"samples": 1, "threshold": 0.9, "margin": -0.1}]},
        {**GOOD, "by_samples": [{"samples": 1, "threshold": 0.9}]},
        {**GOOD, "by_samples": GOOD["by_samples"] * 2},  # type: ignore[operator]
        {**GOOD, "by_samples": GOOD["by_samples"] * 101},  # type: ignore[operator]
    ],
)
def test_anything_else_is_refused(content: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        OperatingPoints.from_dict(content)


def test_what_a_newer_hub_adds_is_ignored() -> None:
    assert OperatingPoints.from_dict({**GOOD, "more": 1}) == OperatingPoints.from_dict(GOOD)


def test_the_good_example_is_accepted() -> None:
    points = OperatingPoints.from_dict(GOOD)
    assert points.for_samples(4) == OperatingPoint(0.9, 0.1)


@pytest.mark.parametrize(
    "numbers",
    [
        (0, 1, 0.9, 0.01, 0.01, 0.0, 0.0),
        (1, 0, 0.9, 0.01, 0.01, 0.0, 0.0),
        (1, 1, 1.9, 0.01, 0.01, 0.0, 0.0),
        (1, 1, 0.9, 0.0, 0.01, 0.0, 0.0),
        (1, 1, 0.9, 0.01, 0.0, 0.0, 0.0),
        (1, 1, 0.9, 0.01, 0.01, 0.5, 0.0),
        (1, 1, 0.9, 0.01, 0.01, 0.0, -1.0),
        (1, 1, float("nan"), 0.01, 0.01, 0.0, 0.0),
    ],
)
def test_statistics_without_a_tail_are_refused(numbers: tuple[int, int, float, float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="score statistics"):
        StrangerScores(*numbers)


def test_an_impossible_error_rate_is_refused() -> None:
    for size, fpir in ((-1, 0.01), (10, 0.0), (10, 1.0)):
        with pytest.raises(ValueError, match="not possible"):
            operating_points(STATISTICS, size, fpir)
