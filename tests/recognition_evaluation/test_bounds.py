"""Exact bounds: they hold what was counted, shrink with more trials, and say something where nothing was seen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognition.evaluation.bounds import exact_interval, upper_bound
from recognition.evaluation.resampling import draw_weights, percentile_interval, share_interval


def test_intervals_are_those_of_published_tables() -> None:
    """Clopper and Pearson's own example and the usual tables: 10 of 100 lies between 4.90 % and 17.62 %."""
    found = exact_interval(10, 100)
    assert (round(found.low, 4), round(found.high, 4)) == (0.0490, 0.1762)


@pytest.mark.parametrize("trials", [100, 300, 1000])
def test_nothing_observed_is_bounded_by_the_rule_of_three(trials: int) -> None:
    assert upper_bound(0, trials) == pytest.approx(3 / trials, rel=0.02)


@settings(deadline=None)
@given(trials=st.integers(1, 400), share=st.floats(0, 1))
def test_an_interval_holds_the_share_and_stays_between_0_and_1(trials: int, share: float) -> None:
    found = round(share * trials)
    interval = exact_interval(found, trials)
    assert 0.0 <= interval.low <= found / trials <= interval.high <= 1.0


@settings(deadline=None)
@given(found=st.integers(0, 20))
def test_more_trials_give_a_narrower_interval(found: int) -> None:
    few, many = exact_interval(found, 40), exact_interval(found * 10, 400)
    assert many.high - many.low < few.high - few.low


def test_without_trials_everything_is_possible() -> None:
    assert (exact_interval(0, 0).low, exact_interval(0, 0).high, upper_bound(0, 0)) == (0.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="not possible"):
        exact_interval(3, 2)


def test_drawing_again_keeps_the_number_of_each_kind_of_people() -> None:
    strata = np.array([0] * 5 + [1] * 8)
    weights = draw_weights(np.random.default_rng(1), strata, 50)
    assert (weights[:, :5].sum(axis=1) == 5).all()
    assert (weights[:, 5:].sum(axis=1) == 8).all()


def test_the_same_seed_draws_the_same_people() -> None:
    strata = np.zeros(9, dtype=np.int64)
    first, second = (draw_weights(np.random.default_rng(4), strata, 20) for _ in range(2))
    assert (first == second).all()


@settings(deadline=None)
@given(outcomes=st.lists(st.booleans(), min_size=1, max_size=60), seed=st.integers(0, 100))
def test_a_resampled_interval_holds_its_point(outcomes: list[bool], seed: int) -> None:
    hits = np.array(outcomes)
    person = np.arange(len(hits)) // 3
    weights = draw_weights(np.random.default_rng(seed), np.zeros(person.max() + 1, dtype=np.int64), 200)
    interval = share_interval(hits, person, weights)
    assert 0.0 <= interval.low <= hits.mean() <= interval.high <= 1.0


def test_pictures_of_one_person_do_not_count_as_independent() -> None:
    """Ten people with ten equal outcomes each are ten observations, not a hundred."""
    hits = np.repeat(np.arange(10) % 2 == 0, 10)
    together = np.repeat(np.arange(10), 10)
    weights = draw_weights(np.random.default_rng(1), np.zeros(10, dtype=np.int64))
    alone = draw_weights(np.random.default_rng(1), np.zeros(100, dtype=np.int64))
    wide, narrow = share_interval(hits, together, weights), share_interval(hits, np.arange(100), alone)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_a_share_that_was_always_the_same_still_has_a_bound() -> None:
    person = np.arange(100)
    weights = draw_weights(np.random.default_rng(1), np.zeros(100, dtype=np.int64), 100)
    all_found = share_interval(np.ones(100, dtype=np.bool_), person, weights)
    assert all_found.high == 1.0
    assert 0.95 < all_found.low < 0.97


def test_draws_without_anybody_are_left_out() -> None:
    assert percentile_interval(np.array([np.nan, 0.5, np.nan]), 0.5).low == 0.5
    assert percentile_interval(np.array([np.nan]), 0.5).high == 1.0
