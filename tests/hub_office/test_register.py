"""The register on a real database."""

from datetime import date, timedelta

import pytest
from sqlalchemy import insert

from hub.adapters import lesson_store, roster_store
from hub.adapters.schema import attendance
from hub.core.errors import NotFound
from hub.office import erasure, holidays, lessons, register, rooms, sections, students
from hub.office.timetable_replan import ReplanChoice
from tests.hub_office.conftest import NOW, OfficeUnderTest

DAY = date(2026, 9, 1)


@pytest.fixture
def school(desk: OfficeUnderTest) -> OfficeUnderTest:
    for room in ("12", "13"):
        rooms.add_room(desk.office, room)
    for section in ("7b", "8a"):
        sections.add_section(desk.office, section)
    for serial, name, section in (
        ("1", "=Ada()", "7b"),
        ("002", "李小龍", "7b"),
        ("3", "Eve", "8a"),
        ("4", "Guest", ""),
    ):
        students.add_student(desk.office, {"serial_number": serial, "name": name, "section": section})
    for label, start, section, room in (
        ("Maths", "08:00", "7b", "12"),
        ("Art", "09:00", "7b", "13"),
        ("Maths", "08:00", "8a", "13"),
        ("Night", "00:00", "8a", "12"),
    ):
        end = f"{start[:2]}:45"
        lessons.add_lesson(
            desk.office,
            {
                "room": room,
                "section": section,
                "label": label,
                "starts_at": f"2026-09-01T{start}",
                "ends_at": f"2026-09-01T{end}",
            },
        )
    return desk


def attend(school: OfficeUnderTest, serial: str, label: str, status: str) -> None:
    """Put on record what the derivation would write."""
    with school.office.database.transaction() as connection:
        student = roster_store.find_students(connection, [serial])[serial]
        lesson = next(
            lesson
            for lesson in lesson_store.find_lessons(connection, NOW, NOW - timedelta(hours=12))
            if (lesson.fields.label, lesson.fields.section) == (label, student.fields.section)
        )
        connection.execute(
            insert(attendance).values(
                student_id=student.student_id,
                occasion=f"lesson:{lesson.lesson_id}",
                lesson_id=lesson.lesson_id,
                day=DAY,
                timestamp=lesson.fields.starts_at,
                status=status,
                method="Face Recognition",
                rule="seen",
            )
        )


def test_a_day_has_a_column_for_each_lesson_and_one_for_whoever_has_none(school: OfficeUnderTest) -> None:
    attend(school, "1", "Maths", "Present")
    attend(school, "002", "Art", "Late")
    header, lines = register.read_register(school.office, DAY).table()
    assert header[3:] == ("00:00 Night", "08:00 Maths (7b, 12)", "08:00 Maths (8a, 13)", "09:00 Art", "Day")
    unmarked = "Not observed"
    assert lines == [
        ("4", "Guest", "", "", "", "", "", unmarked),
        ("002", "李小龍", "7b", "", unmarked, "", "Late", ""),
        ("1", "=Ada()", "7b", "", "Present", "", unmarked, ""),
        ("3", "Eve", "8a", unmarked, "", unmarked, "", ""),
    ]


def test_a_section_or_a_room_is_a_part_of_it(school: OfficeUnderTest) -> None:
    part = register.read_register(school.office, DAY, section="8a")
    assert part.table()[0][3:] == ("00:00 Night", "08:00 Maths")
    part = register.read_register(school.office, DAY, room="13")
    assert ([student.serial_number for student in part.students], len(part.occasions)) == (["002", "1", "3"], 2)
    with pytest.raises(NotFound):
        register.read_register(school.office, DAY, section="nowhere")
    with pytest.raises(NotFound):
        register.read_register(school.office, DAY, room="nowhere")


def test_without_a_timetable_the_day_is_the_column(school: OfficeUnderTest) -> None:
    sheet = register.read_register(school.office, date(2026, 8, 31))
    assert [occasion.key for occasion in sheet.occasions] == ["day:2026-08-31"]
    assert (sheet.counts(), sheet.free) == ({"Not observed": 4}, "")


def test_a_day_without_school_says_so_and_nobody_is_unobserved_on_it(school: OfficeUnderTest) -> None:
    holidays.add_holiday(school.office, date(2026, 8, 31), DAY, "Fair", ReplanChoice())
    for day, free in (
        (date(2026, 8, 31), "holidays: Fair"),
        (date(2026, 9, 2), "a day to come"),
        (date(2026, 8, 30), "a weekend, without lessons"),
    ):
        sheet = register.read_register(school.office, day, section="7b")
        assert (sheet.free, sheet.counts(), len(sheet.students)) == (free, {}, 2)
    # Single lessons take place all the same.
    assert register.read_register(school.office, DAY, section="7b").counts() == {"Not observed": 4}


def test_the_register_of_a_day_has_who_was_in_the_section_then_also_who_was_erased_since(
    school: OfficeUnderTest,
) -> None:
    office = school.office
    attend(school, "1", "Maths", "Present")
    school.clean()
    students.change_student(office, "002", {"section": "8a"}, from_day=date(2026, 9, 2))
    erasure.erase(office, "1")
    sheet = register.read_register(office, DAY, section="7b")
    assert [(one.serial_number[:6], one.section) for one in sheet.students] == [("002", "7b"), ("erased", "7b")]
    assert sheet.counts()["Present"] == 1
    assert (sheet.waiting, len(sheet.derived_soon)) == (1, 1)
    assert [one.serial_number for one in register.read_register(office, DAY, section="8a").students] == ["3"]
    earlier = register.read_register(office, date(2026, 8, 31), section="7b")
    assert (earlier.counts(), earlier.waiting) == ({"Not observed": 2}, 0)
    later = register.read_register(office, date(2026, 9, 2))
    assert [(one.serial_number, one.section) for one in later.students] == [("4", None), ("002", "8a"), ("3", "8a")]


def test_a_file_is_harmless_in_a_spreadsheet_and_its_export_is_audited(school: OfficeUnderTest) -> None:
    exported = register.export_register(school.office, DAY, section="7b", bom=True)
    text = exported.content.decode("utf-8-sig")
    assert exported.content.startswith(b"\xef\xbb\xbf")
    assert text.splitlines()[1:] == [
        "002,李小龍,7b,Not observed,Not observed",
        "1,'=Ada(),7b,Not observed,Not observed",
    ]
    assert school.actions()[-1] == "register.export"


def test_the_schools_day_is_not_utcs(school: OfficeUnderTest) -> None:
    # 00:00 in Berlin is 22:00 UTC of the day before.
    assert "00:00 Night" not in register.read_register(school.office, date(2026, 8, 31)).table()[0]
    assert register.today(school.office) == DAY
