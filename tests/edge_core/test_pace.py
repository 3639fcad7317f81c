"""The pace: falls at once when the machine cannot follow or is too warm, rises slowly, and says why."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.pace import MachineState, Pace, PaceLimits, Verdict

COOL, WARM, HOT = MachineState(50.0), MachineState(77.0), MachineState(82.4)
costs = st.one_of(st.none(), st.floats(0.0001, 5), st.sampled_from([0.0, -1.0, float("nan"), float("inf")]))
states = st.builds(MachineState, st.one_of(st.none(), st.floats(0, 110)), st.booleans())
rates = st.floats(0.5, 60)


@dataclass(frozen=True)
class Moment:
    after_s: float
    cost_s: float | None
    machine: MachineState


moments = st.lists(st.builds(Moment, st.floats(0, 60), costs, states), max_size=60)


def play(pace: Pace, *course: Moment, from_s: float = 0.0) -> list[Verdict]:
    verdicts, now_s = [], from_s
    for moment in course:
        now_s += moment.after_s
        verdicts.append(pace.decide(now_s, moment.cost_s, moment.machine))
    return verdicts


def steady(count: int, cost_s: float | None, machine: MachineState, after_s: float = 2.0) -> list[Moment]:
    return [Moment(after_s, cost_s, machine)] * count


def test_a_machine_that_follows_and_is_cool_does_what_is_asked_without_a_reason() -> None:
    assert set(play(Pace(PaceLimits(5.0)), *steady(50, 0.05, COOL))) == {Verdict(5.0, "")}


def test_frames_that_take_too_long_lower_the_rate_at_once_and_say_so() -> None:
    verdict = Pace(PaceLimits(5.0)).decide(0.0, 0.31, COOL)
    assert verdict.frames_per_s == pytest.approx(0.85 / 0.31)
    assert verdict.reason == "busy: 0.31 s a frame"
    assert not verdict.too_warm


def test_heat_halves_the_rate_step_by_step_and_says_how_warm_it_is() -> None:
    verdicts = play(Pace(PaceLimits(10.0)), *steady(30, 0.01, HOT))
    assert [verdict.frames_per_s for verdict in verdicts][:11] == [5.0] * 5 + [2.5] * 5 + [2.0]
    assert {verdict.reason for verdict in verdicts} == {"too warm: 82 C"}
    assert all(verdict.too_warm for verdict in verdicts)


def test_between_cool_and_hot_nothing_changes_so_that_a_fan_does_not_make_it_swing() -> None:
    pace = Pace(PaceLimits(10.0))
    pace.decide(0.0, 0.01, HOT)
    verdicts = play(pace, *steady(100, 0.01, WARM))
    assert {verdict.frames_per_s for verdict in verdicts} == {5.0}
    assert {verdict.reason for verdict in verdicts} == {"cooling down: 77 C"}


def test_a_processor_that_is_held_back_counts_as_too_warm_whatever_it_says_of_its_heat() -> None:
    verdict = Pace(PaceLimits(10.0)).decide(0.0, 0.01, MachineState(55.0, throttled=True))
    assert verdict.frames_per_s == 5.0
    assert "power supply" in verdict.reason
    assert "power supply" in Pace(PaceLimits(10.0)).decide(0.0, None, MachineState(None, throttled=True)).reason


@given(rates, moments)
def test_the_rate_never_leaves_its_limits_and_every_lower_one_has_a_reason(most: float, course: list[Moment]) -> None:
    for verdict in play(Pace(PaceLimits(most)), *course):
        assert min(2.0, most) <= verdict.frames_per_s <= most
        assert bool(verdict.reason) == (verdict.frames_per_s < most)


@given(rates, moments)
def test_it_rises_by_one_step_at_a_time_and_not_more_often_than_patience_allows(
    most: float, course: list[Moment]
) -> None:
    limits = PaceLimits(most)
    pace, now_s, before, changed_s = Pace(limits), 0.0, most, float("-inf")
    for moment in course:
        now_s += moment.after_s
        rate = pace.decide(now_s, moment.cost_s, moment.machine).frames_per_s
        if rate > before:
            assert rate <= before * limits.step * (1 + 1e-9)
            assert now_s - changed_s >= limits.patience_s
        if rate != before:
            changed_s = now_s
        before = rate


@given(rates, moments)
def test_while_it_is_hot_the_rate_never_rises(most: float, course: list[Moment]) -> None:
    pace, before = Pace(PaceLimits(most)), most
    for verdict in play(pace, *[Moment(moment.after_s, 0.001, HOT) for moment in course]):
        assert verdict.frames_per_s <= before
        before = verdict.frames_per_s


@given(rates, moments)
def test_whatever_happened_a_cool_machine_that_follows_comes_back_to_what_is_asked(
    most: float, course: list[Moment]
) -> None:
    pace = Pace(PaceLimits(most))
    play(pace, *course)
    recovered = play(pace, *steady(60, 0.0001, COOL, after_s=10.0), from_s=10_000.0)
    assert recovered[-1] == Verdict(most, "")


@given(rates, costs, states, moments)
def test_under_the_same_conditions_it_settles_and_does_not_swing(
    most: float, cost_s: float | None, machine: MachineState, course: list[Moment]
) -> None:
    pace = Pace(PaceLimits(most))
    play(pace, *course)
    settled = play(pace, *steady(200, cost_s, machine, after_s=10.0), from_s=10_000.0)
    assert len({verdict.frames_per_s for verdict in settled[-50:]}) == 1


@given(moments, st.floats(0.001, 2), st.floats(1.1, 3))
def test_a_costlier_frame_never_means_more_frames(course: list[Moment], cost_s: float, times: float) -> None:
    """Two machines with the same past; one of them has more to do now."""
    cheap, dear = Pace(PaceLimits(15.0)), Pace(PaceLimits(15.0))
    play(cheap, *course)
    play(dear, *course)
    now_s = 10_000.0
    assert dear.decide(now_s, cost_s * times, COOL).frames_per_s <= cheap.decide(now_s, cost_s, COOL).frames_per_s


def test_a_camera_that_is_meant_to_be_slower_than_the_floor_stays_as_slow_as_it_is_meant_to_be() -> None:
    verdicts = play(Pace(PaceLimits(0.5)), *steady(20, 10.0, HOT))
    assert {verdict.frames_per_s for verdict in verdicts} == {0.5}
