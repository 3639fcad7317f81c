"""Students, sections and rooms on a real database."""

from datetime import date

import pytest

from hub.core.csv_reading import RowsRefused
from hub.core.csv_writing import csv_bytes
from hub.core.errors import BadInput, Conflict, NotFound
from hub.office import lessons, register, rooms, sections, student_lists, students
from tests.hub_office.conftest import OfficeUnderTest

HEADER = "serial_number,name,username,email,phone,section\n"
FILE = (HEADER + "007,Zoë Müller,zoe,zoe@example.org,+49 30 1234,7b\n7,李小龍,,,,7b\n8,عمر,omar,,,\n").encode()


def test_a_student_is_added_listed_and_audited(desk: OfficeUnderTest) -> None:
    sections.add_section(desk.office, "7b")
    added = students.add_student(desk.office, {"serial_number": "007", "name": "Ada", "section": "7b"})
    line = students.list_students(desk.office, section="7b")[0]
    assert (line.student, line.consent, line.pictures) == (added, False, 0)
    assert desk.actions() == ["section.add", "student.add"]
    assert "Ada" not in str(desk.rows("select * from audit"))


def test_what_is_taken_or_unknown_is_refused(desk: OfficeUnderTest) -> None:
    students.add_student(desk.office, {"serial_number": "1", "name": "Ada", "username": "ada"})
    with pytest.raises(Conflict, match="on record as Ada"):
        students.add_student(desk.office, {"serial_number": "1", "name": "Bob"})
    with pytest.raises(Conflict, match="belongs to serial number 1"):
        students.add_student(desk.office, {"serial_number": "2", "name": "Bob", "username": "ada"})
    with pytest.raises(NotFound, match="no section '9z'"):
        students.add_student(desk.office, {"serial_number": "2", "name": "Bob", "section": "9z"})
    with pytest.raises(BadInput, match="name is empty"):
        students.add_student(desk.office, {"serial_number": "2", "name": " "})
    sections.add_section(desk.office, "7b")
    rooms.add_room(desk.office, "12")
    with pytest.raises(Conflict, match="7b"):
        sections.add_section(desk.office, " 7b ")
    with pytest.raises(Conflict, match="12"):
        rooms.add_room(desk.office, "12")
    with pytest.raises(NotFound):
        students.list_students(desk.office, section="nowhere")


def test_an_import_adds_everything_in_any_script_and_again_changes_nothing(desk: OfficeUnderTest) -> None:
    first = students.import_students(desk.office, FILE, create_missing_sections=True)
    assert (len(first.added), first.new_sections) == (3, ("7b",))
    names = {line.student.fields.serial_number: line.student.fields for line in students.list_students(desk.office)}
    assert (names["007"].name, names["007"].phone, names["7"].name) == ("Zoë Müller", "+49 30 1234", "李小龍")
    audited = desk.count("audit")
    again = students.import_students(desk.office, FILE, create_missing_sections=True)
    assert (again.added, again.changed, again.unchanged, again.new_sections) == ((), (), 3, ())
    assert desk.count("audit") == audited


def test_an_exported_list_is_imported_again_and_changes_nothing(desk: OfficeUnderTest) -> None:
    names = ["=cmd|' /C calc'!A0", "'=x", "''@x", "'Ali", '"quoted", O\'Neil; x', "عمر", "می\u200cخواهم", "＝李", "-"]
    header = [*HEADER.strip().split(","), "groups", "left_on", "joined_on"]
    rows = [[f"00{number}", name, "", "", f"+49 30 {number}1", "7b", "", "", ""] for number, name in enumerate(names)]
    rows[0][6:] = ["A;B", "2026-12-18", "2026-09-01"]
    rows[1][6:] = ["A", "2026-08-31", ""]
    file = csv_bytes(header, rows)
    first = students.import_students(desk.office, file, create_missing_sections=True)
    assert [fields.name for fields in first.added] == names
    exported = student_lists.export_students(desk.office)
    assert exported.students == len(names)
    assert b"\n00" in exported.content
    assert not [line for line in exported.content.decode().splitlines() if ",=" in line or ",+" in line]
    again = students.import_students(desk.office, exported.content)
    assert (again.added, again.changed, again.unchanged) == ((), (), len(names))
    one = students.list_students(desk.office)[0].student.fields
    assert (one.groups, one.joined_on, one.left_on) == (("A", "B"), date(2026, 9, 1), date(2026, 12, 18))


