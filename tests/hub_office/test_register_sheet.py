"""The register of a day: who is in which column, and with which word."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hub.core.register_sheet import DayRecords, Mark, Occasion, Sheet, SheetStudent, build_sheet

ZONE = ZoneInfo("Europe/Berlin")
DAY = date(2026, 9, 1)
EIGHT = datetime(2026, 9, 1, 6, tzinfo=UTC)  # 08:00 in Berlin
NOON = EIGHT + timedelta(hours=4)

ADA = SheetStudent("ada", "1", "Ada", "7b")
BOB = SheetStudent("bob", "2", "Bob", "7b")
EVE = SheetStudent("eve", "3", "Eve", "8a")
DAY_KEY = "day:2026-09-01"


def lesson(key: str, hours: int, section: str = "7b", room: str = "12", label: str = "Maths") -> Occasion:
    start = EIGHT + timedelta(hours=hours)
    return Occasion(key, label, section, room, start, start + timedelta(minutes=45))


def sheet(
    *lessons: Occasion,
    students: tuple[SheetStudent, ...] = (ADA, BOB),
    marks: dict[tuple[str, str], str] | None = None,
    parts: tuple[str, ...] = ("",),
) -> Sheet:
    on_record = {place: Mark(status, "Manual", NOON, room="12") for place, status in (marks or {}).items()}
    members = {(one.student_id, lesson.key) for one in students for lesson in lessons if one.section == lesson.section}
    return build_sheet(DayRecords(students, lessons, on_record, members), day=DAY, zone=ZONE, now=NOON, parts=parts)


def test_every_member_has_a_status_and_whoever_nobody_marked_is_not_observed() -> None:
    header, lines = sheet(lesson("l1", 0), marks={("ada", "l1"): "Present"}).table()
    assert header == ("serial_number", "name", "section", "08:00 Maths")
    assert lines == [("1", "Ada", "7b", "Present"), ("2", "Bob", "7b", "Not observed")]


def test_a_lesson_that_has_not_begun_has_no_status_yet() -> None:
    made = sheet(lesson("l1", 6), marks={("ada", "l1"): "Excused"})
    assert made.table()[1] == [("1", "Ada", "7b", "Excused"), ("2", "Bob", "7b", "")]
    assert made.counts() == {"Excused": 1}


def test_students_without_a_lesson_have_the_day() -> None:
    header, lines = sheet(lesson("l1", 0), students=(ADA, EVE), marks={("eve", DAY_KEY): "Present"}).table()
    assert header[3:] == ("08:00 Maths", "Day")
    assert lines == [("1", "Ada", "7b", "Not observed", ""), ("3", "Eve", "8a", "", "Present")]


def test_a_school_without_a_timetable_has_one_column() -> None:
    header, lines = sheet(marks={("ada", DAY_KEY): "Late"}).table()
    assert header[3:] == ("Day",)
    assert [line[3] for line in lines] == ["Late", "Not observed"]


def test_a_guest_with_a_mark_stands_in_the_lessons_column() -> None:
    made = sheet(lesson("l1", 0), students=(ADA, EVE), marks={("eve", "l1"): "Present"})
    assert made.status(EVE, made.occasions[0]) == "Present"


def test_lessons_at_one_time_are_told_apart() -> None:
    made = sheet(lesson("l1", 0), lesson("l2", 0, "8a", "13"), students=(ADA, EVE))
    assert made.titles() == ("08:00 Maths (7b, 12)", "08:00 Maths (8a, 13)")


def test_a_mark_of_a_deleted_lesson_is_left_out() -> None:
    assert sheet(lesson("l1", 0), marks={("ada", "lesson:gone"): "Late"}).counts() == {"Not observed": 2}


def test_a_section_sees_its_students_and_lessons_only() -> None:
    made = sheet(lesson("l1", 0), lesson("l2", 0, "8a", "13"), students=(ADA, EVE)).narrowed(section="8a")
    assert [student.name for student in made.students] == ["Eve"]
    assert [occasion.key for occasion in made.occasions] == ["l2"]


def test_a_room_sees_its_lessons_and_whoever_its_unit_saw() -> None:
    made = sheet(lesson("l1", 0), lesson("l2", 1, room="13"), students=(ADA, EVE), marks={("eve", DAY_KEY): "Present"})
    assert [occasion.key for occasion in made.narrowed(room="12").occasions] == ["l1", DAY_KEY]
    assert [occasion.key for occasion in made.narrowed(room="13").occasions] == ["l2"]
    assert [student.name for student in made.narrowed(room="13").students] == ["Ada"]


def test_counts_are_of_what_is_shown() -> None:
    made = sheet(lesson("l1", 0), lesson("l2", 1), marks={("ada", "l1"): "Present"})
    assert made.counts() == {"Not observed": 3, "Present": 1}


def test_a_day_in_parts_has_a_column_for_each_and_old_marks_keep_theirs() -> None:
    made = sheet(marks={("ada", DAY_KEY): "Late"}, parts=("AM", "PM"))
    assert made.table()[0][3:] == ("AM", "PM", "Day")
    assert made.table()[1] == [
        ("1", "Ada", "7b", "Not observed", "Not observed", "Late"),
        ("2", "Bob", "7b", "Not observed", "Not observed", ""),
    ]


def test_whoever_has_left_is_on_no_day_but_keeps_what_is_on_record() -> None:
    left = replace(EVE, at_school=False)
    assert [one.name for one in sheet(students=(ADA, left)).students] == ["Ada"]
    assert sheet(students=(ADA, left), marks={("eve", DAY_KEY): "Present"}).table()[1][-1][3:] == ("Present",)
