"""What a rejection without a name adds to a student's margin: from measured scores, and never past finding anybody."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.core.calibration import Calibration, Certainty, Method
from hub.core.student_margins import MarginRise, rise_of, rises_for
from recognition.build.score_statistics import DLIB
from recognition.core.calibration import GenuineScores, ScoreStatistics, StrangerScores
from tests.hub_core.builders import PACK, START, an_id

WIDE = ScoreStatistics(
    (StrangerScores(1, 50_000, 0.5, 0.01, 0.02, -0.1, 0.03),), 0.4, "made up", (GenuineScores(1, 100, 0.9, 0.05),)
)


def test_each_rejection_raises_the_margin_of_the_pack_dlib_up_to_a_bound() -> None:
    rise = rise_of(DLIB, 30)
    assert [rise.after(count) for count in (0, 1, 2, 3, 1000)] == [0.0, 0.005028, 0.010056, 0.01366, 0.01366]
    assert rise.after(-1) == 0.0
    assert MarginRise().after(5) == 0.0


def test_a_step_lets_half_as_many_wrong_first_places_lead_by_enough() -> None:
    """Drawn from the measured tail itself: the best two of a thousand strangers' scores."""
    strangers = DLIB.strangers[0]
    drawn = np.random.default_rng(4).exponential(size=(4000, 2)).cumsum(axis=1) / 1000
    leads = np.array([strangers.threshold(best) - strangers.threshold(second) for best, second in drawn])
    step = rise_of(DLIB, 1000).step
    passing = [float((leads >= strangers.margin + rejections * step).mean()) for rejections in range(3)]
    assert passing[0] > 0.1
    for before, after in pairwise(passing):
        assert 0.2 * before < after <= 0.55 * before


@settings(max_examples=50)
@given(
    size=st.integers(0, 100_000),
    rejections=st.integers(0, 10**6),
    more=st.integers(0, 10),
    own=st.floats(-0.9, 0.999),
    deviation=st.floats(0.001, 0.3),
)
def test_whatever_was_measured_the_margin_never_falls_and_stays_below_half_of_the_usual_lead(
    size: int, rejections: int, more: int, own: float, deviation: float
) -> None:
    statistics = replace(WIDE, genuine=(GenuineScores(1, 100, own, deviation),))
    rise = rise_of(statistics, size)
    extra = rise.after(rejections)
    assert 0.0 <= extra <= rise.after(rejections + more) <= 1.0
    usual = own - statistics.strangers[0].threshold(1 / max(1, size))
    assert extra == 0.0 or 0.03 + extra <= usual / 2 + 1e-6


def test_without_own_scores_the_margin_at_most_doubles() -> None:
    assert rise_of(replace(WIDE, genuine=()), 30).after(50) == 0.03


def calibrated(method: Method, fpir: float = 0.01) -> Calibration:
    certainty = Certainty(more_students=0)
    return Calibration(an_id(1), PACK, START, fpir, method, 300, 9000, WIDE, certainty, "1", "tester")


@pytest.mark.parametrize(
    ("newest", "pack", "whose"),
    [
        (None, DLIB, [DLIB]),
        (calibrated("pack"), DLIB, [DLIB]),
        (calibrated("own"), DLIB, [WIDE]),
        (calibrated("own"), None, [WIDE]),
        (calibrated("own", fpir=0.02), DLIB, [DLIB]),
        (calibrated("both"), DLIB, [DLIB, WIDE]),
        (None, None, []),
    ],
)
def test_the_rise_comes_from_the_scores_that_set_the_points(
    newest: Calibration | None, pack: ScoreStatistics | None, whose: list[ScoreStatistics]
) -> None:
    rises = rises_for(newest, pack, (30, 900), 0.01)
    if not whose:
        assert rises == {}
        return
    for scope, size in (("room", 30), ("wider", 900)):
        each = [rise_of(statistics, size) for statistics in whose]
        assert rises[scope] == MarginRise(max(one.step for one in each), min(one.most for one in each))  # type: ignore[index]
    assert rises["wider"].most < rises["room"].most
    assert list(rises_for(newest, pack, (30,), 0.01)) == ["room"]
