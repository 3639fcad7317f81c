"""Open-set figures: thresholds keep what they promise, people are left out of their own gallery, ties count against."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognition.evaluation.figures import Choices, open_set, searches_of
from recognition.evaluation.identification import open_set_rows, rank_rates, sweep, threshold_at
from recognition.evaluation.resampling import draw_weights
from recognition.evaluation.searching import Mated, NonMated, Searches, Tracks, search
from tests.recognition_evaluation.builders import material

SCORES = st.lists(st.floats(-1, 1).map(lambda score: round(score, 2)), min_size=1, max_size=80)
FPIRS = (0.1, 0.01)
CHOICES = Choices(galleries=(5,), samples=(1, 3), fpirs=FPIRS)
STRATA = np.array([0] * 12 + [1] * 20)


def rows(*vectors: list[float]) -> np.ndarray:
    return np.array(vectors, dtype=np.float32)


def everybody(number: int) -> list[np.ndarray]:
    return [np.arange(number)]


def invented(mated: list[float], others: list[float]) -> Searches:
    own, best = np.array(mated), np.array(others)
    people, strangers = np.arange(len(own)), np.arange(len(own), len(own) + len(best))
    ranks = np.ones(len(own), dtype=np.int64)
    return Searches(
        len(own), 1, Mated(people, own, ranks, np.full(len(own), -1.0)), NonMated(strangers, best, best - 1)
    )


@settings(deadline=None)
@given(scores=SCORES, fpir=st.floats(0.0001, 0.5))
def test_a_threshold_lets_at_most_the_stated_share_through_and_is_the_lowest_that_does(
    scores: list[float], fpir: float
) -> None:
    values = np.array(scores)
    threshold = threshold_at(values, fpir)
    assert (values >= threshold).mean() <= fpir + 1e-12
    lower = values[values < threshold]
    if len(lower):
        assert (values >= lower.max()).mean() > fpir


def test_equal_scores_pass_together_or_not_at_all() -> None:
    assert threshold_at(np.array([0.5, 0.5, 0.5, 0.1]), 0.5) > 0.5
    assert threshold_at(np.array([0.5, 0.5, 0.2, 0.1]), 0.5) <= 0.5


def test_without_strangers_there_is_nothing_to_keep_out() -> None:
    assert threshold_at(np.array([]), 0.01) == -1.0


@settings(deadline=None)
@given(mated=SCORES, others=SCORES)
def test_fewer_are_found_as_the_threshold_rises(mated: list[float], others: list[float]) -> None:
    searches = invented(mated, others)
    points = sweep(searches, 20)
    assert [tpir for _, tpir, _ in points] == sorted((tpir for _, tpir, _ in points), reverse=True)
    assert [fpir for *_, fpir in points] == sorted((fpir for *_, fpir in points), reverse=True)


@settings(deadline=None)
@given(mated=SCORES, others=SCORES, seed=st.integers(0, 50))
def test_intervals_hold_their_point_and_found_errors_stay_under_the_stated_ones(
    mated: list[float], others: list[float], seed: int
) -> None:
    searches = invented(mated, others)
    strata = np.array([0] * len(mated) + [1] * len(others))
    weights = draw_weights(np.random.default_rng(seed), strata, 100)
    strict, loose = open_set_rows(searches, (0.01, 0.3), weights)
    for row in (strict, loose):
        assert 0.0 <= row.interval.low <= row.tpir <= row.interval.high <= 1.0
        assert row.fpir_found <= row.fpir + 1e-12
    assert strict.tpir <= loose.tpir
    assert strict.threshold >= loose.threshold


def test_resampled_thresholds_are_those_of_the_people_drawn() -> None:
    """A draw without the stranger who scores highest has a lower threshold and finds more."""
    searches = invented([0.5, 0.5], [0.9, 0.1])
    weights = np.array([[1, 1, 0, 2], [1, 1, 2, 0]], dtype=np.float32)
    (row,) = open_set_rows(searches, (0.01,), weights)
    assert row.tpir == 0.0
    assert row.interval.low == 0.0
    assert row.interval.high == pytest.approx(0.975)


def test_a_person_is_left_out_of_the_gallery_that_plays_against_them() -> None:
    centroids = rows([1, 0], [0, 1])
    own = Tracks(rows([1, 0]), np.array([0]))
    found = search(centroids, everybody(2), own, own, 1)
    assert found.mated.own[0] == 1.0
    assert found.mated.rank[0] == 1
    assert found.non_mated.best[0] == 0.0


def test_people_outside_of_a_gallery_are_strangers_to_it_and_not_looked_for() -> None:
    centroids = rows([1, 0], [0, 1], [0.6, 0.8])
    tracks = Tracks(rows([1, 0], [0, 1]), np.array([0, 1]))
    found = search(centroids, [np.array([1, 2])], tracks, tracks, 1)
    assert found.mated.person.tolist() == [1]
    assert found.non_mated.best.tolist() == pytest.approx([0.6, 0.8])


def test_a_tie_with_somebody_else_is_not_a_first_place() -> None:
    """The same photograph enrolled for two people finds neither."""
    centroids = rows([1, 0], [1, 0])
    tracks = Tracks(rows([1, 0]), np.array([0]))
    found = search(centroids, everybody(2), tracks, tracks, 1)
    assert found.mated.rank[0] == 2
    assert not found.mated.hits(0.5).any()
    assert found.mated.hits(0.5, rank=2).all()


def test_failures_are_misses_and_never_strangers() -> None:
    nothing = [float("nan"), float("nan")]
    centroids = rows([1, 0], nothing, [0, 1])
    tracks = Tracks(rows(nothing, [0, 1], [0, 1]), np.array([0, 1, 2]))
    found = search(centroids, everybody(3), tracks, tracks, 1)
    assert found.mated.hits(-1.0, rank=10).tolist() == [False, False, True]
    assert found.non_mated.person.tolist() == [1, 2]
    assert not found.mated.mistaken(-0.5, 0.0)[0]


def test_the_lead_counts_where_one_is_asked_for() -> None:
    centroids = rows([1, 0], [0.99, 0.141])
    tracks = Tracks(rows([1, 0]), np.array([0]))
    found = search(centroids, everybody(2), tracks, tracks, 1)
    assert found.mated.hits(0.9).all()
    assert not found.mated.hits(0.9, margin=0.1).any()


def test_rows_come_for_every_size_count_and_rate() -> None:
    weights = draw_weights(np.random.default_rng(1), STRATA, 50)
    found = open_set(material(), CHOICES, 3, weights)
    assert [(row.gallery, row.k, row.fpir) for row in found] == [
        (size, k, fpir) for size in (5, 12) for k in (1, 3) for fpir in FPIRS
    ]
    assert all(row.interval.low <= row.tpir <= row.interval.high for row in found)


def test_fused_pictures_find_more_than_single_ones() -> None:
    noisy = material(people=12, noise=1.1)
    single, fused = (searches_of(noisy, 12, samples, 3, CHOICES) for samples in (1, 3))
    assert (
        fused.mated.hits(threshold_at(fused.non_mated.best, 0.1)).mean()
        > single.mated.hits(threshold_at(single.non_mated.best, 0.1)).mean()
    )


def test_ranks_only_add_people() -> None:
    searches = searches_of(material(noise=1.2), 12, 1, 3, CHOICES)
    rates = [rate for _, rate in rank_rates(searches.mated, -1.0, (1, 2, 5, 12))]
    assert rates == sorted(rates)
    assert rates[-1] == 1.0


def test_an_error_rate_that_too_few_searches_can_show_is_marked() -> None:
    weights = draw_weights(np.random.default_rng(1), np.array([0] * 3 + [1] * 50), 20)
    strict, loose = open_set_rows(invented([0.9] * 3, [0.1] * 50), (0.001, 0.1), weights)
    assert (strict.resolved, loose.resolved) == (False, True)


def test_there_are_no_figures_without_searches() -> None:
    weights = draw_weights(np.random.default_rng(1), np.zeros(1, dtype=np.int64), 10)
    with pytest.raises(ValueError, match="needs mated and non-mated"):
        open_set_rows(invented([0.5], []), (0.01,), weights)
