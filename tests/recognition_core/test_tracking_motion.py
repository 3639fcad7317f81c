"""A face is expected where it was going, less and less surely, and does not run away."""

from math import inf, log, nan, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognition.core.face import Box
from recognition.core.motion_model import PLACE, SIZE, Doubt, Motion, Wander, usable

spans = st.floats(0, 20)


def walked(widths_per_s: float, frames_a_second: int = 5, seconds: int = 3) -> Motion:
    """Return what is believed of somebody 80 px wide who walked to the right and was at x = 0 last."""
    motion = None
    for frame in range(-seconds * frames_a_second, 1):
        at_s = frame / frames_a_second
        box = Box(widths_per_s * 80 * at_s, 100, 80, 100)
        motion = motion.ahead(at_s).corrected(box) if motion else Motion.begin(box, at_s)
    assert motion is not None
    return motion


def test_a_walk_is_learned_and_carried_on() -> None:
    expected = walked(1.5).ahead(0.4).box
    assert expected.x == pytest.approx(1.5 * 80 * 0.4, abs=0.2 * 80)
    assert (expected.y, expected.width, expected.height) == pytest.approx((100, 80, 100))


def test_a_face_that_comes_closer_is_expected_larger() -> None:
    motion = Motion.begin(Box(0, 0, 40, 50), 0.0)
    for frame in range(1, 16):
        motion = motion.ahead(frame / 5).corrected(Box(0, 0, 40 * 1.2 ** (frame / 5), 50 * 1.2 ** (frame / 5)))
    assert motion.ahead(3.5).width > motion.width * 1.03


def test_a_face_that_is_not_seen_does_not_run_away() -> None:
    """A speed carries no further than it would in `settle_s`, however long nobody looks."""
    motion = walked(3.0)
    furthest = motion.x + motion.speed_x * PLACE.settle_s
    assert motion.x < motion.ahead(1.0).x < motion.ahead(60.0).x <= furthest
    assert motion.ahead(60.0).width < motion.width * 1.5


@pytest.mark.parametrize("wander", [PLACE, SIZE])
@given(first=spans, second=spans)
def test_looking_ahead_in_one_step_or_in_two_is_the_same(wander: Wander, first: float, second: float) -> None:
    start = Doubt(0.01, 0.02, 0.5)
    once, twice = start.after(wander, first + second), start.after(wander, first).after(wander, second)
    for a, b in ((once.place, twice.place), (once.shared, twice.shared), (once.speed, twice.speed)):
        assert a == pytest.approx(b, rel=1e-9, abs=1e-9)
    motion = walked(2.0)
    ahead, again = motion.ahead(first + second), motion.ahead(first).ahead(first + second)
    assert (ahead.x, ahead.size, ahead.speed_x) == pytest.approx((again.x, again.size, again.speed_x))


@given(spans, st.integers(1, 30))
def test_doubt_grows_with_time_and_shrinks_with_every_look_and_stays_possible(elapsed_s: float, looks: int) -> None:
    doubt = Doubt.first(PLACE)
    for _ in range(looks):
        later = doubt.after(PLACE, elapsed_s)
        assert later.place >= doubt.place
        _, _, doubt = later.seen(PLACE)
        assert 0 < doubt.place <= later.place
        assert 0 < doubt.speed <= later.speed
        assert abs(doubt.shared) <= sqrt(doubt.place * doubt.speed)


def test_what_was_expected_surprises_less_than_what_was_not() -> None:
    motion = walked(1.5).ahead(0.2)
    expected = motion.box
    aside = Box(expected.x, expected.y + 30, expected.width, expected.height)
    grown = Box(expected.x - 12, expected.y - 15, expected.width + 24, expected.height + 30)
    assert motion.surprise(expected) < min(motion.surprise(aside), motion.surprise(grown))


def test_a_face_of_which_little_is_known_is_surprised_by_less() -> None:
    """It is also less delighted: a sure track wins the face in its place."""
    sure, unsure = walked(0.0).ahead(0.1), Motion.begin(Box(0, 100, 80, 100), -1.0).ahead(0.1)
    near, far = Box(0, 100, 80, 100), Box(100, 100, 80, 100)
    assert sure.surprise(near) < unsure.surprise(near)
    assert sure.surprise(far) > unsure.surprise(far)


@pytest.mark.parametrize(
    "box",
    [Box(0, 0, 0, 9), Box(0, 0, 9, -1), Box(nan, 0, 9, 9), Box(0, inf, 9, 9), Box(0, 0, 1e9, 9), Box(0, 0, nan, 9)],
)
def test_boxes_that_no_picture_has_are_not_reckoned_with(box: Box) -> None:
    assert not usable(box)
    assert usable(Box(-5, -5, 1e-3, 1e6))


def test_the_logarithm_of_the_width_is_what_is_kept() -> None:
    assert Motion.begin(Box(0, 0, 50, 60), 0.0).size == log(50)
