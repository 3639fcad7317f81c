"""Which local day a moment belongs to, and what a unit watched without a break."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.adapters.attendance_store import LocalDays, Watched, _together
from tests.hub_adapters.school import utc
from tests.hub_core.builders import UNIT, an_id

# With half hours, with midnights that do not exist and midnights that come twice.
ZONES = ["Europe/Berlin", "Asia/Kolkata", "America/Santiago", "Asia/Beirut", "Pacific/Apia", "Africa/Monrovia", "UTC"]
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2199, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (the bounds)


@pytest.mark.parametrize("name", ZONES)
@given(at=MOMENTS, steps=st.lists(st.integers(-200_000, 200_000), max_size=30))
def test_the_local_day_is_that_of_the_zone_whatever_was_asked_before(name: str, at: datetime, steps: list[int]) -> None:
    zone = ZoneInfo(name)
    days = LocalDays(zone)
    for step in (0, *steps):
        at += timedelta(seconds=step)
        assert days.of(at) == at.astimezone(zone).date()


@pytest.mark.parametrize("name", ZONES)
def test_the_local_day_is_right_at_each_change_of_the_clocks(name: str) -> None:
    zone = ZoneInfo(name)
    days = LocalDays(zone)
    at = datetime(2011, 12, 25, tzinfo=UTC)
    while at.year < 2014:
        assert days.of(at) == at.astimezone(zone).date()
        at += timedelta(minutes=15)


def test_what_was_watched_without_a_break_is_asked_for_once() -> None:
    now = utc(12)
    parts = [Watched(UNIT, utc(8, minute), utc(8, minute + 5), now) for minute in (0, 5, 10, 30)]
    other = Watched(an_id(9), utc(8), utc(8, 5), now)
    joined = {(one.unit_id, one.since, one.until) for one in _together([*parts[::-1], other])}
    assert joined == {
        (UNIT, utc(8), utc(8, 15)),
        (UNIT, utc(8, 30), utc(8, 35)),
        (an_id(9), utc(8), utc(8, 5)),
    }
