"""Which of several pictures of one student is of somebody else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.enrolment_gallery import Limits
from hub.core.enrolment_outliers import MAX_TOGETHER, Together, judge_together
from recognition.core.face import Vector
from recognition.core.gallery import fuse

LIMITS = Limits(anybody=0.9, own=0.6)


def at(degrees: float) -> Vector:
    """A face in the plane: two faces are as alike as the cosine of the angle between them."""
    angle = np.radians(degrees)
    return np.array([np.cos(angle), np.sin(angle), 0.0], dtype=np.float32)


def judged(new: list[float], known: tuple[float, ...] = ()) -> Together:
    return judge_together([at(angle) for angle in new], [at(angle) for angle in known], LIMITS)


def test_pictures_that_agree_are_all_accepted() -> None:
    assert judged([0, 10, 20]).standings == ("agrees",) * 3
    assert judged([0], (10, 20)).standings == ("agrees",)
    assert judged([0]).standings == ("agrees",)


@pytest.mark.parametrize("odd", [0, 1, 2])
def test_two_against_one_decide_wherever_the_odd_one_stands(odd: int) -> None:
    angles = [0.0, 10.0]
    angles.insert(odd, 120.0)
    found = judged(angles)
    expected = ["agrees", "agrees"]
    expected.insert(odd, "not_like_the_others")
    assert (list(found.standings), found.agreeing, found.known_odd) == (expected, 2, ())
    assert found.scores[odd] == pytest.approx(np.cos(np.radians(115)), abs=1e-6)


def test_one_against_one_decides_nothing() -> None:
    found = judged([0, 90])
    assert (found.standings, found.agreeing) == (("not_like_each_other",) * 2, 0)
    assert found.scores == pytest.approx((0, 0), abs=1e-6)
    assert judged([90], (0,)).standings == ("not_like_own",)
    assert judged([0, 5, 90, 95]).standings == ("not_like_each_other",) * 4
    assert judged([90, 95], (0, 5)).standings == ("not_like_own",) * 2


def test_the_mean_of_the_others_counts_and_not_a_mean_with_the_picture_itself() -> None:
    """At right angles a picture is 0.71 like the mean of it and another, which is over the limit."""
    assert judged([0, 90]).agreeing == 0


def test_a_picture_beside_enrolled_ones_is_the_odd_one() -> None:
    found = judged([100], (0, 10))
    assert (found.standings, found.known_odd) == (("not_like_own",), ())


def test_an_enrolled_picture_may_be_the_odd_one() -> None:
    alone = judged([0, 10], (120,))
    assert (alone.standings, alone.known_odd) == (("earlier_odd",) * 2, (0,))
    among = judged([0], (10, 120, 5))
    assert (among.standings, among.known_odd, among.agreeing) == (("agrees",), (1,), 3)


def test_of_groups_that_share_a_picture_the_one_that_agrees_best_counts() -> None:
    # 0 and 45, and 45 and 100, are like each other; 0 and 100 are not, nor is any like the mean of the two others.
    found = judged([0, 45, 100])
    assert found.standings == ("agrees", "agrees", "not_like_the_others")


def test_what_cancels_out_is_like_nothing() -> None:
    assert judged([0, 180, 90, 270]).agreeing == 0


def test_there_is_an_end_to_what_is_judged_together() -> None:
    assert judged([0.0] * MAX_TOGETHER).agreeing == MAX_TOGETHER
    for new, known in (([], (0,)), ([0.0] * MAX_TOGETHER, (0,))):
        with pytest.raises(ValueError, match="cannot be judged together"):
            judged(list(new), known)


def brute_force(vectors: list[Vector]) -> int:
    """The size of the largest group, member by member."""
    best = 0
    for number in range(1, 1 << len(vectors)):
        group = [vector for place, vector in enumerate(vectors) if number >> place & 1]
        others = [[other for other in group if other is not vector] for vector in group]
        if all(
            not rest or float(vector @ fuse(np.stack(rest))) >= LIMITS.own
            for vector, rest in zip(group, others, strict=True)
        ):
            best = max(best, len(group))
    return best


@given(st.lists(st.integers(0, 700), min_size=1, max_size=6, unique=True), st.integers(0, 2))
def test_the_largest_group_is_found_and_the_order_says_nothing(angles: list[int], known: int) -> None:
    vectors = [at(angle / 2.01) for angle in angles]
    known = min(known, len(vectors) - 1)
    found = judge_together(vectors[known:], vectors[:known], LIMITS)
    if found.agreeing:
        assert found.agreeing == brute_force(vectors)
        rest = len(vectors) - found.agreeing
        assert len(found.known_odd) + sum(1 for one in found.standings if one.startswith("not_like")) == rest
    turned = list(reversed(vectors[known:]))
    again = judge_together(turned, list(reversed(vectors[:known])), LIMITS)
    assert again.agreeing == found.agreeing
    assert sorted(again.standings) == sorted(found.standings)
