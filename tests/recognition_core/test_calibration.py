"""Operating points follow from measured scores, and travel as JSON without losing or gaining anything."""

import json
from dataclasses import replace
from itertools import pairwise
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognition.core.calibration import (
    LATER_SPENDING,
    LONGEST_TRACK,
    TRACK_SPENDING,
    GenuineScores,
    OperatingPoint,
    OperatingPoints,
    ScoreStatistics,
    StrangerScores,
    nothing_matches,
    operating_points,
    point_once,
)

STATISTICS = ScoreStatistics(
    strangers=(
        StrangerScores(1, 50_000, 0.92, 0.01, 0.006, 0.0, 0.01),
        StrangerScores(3, 9_000, 0.94, 0.01, 0.006, -0.2, 0.01),
    ),
    same_person_floor=0.88,
    measured_on="made up",
)


def reached_by_strangers(statistics: ScoreStatistics, samples: int, threshold: float, size: int) -> float:
    """Return the probability that a look at a stranger reaches a threshold for one of `size` students."""
    row = statistics.strangers_for(samples)
    low, high = 1e-15, row.tail_share
    for _ in range(200):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if row.threshold(middle) > threshold else (low, middle)
    return 1 - (1 - high) ** size


def test_every_number_of_samples_up_to_the_longest_track_has_a_point() -> None:
    points = operating_points(STATISTICS, 100, 0.01)
    assert [samples for samples, _ in points.by_samples[:LONGEST_TRACK]] == list(range(1, LONGEST_TRACK + 1))
    thresholds = [points.for_samples(look).threshold for look in range(1, 3000)]
    assert thresholds == sorted(thresholds)
    assert points.for_samples(LONGEST_TRACK + 1).threshold > points.for_samples(LONGEST_TRACK).threshold
    with pytest.raises(ValueError, match="0 samples"):
        points.for_samples(0)


def test_a_count_that_was_not_measured_gets_the_statistics_of_the_next_larger_one() -> None:
    assert STATISTICS.strangers_for(2) is STATISTICS.strangers[1]
    assert STATISTICS.strangers_for(9) is STATISTICS.strangers[1]


def test_the_shares_of_a_track_sum_to_its_budget() -> None:
    assert sum(share for _, share in TRACK_SPENDING) + LATER_SPENDING == pytest.approx(1.0)
    assert all(share > 0 for _, share in TRACK_SPENDING)


@given(size=st.integers(1, 2000), fpir=st.floats(0.001, 0.1))
def test_all_looks_at_a_stranger_together_stay_within_the_stated_error(size: int, fpir: float) -> None:
    points = operating_points(STATISTICS, size, fpir)
    looks = [look for look, _ in points.by_samples]
    total = 0.0
    for (look, point), following in zip(points.by_samples, [*looks[1:], 2 * looks[-1]], strict=True):
        total += (following - look) * reached_by_strangers(STATISTICS, look, point.threshold, size)
    assert total <= fpir * 1.001


def test_a_decision_that_is_made_once_gets_the_whole_budget() -> None:
    rate = 1 - (1 - 0.01) ** (1 / 100)
    assert point_once(STATISTICS, 100, 0.01).threshold == pytest.approx(0.92 + 0.006 * log(0.01 / rate))
    assert point_once(STATISTICS, 100, 0.01).margin == 0.01
    with pytest.raises(ValueError, match="0 samples"):
        point_once(STATISTICS, 100, 0.01, samples=0)


@given(size=st.integers(0, 100_000), fpir=st.floats(1e-6, 0.5), samples=st.integers(1, 9))
def test_a_track_is_never_judged_more_leniently_than_a_single_look(size: int, fpir: float, samples: int) -> None:
    track = operating_points(STATISTICS, size, fpir).for_samples(samples)
    assert track.threshold >= point_once(STATISTICS, size, fpir, samples).threshold


