"""When a still is due: at once, then at even intervals; never two in a row because one was late."""

from hypothesis import given
from hypothesis import strategies as st

from edge.core.sweep import SweepSchedule


def test_the_first_still_is_due_at_once_and_the_next_after_the_interval() -> None:
    schedule = SweepSchedule(15.0)
    assert schedule.wait_s(100.0) == 0
    schedule.taken(100.0)
    assert schedule.wait_s(100.0) == 15.0
    assert schedule.wait_s(114.0) == 1.0
    assert schedule.wait_s(115.0) == 0


def test_a_still_that_could_not_be_taken_stays_due() -> None:
    schedule = SweepSchedule(15.0)
    schedule.taken(0.0)
    assert schedule.wait_s(20.0) == schedule.wait_s(25.0) == 0


def test_taking_a_still_a_little_late_does_not_move_the_others() -> None:
    schedule = SweepSchedule(10.0)
    schedule.taken(0.0)
    schedule.taken(12.0)
    assert schedule.wait_s(12.0) == 8.0


@given(st.floats(5, 60), st.lists(st.floats(0, 200), min_size=1, max_size=30))
def test_however_late_stills_are_the_wait_is_never_longer_than_the_interval_and_never_none(
    every_s: float, delays_s: list[float]
) -> None:
    schedule, now_s = SweepSchedule(every_s), 0.0
    for delay_s in delays_s:
        now_s += schedule.wait_s(now_s) + delay_s
        schedule.taken(now_s)
        assert 0 < schedule.wait_s(now_s) <= every_s + 1e-6
