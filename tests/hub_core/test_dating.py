"""When events really were: by anchors, by what a clock that was set said, or between which moments."""

from collections.abc import Iterable
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.dating import Known, Timeline, moment, watched_since
from hub.core.dating_bounds import DRIFT_PPM
from hub.core.dating_stream import Reading, date_all
from tests.hub_core.builders import BOOT, EPOCH, START, an_id
from tests.hub_core.lives import ADDED, DAY, LATE, SECOND, T0, a_life


def reading(seq: int, boot_s: float, claimed_us: int, clock: str = "unsynced", **changed: Any) -> Reading:
    values: dict[str, Any] = {
        "epoch": EPOCH,
        "seq": seq,
        "boot_id": BOOT,
        "boottime_ns": int(boot_s * 10**9),
        "claimed_us": claimed_us,
        "clock": clock,
        "received_us": LATE,
    }
    return Reading(**(values | changed))


def drifted(us: int) -> int:
    """Return how far off a clock may be after so long."""
    return us * DRIFT_PPM // 1_000_000


def dates(readings: Iterable[Reading]) -> dict[int, tuple[int, str]]:
    return {seq: (dated.at_us, dated.basis) for (_, seq), dated in date_all(readings, ADDED).items()}


def test_a_boot_in_1970_is_dated_by_the_anchor_that_comes_after_an_hour() -> None:
    hour = [reading(seq, seq * 10, seq * 10 * SECOND) for seq in range(1, 360)]
    anchor = reading(360, 3600, T0 + 5, "synced", anchor_us=T0)
    found = dates([*hour, anchor])
    assert all(found[one.seq] == (T0 - 3600 * SECOND + one.boot_us, "anchor") for one in hour)
    assert found[360] == (T0 + 5, "claimed")


def test_a_clock_that_was_set_keeps_what_it_said_unless_it_contradicts_an_anchor() -> None:
    anchor = reading(1, 100, T0, "synced", anchor_us=T0)
    near = reading(2, 110, T0 + 10 * SECOND + 1_900_000, "synced")
    far = reading(3, 120, T0 + 23 * SECOND, "synced")
    assert dates([anchor, near, far]) == {
        1: (T0, "claimed"),
        2: (T0 + 10 * SECOND + 1_900_000, "claimed"),
        3: (T0 + 20 * SECOND, "anchor"),
    }


def test_two_jumps_in_one_boot_do_not_matter_to_its_own_clock() -> None:
    begin, ten_years = T0 - 100 * SECOND, 3650 * DAY
    said = {1: (10, begin), 2: (200, begin + ten_years), 3: (300, begin), 4: (400, 0)}
    events = [reading(seq, boot_s, off + boot_s * SECOND, "synced") for seq, (boot_s, off) in said.items()]
    anchor = reading(5, 100, T0, "synced", anchor_us=T0)
    found = dates([*events, anchor])
    assert {seq: found[seq][0] for seq in said} == {seq: begin + boot_s * SECOND for seq, (boot_s, _) in said.items()}


def test_an_anchor_from_the_future_or_from_before_there_were_units_is_not_believed() -> None:
    lie = reading(1, 50, T0 + 3650 * DAY, "synced", anchor_us=T0 + 3650 * DAY)
    old = reading(2, 60, 60 * SECOND, "synced", anchor_us=60 * SECOND)
    true = reading(3, 100, T0, "synced", anchor_us=T0)
    found = dates([lie, old, true, reading(4, 70, 70 * SECOND)])
    assert found == {
        1: (T0 - 50 * SECOND, "anchor"),
        2: (T0 - 40 * SECOND, "anchor"),
        3: (T0, "claimed"),
        4: (T0 - 30 * SECOND, "anchor"),
    }


def test_between_two_anchors_that_differ_as_clocks_drift_both_date() -> None:
    timeline = Timeline([Known(0, T0), Known(10_000 * SECOND, T0 + 10_001 * SECOND)])
    assert timeline.at_us(5_000 * SECOND) == T0 + 5_000_500_000


def test_between_two_anchors_that_contradict_each_other_the_nearer_one_dates() -> None:
    timeline = Timeline([Known(0, T0), Known(100 * SECOND, T0 + 200 * SECOND)])
    assert timeline.at_us(49 * SECOND) == T0 + 49 * SECOND
    assert timeline.at_us(50 * SECOND) == T0 + 150 * SECOND