@given(size=st.integers(0, 100_000), fpir=st.floats(1e-6, 0.5), crossed=st.booleans())
def test_more_samples_never_lower_the_threshold(size: int, fpir: float, crossed: bool) -> None:
    # `crossed`: few people with many samples happened to give a lower tail than many people with one.
    low = replace(STATISTICS.strangers[1], tail_start=0.9)
    statistics = replace(STATISTICS, strangers=(STATISTICS.strangers[0], low)) if crossed else STATISTICS
    thresholds = [point.threshold for _, point in operating_points(statistics, size, fpir).by_samples]
    assert all(before <= after for before, after in pairwise(thresholds))


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


@given(scores=st.tuples(st.floats(-1, 1), st.floats(-1, 1)), samples=st.integers(1, 8), exponential=st.booleans())
def test_a_higher_score_never_speaks_less_for_the_person(
    scores: tuple[float, float], samples: int, exponential: bool
) -> None:
    shaped = tuple(replace(row, tail_shape=0.0 if exponential else -0.2) for row in STATISTICS.strangers)
    statistics = replace(STATISTICS, strangers=shaped, genuine=(GenuineScores(1, 300, 0.96, 0.013),))
    low, high = (statistics.log_likelihood_ratio(score, samples) for score in sorted(scores))
    assert low is not None
    assert high is not None
    assert -log(300) <= low <= high <= log(300)


def test_the_likelihood_is_the_ratio_of_the_two_densities() -> None:
    statistics = replace(STATISTICS, genuine=(GenuineScores(1, 300, 0.96, 0.02),))
    genuine = 1 / (0.02 * (2 * 3.141592653589793) ** 0.5) * 2.718281828459045 ** -(1.5**2 / 2)
    strangers = 0.01 / 0.006 * 2.718281828459045 ** -((0.93 - 0.92) / 0.006)
    assert statistics.log_likelihood_ratio(0.93, 1) == pytest.approx(log(genuine / strangers))


def test_without_own_scores_nothing_is_said_about_likelihood() -> None:
    assert STATISTICS.log_likelihood_ratio(0.95, 1) is None
    later = replace(STATISTICS, genuine=(GenuineScores(3, 300, 0.96, 0.02),))
    assert later.log_likelihood_ratio(0.95, 2) is None
    with pytest.raises(ValueError, match="no likelihood"):
        later.log_likelihood_ratio(float("nan"), 3)


@pytest.mark.parametrize(
    "numbers", [(0, 2, 0.9, 0.1), (1, 0, 0.9, 0.1), (1, 2, 1.9, 0.1), (1, 2, 0.9, 0.0), (1, 2, float("nan"), 0.1)]
)
def test_own_scores_that_no_cosines_can_have_are_refused(numbers: tuple[int, int, float, float]) -> None:
    with pytest.raises(ValueError, match="genuine scores"):
        GenuineScores(*numbers)


def test_statistics_without_strangers_are_refused() -> None:
    with pytest.raises(ValueError, match="no strangers"):
        ScoreStatistics((), 0.88, "nobody")


def test_a_pack_of_which_nothing_was_measured_lets_nobody_be_marked() -> None:
    points = nothing_matches(0, 0.01)
    assert points.for_samples(5) == OperatingPoint(1.0, 2.0)
    assert OperatingPoints.from_dict(points.to_dict()) == points


@given(size=st.integers(1, 5000), fpir=st.floats(1e-4, 0.1))
def test_points_can_be_held_at_least_as_strict_as_others(size: int, fpir: float) -> None:
    lenient = replace(STATISTICS, strangers=(StrangerScores(1, 50_000, 0.90, 0.01, 0.006, 0.0, 0.02),))
    floor = operating_points(STATISTICS, size, fpir)
    own = operating_points(lenient, size, fpir)
    held = own.not_below(floor)
    for samples, point in held.by_samples:
        # A tail without an end asks for more than the floor's in the end, after hundreds of looks.
        assert point.threshold == max(floor.for_samples(samples).threshold, own.for_samples(samples).threshold)
        assert samples > LONGEST_TRACK or point.threshold == floor.for_samples(samples).threshold
        assert point.margin == 0.02
    assert floor.not_below(operating_points(lenient, size, fpir)).for_samples(1).margin == 0.02
