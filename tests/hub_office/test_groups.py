"""Groups: parts of a section that are taught apart, on a real database."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select

from hub.adapters import membership
from hub.adapters.database import Database
from hub.adapters.schema import lessons, student_sections
from hub.core.csv_reading import RowsRefused
from hub.core.errors import BadInput, Conflict, NotFound
from hub.office import groups, rooms, sections, students
from tests.hub_office.conftest import OfficeUnderTest
from tests.hub_office.lesson_rows import put_lesson

HEADER = "serial_number,name,username,email,phone,section,groups\n"
MORNING = datetime(2026, 9, 1, 6, tzinfo=UTC)


@pytest.fixture
def school(desk: OfficeUnderTest) -> OfficeUnderTest:
    """Section 7b with the groups A and B, its lessons, and three students of whom two are in a group."""
    rooms.add_room(desk.office, "12")
    file = HEADER + "1,Ada,,,,7b,A\n2,Bob,,,,7b, B ;A;\n3,Cy,,,,7b,\n4,Dan,,,,8a,\n"
    done = students.import_students(desk.office, file.encode(), create_missing_sections=True)
    assert done.new_groups == (("7b", "A"), ("7b", "B"))
    return desk


def expected(database: Database, lesson_id: str) -> list[str]:
    """The serial numbers of who is expected in a lesson."""
    with database.transaction() as connection:
        found = list(
            connection.execute(
                select(student_sections.c.student_id)
                .select_from(lessons)
                .join(student_sections, membership.expected())
                .where(lessons.c.id == lesson_id)
            ).scalars()
        )
        history = membership.groups_history(connection, found)
        assert all(one.holds(one.group_id, one.since) for past in history.values() for one in past)
        names = connection.exec_driver_sql("select lower(hex(id)), serial_number from students").all()
    serials = {str(row[0]): str(row[1]) for row in names}
    return sorted(serials[student_id.replace("-", "")] for student_id in found)


def in_group(desk: OfficeUnderTest) -> dict[str, tuple[str, ...]]:
    return {line.name: line.serial_numbers for line in sections.list_groups(desk.office, "7b")}


def test_a_lesson_of_a_group_expects_who_is_in_it_then_and_a_cancelled_one_nobody(school: OfficeUnderTest) -> None:
    office = school.office
    whole = put_lesson(school, "12", "7b", MORNING)
    monday = put_lesson(school, "12", "7b", MORNING - timedelta(days=1), group="A")
    today = put_lesson(school, "12", "7b", MORNING + timedelta(hours=1), group="A")
    other = put_lesson(school, "12", "7b", MORNING + timedelta(hours=2), group="B")
    school.clean()
    done = groups.set_group(office, "7b", "A", ["1", "3"], from_day=date(2026, 9, 1))
    assert (done.came, done.left, done.members) == (("3",), ("2",), ("1", "3"))
    assert school.dirty() == [("2", "2026-09-01"), ("3", "2026-09-01")]
    assert [expected(office.database, lesson) for lesson in (whole, monday, today, other)] == [
        ["1", "2", "3"],
        ["1", "2"],
        ["1", "3"],
        ["2"],
    ]
    school.do("update lessons set cancelled_at = now()")
    assert expected(office.database, whole) == []
    audited = school.count("audit")
    assert groups.set_group(office, "7b", "A", ["1", "3"]).came == ()
    assert school.count("audit") == audited


def test_students_are_added_and_removed_and_a_move_of_section_ends_it(school: OfficeUnderTest) -> None:
    office = school.office
    assert in_group(school) == {"A": ("1", "2"), "B": ("2",)}
    groups.set_group(office, "7b", "A", ["3"], way="add")
    groups.set_group(office, "7b", "A", ["1"], way="remove")
    assert in_group(school) == {"A": ("2", "3"), "B": ("2",)}
    students.change_student(office, "2", {"groups": "B"})
    assert in_group(school) == {"A": ("3",), "B": ("2",)}
    moved = students.change_student(office, "3", {"section": "8a"})
    assert moved.changed == ("section", "groups")
    assert in_group(school) == {"A": (), "B": ("2",)}
    assert school.rows("select count(*) from student_groups where until is null") == [(1,)]
    students.leave_student(office, "2", date(2026, 9, 4))
    assert in_group(school) == {"A": (), "B": ("2",)}
    until = school.rows("select distinct until from student_groups where until > '2026-09-02'")
    assert [str(row[0]) for row in until] == ["2026-09-04 22:00:00"]
    # Whoever comes back to the section comes back to its groups.
    students.change_student(office, "2", {"left_on": "", "joined_on": "2026-10-01"})
    assert in_group(school) == {"A": (), "B": ("2",)}
    since = school.rows("select since from student_groups where until is null")
    assert [str(row[0]) for row in since] == ["2026-09-30 22:00:00"]


def test_a_list_without_the_column_leaves_groups_and_an_empty_cell_clears_them(school: OfficeUnderTest) -> None:
    plain = "serial_number,name,username,email,phone,section\n"
    done = students.import_students(school.office, (plain + "1,Ada L,,,,7b\n2,Bob,,,,8a\n").encode(), update=True)
    assert [change.changed for change in done.changed] == [("name",), ("section", "groups")]
    assert in_group(school) == {"A": ("1",), "B": ()}
    students.import_students(school.office, (HEADER + "1,Ada L,,,,7b,\n").encode(), update=True)
    assert in_group(school) == {"A": (), "B": ()}


def test_what_is_unknown_doubled_or_of_another_section_is_refused(school: OfficeUnderTest) -> None:
    office = school.office
    with pytest.raises(Conflict, match="has a group 'A' already"):
        sections.add_group(office, "7b", " A ")
    assert sections.add_group(office, "8a", "A").name == "A"
    for name, why in (("a;b", "between groups"), (" ", "empty")):
        with pytest.raises(BadInput, match=why):
            sections.add_group(office, "7b", name)
    with pytest.raises(NotFound, match="no section '9z'"):
        sections.add_group(office, "9z", "A")
    with pytest.raises(NotFound, match="has no group 'C'"):
        groups.set_group(office, "7b", "C", ["1"])
    with pytest.raises(NotFound, match="serial number 9"):
        groups.set_group(office, "7b", "A", ["9"])
    with pytest.raises(Conflict, match="not in section '7b': 4"):
        groups.set_group(office, "7b", "A", ["1", "4"])
    with pytest.raises(RowsRefused) as caught:
        students.import_students(office, (HEADER + "5,E,,,,,A\n6,F,,,,7b,C\n").encode())
    assert [problem.line for problem in caught.value.problems] == [2, 3]
    assert in_group(school) == {"A": ("1", "2"), "B": ("2",)}


def test_sections_and_rooms_get_other_names_and_taken_or_unknown_ones_are_refused(school: OfficeUnderTest) -> None:
    office = school.office
    rooms.add_room(office, "13")
    assert sections.rename_section(office, "7b", " 8b ").name == "8b"
    assert rooms.rename_room(office, "12", "Physics").name == "Physics"
    assert sections.rename_section(office, "8b", "8b").name == "8b"
    assert school.actions()[-2:] == ["section.rename", "room.rename"]
    assert [line.name for line in sections.list_sections(office)] == ["8a", "8b"]
    assert students.list_students(office, section="8b")[0].student.fields.section == "8b"
    with pytest.raises(Conflict, match="a section '8a' already"):
        sections.rename_section(office, "8b", "8a")
    with pytest.raises(Conflict, match="a room '13' already"):
        rooms.rename_room(office, "Physics", "13")
    with pytest.raises(NotFound, match="no section '7b'"):
        sections.rename_section(office, "7b", "x")
    with pytest.raises(NotFound, match="no room '12'"):
        rooms.rename_room(office, "12", "x")


def test_who_was_in_a_group_is_corrected_in_the_past_and_other_groups_stay_as_they_were(
    school: OfficeUnderTest,
) -> None:
    office, monday = school.office, date(2026, 8, 31)
    past = put_lesson(school, "12", "7b", MORNING - timedelta(days=1), group="B")
    other = put_lesson(school, "12", "7b", MORNING - timedelta(hours=22), group="A")
    groups.set_group(office, "7b", "B", ["2"], way="remove")
    groups.set_group(office, "7b", "A", ["2"], way="remove")
    assert expected(office.database, past) == ["2"]
    school.clean()
    done = groups.set_group(office, "7b", "B", ["2"], way="remove", from_day=monday)
    assert (done.left, done.corrected, expected(office.database, past)) == ((), ("2",), [])
    assert school.dirty() == [("2", "2026-08-31"), ("2", "2026-09-01")]
    audited = school.count("audit")
    assert groups.set_group(office, "7b", "B", ["2"], way="remove", from_day=monday).corrected == ()
    assert school.count("audit") == audited
    assert groups.set_group(office, "7b", "B", ["2"], way="add", from_day=date(2026, 9, 1)).came == ("2",)
    assert groups.set_group(office, "7b", "B", ["2"], from_day=monday).corrected == ("2",)
    assert expected(office.database, past) == ["2"]
    assert groups.set_group(office, "7b", "B", [], from_day=date(2026, 9, 1)).left == ("2",)
    assert groups.set_group(office, "7b", "B", [], from_day=monday).corrected == ("2",)
    # All of it was about one group.
    assert expected(office.database, other) == ["1", "2"]
    students.change_student(office, "2", {"groups": "B"})
    again = students.change_student(office, "2", {"groups": "B"}, from_day=monday)
    assert (again.changed, again.corrected, expected(office.database, past)) == ((), True, ["2"])
    moved = students.change_student(office, "4", {"section": "7b"})
    assert (moved.changed, moved.corrected) == (("section",), False)
    whole = put_lesson(school, "12", "7b", MORNING - timedelta(hours=20))
    assert expected(office.database, whole) == ["1", "2", "3"]
    assert students.change_student(office, "4", {"section": "7b"}, from_day=monday).corrected
    assert expected(office.database, whole) == ["1", "2", "3", "4"]
    assert not students.change_student(office, "4", {"section": "7b"}, from_day=monday).corrected
