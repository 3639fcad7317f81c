"""The rules of the register, one sentence each, and what must hold for any day."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.attendance import Interval, MarkMade, StudentsDay, Watch, entries
from tests.hub_core.builders import START
from tests.hub_core.school_days import (
    DAYS,
    LATER,
    OTHER_ROOM,
    ROOM,
    RULES,
    a_day,
    a_lesson,
    at,
    guessed,
    marked,
    only,
    seen,
    watched,
)


@pytest.mark.parametrize(
    ("interval", "status", "first_seen"),
    [
        (seen(0), "Present", 0),
        (seen(-10), "Present", -10),
        (seen(-30, -10), "Present", -10),
        (seen(-30, 20), "Present", -10),
        (seen(10), "Present", 10),
        (seen(10.1), "Late", 10.1),
        (seen(44.9), "Late", 44.9),
    ],
)
def test_the_first_sighting_decides(interval: Interval, status: str, first_seen: float) -> None:
    entry = only(a_day(interval))
    assert (entry.status, entry.method, entry.timestamp) == (status, "Face Recognition", at(first_seen))


@pytest.mark.parametrize("interval", [seen(-11), seen(-30, -10.1), seen(45), seen(60), seen(5, room=OTHER_ROOM)])
def test_who_is_seen_before_after_or_elsewhere_is_not_marked(interval: Interval) -> None:
    assert only(a_day(interval)).status == "Not observed"


def test_nothing_is_written_about_somebody_unseen_while_the_lesson_runs() -> None:
    assert entries(a_day(watches=(watched(0, 44),)), RULES, at(44)) == []


def test_present_is_written_while_the_lesson_runs() -> None:
    assert only(a_day(seen(1)), now=at(2)).status == "Present"


def test_who_sat_in_the_lesson_before_is_not_early_for_the_next_one() -> None:
    lessons = (a_lesson(0, 45, "one"), a_lesson(45, 90, "two"))
    first, second = entries(a_day(seen(0, 44), lessons=lessons), RULES, LATER)
    assert (first.status, second.status) == ("Present", "Not observed")


@pytest.mark.parametrize(
    ("watches", "status", "rule"),
    [
        ((), "Not observed", "not_watched"),
        ((watched(0, 45),), "Not seen", "not_seen"),
        ((watched(-5, 50),), "Not seen", "not_seen"),
        ((watched(0, 20), watched(20, 45)), "Not seen", "not_seen"),
        ((watched(0, 20), watched(10, 30)), "Not observed", "not_watched"),
        ((watched(0, 45, share=0.5),), "Not observed", "not_watched"),
        ((watched(0, 45, able=False),), "Not observed", "not_able"),
        ((watched(0, 22, unit="a"), watched(22, 45, unit="b")), "Not observed", "not_watched"),
        ((watched(5, 45),), "Not observed", "not_watched"),
        ((watched(0, 20), watched(0, 20), watched(0, 20)), "Not observed", "not_watched"),
    ],
)
def test_not_seen_is_said_only_of_a_lesson_that_was_watched_by_a_unit_able_to_see(
    watches: tuple[Watch, ...], status: str, rule: str
) -> None:
    entry = only(a_day(watches=watches))
    assert (entry.status, entry.rule, entry.timestamp) == (status, rule, START)


@pytest.mark.parametrize(
    ("mark", "status"), [("present", "Present"), ("late", "Late"), ("excused", "Excused"), ("absent", "Absent")]
)
def test_a_persons_mark_wins(mark: str, status: str) -> None:
    entry = only(a_day(seen(0), marks=(marked(mark, 20),)))
    assert (entry.status, entry.method, entry.rule, entry.notes) == (status, "Manual", "mark", "note")


def test_the_last_mark_wins_and_ties_are_broken_by_the_order_of_the_stream() -> None:
    marks = (marked("absent", 20, order=("e", 2)), marked("present", 5), marked("late", 20, order=("e", 1)))
    assert only(a_day(marks=marks)).status == "Absent"


def test_a_mark_for_a_lesson_counts_whenever_and_wherever_it_was_made() -> None:
    assert only(a_day(marks=(marked("excused", 600, "one", OTHER_ROOM),))).status == "Excused"


def test_a_mark_without_a_lesson_counts_in_its_room_and_time() -> None:
    lessons = (a_lesson(0, 45, "one"), a_lesson(60, 90, "two"))
    first, second = entries(a_day(lessons=lessons, marks=(marked("late", 65),)), RULES, LATER)
    assert (first.status, second.status) == ("Not observed", "Late")
    assert only(a_day(marks=(marked("late", 5, room=OTHER_ROOM),))).status == "Not observed"


def test_a_mark_for_a_lesson_that_was_deleted_counts_by_room_and_time() -> None:
    assert only(a_day(marks=(marked("excused", 5, "gone"),))).status == "Excused"


def test_a_mark_for_one_lesson_says_nothing_of_another() -> None:
    lessons = (a_lesson(0, 45, "one"), a_lesson(0, 45, "two"))
    found = {
        entry.lesson_id: entry.status
        for entry in entries(a_day(lessons=lessons, marks=(marked("late", 5, "one"),)), RULES, LATER)
    }
    assert found == {"one": "Late", "two": "Not observed"}


def test_without_lessons_there_is_one_attendance_for_the_day() -> None:
    entry = only(a_day(seen(30), seen(200), lessons=()))
    assert (entry.occasion, entry.status, entry.timestamp, entry.lesson_id) == (
        "day:2026-09-01",
        "Present",
        at(30),
        None,
    )
    assert entry.last_seen_at == at(200)


def test_without_lessons_nobody_unseen_is_written_and_nights_do_not_count() -> None:
    assert entries(a_day(lessons=()), RULES, LATER) == []
    assert entries(a_day(seen(-120), seen(800), lessons=()), RULES, LATER) == []


def test_days_are_the_schools_also_when_clocks_change() -> None:
    first, end = DAYS.bounds(date(2026, 10, 25))
    assert end.timestamp() - first.timestamp() == 25 * 3600
    [window] = DAYS.windows(date(2026, 3, 29), RULES.sessions)
    assert window.opens_at.isoformat() == "2026-03-29T07:00:00+02:00"


minutes = st.integers(-60, 240)
intervals = st.builds(
    lambda start, length, room: seen(start, start + length, room),
    minutes,
    st.integers(0, 90),
    st.sampled_from([ROOM, OTHER_ROOM]),
)
watches = st.builds(
    lambda since, length, able: watched(since, since + length, able=able), minutes, st.integers(1, 90), st.booleans()
)
marks = st.builds(
    lambda status, minute, lesson, order: marked(status, minute, lesson, order=("e", order)),
    st.sampled_from(["present", "late", "excused", "absent"]),
    minutes,
    st.sampled_from([None, "one", "two", "gone"]),
    st.integers(1, 1000),
)
LESSONS = (a_lesson(0, 45, "one"), a_lesson(45, 90, "two"), a_lesson(100, 145, "three", OTHER_ROOM))


@given(
    st.lists(intervals, max_size=6),
    st.lists(watches, max_size=6),
    st.lists(marks, max_size=4, unique_by=lambda mark: mark.order),
    st.randoms(),
)
def test_the_order_in_which_facts_are_read_changes_nothing_and_no_machine_says_absent(
    some_intervals: list[Interval], some_watches: list[Watch], some_marks: list[MarkMade], random: object
) -> None:
    def day() -> StudentsDay:
        return a_day(*some_intervals, lessons=LESSONS, marks=tuple(some_marks), watches=tuple(some_watches))

    first = entries(day(), RULES, LATER)
    for facts in (some_intervals, some_watches, some_marks):
        random.shuffle(facts)  # type: ignore[attr-defined]
    assert entries(day(), RULES, LATER) == first
    assert [entry.occasion for entry in first] == ["lesson:one", "lesson:two", "lesson:three"]
    for entry in first:
        assert entry.method == "Manual" or entry.status in ("Present", "Late", "Not seen", "Not observed")


@given(st.lists(intervals, max_size=6), st.lists(watches, max_size=6), st.integers(-60, 300))
def test_time_passing_only_adds_entries_of_lessons_that_ended(
    some_intervals: list[Interval], some_watches: list[Watch], now: int
) -> None:
    facts = a_day(*some_intervals, lessons=LESSONS, watches=tuple(some_watches))
    early, late = entries(facts, RULES, at(now)), entries(facts, RULES, LATER)
    assert [entry for entry in late if entry.occasion in {one.occasion for one in early}] == early
    missing = {entry.occasion for entry in late} - {entry.occasion for entry in early}
    assert all(lesson.ends_at > at(now) for lesson in LESSONS if f"lesson:{lesson.lesson_id}" in missing)


# ---- times that are only estimated -----------------------------------------------------------------------------------


def test_who_was_surely_in_the_lesson_is_present_with_a_note_whenever_it_was() -> None:
    # Put at a moment after which everybody is late: nobody knows that it was then.
    entry = only(a_day(guessed(30, -5, 40)))
    assert (entry.status, entry.rule, entry.method) == ("Present", "seen_estimated", "Face Recognition")
    assert entry.notes == "The unit's clock was not set: seen between 07:55 and 08:40. Please check."


@pytest.mark.parametrize("interval", [guessed(30, -11, 40), guessed(30, 0, 45), guessed(5, 0, 10, room=OTHER_ROOM)])
def test_who_was_perhaps_in_the_lesson_is_not_marked_by_it(interval: Interval) -> None:
    assert only(a_day(interval)).status == "Not observed"


@pytest.mark.parametrize(("earliest", "latest"), [(-600, 600), (44, 600), (-600, -10)])
def test_who_was_perhaps_in_a_watched_lesson_is_not_called_unseen(earliest: float, latest: float) -> None:
    entry = only(a_day(guessed(0, earliest, latest), watches=(watched(0, 45),)))
    assert (entry.status, entry.rule) == ("Not observed", "seen_sometime")
    assert "clock was not set" in entry.notes


def test_who_cannot_have_been_in_a_watched_lesson_is_unseen() -> None:
    assert only(a_day(guessed(50, 45, 600), watches=(watched(0, 45),))).status == "Not seen"


def test_late_is_noted_when_an_estimate_may_have_been_on_time() -> None:
    late = only(a_day(seen(20), guessed(5, -20, 30)))
    assert (late.status, late.rule) == ("Late", "seen_late")
    assert "clock was not set" in late.notes
    assert not only(a_day(seen(20), guessed(15, 11, 30))).notes


def test_a_certain_sighting_needs_no_estimate() -> None:
    entry = only(a_day(seen(5), guessed(1, -600, 600)))
    assert (entry.status, entry.rule, entry.notes, entry.timestamp) == ("Present", "seen", "", at(5))


def test_a_mark_of_an_uncertain_time_counts_for_its_lesson_or_where_it_surely_belongs() -> None:
    vague = replace(marked("late", 5), within=(at(-600), at(600)))
    assert only(a_day(marks=(vague,))).status == "Not observed"
    assert only(a_day(marks=(replace(vague, lesson_id="one"),))).status == "Late"
    assert only(a_day(marks=(replace(vague, within=(at(0), at(44))),))).status == "Late"


def test_without_lessons_an_estimate_counts_only_within_the_day() -> None:
    sure = only(a_day(guessed(30, -30, 60), lessons=()))
    assert (sure.status, sure.rule) == ("Present", "seen_estimated")
    assert entries(a_day(guessed(30, -300, 60), lessons=()), RULES, LATER) == []


@given(
    start=st.floats(-600, 600),
    before=st.floats(0, 3000),
    after=st.floats(0, 3000),
    watches=st.sampled_from([(), (watched(0, 45),)]),
)
def test_an_estimate_never_makes_anybody_late_or_unseen(
    start: float, before: float, after: float, watches: tuple[Watch, ...]
) -> None:
    without = only(a_day(watches=watches))
    entry = only(a_day(guessed(start, start - before, start + after), watches=watches))
    assert entry.status in {"Present", "Not observed", without.status}
    assert entry.status not in {"Late", "Absent"}
    if entry.status == "Present":
        assert entry.notes
