"""What becomes of sections and groups when people change them, and on which days the register follows."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.belonging import SINCE_EVER, Belonging, GroupBelonging, UnitPlaces
from hub.core.belonging_changes import Places, Placing, Span, Stay, begun, differences, placed, stay_of
from hub.core.errors import BadInput, Conflict, NotFound
from hub.core.roster_times import day_bounds
from hub.office import rooms, sections, student_lists, students
from tests.hub_office.conftest import NOW, OfficeUnderTest
from tests.hub_office.lesson_rows import put_lesson

BERLIN = ZoneInfo("Europe/Berlin")
B, A = "7b", "8a"


def day(number: int) -> datetime:
    """Midnight of a day in September 2026."""
    return datetime(2026, 9, 1, tzinfo=UTC) + timedelta(days=number - 1)


def change(
    before: Places,
    *,
    stay: Stay,
    new: Stay | None = None,
    section: str | None = B,
    to: str | None = B,
    groups: frozenset[str] | None = None,
    at: datetime = NOW,
) -> Places:
    return placed(before, Placing(stay, new or stay, section, to, groups, at))


def at_school(*sections: tuple[str, datetime, datetime | None]) -> Places:
    return Places(tuple(Belonging(*one) for one in sections))


def test_the_last_day_counts_and_the_day_after_does_not_also_when_clocks_change() -> None:
    stay = stay_of(date(2026, 10, 25), date(2026, 10, 25), BERLIN)
    assert stay == Stay(datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 10, 25, 23, tzinfo=UTC))
    assert stay_of(None, None, BERLIN) == Stay(SINCE_EVER, None)


def test_a_new_student_is_bounded_by_the_days_of_joining_and_leaving() -> None:
    stay = Stay(day(3), day(20))
    assert begun(stay, B, ["g"]) == Places((Belonging(B, *_of(stay)),), (GroupBelonging("g", *_of(stay)),))
    assert begun(stay, None, []) == Places()


def _of(stay: Stay) -> tuple[datetime, datetime | None]:
    return stay.start, stay.end


def test_changed_days_rewrite_their_bounds_and_nothing_else() -> None:
    before = Places(
        (Belonging(B, SINCE_EVER, day(5)), Belonging(A, day(5), None)),
        (GroupBelonging("g", SINCE_EVER, day(5)), GroupBelonging("h", day(6), None)),
    )
    ever = Stay()
    joined = change(before, stay=ever, new=Stay(day(2)), section=A, to=A)
    assert joined == Places(
        (Belonging(B, day(2), day(5)), Belonging(A, day(5), None)),
        (GroupBelonging("g", day(2), day(5)), GroupBelonging("h", day(6), None)),
    )
    left = change(joined, stay=Stay(day(2)), new=Stay(day(2), day(9)), section=A, to=A)
    assert left == Places(
        (Belonging(B, day(2), day(5)), Belonging(A, day(5), day(9))),
        (GroupBelonging("g", day(2), day(5)), GroupBelonging("h", day(6), day(9))),
    )
    assert change(left, stay=Stay(day(2), day(9)), new=ever, section=A, to=A) == before


def test_leaving_before_a_move_and_taking_it_back_gives_the_new_section_the_days_that_are_added() -> None:
    before = at_school((B, SINCE_EVER, day(10)), (A, day(10), None))
    left = change(before, stay=Stay(), new=Stay(end=day(6)), section=A, to=A)
    assert left == at_school((B, SINCE_EVER, day(6)))
    back = change(left, stay=Stay(end=day(6)), new=Stay(), section=A, to=A)
    assert back == at_school((B, SINCE_EVER, day(6)), (A, day(6), None))


def test_a_section_given_after_the_last_day_has_the_days_that_are_added_then() -> None:
    gone = at_school((B, SINCE_EVER, day(1)))
    noted = change(gone, stay=Stay(), new=Stay(end=day(11)), section=None, to=A, at=day(11))
    assert noted == gone
    back = change(noted, stay=Stay(end=day(11)), new=Stay(), section=A, to=A, at=day(1))
    assert back == at_school((B, SINCE_EVER, day(1)), (A, day(11), None))


def test_whoever_comes_back_keeps_the_time_before_and_is_expected_in_none_of_the_time_between() -> None:
    left = Places((Belonging(B, day(1), day(9)),), (GroupBelonging("g", day(1), day(9)),))
    back = change(left, stay=Stay(day(1), day(9)), new=Stay(day(20)), to=A, groups=frozenset("h"))
    assert back.sections == (Belonging(B, day(1), day(9)), Belonging(A, day(20), None))
    assert back.groups == (GroupBelonging("g", day(1), day(9)), GroupBelonging("h", day(20), None))
    # What they say of the days from now on concerns the new time alone.
    later = change(back, stay=Stay(day(20)), new=Stay(day(22), day(30)), section=A, to=A)
    assert later.sections == (Belonging(B, day(1), day(9)), Belonging(A, day(22), day(30)))


def test_a_move_ends_the_groups_replaces_later_moves_and_back_again_is_none() -> None:
    before = Places((Belonging(B, SINCE_EVER, None),), (GroupBelonging("g", SINCE_EVER, None),))
    moved = change(before, stay=Stay(), to=A, at=day(10))
    assert moved == Places(
        (Belonging(B, SINCE_EVER, day(10)), Belonging(A, day(10), None)), (GroupBelonging("g", SINCE_EVER, day(10)),)
    )
    earlier = change(moved, stay=Stay(), section=A, to="9c", at=day(4))
    assert earlier.sections == (Belonging(B, SINCE_EVER, day(4)), Belonging("9c", day(4), None))
    assert change(moved, stay=Stay(), section=A, to=B, at=day(10)).sections == before.sections
    assert change(before, stay=Stay(), to=None, at=day(10)) == Places(
        (Belonging(B, SINCE_EVER, day(10)),), (GroupBelonging("g", SINCE_EVER, day(10)),)
    )


def test_a_move_of_somebody_who_has_not_come_yet_begins_with_them_and_of_who_left_is_only_noted() -> None:
    assert change(at_school((B, day(20), None)), stay=Stay(day(20)), to=A) == at_school((A, day(20), None))
    gone = at_school((B, SINCE_EVER, day(1)))
    assert change(gone, stay=Stay(end=day(1)), to=A, at=day(5)) == gone


def test_groups_are_left_and_entered_and_those_that_stay_are_untouched() -> None:
    before = Places(
        (Belonging(B, SINCE_EVER, None),), (GroupBelonging("g", day(1), None), GroupBelonging("h", day(1), None))
    )
    after = change(before, stay=Stay(), groups=frozenset({"h", "k"}), at=day(8))
    assert after.groups == (
        GroupBelonging("g", day(1), day(8)),
        GroupBelonging("h", day(1), None),
        GroupBelonging("k", day(8), None),
    )
    again = change(after, stay=Stay(), groups=frozenset({"g", "h"}), at=day(8))
    assert set(again.groups) == set(before.groups)


class _Step(NamedTuple):
    start: int | None
    end: int | None
    section: str | None
    groups: frozenset[str] | None
    at: int


_STEPS = st.lists(
    st.builds(
        _Step,
        st.none() | st.integers(1, 10),
        st.none() | st.integers(11, 25),
        st.sampled_from([None, A, B]),
        st.none() | st.frozensets(st.sampled_from("gh")),
        st.integers(1, 25),
    ),
    max_size=8,
)


@given(_STEPS)
def test_whatever_is_changed_nobody_is_in_two_sections_at_once_or_anywhere_outside_the_days(steps: list[_Step]) -> None:
    places, stay = begun(Stay(), B, []), Stay()
    section: str | None = B
    for step in steps:
        new = Stay(SINCE_EVER if step.start is None else day(step.start), None if step.end is None else day(step.end))
        groups = step.groups if step.section is not None else frozenset()
        places = placed(places, Placing(stay, new, section, step.section, groups, day(step.at)))
        stay, section = new, step.section
        ends = [row.until for row in places.sections]
        begins = [row.since for row in places.sections]
        rows: list[Belonging | GroupBelonging] = [*places.sections, *places.groups]
        assert all(row.until is None or row.since < row.until for row in rows)
        assert all(end is not None and end <= begin for end, begin in zip(ends, begins[1:], strict=False))
        now_on = [row for row in rows if row.until is None or row.until > day(26)]
        assert not now_on or stay.end is None
        if section is not None and stay.end is None:
            assert places.sections[-1].section_id == section
            assert places.sections[-1].until is None
        for group in "gh":
            held = sorted((row.since, row.until or day(99)) for row in places.groups if row.group_id == group)
            assert all(until <= since for (_, until), (since, _) in pairwise(held))


def test_the_difference_of_two_histories_is_what_has_to_be_derived_again() -> None:
    before = [Belonging(B, SINCE_EVER, None)]
    after = [Belonging(B, SINCE_EVER, day(5)), Belonging(A, day(5), day(9))]
    assert differences(before, after) == [
        Span(B, day(5), datetime.max.replace(tzinfo=UTC)),
        Span(A, day(5), day(9)),
    ]
    assert differences(after, after) == []


def test_a_unit_is_where_it_was_last_moved_to() -> None:
    places = UnitPlaces(((SINCE_EVER, "12"),)).moved(day(5), "13").moved(day(9), "14")
    assert [places.room_at(day(number)) for number in (1, 5, 8, 9)] == ["12", "13", "13", "14"]
    assert places.room_at(datetime(1960, 1, 1, tzinfo=UTC)) == "12"
    assert (places.one_room(day(1), day(5)), places.one_room(day(1), day(6))) == ("12", None)
    assert (places.one_room(day(5), day(9)), places.one_room(day(10), day(10))) == ("13", "14")
    assert (places.next_move(day(1)), places.next_move(day(9))) == (day(5), None)


def test_a_move_at_the_same_moment_replaces_and_back_to_where_it_was_leaves_nothing() -> None:
    start = UnitPlaces(((SINCE_EVER, "12"),))
    moved = start.moved(day(5), "13")
    assert moved.moved(day(5), "14") == start.moved(day(5), "14")
    assert moved.moved(day(5), "12") == start
    assert moved.moved(day(7), "12").places == ((SINCE_EVER, "12"), (day(5), "13"), (day(7), "12"))
    assert moved.moved(day(3), "13") == start.moved(day(3), "13")
    assert moved.moved(SINCE_EVER, "9").places == ((SINCE_EVER, "9"), (day(5), "13"))


@pytest.fixture
def school(desk: OfficeUnderTest) -> OfficeUnderTest:
    """Two sections with a lesson at 8:00 on each of 28 August to 3 September, and 007 in the first of them."""
    for name in (B, A):
        sections.add_section(desk.office, name)
    rooms.add_room(desk.office, "12")
    for number in range(7):
        for name, minute in ((B, 0), (A, 30)):
            put_lesson(desk, "12", name, datetime(2026, 8, 28, 6, minute, tzinfo=UTC) + timedelta(days=number))
    students.add_student(desk.office, {"serial_number": "007", "name": "Ada", "section": B})
    desk.clean()
    return desk


def days(desk: OfficeUnderTest) -> list[str]:
    found = [found_day for _, found_day in desk.dirty()]
    desk.clean()
    return found


def test_joining_leaving_coming_back_and_moving_mark_the_days_of_their_lessons(school: OfficeUnderTest) -> None:
    office = school.office
    school.add_unit("12")
    students.change_student(office, "007", {"joined_on": "2026-08-30"})
    assert school.rows("select distinct cause from dirty_students") == [("member",)]
    assert days(school) == ["2026-08-28", "2026-08-29"]
    students.leave_student(office, "007", date(2026, 8, 30))
    assert days(school) == ["2026-08-31", "2026-09-01"]
    assert school.actions()[-2:] == ["student.change", "student.change"]
    assert students.list_students(office, left=True)[0].student.fields.left_on == date(2026, 8, 30)
    assert students.list_students(office, left=False) == []
    assert [line.students for line in sections.list_sections(office)] == [0, 0]
    students.change_student(office, "007", {"joined_on": "2026-09-01", "left_on": "", "section": A})
    assert days(school) == ["2026-09-01"]
    shown = student_lists.show_student(office, "007")
    assert [(one.name, one.since, one.until) for one in shown.sections] == [
        (B, _midnight(30, 8), _midnight(31, 8)),
        (A, _midnight(1, 9), None),
    ]
    students.change_student(office, "007", {"section": B}, from_day=date(2026, 9, 1))
    assert days(school) == ["2026-09-01"]
    students.change_student(office, "007", {"section": A}, from_day=date(2026, 9, 3))
    assert days(school) == []
    revision = school.revision()
    same = students.change_student(office, "007", {"name": " Ada "})
    assert (same.changed, days(school), school.revision()) == ((), [], revision)
    assert students.change_student(office, "007", {"name": "Bea", "phone": "+49 30 12"}).changed == ("name", "phone")
    assert school.revision() == revision + 1


def _midnight(number: int, month: int) -> datetime:
    return day_bounds(date(2026, month, number), BERLIN)[0]


def test_what_cannot_be_changed_is_refused_with_a_reason(school: OfficeUnderTest) -> None:
    office = school.office
    students.add_student(office, {"serial_number": "8", "name": "Bob", "username": "bob", "joined_on": "2026-09-01"})
    for form, error, why in (
        ({"serial_number": "8"}, Conflict, "8 is on record as Bob"),
        ({"username": "bob"}, Conflict, "belongs to serial number 8"),
        ({"section": "9z"}, NotFound, "no section '9z'"),
        ({"groups": "French"}, NotFound, "no group 'French'"),
        ({"joined_on": "2026-09-05", "left_on": "2026-09-04"}, BadInput, "before joined_on"),
        ({"joined_on": "5.9.2026"}, BadInput, "joined_on: '5.9.2026' is not a day"),
        ({"age": "12"}, BadInput, "has no age"),
    ):
        with pytest.raises(error, match=why):
            students.change_student(office, "007", form)
    with pytest.raises(BadInput, match="but no section"):
        students.change_student(office, "8", {"groups": "A"})
    with pytest.raises(BadInput, match="before joined_on"):
        students.leave_student(office, "8", date(2026, 8, 31))
    with pytest.raises(NotFound, match="no student with serial number 9"):
        students.leave_student(office, "9", date(2026, 9, 4))
    with pytest.raises(BadInput, match="is the year right"):
        students.change_student(office, "007", {"section": A}, from_day=date(2062, 9, 1))
    school.do("update students set erased_at = now() where serial_number = '8'")
    with pytest.raises(Conflict, match="was erased"):
        students.change_student(office, "8", {"name": "X"})
    assert [line.student.fields.serial_number for line in students.list_students(office)] == ["007"]
    assert days(school) == []
