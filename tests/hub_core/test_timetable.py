"""Lessons that come again: weeks, holidays, clock changes, midnight."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.errors import BadInput
from hub.core.roster_lessons import LONGEST_LESSON
from hub.core.timetable import (
    Holiday,
    SeriesFields,
    Term,
    checked_series,
    checked_term,
    expand,
    lesson_id,
    lesson_of,
)

BERLIN = ZoneInfo("Europe/Berlin")
TERM = Term("t", "Autumn", date(2026, 9, 1), date(2026, 10, 2), weeks=2)
"""From a Tuesday of week A to a Friday five weeks on."""
MATHS = SeriesFields(1, "", time(8), time(8, 45), "12", "7b", label="Maths")


def days(series: SeriesFields, term: Term = TERM, *holidays: Holiday) -> list[str]:
    return [f"{planned.day:%m-%d}" for planned in expand(series, term, holidays, BERLIN)]


def test_a_lesson_comes_every_week_of_the_term() -> None:
    assert days(MATHS) == ["09-07", "09-14", "09-21", "09-28"]
    assert days(replace(MATHS, weekday=2)) == ["09-01", "09-08", "09-15", "09-22", "09-29"]


def test_weeks_come_in_turn_from_the_monday_before_the_term() -> None:
    monday_a, tuesday_a = replace(MATHS, week="A"), replace(MATHS, week="A", weekday=2)
    assert days(tuesday_a) == ["09-01", "09-15", "09-29"]
    # The Monday of the term's first week is before the term: the next week is B.
    assert days(monday_a) == ["09-14", "09-28"]
    assert days(replace(MATHS, week="B")) == ["09-07", "09-21"]
    assert days(tuesday_a, replace(TERM, first_week=1)) == ["09-08", "09-22"]
    assert days(replace(MATHS, week="C", weekday=2), replace(TERM, weeks=3)) == ["09-15"]


def test_a_week_of_holidays_counts_like_any_other() -> None:
    free = Holiday("h", date(2026, 9, 7), date(2026, 9, 14), "fair")
    assert days(MATHS, TERM, free) == ["09-21", "09-28"]
    assert days(replace(MATHS, week="A"), TERM, free) == ["09-28"]


def test_its_own_days_bound_it() -> None:
    assert days(replace(MATHS, from_day=date(2026, 9, 8), until_day=date(2026, 9, 21))) == ["09-14", "09-21"]
    assert days(replace(MATHS, until_day=date(2026, 8, 1))) == []


def test_times_are_the_schools_clock_in_summer_and_in_winter() -> None:
    term = replace(TERM, last_day=date(2026, 11, 30))
    starts = {planned.day: planned.starts_at for planned in expand(MATHS, term, (), BERLIN)}
    assert starts[date(2026, 10, 19)] == datetime(2026, 10, 19, 6, tzinfo=UTC)
    assert starts[date(2026, 10, 26)] == datetime(2026, 10, 26, 7, tzinfo=UTC)


def test_a_lesson_across_midnight_ends_on_the_next_day() -> None:
    night = replace(MATHS, starts=time(23), ends=time(1), until_day=date(2026, 9, 7))
    (planned,) = expand(night, TERM, (), BERLIN)
    assert planned.ends_at == datetime(2026, 9, 7, 23, tzinfo=UTC)
    assert planned.starts_at == planned.ends_at - timedelta(hours=2)


@pytest.mark.parametrize(
    ("day", "starts", "ends", "utc", "minutes", "odd"),
    [
        # The clocks go from 02:00 to 03:00: later by the hour they skip.
        ("2026-03-29", "02:30", "03:15", "01:30", 45, "skipped"),
        ("2026-03-29", "02:00", "02:45", "01:00", 45, "skipped"),
        ("2026-03-29", "01:30", "02:15", "00:30", 45, "skipped"),
        ("2026-03-29", "01:30", "03:15", "00:30", 45, ""),
        # 02:00 to 03:00 comes twice: the first; a lesson into it lasts as long as the clock that day lets it.
        ("2026-10-25", "02:30", "02:45", "00:30", 15, "twice"),
        ("2026-10-25", "02:30", "03:15", "00:30", 105, "twice"),
        ("2026-10-25", "01:30", "02:15", "23:30", 45, "twice"),
    ],
)
def test_when_the_clocks_change(day: str, starts: str, ends: str, utc: str, minutes: int, odd: str) -> None:
    on = date.fromisoformat(day)
    series = SeriesFields(7, "", time.fromisoformat(starts), time.fromisoformat(ends), "12", "7b")
    (planned,) = expand(series, Term("t", "one day", on, on), (), BERLIN)
    assert f"{planned.starts_at:%H:%M}" == utc
    assert (planned.ends_at - planned.starts_at, planned.clock) == (timedelta(minutes=minutes), odd)


def test_no_lesson_is_longer_than_a_lesson_may_be_when_the_clocks_go_back() -> None:
    night = SeriesFields(6, "", time(20), time(8), "12", "7b")
    (planned,) = expand(night, Term("t", "one day", date(2026, 10, 24), date(2026, 10, 24)), (), BERLIN)
    assert planned.ends_at - planned.starts_at == LONGEST_LESSON


def test_a_lesson_is_known_again_by_its_series_and_day() -> None:
    series_id = "01990000-0000-7000-8000-000000000001"
    found = {lesson_id(series_id, date(2026, 9, day)) for day in (7, 14, 7)}
    assert len(found) == 2
    assert all(UUID(one).version == 5 for one in found)


@pytest.mark.parametrize(
    ("term", "sentence"),
    [
        (replace(TERM, last_day=date(2026, 8, 31)), "before it begins"),
        (replace(TERM, last_day=date(2062, 10, 2)), "are the years right"),
        (replace(TERM, weeks=5), "1 to 4 weeks"),
        (replace(TERM, first_week=2), "its weeks are AB"),
    ],
)
def test_terms_that_cannot_be_are_refused(term: Term, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        checked_term(term)


@pytest.mark.parametrize(
    ("series", "sentence"),
    [
        (replace(MATHS, ends=time(8)), "lasts 24 hours"),
        (replace(MATHS, ends=time(7)), "lasts 23 hours"),
        (replace(MATHS, week="C"), "no week C: term 'Autumn' has the weeks A, B"),
        (replace(MATHS, until_day=date(2026, 8, 1)), "would never come in term 'Autumn'"),
        (replace(MATHS, from_day=date(2026, 9, 20), until_day=date(2026, 9, 10)), "before it begins"),
    ],
)
def test_lessons_that_cannot_come_again_are_refused(series: SeriesFields, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        checked_series(series, TERM)


def test_days_beyond_the_term_bound_nothing() -> None:
    longer = replace(MATHS, from_day=date(2026, 8, 1), until_day=date(2027, 1, 1))
    assert checked_series(longer, TERM) == longer
    assert days(longer) == days(MATHS)


def test_where_all_weeks_are_alike_there_is_no_week_a() -> None:
    with pytest.raises(BadInput, match="has weeks that are all alike"):
        checked_series(replace(MATHS, week="A"), replace(TERM, weeks=1))


@given(
    weekday=st.integers(1, 7),
    week=st.sampled_from(["", "A", "B", "C"]),
    starts=st.times(max_value=time(23, 59)),
    minutes=st.integers(1, 720),
    first=st.dates(date(2026, 1, 1), date(2026, 12, 1)),
    length=st.integers(0, 120),
    first_week=st.integers(0, 2),
)
def test_every_week_is_one_of_the_weeks_in_turn(  # noqa: PLR0917 (what a series is made of)
    weekday: int, week: str, starts: time, minutes: int, first: date, length: int, first_week: int
) -> None:
    clock = starts.replace(second=0, microsecond=0)
    ends = (datetime.combine(date(2026, 1, 1), clock) + timedelta(minutes=minutes)).time()
    series = SeriesFields(weekday, week, clock, ends, "12", "7b")
    term = Term("t", "T", first, first + timedelta(days=length), 3, first_week)
    found = expand(series, term, (), BERLIN)
    every = [first + timedelta(days=step) for step in range(length + 1)]
    assert [one.day for one in found] == [
        day for day in every if day.isoweekday() == weekday and week in {"", term.week_of(day)}
    ]
    for one in found:
        lesson = lesson_of(series, one)
        assert timedelta() < lesson.ends_at - lesson.starts_at <= LONGEST_LESSON
        local = lesson.starts_at.astimezone(BERLIN)
        assert one.clock == "skipped" or (local.date(), local.time()) == (one.day, clock)
