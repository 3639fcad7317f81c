"""What students may be called, and what an import of them would change."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.csv_reading import Reading, Row, RowsRefused
from hub.core.errors import BadInput
from hub.core.roster import Student, StudentFields, cells_of, checked_name, checked_serial, student_fields
from hub.core.roster_plan import StudentPlan, plan_students


@pytest.mark.parametrize("serial", ["007", "A-12.b", "٣٤", "7é", "क्षि1"])
def test_serial_numbers_of_any_script_are_kept_as_written(serial: str) -> None:
    assert checked_serial(f" {serial} ") == serial


@pytest.mark.parametrize("serial", ["", " ", "1_2", "1 2", "-1", "=1", "a/b", "1\u202e2", "x" * 41, "1\n2"])
def test_serial_numbers_that_would_break_something_are_refused(serial: str) -> None:
    with pytest.raises(BadInput):
        checked_serial(serial)


def test_names_are_composed_and_their_spaces_made_single() -> None:
    assert checked_name("  Zoe\u0308   Müller ") == "Zoë Müller"
    assert checked_name("می\u200cخواهم") == "می\u200cخواهم"


def test_an_invisible_character_is_named_by_its_number() -> None:
    with pytest.raises(BadInput, match=r"U\+202E"):
        checked_name("evil\u202egnp")


def test_everything_wrong_with_a_row_is_told_at_once() -> None:
    cells = {"serial_number": "", "name": "", "username": "a b", "email": "x", "phone": "-", "section": "s" * 101}
    with pytest.raises(BadInput) as caught:
        student_fields(cells)
    assert str(caught.value).count(";") == 5


_COLUMNS = ["serial_number", "name", "username", "email", "phone", "section", "joined_on", "left_on", "groups"]
_DAYS = st.dates().map(str)


@given(st.dictionaries(st.sampled_from(_COLUMNS), st.text() | _DAYS))
def test_no_text_breaks_the_check_and_what_passes_is_stable(cells: dict[str, str]) -> None:
    try:
        fields = student_fields(cells)
    except BadInput:
        return
    assert student_fields(cells_of(fields)) == fields


def test_days_and_groups_are_read_and_what_contradicts_itself_is_refused() -> None:
    cells = {"serial_number": "1", "name": "A", "section": "7b", "joined_on": " 2026-09-01 ", "groups": "B; A;;B"}
    fields = student_fields(cells)
    assert (fields.joined_on, fields.left_on, fields.groups) == (date(2026, 9, 1), None, ("A", "B"))
    for changed, why in (
        ({"left_on": "2026-08-31"}, "is before joined_on"),
        ({"section": ""}, "but no section"),
        ({"left_on": "31.12.2026"}, "left_on: '31.12.2026' is not a day"),
        ({"joined_on": "2026-02-30"}, "joined_on: there is no day"),
    ):
        with pytest.raises(BadInput, match=why):
            student_fields({**cells, **changed})


def reading(*students: StudentFields) -> Reading[StudentFields]:
    return Reading(tuple(Row(line, fields) for line, fields in enumerate(students, start=2)))


def plan(
    *students: StudentFields, known: list[Student] | None = None, update: bool = False, create: bool = False
) -> StudentPlan:
    return plan_students(reading(*students), known or [], {"7b"}, update=update, create_sections=create)


ADA = StudentFields("007", "Ada", username="ada", section="7b")


def test_a_student_on_record_with_the_same_fields_changes_nothing() -> None:
    assert plan(ADA, known=[Student("id", ADA)]) == StudentPlan((), (), 1, ())


def test_columns_that_the_file_lacks_stay_as_they_are_but_groups_end_with_their_section() -> None:
    ada = replace(ADA, joined_on=date(2026, 9, 1), groups=("A",))
    row = Row(2, replace(ADA, section="7c"))
    absent = Reading((row,), absent=("joined_on", "left_on", "groups"))
    planned = plan_students(absent, [Student("id", ada)], {"7b", "7c"}, update=True, create_sections=False)
    assert (planned.change[0].changed, planned.change[0].after.groups) == (("section", "groups"), ())
    kept = Reading((Row(2, ADA),), absent=("joined_on", "left_on", "groups"))
    same = plan_students(kept, [Student("id", ada)], {"7b"}, update=False, create_sections=False, groups={"7b": ["A"]})
    assert same.unchanged == 1
    full = Reading((Row(2, ADA),))
    cleared = plan_students(full, [Student("id", ada)], {"7b"}, update=True, create_sections=False)
    assert cleared.change[0].changed == ("joined_on", "groups")


def test_what_a_file_leaves_on_record_must_go_with_what_it_says() -> None:
    ada = replace(ADA, joined_on=date(2026, 9, 10))
    row = Row(2, replace(ADA, left_on=date(2026, 9, 1)))
    with pytest.raises(RowsRefused, match="left_on 2026-09-01 is before joined_on"):
        plan_students(
            Reading((row,), absent=("joined_on",)), [Student("id", ada)], {"7b"}, update=True, create_sections=False
        )


def test_an_unknown_group_is_refused_or_made() -> None:
    new = [
        StudentFields("1", "A", section="7b", groups=("X", "Y")),
        StudentFields("2", "B", section="7b", groups=("X",)),
    ]
    with pytest.raises(RowsRefused, match="section '7b' has no group 'X'"):
        plan(*new)
    assert plan(*new, create=True).new_groups == (("7b", "X"), ("7b", "Y"))


def test_leading_zeros_make_another_student() -> None:
    other = StudentFields("7", "Ada")
    assert plan(other, known=[Student("id", ADA)]).add == (other,)


def test_a_contradiction_needs_update() -> None:
    changed = StudentFields("007", "Ada", username="ada", section=None)
    with pytest.raises(RowsRefused, match="line 2: serial number 007 is on record as Ada with another section"):
        plan(changed, known=[Student("id", ADA)])
    change = plan(changed, known=[Student("id", ADA)], update=True).change[0]
    assert (change.after, change.changed) == (changed, ("section",))


def test_repeated_serials_and_usernames_are_named_with_both_lines() -> None:
    with pytest.raises(RowsRefused) as caught:
        plan(ADA, ADA, StudentFields("8", "Bob", username="ada"))
    assert [(problem.line, problem.reason) for problem in caught.value.problems] == [
        (3, "serial number 007 is already on line 2"),
        (3, "username 'ada' is already on line 2"),
        (4, "username 'ada' is already on line 2"),
    ]


def test_two_students_may_swap_their_usernames() -> None:
    known = [Student("1", StudentFields("1", "A", username="x")), Student("2", StudentFields("2", "B", username="y"))]
    swapped = plan(
        StudentFields("1", "A", username="y"), StudentFields("2", "B", username="x"), known=known, update=True
    )
    assert len(swapped.change) == 2


def test_a_username_of_someone_else_is_refused() -> None:
    with pytest.raises(RowsRefused, match="username 'ada' belongs to serial number 007"):
        plan(StudentFields("8", "Bob", username="ada"), known=[Student("id", ADA)])


def test_an_unknown_section_is_refused_or_made() -> None:
    new = [StudentFields("1", "A", section="8a"), StudentFields("2", "B", section="8a")]
    with pytest.raises(RowsRefused, match="--create-sections"):
        plan(*new)
    assert plan(*new, create=True).new_sections == ("8a",)