def test_without_an_anchor_the_first_event_of_a_clock_that_was_set_dates_the_others() -> None:
    found = dates([reading(1, 10, 0), reading(2, 20, T0, "synced"), reading(3, 30, T0 + 90 * SECOND, "holdover")])
    assert found == {1: (T0 - 10 * SECOND, "anchor"), 2: (T0, "claimed"), 3: (T0 + 10 * SECOND, "anchor")}


def test_a_clock_that_calls_itself_set_and_says_the_future_is_not_believed() -> None:
    [dated] = date_all([reading(1, 10, LATE + 3650 * DAY, "synced")], ADDED).values()
    assert dated.basis == "estimated"
    assert dated.latest_us == LATE + drifted(10 * SECOND)


def before_and_after(*boots: Reading) -> list[Reading]:
    """A boot that was certain, these, and another one that is certain: seqs 1 and 1000."""
    return [
        reading(1, 500, T0, "synced", boot_id=an_id(1)),
        *boots,
        reading(1000, 30, T0 + DAY, "synced", boot_id=an_id(2)),
    ]


def test_a_boot_that_was_never_set_lies_between_its_neighbours() -> None:
    found = date_all(before_and_after(reading(2, 10, 10 * SECOND), reading(3, 70, 70 * SECOND)), ADDED)
    first, last = found[EPOCH, 2], found[EPOCH, 3]
    # It began when the one before was over at the earliest, and had run 70 s when the next one began.
    doubt = drifted(70 * SECOND)
    assert first.earliest_us == T0 + 10 * SECOND - doubt
    assert first.latest_us == T0 + DAY - 30 * SECOND - 60 * SECOND + doubt
    assert (first.at_us, first.basis) == (T0 + 10 * SECOND, "estimated")
    assert last.at_us - first.at_us == 60 * SECOND


def test_an_estimate_keeps_what_was_claimed_if_that_can_be() -> None:
    found = dates(before_and_after(reading(2, 10, T0 + 3600 * SECOND), reading(3, 70, T0 + 3660 * SECOND)))
    assert found[2] == (T0 + 3600 * SECOND, "estimated")
    assert found[3] == (T0 + 3660 * SECOND, "estimated")


def test_a_clock_that_is_ahead_is_moved_back_as_a_block() -> None:
    ahead = T0 + 3650 * DAY
    found = dates(before_and_after(reading(2, 10, ahead), reading(3, 70, ahead + 60 * SECOND)))
    assert found[3][0] == T0 + DAY - 30 * SECOND
    assert found[2][0] == T0 + DAY - 90 * SECOND


def test_boots_that_were_never_set_follow_each_other() -> None:
    boots = [reading(2, 40, 40 * SECOND, boot_id=an_id(8)), reading(3, 5, 5 * SECOND, boot_id=an_id(7))]
    found = date_all(before_and_after(*boots), ADDED)
    assert found[EPOCH, 3].at_us == T0 + 45 * SECOND
    assert found[EPOCH, 2].latest_us == T0 + DAY - 30 * SECOND - 5 * SECOND + drifted(45 * SECOND)