def test_one_bad_row_keeps_everything_out(desk: OfficeUnderTest) -> None:
    bad = FILE + b"9,,,,,\n007,Again,,,,\n10,X,zoe,not an address,,\n11,Y,zoe,,,\n"
    with pytest.raises(RowsRefused) as caught:
        students.import_students(desk.office, bad, create_missing_sections=True)
    assert [problem.line for problem in caught.value.problems] == [5, 6, 7, 8]
    assert (desk.count("students"), desk.count("sections"), desk.actions()) == (0, 0, [])


def test_a_dry_run_shows_and_does_nothing(desk: OfficeUnderTest) -> None:
    shown = students.import_students(desk.office, FILE, create_missing_sections=True, dry_run=True)
    assert (len(shown.added), shown.new_sections, shown.dry_run) == (3, ("7b",), True)
    assert (desk.count("students"), desk.count("sections"), desk.actions()) == (0, 0, [])


def test_usernames_are_swapped_and_sections_left(desk: OfficeUnderTest) -> None:
    students.import_students(desk.office, FILE, create_missing_sections=True)
    swapped = (HEADER + "007,Zoë Müller,omar,zoe@example.org,+49 30 1234,\n8,عمر,zoe,,,\n").encode()
    with pytest.raises(RowsRefused, match="--update"):
        students.import_students(desk.office, swapped)
    outcome = students.import_students(desk.office, swapped, update=True)
    assert [change.changed for change in outcome.changed] == [("username", "section"), ("username",)]
    fields = {line.student.fields.serial_number: line.student.fields for line in students.list_students(desk.office)}
    assert (fields["007"].username, fields["007"].section, fields["8"].username) == ("omar", None, "zoe")


def test_a_new_member_makes_galleries_and_the_register_follow(desk: OfficeUnderTest) -> None:
    rooms.add_room(desk.office, "12")
    sections.add_section(desk.office, "7b")
    desk.add_unit("12")
    for start in ("2026-08-31T08:00", "2026-09-01T08:00", "2026-09-02T08:00"):
        end = start.replace("T08:00", "T08:45")
        lessons.add_lesson(desk.office, {"room": "12", "section": "7b", "starts_at": start, "ends_at": end})
    before = desk.revision()
    students.add_student(desk.office, {"serial_number": "1", "name": "Ada", "section": "7b"})
    assert desk.revision() == before + 1
    assert desk.dirty() == [("1", "2026-08-31"), ("1", "2026-09-01")]


def test_a_move_touches_today_only_and_past_lessons_stay_where_they_were(desk: OfficeUnderTest) -> None:
    rooms.add_room(desk.office, "12")
    for name in ("7b", "8a"):
        sections.add_section(desk.office, name)
    for start, section in (("2026-08-31T08:00", "7b"), ("2026-08-31T10:00", "8a"), ("2026-09-01T08:00", "8a")):
        end = start.replace(":00", ":45")
        lessons.add_lesson(desk.office, {"room": "12", "section": section, "starts_at": start, "ends_at": end})
    students.add_student(desk.office, {"serial_number": "1", "name": "Ada", "section": "7b"})
    desk.clean()
    moved = (HEADER + "1,Ada,,,,8a\n").encode()
    students.import_students(desk.office, moved, update=True)
    assert desk.dirty() == [("1", "2026-09-01")]
    assert desk.count("student_sections") == 2
    students.import_students(desk.office, (HEADER + "1,Ada Lovelace,,,,8a\n").encode(), update=True)
    assert desk.count("student_sections") == 2
    sheet = register.read_register(desk.office, date(2026, 8, 31))
    assert [
        occasion.section for occasion in sheet.occasions if (sheet.students[0].student_id, occasion.key) in sheet.marks
    ] == ["7b"]


def test_an_accent_makes_another_section_and_case_another_username(desk: OfficeUnderTest) -> None:
    sections.add_section(desk.office, "jose")
    sections.add_section(desk.office, "josé")
    students.add_student(desk.office, {"serial_number": "1", "name": "A", "username": "ada", "section": "josé"})
    students.add_student(desk.office, {"serial_number": "2", "name": "B", "username": "Ada"})
    assert [(line.name, line.students) for line in sections.list_sections(desk.office)] == [("jose", 0), ("josé", 1)]


def test_rooms_show_their_units_and_what_is_to_come(desk: OfficeUnderTest) -> None:
    rooms.add_room(desk.office, "12")
    rooms.add_room(desk.office, "13")
    desk.add_unit("12")
    sections.add_section(desk.office, "7b")
    for day in ("2026-08-31", "2026-09-02"):
        form = {"room": "12", "section": "7b", "starts_at": f"{day}T08:00", "ends_at": f"{day}T09:00"}
        lessons.add_lesson(desk.office, form)
    lines = rooms.list_rooms(desk.office)
    assert [(line.name, line.units, line.coming_lessons) for line in lines] == [("12", ("unit",), 1), ("13", (), 0)]
