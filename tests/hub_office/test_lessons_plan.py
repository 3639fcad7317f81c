"""Times of a school with its clock changes, and timetables without two lessons in one room."""

import contextlib
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.csv_reading import Reading, Row, RowsRefused
from hub.core.errors import BadInput
from hub.core.roster_lesson_plan import Wishes, plan_lessons
from hub.core.roster_lessons import Lesson, LessonFields, LessonPlan, Places, lesson_fields
from hub.core.roster_times import day_bounds, school_day, school_time
from hub.core.timetable_clashes import clashes

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 9, 1, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-09-01T08:00", datetime(2026, 9, 1, 6, tzinfo=UTC)),
        ("2026-12-01 08:00:30", datetime(2026, 12, 1, 7, 0, 30, tzinfo=UTC)),
        ("2026-09-01T08:00+05:30", datetime(2026, 9, 1, 2, 30, tzinfo=UTC)),
        ("2026-09-01T08:00Z", datetime(2026, 9, 1, 8, tzinfo=UTC)),
        ("2026-10-25T02:30+01:00", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
    ],
)
def test_times_are_the_schools_unless_an_offset_is_written(text: str, moment: datetime) -> None:
    assert school_time(text, BERLIN, "the start") == moment


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("2026-03-29T02:30", r"02:30 on 2026-03-29 does not exist in Europe/Berlin"),
        ("2026-10-25T02:30", r"happens twice in Europe/Berlin.*2026-10-25T02:30\+02:00 or 2026-10-25T02:30\+01:00"),
        ("2026-02-30T08:00", "not a time that exists"),
        ("2026-09-01T25:00", "not a time that exists"),
        ("2026-09-01T08:00+99:00", "not a time that exists"),
        ("0001-01-01T00:00+10:00", "not a time that exists"),
        ("01.09.2026 08:00", "is not a time: write it like"),
        ("2026-09-01", "is not a time"),
        ("", "is not a time"),
        ("２０２６-09-01T08:00", "is not a time"),
    ],
)
def test_weird_times_are_refused_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        school_time(text, BERLIN, "the start")


@given(st.text(max_size=30))
def test_no_text_breaks_the_clock(text: str) -> None:
    with contextlib.suppress(BadInput):
        school_time(text, BERLIN, "the start")
    with contextlib.suppress(BadInput):
        school_day(text)


def test_a_day_of_the_school_has_23_to_25_hours() -> None:
    lengths = [
        (lambda bounds: bounds[1] - bounds[0])(day_bounds(date(2026, month, day), BERLIN))
        for month, day in [(3, 29), (10, 25), (9, 1)]
    ]
    assert lengths == [timedelta(hours=23), timedelta(hours=25), timedelta(hours=24)]


@pytest.mark.parametrize(
    ("start", "end", "sentence"),
    [
        ("2026-09-01T09:00", "2026-09-01T08:00", "ends before it starts"),
        ("2026-09-01T09:00", "2026-09-01T09:00", "ends when it starts"),
        ("2026-09-01T09:00", "2026-09-02T09:00", "longer than 12 hours"),
        ("2062-09-01T09:00", "2062-09-01T10:00", "is the year right"),
    ],
)
def test_spans_that_cannot_be_lessons_are_refused(start: str, end: str, sentence: str) -> None:
    cells = {"room": "12", "section": "7b", "label": "", "starts_at": start, "ends_at": end}
    with pytest.raises(BadInput, match=sentence):
        lesson_fields(cells, BERLIN, NOW)


def lesson(start_min: int, minutes: int, *, section: str = "7b", room: str = "12", label: str = "") -> LessonFields:
    start = NOW + timedelta(minutes=start_min)
    return LessonFields(room, section, label, start, start + timedelta(minutes=minutes))


def plan(*new: LessonFields, known: list[LessonFields] | None = None, update: bool = False) -> LessonPlan:
    rows = Reading(tuple(Row(line, fields) for line, fields in enumerate(new, start=2)))
    on_record = [Lesson(str(number), fields) for number, fields in enumerate(known or [])]
    return plan_lessons(rows, on_record, Places({"12", "13"}, {"7b", "8a"}), Wishes(update=update), BERLIN)


def test_lessons_that_touch_do_not_overlap() -> None:
    assert clashes([lesson(0, 45), lesson(45, 45), lesson(0, 45, room="13", section="8a")]) == []


def test_a_long_lesson_overlaps_with_every_one_inside_it() -> None:
    found = clashes([lesson(0, 180, label="long"), lesson(10, 10), lesson(60, 10)])
    assert [clash.earlier.label for clash in found] == ["long", "long"]


def test_an_overlap_names_both_lessons_at_the_later_line() -> None:
    with pytest.raises(RowsRefused) as caught:
        plan(lesson(30, 45, section="8a", label="Art"), lesson(0, 45, label="Maths"))
    assert [(problem.line, problem.reason) for problem in caught.value.problems] == [
        (
            3,
            "'Maths' of 7b in 12, 2026-09-01 08:00-08:45 overlaps with "
            "'Art' of 8a in 12, 2026-09-01 08:30-09:15 (line 2)",
        )
    ]


def test_an_overlap_with_a_lesson_on_record_is_refused() -> None:
    with pytest.raises(RowsRefused, match=r"line 2: a lesson of 8a .* overlaps with .* of 7b .* \(on record\)"):
        plan(lesson(30, 45, section="8a"), known=[lesson(0, 45)])


def test_two_lessons_on_record_that_overlap_are_not_this_files_fault() -> None:
    known = [lesson(0, 45), lesson(30, 45, section="8a")]
    assert plan(lesson(300, 45), known=known).add == (lesson(300, 45),)


def test_importing_again_changes_nothing_and_a_change_needs_update() -> None:
    assert plan(lesson(0, 45), known=[lesson(0, 45)]) == LessonPlan((), (), 1)
    longer = lesson(0, 60, label="Maths")
    with pytest.raises(RowsRefused, match="pass --update"):
        plan(longer, known=[lesson(0, 45)])
    assert plan(longer, known=[lesson(0, 45)], update=True).change[0].after == longer


def test_a_changed_lesson_must_not_run_into_the_next() -> None:
    with pytest.raises(RowsRefused, match="overlaps"):
        plan(lesson(0, 60), known=[lesson(0, 45), lesson(45, 45, section="8a")], update=True)


def test_unknown_rooms_and_sections_and_repeated_lessons_are_named() -> None:
    with pytest.raises(RowsRefused) as caught:
        plan(lesson(0, 45), lesson(0, 45), lesson(0, 45, room="99", section="99"))
    reasons = [problem.reason for problem in caught.value.problems]
    assert [problem.line for problem in caught.value.problems] == [3, 4, 4]
    assert reasons[0] == "this lesson is already on line 2"
    assert "no room '99'" in reasons[1]
    assert "no section '99'" in reasons[2]
