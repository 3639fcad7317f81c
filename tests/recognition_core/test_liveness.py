"""The vote over a track rests on spread moments, in any order, and can always change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognition.core.liveness import LivenessLimits, TrackLiveness, Verdict

Look = tuple[float, float]
LOOKS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 200).map(lambda tick: tick / 20)), max_size=40)


def voted(looks: list[Look], limits: LivenessLimits | None = None) -> TrackLiveness:
    track = TrackLiveness(limits)
    for probability, at_s in looks:
        track.add(probability, at_s)
    return track


def half_seconds(*probabilities: float) -> list[Look]:
    return [(probability, index * 0.5) for index, probability in enumerate(probabilities)]


@pytest.mark.parametrize(
    ("probabilities", "verdict"),
    [
        ((), "undecided"),
        ((1.0, 1.0), "undecided"),
        ((0.9, 0.8, 0.9), "live"),
        ((0.1, 0.2, 0.1), "spoof"),
        ((0.1, 0.9, 0.9), "live"),  # one doubtful look does not send a student to review
        ((0.5, 0.5, 0.5), "live"),
    ],
)
def test_three_spread_moments_decide(probabilities: tuple[float, ...], verdict: Verdict) -> None:
    assert voted(half_seconds(*probabilities)).verdict() == verdict


def test_looks_of_the_same_moment_are_one_sample() -> None:
    track = voted([(0.0, index * 0.1) for index in range(5)])
    assert track.samples == 1
    assert track.verdict() == "undecided"


def test_only_the_latest_moments_count_so_a_picture_held_up_later_is_noticed() -> None:
    track = voted(half_seconds(*[0.99] * 20))
    assert track.verdict() == "live"
    for index in range(5):
        track.add(0.01, 10 + index * 0.5)
    assert track.verdict() == "spoof"
    for index in range(5):
        track.add(0.99, 13 + index * 0.5)
    assert track.verdict() == "live"


def test_between_the_two_limits_nothing_is_said() -> None:
    limits = LivenessLimits(live_from=0.8, spoof_below=0.3)
    assert voted(half_seconds(0.5, 0.5, 0.5), limits).verdict() == "undecided"
    assert voted(half_seconds(0.9, 0.8, 0.9), limits).verdict() == "live"
    assert voted(half_seconds(0.1, 0.1, 0.1), limits).verdict() == "spoof"


def test_a_look_is_wanted_when_it_is_half_a_second_from_every_other() -> None:
    track = TrackLiveness()
    assert track.wants(0.0)
    track.add(0.5, 0.0)
    assert [track.wants(at_s) for at_s in (0.0, 0.4, 0.5, -0.5)] == [False, False, True, True]


@pytest.mark.parametrize(
    ("probability", "at_s"),
    [(float("nan"), 0.0), (-0.01, 0.0), (1.01, 0.0), (0.5, float("inf")), (0.5, float("nan"))],
)
def test_numbers_that_are_none_are_refused_and_leave_nothing(probability: float, at_s: float) -> None:
    track = TrackLiveness()
    with pytest.raises(ValueError, match="liveness"):
        track.add(probability, at_s)
    assert (track.samples, track.mean) == (0, None)


@pytest.mark.parametrize(
    "limits",
    [
        {"spoof_below": 0.6, "live_from": 0.5},
        {"live_from": 1.1},
        {"spacing_s": -1.0},
        {"min_samples": 0},
        {"min_samples": 6, "max_samples": 5},
        {"max_samples": 1000},
    ],
)
def test_limits_that_contradict_each_other_are_refused(limits: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must lie between"):
        LivenessLimits(**limits)  # type: ignore[arg-type]


@given(looks=LOOKS, order=st.randoms(use_true_random=False))
def test_order_and_repetition_change_nothing(looks: list[Look], order: object) -> None:
    mixed = [*looks, *looks[: len(looks) // 2]]
    order.shuffle(mixed)  # type: ignore[attr-defined]
    one, other = voted(looks), voted(mixed)
    assert (one.verdict(), one.samples, one.mean) == (other.verdict(), other.samples, other.mean)


@given(looks=LOOKS, missing=st.sets(st.integers(0, 39)))
def test_missing_looks_leave_a_verdict_that_the_rest_supports(looks: list[Look], missing: set[int]) -> None:
    left = [look for index, look in enumerate(looks) if index not in missing]
    track = voted(left)
    probabilities = [probability for probability, _ in left]
    assert track.samples <= min(5, len({at_s for _, at_s in left}))
    if track.verdict() == "live":
        assert max(probabilities) >= 0.5
    elif track.verdict() == "spoof":
        assert min(probabilities) < 0.5
    else:
        assert track.samples < 3


@given(looks=LOOKS)
def test_samples_are_as_many_as_spread_moments_allow_and_no_more(looks: list[Look]) -> None:
    track = voted(looks)
    times = sorted({at_s for _, at_s in looks}, reverse=True)
    taken: list[float] = []
    for at_s in times:
        if not taken or taken[-1] - at_s >= 0.5:
            taken.append(at_s)
    assert track.samples == min(5, len(taken))


@given(looks=LOOKS, certain=st.floats(0, 1))
def test_agreeing_looks_decide_for_what_they_agree_on(looks: list[Look], certain: float) -> None:
    track = voted([(certain, at_s) for _, at_s in looks])
    assert track.verdict() in ("undecided", "live" if certain >= 0.5 else "spoof")


@given(looks=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1e6)), max_size=200))
def test_what_is_kept_is_bounded(looks: list[Look]) -> None:
    track = voted(looks)
    for index in range(300):
        track.add(0.5, 2e6 + index)
    assert track.samples == 5
    assert track.mean == 0.5