@pytest.mark.parametrize("ppm", [-150, 20, 150])
def test_the_bounds_of_a_boot_of_days_hold_although_its_crystal_is_wrong(ppm: int) -> None:
    """Found by a simulated week: received at once, and yet four seconds outside of its bounds."""
    day = DAY + DAY * ppm // 1_000_000
    boots = [
        reading(2, 1, SECOND, received_us=T0 + 40 * SECOND),
        reading(3, 3 * day // SECOND, 3 * day, received_us=T0 + 3 * DAY),
        reading(4, 10, 10 * SECOND, boot_id=an_id(7), received_us=T0 + 3 * DAY + 60 * SECOND),
    ]
    found = date_all([reading(1, 500, T0, "synced", boot_id=an_id(1)), *boots], ADDED)
    for seq, truth in ((2, T0 + SECOND), (3, T0 + 3 * DAY), (4, T0 + 3 * DAY + 10 * SECOND)):
        dated = found[EPOCH, seq]
        assert dated.earliest_us is not None
        assert dated.latest_us is not None
        assert dated.earliest_us <= truth <= dated.latest_us


def test_boots_that_claim_to_have_run_for_years_each_do_not_end_in_another_age() -> None:
    """A hostile unit may send any boot clock: what comes out has to be a moment that can be kept."""
    years = 10 * 365 * 86_400
    boots = [
        one
        for n in range(150)
        for one in (
            reading(2 + 2 * n, 1, SECOND, boot_id=an_id(100 + n)),
            reading(3 + 2 * n, years, SECOND, boot_id=an_id(100 + n)),
        )
    ]
    for dated in date_all(before_and_after(*boots), ADDED).values():
        assert ADDED - years * SECOND <= dated.at_us <= LATE + years * SECOND
        assert dated.earliest_us is None or ADDED - years * SECOND <= dated.earliest_us <= LATE + years * SECOND


def test_an_estimate_is_not_before_the_unit_was_added_nor_after_it_was_received() -> None:
    [dated] = date_all([reading(1, 100, 0)], ADDED).values()
    doubt = drifted(100 * SECOND)
    assert (dated.earliest_us, dated.latest_us) == (ADDED - doubt, LATE + doubt)
    assert dated.at_us == ADDED


def test_neighbours_that_contradict_each_other_leave_both_bounds() -> None:
    rows = [reading(1, 5, T0 + DAY, "synced", boot_id=an_id(1)), reading(2, 10, 0, received_us=T0)]
    found = date_all(rows, ADDED)[EPOCH, 2]
    doubt = drifted(10 * SECOND)
    assert (found.earliest_us, found.latest_us) == (T0 - doubt, T0 + DAY + 10 * SECOND + doubt)


def test_a_clock_that_was_set_while_watching_does_not_make_a_watch_of_56_years() -> None:
    since, until = moment(0), START
    assert watched_since(since, until, 300.0, until) == until - timedelta(seconds=300)
    assert watched_since(START, START + timedelta(minutes=5), 1.0, until) == until - timedelta(minutes=5)
    assert watched_since(START, START - timedelta(days=1), 1e9, until) == until - timedelta(hours=6)
    assert watched_since(START, START + timedelta(days=1), 1e300, until) == until - timedelta(hours=6)


# ---- any unit, any life --------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**32), boots=st.integers(1, 6), order=st.randoms(use_true_random=False))
def test_whatever_the_clocks_did_anchored_events_are_right_and_bounds_hold(
    seed: int, boots: int, order: Random
) -> None:
    readings, truth = a_life(seed, boots)
    found = date_all(readings, ADDED)
    shuffled = [*readings]
    order.shuffle(shuffled)
    assert date_all(shuffled, ADDED) == found
    anchored = {one.boot_id for one in readings if one.anchor_us is not None}
    for one in readings:
        dated = found[one.epoch, one.seq]
        assert (dated.earliest_us is None) == (dated.basis != "estimated")
        if one.boot_id in anchored:
            off = abs(dated.at_us - truth[one.seq])
            assert off < SECOND or (dated.basis == "claimed" and off <= 2 * SECOND + 200_000)
    if all(one.boot_id in anchored or one.clock != "synced" for one in readings):
        # No clock lied that nothing contradicts.
        for one in readings:
            dated = found[one.epoch, one.seq]
            if dated.earliest_us is not None and dated.latest_us is not None:
                assert dated.earliest_us - 2 * SECOND <= truth[one.seq] <= dated.latest_us + 2 * SECOND
                assert dated.earliest_us <= dated.at_us <= dated.latest_us


@given(seed=st.integers(0, 2**32))
def test_within_an_estimated_boot_order_and_distances_are_kept(seed: int) -> None:
    readings = [one for one in a_life(seed, 4)[0] if one.clock == "unsynced"]
    found = date_all(readings, ADDED)
    for one in readings:
        for other in readings:
            if one.boot_id == other.boot_id:
                apart = found[other.epoch, other.seq].at_us - found[one.epoch, one.seq].at_us
                assert apart == other.boot_us - one.boot_us


HOUR = 3600 * SECOND
MILLI = 1000


@given(
    known=st.lists(
        st.builds(
            Known,
            boot_us=st.integers(0, 40).map(lambda n: n * HOUR // 2),
            at_us=st.integers(0, 40).map(lambda n: T0 + n * HOUR // 2),
            error_us=st.sampled_from([0, 100 * MILLI, SECOND]),
        ).map(lambda one: Known(one.boot_us, T0 + one.boot_us + (one.at_us - T0) // 40_000, one.error_us)),
        min_size=2,
        max_size=6,
    ),
    new=st.integers(1, 5),
)
def test_what_does_not_lie_in_a_stretch_that_a_new_anchor_changed_keeps_its_date(known: list[Known], new: int) -> None:
    older = known[:-new] or known[:1]
    before, after = Timeline(older), Timeline(known)
    changed = after.changed_since(before)
    for boot_us in range(0, 24 * HOUR, HOUR // 3):
        if not any(one.holds(boot_us) for one in changed):
            assert before.at_us(boot_us) == after.at_us(boot_us)


def test_an_anchor_from_a_slow_answer_does_not_move_what_ntp_told_nearby() -> None:
    ntp = Known(0, T0, 100 * MILLI)
    slow = Known(600 * SECOND, T0 + 602_400 * MILLI, 2_600 * MILLI)
    timeline = Timeline([slow, ntp])
    assert timeline.known == [ntp]
    assert timeline.at_us(600 * SECOND) == T0 + 600 * SECOND


def test_an_anchor_that_is_less_exact_counts_where_the_better_one_is_so_far_that_a_clock_drifts_more() -> None:
    ntp, welcome = Known(0, T0, 100 * MILLI), Known(10 * HOUR, T0 + 10 * HOUR + 500 * MILLI, 900 * MILLI)
    assert Timeline([ntp, welcome]).known == [ntp, welcome]


def test_a_clock_that_was_set_keeps_what_it_said_as_far_as_its_anchor_may_be_wrong() -> None:
    slow = reading(1, 100, T0, anchor_us=T0 + 2_500 * MILLI, anchor_error_us=2_600 * MILLI)
    right = reading(2, 110, T0 + 10 * SECOND, "synced")
    wrong = reading(3, 120, T0 + 27_200 * MILLI, "synced")
    found = dates([slow, right, wrong])
    assert found[2] == (T0 + 10 * SECOND, "claimed")
    assert found[3] == (T0 + 22_500 * MILLI, "anchor")


def test_after_the_last_anchor_a_clock_goes_on_as_wrongly_as_it_surely_went_before() -> None:
    """15 millionths fast for 18 hours would be a second."""
    timeline = Timeline([Known(0, T0), Known(10 * HOUR, T0 + 10 * HOUR - 540 * MILLI)])
    assert timeline.at_us(28 * HOUR) == T0 + 28 * HOUR - 1_512 * MILLI


@pytest.mark.parametrize(
    ("apart_h", "moved_ms", "error_ms", "slope_ppm"),
    [
        (10, -540, 0, -15.0),
        (10, -540, 100, -340 / 36),
        (10, 150, 100, 0.0),
        (0.9, 400, 0, 0.0),
        (2, 1_900, 0, 200.0),
    ],
)
def test_no_more_drift_is_believed_than_the_anchors_prove_and_than_crystals_have(
    apart_h: float, moved_ms: int, error_ms: int, slope_ppm: float
) -> None:
    apart = int(apart_h * HOUR)
    timeline = Timeline([Known(0, T0, error_ms * MILLI), Known(apart, T0 + apart + moved_ms * MILLI, error_ms * MILLI)])
    moved_us = timeline.at_us(apart + HOUR) - timeline.at_us(apart) - HOUR
    assert moved_us == pytest.approx(slope_ppm * 3600, abs=2)


def test_a_drift_is_not_carried_on_for_ever() -> None:
    timeline = Timeline([Known(0, T0), Known(10 * HOUR, T0 + 10 * HOUR + 3600 * MILLI)])
    a_week, a_month = (timeline.at_us(10 * HOUR + days * DAY) - days * DAY for days in (7, 30))
    assert a_week == a_month
    assert timeline.range_us()[1] == a_month - 10 * HOUR


@given(
    drift_ppb=st.integers(-60_000, 60_000),
    hours=st.lists(st.integers(0, 72), min_size=2, max_size=8, unique=True),
    errors=st.lists(st.tuples(st.integers(10, 900), st.floats(-1, 1)), min_size=8, max_size=8),
    after_h=st.integers(1, 200),
)
def test_to_carry_a_drift_on_is_never_worse_than_not_to(
    drift_ppb: int, hours: list[int], errors: list[tuple[int, float]], after_h: int
) -> None:
    def truth(boot_us: int) -> int:
        return T0 + boot_us + boot_us * drift_ppb // 10**9

    known = [
        Known(hour * HOUR, truth(hour * HOUR) + int(share * error_ms * MILLI), error_ms * MILLI)
        for hour, (error_ms, share) in zip(sorted(hours), errors, strict=False)
    ]
    timeline = Timeline(known)
    last = timeline.known[-1]
    boot_us = last.boot_us + after_h * HOUR
    error_us = abs(timeline.at_us(boot_us) - truth(boot_us))
    without_us = abs(last.begin_us + boot_us - truth(boot_us))
    assert error_us <= max(without_us, abs(last.at_us - truth(last.boot_us))) + 2
