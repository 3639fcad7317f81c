"""What is due to be deleted, by periods and clocks: never what may still be told, never by a clock that jumped."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.retention import (
    LONGEST_AWAY,
    Heard,
    Periods,
    UndatedStretch,
    believed_now,
    believed_reading,
    deletable_up_to,
    due,
    events_before,
    frozen_until,
    run_due,
)

ZONE = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 1, 10, tzinfo=UTC)
DAY = timedelta(days=1)
PERIODS = Periods(events=400, attendance=2555, audit=2555, quarantine=400, faces_after_leaving=30)

days = st.dates(date(2020, 1, 1), date(2040, 1, 1))


def test_each_kind_is_due_after_its_own_days() -> None:
    limits = due(PERIODS, NOW, ZONE)
    assert limits.events == date(2025, 9, 27)
    assert limits.attendance == date(2019, 11, 3)
    assert limits.quarantine == NOW - 400 * DAY
    assert limits.left == date(2026, 10, 2)
    assert limits.lapsed == NOW - 30 * DAY
    assert limits.frozen == limits.events


def test_zero_days_keep_for_ever_but_never_faces_nobody_agrees_to() -> None:
    limits = due(Periods(0, 0, 0, 0, 0), NOW, ZONE)
    assert (limits.events, limits.attendance, limits.audit, limits.quarantine, limits.left) == (None,) * 5
    assert limits.frozen is None
    assert limits.lapsed == NOW - 30 * DAY


def test_more_days_than_there_are_keep_for_ever() -> None:
    assert due(
        Periods(events=10**6, attendance=10**6, audit=10**6, quarantine=0, faces_after_leaving=0), NOW, ZONE
    ) == (due(Periods(0, 0, 0, 0, 0), NOW, ZONE))


@given(st.integers(0, 20 * 365), st.integers(0, 600), st.integers(0, 600))
def test_a_clock_that_jumped_deletes_no_more_than_the_newest_event_allows(
    jumped: int, received_ago: int, seen_ago: int
) -> None:
    heard = Heard(NOW - received_ago * DAY, NOW - seen_ago * DAY)
    believed = believed_now(NOW + jumped * DAY, heard)
    assert believed <= NOW + jumped * DAY
    assert believed <= NOW + DAY - max(received_ago, seen_ago) * DAY
    if not jumped and max(received_ago, seen_ago) <= 1:
        assert believed == NOW


def test_the_hubs_own_jump_is_seen_although_it_stamps_what_it_receives() -> None:
    jumped = NOW + 3650 * DAY
    assert believed_now(jumped, Heard(received_at=jumped, seen_at=NOW)) == NOW + DAY


def test_without_any_event_there_is_only_our_clock() -> None:
    assert believed_now(NOW, Heard(None, None)) == NOW


@given(st.integers(0, 60), st.integers(29, 10_000), st.none() | st.integers(0, 60))
def test_a_clock_that_jumped_is_not_believed_although_it_dates_what_units_send(
    away: int, jumped: int, told_ago: int | None
) -> None:
    # Units that have no time of their own take ours: both bounds jumped as well.
    read, clock = NOW - away * DAY, NOW + jumped * DAY
    told = None if told_ago is None else NOW - told_ago * DAY
    heard = Heard(clock, clock, read_at=read, told_at=told)
    believed = believed_now(clock, heard)
    assert believed == max(read, read if told is None else told + DAY)
    assert believed_reading(clock, heard) == believed


@given(st.integers(0, 28), st.integers(0, 400), st.integers(2, 400))
def test_a_summer_without_any_unit_holds_no_clock_back_that_agrees_with_the_last_run(
    away: int, seen_ago: int, received_ago: int
) -> None:
    heard = Heard(NOW - received_ago * DAY, NOW - seen_ago * DAY, read_at=NOW - away * DAY)
    assert believed_now(NOW, heard) == believed_reading(NOW, heard) == NOW
    # But units that say today that it is another day do.
    told_today = Heard(NOW, NOW - 5 * DAY, read_at=NOW - away * DAY)
    assert believed_now(NOW, told_today) == NOW - 4 * DAY


def test_after_a_long_absence_units_with_the_right_time_are_believed() -> None:
    heard = Heard(NOW, NOW, read_at=NOW - 60 * DAY, told_at=NOW - timedelta(hours=2))
    assert believed_now(NOW, heard) == NOW


def test_a_clock_that_was_put_right_is_believed_and_one_that_lost_its_time_is_not_noted() -> None:
    assert believed_reading(NOW, Heard(None, None, read_at=NOW + LONGEST_AWAY)) == NOW
    lost = datetime(2020, 1, 1, tzinfo=UTC)
    assert believed_reading(lost, Heard(None, None, read_at=NOW)) == NOW
    assert believed_now(lost, Heard(None, None, read_at=NOW)) == lost


@given(days, st.none() | days, st.lists(st.none() | days, max_size=3))
def test_a_day_is_frozen_once_and_never_while_it_waits(
    wanted: date, before: date | None, waits: list[date | None]
) -> None:
    reached = frozen_until(wanted, before, waits)
    assert reached is not None
    if before is not None:
        assert reached >= before
    if before is None or reached > before:
        assert reached <= wanted
        assert all(day is None or reached <= day for day in waits)


def test_nothing_is_frozen_where_everything_is_kept() -> None:
    assert frozen_until(None, None, [None]) is None
    assert frozen_until(None, date(2026, 9, 1), []) == date(2026, 9, 1)
    assert frozen_until(date(2026, 9, 1), None, [None, None]) == date(2026, 9, 1)


def test_events_go_a_day_after_the_register_of_their_day_is_frozen() -> None:
    first = datetime(2026, 8, 31, tzinfo=ZONE)
    assert events_before(date(2026, 9, 1), date(2026, 9, 1), ZONE) == first
    assert events_before(date(2026, 12, 1), date(2026, 9, 1), ZONE) == first
    assert events_before(date(2026, 9, 1), date(2026, 12, 1), ZONE) == first
    assert events_before(None, date(2026, 9, 1), ZONE) is None
    assert events_before(date(2026, 9, 1), None, ZONE) is None


@pytest.mark.parametrize(
    ("local", "last", "begins"),
    [
        ("2026-11-02T03:29", "2026-11-01", False),
        ("2026-11-02T03:30", "2026-11-01", True),
        ("2026-11-02T03:30", "2026-11-02", False),
        ("2026-11-02T06:00", "2026-11-01", False),
        ("2026-11-03T14:00", "2026-11-01", True),
        ("2026-11-02T03:30", None, True),
        ("2026-11-02T14:00", None, False),
        # A clock that went back by a day will be there again, one that was ahead by years not for years.
        ("2026-10-25T04:00", "2026-10-26", False),
        ("2026-10-25T04:00", "2026-11-25", True),
        ("2026-10-25T12:00", "2036-11-25", False),
    ],
)
def test_the_run_begins_at_a_quiet_hour_or_when_a_day_went_by_without(
    local: str, last: str | None, begins: bool
) -> None:
    now = datetime.fromisoformat(local).replace(tzinfo=ZONE)
    assert run_due(now, ZONE, None if last is None else date.fromisoformat(last)) is begins


def stretch(first: int, last: int, *, until: datetime | None = NOW - DAY, after: int | None = 99) -> UndatedStretch:
    return UndatedStretch(first, last, first - 1 or None, after, until)


def test_events_go_up_to_the_first_gap_and_to_what_may_still_be_dated() -> None:
    assert deletable_up_to(100, [], NOW) == 100
    assert deletable_up_to(100, [stretch(50, 60)], NOW) == 100
    # The event before it is what it is estimated by.
    assert deletable_up_to(100, [stretch(50, 60, until=NOW)], NOW) == 48
    assert deletable_up_to(100, [stretch(50, 60, until=None)], NOW) == 48
    assert deletable_up_to(100, [stretch(50, 60, after=None)], NOW) == 48
    assert deletable_up_to(100, [stretch(50, 60, after=101)], NOW) == 48
    assert deletable_up_to(100, [stretch(1, 60, after=None)], NOW) == 0
    assert deletable_up_to(0, [], NOW) == 0


@given(st.integers(0, 50), st.lists(st.tuples(st.integers(1, 50), st.booleans()), max_size=5))
def test_no_open_stretch_and_nothing_above_it_goes(high_water: int, found: list[tuple[int, bool]]) -> None:
    undated = [
        stretch(first, first + 2, until=None if opened else NOW - DAY, after=first + 3) for first, opened in found
    ]
    limit = deletable_up_to(high_water, undated, NOW)
    assert 0 <= limit <= high_water
    for one in undated:
        if one.until is None or one.last_seq >= high_water:
            assert limit < one.first_seq
