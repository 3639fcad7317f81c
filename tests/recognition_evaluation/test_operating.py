"""Stated errors beside found ones: tracks decided with every look, groups, and halves that test the other half."""

import numpy as np
import pytest

from recognition.core.calibration import OperatingPoint, OperatingPoints
from recognition.evaluation.calibration_check import SPLITS, calibration_row
from recognition.evaluation.figures import Choices, calibration, looks_of
from recognition.evaluation.operating import Looks, group_rows, operating_row
from recognition.evaluation.original import original_rows
from recognition.evaluation.resampling import draw_weights
from recognition.evaluation.searching import Mated, NonMated, Searches
from tests.recognition_evaluation.builders import material


def points(*thresholds: float, margin: float = 0.0) -> OperatingPoints:
    pairs = tuple((count, OperatingPoint(at, margin)) for count, at in enumerate(thresholds, start=1))
    return OperatingPoints(10, 0.01, pairs)


def look(samples: int, own: list[float], strangers: list[float], runner_up: float = -1.0) -> Searches:
    people, others = np.arange(len(own)), np.arange(len(own), len(own) + len(strangers))
    nobody = np.full(len(own), -1.0)
    return Searches(
        10,
        samples,
        Mated(people, np.array(own), np.ones(len(own), dtype=np.int64), nobody),
        NonMated(others, np.array(strangers), np.full(len(strangers), runner_up)),
    )


WEIGHTS = draw_weights(np.random.default_rng(1), np.zeros(8, dtype=np.int64), 50)


def test_a_stranger_counts_as_soon_as_one_look_passes_and_a_student_when_the_last_does() -> None:
    looks = Looks((look(1, [0.9, 0.2], [0.9, 0.1]), look(2, [0.2, 0.9], [0.1, 0.1])))
    row = operating_row(looks, points(0.8, 0.8), WEIGHTS)
    assert (row.fpir_found, row.tpir, row.looks) == (0.5, 0.5, 2)


def test_a_lead_that_is_too_small_leads_to_review() -> None:
    close = look(1, [0.9], [0.9], runner_up=0.89)
    close.mated.best_other[:] = 0.89
    row = operating_row(Looks((close,)), points(0.8, margin=0.05), WEIGHTS)
    assert (row.tpir, row.review, row.fpir_found, row.accepted_found) == (0.0, 1.0, 0.0, 1.0)


def test_looks_of_different_tracks_are_refused() -> None:
    with pytest.raises(ValueError, match="different tracks"):
        Looks((look(1, [0.9], [0.1]), look(2, [0.9, 0.9], [0.1])))


def test_tracks_of_everybody_are_found_again_and_strangers_take_part_once() -> None:
    one, three = looks_of(material(), 1, 3), looks_of(material(), 3, 3)
    assert one is not None
    assert three is not None
    assert len(one.by_samples[0].non_mated.person) == 12 * 6 + 20
    assert len(three.by_samples[2].non_mated.person) == 12 * 6
    assert looks_of(material(), 7, 3) is None


def test_a_group_fails_only_when_the_lower_end_lies_above_the_target() -> None:
    """Half of the strangers of one group pass, none of the other; both groups have enough people to be sure."""
    searches = look(1, [0.9] * 4, [0.9, 0.1] * 20 + [0.1] * 40)
    groups = ["x", "x", "y", "y", *["x"] * 40, *["y"] * 40]
    weights = draw_weights(np.random.default_rng(1), np.array([0] * 4 + [1] * 80), 200)
    bad, good = group_rows(Looks((searches,)), points(0.8), groups, weights)
    assert (bad.group, bad.fails, bad.people, bad.fpir_found) == ("x", True, 42, 0.5)
    assert (good.group, good.fails, good.tpir) == ("y", False, 1.0)
    assert good.fpir_interval.high > 0.05


def test_one_person_is_not_a_group() -> None:
    searches = look(1, [0.9], [0.9] * 6)
    searches.non_mated.person[:] = 1
    weights = draw_weights(np.random.default_rng(1), np.array([0, 1]), 50)
    (row,) = group_rows(Looks((searches,)), points(0.8), ["x", "x"], weights)
    assert row.fpir_found == 1.0
    assert not row.fails


def test_errors_set_on_one_half_hold_on_the_other() -> None:
    """Scores of one distribution: what is set on half of 400 people is found on the other half."""
    generator = np.random.default_rng(3)
    scores = 0.2 + 0.05 * generator.gumbel(size=(400, 50))
    row = calibration_row(scores, np.arange(400), 1, 0.05, 0.0, np.random.default_rng(1))
    assert row is not None
    assert (row.searches, row.people) == (SPLITS * 200, 400)
    assert 0.02 <= row.once <= 0.1
    assert row.once_with_margin <= row.once
    assert row.as_one_look_of_a_track <= row.once


def test_people_of_one_half_never_test_themselves() -> None:
    """Each of 40 people has 100 equal pictures. If pictures were divided instead of people, nothing would pass."""
    generator = np.random.default_rng(3)
    scores = np.repeat(generator.uniform(0, 0.9, size=(40, 50)), 100, axis=0)
    row = calibration_row(scores, np.repeat(np.arange(40), 100), 1, 0.01, 0.0, np.random.default_rng(1))
    assert row is not None
    assert row.searches == SPLITS * 20 * 100


def test_too_few_people_set_nothing() -> None:
    assert (
        calibration_row(np.zeros((1, 5)), np.zeros(1, dtype=np.int64), 1, 0.01, 0.0, np.random.default_rng(1)) is None
    )
    assert calibration(material(4, 6), Choices(samples=(1,)), 0.0) == []


def test_calibration_is_the_same_for_the_same_seed() -> None:
    many = material(people=30, strangers=120, seed=2)
    choices = Choices(samples=(1, 3), seed=7)
    first = calibration(many, choices, 0.0)
    assert first == calibration(many, choices, 0.0)
    assert [row.k for row in first] == [1, 3]


def test_the_original_systems_distances_are_applied_to_the_closest_picture() -> None:
    close = original_rows(material(noise=0.0))
    assert [row.distance for row in close] == [3.0, 15.0]
    assert all(row.tpir == 1.0 for row in close)
    # Unit vectors are never 3 apart: with the original's constants every stranger passes. Why they are not used here.
    assert all(row.fpir == 1.0 for row in close)
