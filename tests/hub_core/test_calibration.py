"""Whose scores set the points: the pack's until the school's own say enough, and never more lenient by accident."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core import calibration_scores
from hub.core.calibration import (
    AGAIN_AFTER,
    Calibration,
    Certainty,
    Change,
    Method,
    at_least,
    at_most,
    certainty_of,
    choose,
    describe,
    head_points,
    is_due,
    matches_nothing,
    points_for,
)
from hub.core.calibration_scores import LEAST_STUDENTS, MOST_PAIRS, OwnScores, Taken, look_alikes, measure
from recognition.core.calibration import (
    OperatingPoints,
    ScoreStatistics,
    StrangerScores,
    nothing_matches,
    operating_points,
)
from recognition.core.gallery import Template
from tests.hub_core.builders import PACK, START, an_id

LENIENT = ScoreStatistics((StrangerScores(1, 50_000, 0.85, 0.01, 0.004, -0.1, 0.01),), 0.8, "made up")
STRICT = ScoreStatistics((StrangerScores(1, 50_000, 0.95, 0.01, 0.004, -0.1, 0.02),), 0.8, "made up")
SHRINKING = 0.9 ** np.arange(64)


def a_school(count: int, pictures: int = 3, seed: int = 1, noise: float = 0.3) -> list[Template]:
    """People with a direction in common, as faces have, and pictures that differ."""
    drawn = np.random.default_rng(seed)
    people = drawn.normal(size=(count, 1, 64)) * SHRINKING
    people[:, :, 0] += 5.0
    rows = people + drawn.normal(size=(count, pictures, 64)) * SHRINKING * noise
    rows /= np.linalg.norm(rows, axis=2, keepdims=True)
    return [Template(an_id(number), PACK, row.astype(np.float32)) for number, row in enumerate(rows)]


def a_calibration(method: Method, statistics: ScoreStatistics | None, **changed: object) -> Calibration:
    plain = Calibration(
        calibration_id=an_id(1),
        pack_id=PACK,
        at=START,
        fpir=0.01,
        method=method,
        students=300,
        comparisons=1000,
        statistics=statistics,
        certainty=Certainty(more_students=0, seen=100.0),
        software="1",
        actor="somebody",
    )
    return replace(plain, **changed)  # type: ignore[arg-type]


def thresholds(points: OperatingPoints) -> list[float]:
    return [point.threshold for _, point in points.by_samples]


def scores_of(taken_own: int, students: int, taken_pack: int | None = 0) -> OwnScores:
    return OwnScores(students, students, STRICT, Taken(students, taken_own, taken_pack))


def test_confidence_bounds_are_the_exact_ones_of_poisson() -> None:
    # From tables: 95 % one-sided upper limits for 0, 1, 2, 3 and 10 events, lower ones for 1 and 10.
    for count, limit in ((0, 2.996), (1, 4.744), (2, 6.296), (3, 7.754), (10, 16.962)):
        assert at_most(count) == pytest.approx(limit, abs=0.001)
    for count, limit in ((0, 0.0), (1, 0.0513), (10, 5.425)):
        assert at_least(count) == pytest.approx(limit, abs=0.001)
    assert at_most(2000) == pytest.approx(2075, abs=2)


@pytest.mark.parametrize(
    ("own", "students", "resolved"), [(0, 90, False), (0, 110, True), (1, 110, False), (3, 260, True), (9, 300, False)]
)
def test_own_scores_resolve_the_target_when_at_most_three_times_the_error_is_certain(
    own: int, students: int, resolved: bool
) -> None:
    certainty = certainty_of(scores_of(own, students), 0.01)
    assert certainty.resolved is resolved
    assert (certainty.more_students == 0) is resolved


def test_a_school_is_told_how_many_more_students_it_takes() -> None:
    assert certainty_of(OwnScores(500, 30), 0.01).more_students == LEAST_STUDENTS - 30
    more = certainty_of(scores_of(2, 150), 0.01).more_students
    assert certainty_of(scores_of(round((150 + more) * 2 / 150), 150 + more), 0.01).resolved
    # It would never do: too many are taken for others, however many students are asked.
    assert certainty_of(scores_of(20, 150), 0.01).more_students == 150


def test_until_then_the_pack_sets_the_points_and_without_one_nobody_does() -> None:
    assert choose(scores_of(9, 300), LENIENT, 0.01)[0] == "pack"
    assert choose(scores_of(9, 300, None), None, 0.01)[0] == "none"
    assert choose(OwnScores(20, 20), LENIENT, 0.01)[0] == "pack"
    assert choose(scores_of(3, 300), LENIENT, 0.01)[0] == "own"


def test_a_pack_that_takes_too_many_here_for_others_is_not_left_alone() -> None:
    """Children are more alike to these networks than the adults of whom packs are measured."""
    assert choose(scores_of(9, 300, taken_pack=8), LENIENT, 0.01)[0] == "both"
    assert choose(scores_of(9, 300, taken_pack=3), LENIENT, 0.01)[0] == "pack"
    for one, other in ((LENIENT, STRICT), (STRICT, LENIENT)):
        points = points_for(a_calibration("both", one), other, 300, 0.01)
        assert thresholds(points) == thresholds(operating_points(STRICT, 300, 0.01))


def test_own_points_beyond_what_was_seen_keep_to_a_floor_of_the_pack() -> None:
    seen = a_calibration("own", LENIENT)
    thin = replace(seen, certainty=Certainty(more_students=0, seen=2.0))
    assert points_for(seen, STRICT, 300, 0.01) == operating_points(LENIENT, 300, 0.01)
    assert thresholds(points_for(thin, STRICT, 300, 0.01)) == thresholds(operating_points(STRICT, 300, 0.03))
    assert points_for(thin, None, 300, 0.01) == operating_points(LENIENT, 300, 0.01)


@given(size=st.integers(0, 5000), fpir=st.floats(0.0005, 0.1), seen=st.floats(0, 100))
def test_points_never_fall_below_the_floor_while_own_data_is_thin(size: int, fpir: float, seen: float) -> None:
    made = a_calibration("own", LENIENT, fpir=fpir, certainty=Certainty(more_students=0, seen=seen))
    points = points_for(made, STRICT, size, fpir)
    if made.certainty.thin:
        floor = thresholds(operating_points(STRICT, size, min(3 * fpir, 0.5)))
        assert all(one >= least for one, least in zip(thresholds(points), floor, strict=True))
    assert all(0 < one <= 1 for one in thresholds(points))


def test_a_calibration_for_another_error_does_not_count() -> None:
    own = a_calibration("own", LENIENT)
    assert points_for(own, STRICT, 300, 0.001) == operating_points(STRICT, 300, 0.001)
    assert points_for(own, None, 300, 0.001) == nothing_matches(300, 0.001)


def test_without_any_statistics_nothing_matches_and_people_are_told() -> None:
    nothing = a_calibration("none", None)
    points = head_points(nothing, None, (20,), 0.01)
    assert matches_nothing(points)
    assert OperatingPoints.from_dict(points) == nothing_matches(20, 0.01)
    assert any("Nobody can be marked" in sentence for sentence in describe(nothing, None))
    assert not matches_nothing(head_points(None, STRICT, (20,), 0.01))


def test_a_head_has_points_for_the_room_and_for_everybody() -> None:
    alone, both = head_points(None, STRICT, (20,), 0.01), head_points(None, STRICT, (20, 900), 0.01)
    assert "wider" not in alone
    assert OperatingPoints.from_dict(both) == operating_points(STRICT, 20, 0.01)
    assert OperatingPoints.from_dict(both["wider"]) == operating_points(STRICT, 900, 0.01)


@pytest.mark.parametrize(
    ("method", "word"), [("own", "own scores."), ("both", "stricter"), ("pack", "made up"), ("none", "Nobody")]
)
def test_people_are_told_where_points_come_from(method: Method, word: str) -> None:
    waiting = Certainty(more_students=12)
    said = describe(a_calibration(method, STRICT, certainty=waiting), STRICT)
    assert word in said[0]
    assert "12 more students" in said[1]
    assert len(describe(a_calibration(method, STRICT), STRICT)) == 1
    assert describe(None, STRICT) == ["Operating points come from the scores in the model pack: made up."]


def test_a_calibration_is_due_when_a_tenth_changed_or_a_week_after_any_change() -> None:
    made = a_calibration("pack", STRICT, students=100)
    soon, late = START + timedelta(hours=1), START + AGAIN_AFTER
    assert not is_due(made, 0.01, Change(100, 9), soon)
    assert is_due(made, 0.01, Change(110, 10), soon)
    assert is_due(made, 0.01, Change(101, 1), late)
    assert not is_due(made, 0.01, Change(100, 0), late + timedelta(days=400))
    assert is_due(made, 0.02, Change(100, 0), soon)
    assert is_due(None, 0.01, Change(1, 1), soon)
    assert not is_due(None, 0.01, Change(0, 0), soon)


def test_too_few_students_with_several_pictures_are_not_measured() -> None:
    assert measure(a_school(LEAST_STUDENTS - 1), (), STRICT, 0.01).statistics is None
    found = measure(a_school(LEAST_STUDENTS + 20, pictures=1), (), STRICT, 0.01)
    assert (found.students, found.several, found.statistics, found.comparisons) == (120, 0, None, 0)


@pytest.mark.slow
def test_a_school_is_measured_by_its_own_students() -> None:
    school = a_school(160)
    found = measure(school, (), STRICT, 0.01)
    assert found.statistics is not None
    assert [row.samples for row in found.statistics.strangers] == [1, 2, 3, 4, 5]
    assert found.comparisons == 160 * 3 * 159
    assert [row.samples for row in found.statistics.genuine] == [1, 2]
    assert found.statistics.strangers[0].margin == STRICT.strangers[0].margin
    assert found.statistics.same_person_floor == STRICT.same_person_floor
    assert found.taken is not None
    assert found.taken.students == 160
    assert measure(list(reversed(school)), (), STRICT, 0.01) == found


@pytest.mark.slow
def test_points_from_own_scores_hold_on_other_students_of_the_same_school() -> None:
    taken = tried = 0
    for seed in range(4):
        found = measure(a_school(200, seed=seed), (), None, 0.01).taken
        assert found is not None
        assert found.pack is None
        taken += found.own
        tried += found.students
    assert 0.003 * tried <= taken <= 0.03 * tried


@pytest.mark.slow
def test_own_pictures_are_never_compared_as_strangers_nor_pairs_that_people_told_apart() -> None:
    school = a_school(130)
    # Twins: the same pictures under another name stretch the tail, unless somebody said that they are two people.
    twins = [*school, *(Template(an_id(900 + number), PACK, school[number].members) for number in range(8))]
    pairs = {tuple(sorted((school[number].student_id, an_id(900 + number)))) for number in range(8)}
    plain = measure(school, (), STRICT, 0.01).statistics
    with_twins = measure(twins, (), STRICT, 0.01).statistics
    told = measure(twins, {(one, other) for one, other in pairs}, STRICT, 0.01).statistics
    assert plain is not None
    assert with_twins is not None
    assert told is not None
    rate = 1e-5
    assert with_twins.strangers[0].threshold(rate) > told.strangers[0].threshold(rate)
    assert told.strangers[0].threshold(rate) == pytest.approx(plain.strangers[0].threshold(rate), abs=0.005)


def test_a_school_in_which_everybody_has_the_same_picture_is_not_measured() -> None:
    picture = a_school(1)[0].members
    school = [Template(an_id(number), PACK, picture) for number in range(LEAST_STUDENTS + 5)]
    found = measure(school, (), STRICT, 0.01)
    assert (found.statistics, found.several) == (None, LEAST_STUDENTS + 5)
    assert len(look_alikes(school, STRICT, 0.01)) == MOST_PAIRS


def test_who_is_closer_than_the_points_allow_is_named_with_the_score() -> None:
    school = a_school(40, noise=0.1)
    twin = Template(an_id(999), PACK, school[7].members[:1])
    found = look_alikes([*school, twin], STRICT, 0.01)
    pair = tuple(sorted((school[7].student_id, twin.student_id)))
    assert pair in found
    assert found[pair] == pytest.approx(float(school[7].fused @ twin.fused), abs=1e-4)
    assert all(one < other for one, other in found)
    assert look_alikes([*school, twin][::-1], STRICT, 0.01) == found
    assert look_alikes([], STRICT, 0.01) == {}
    assert look_alikes(school[:1], STRICT, 0.01) == {}


def test_a_big_school_is_measured_by_a_sample_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration_scores, "MOST_STUDENTS", 120)
    found = measure(a_school(150), (), STRICT, 0.01)
    assert (found.students, found.comparisons) == (150, 120 * 3 * 119)
