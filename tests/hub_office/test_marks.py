"""Marks of people: found, written, silenced, taken back, and copied into attendance.csv."""

import csv
import json
from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import update

from hub.adapters.schema import dirty_students, lessons, marks
from hub.core.errors import BadInput, Conflict, NotFound
from hub.office import holidays as office_holidays
from hub.office import marks as office_marks
from hub.office import students as office_students
from hub.office.context import Office
from hub.office.marks import MarkRequest, mark, unmark, unmark_batch
from hub.office.occasions import Named
from hub.office.timetable_replan import ReplanChoice
from tests.hub_adapters.school import utc
from tests.hub_core.builders import a_mark
from tests.hub_office.conftest import NOW, OfficeUnderTest
from tests.hub_office.little_school import DAY, LittleSchool, local

pytestmark = pytest.mark.server


@pytest.fixture
def school(desk: OfficeUnderTest) -> LittleSchool:
    return LittleSchool(desk)


def said(office: Office, status: str, *serials: str, **more: object) -> list[tuple[str, str, bool]]:
    """Mark; serial number, status and whether it is new of what stands now."""
    named = Named(**{key: more.pop(key) for key in list(more) if key in Named.__dataclass_fields__})  # type: ignore[arg-type]
    request = replace(MarkRequest(status, named, serials), **more)  # type: ignore[arg-type]
    return [(one.student.fields.serial_number, one.status, one.new) for one in mark(office, request).lines]


def test_a_student_is_marked_in_the_lesson_that_runs_then_and_the_register_is_told(school: LittleSchool) -> None:
    maths, art = school.lesson("08:00"), school.lesson("11:30", label="Art")
    [line] = mark(school.office, MarkRequest("late", Named(at=local("08:20")), ("1",), reason="bus")).lines
    assert (line.occasion.key, line.at, line.reason, line.new) == (f"lesson:{maths}", local("08:20"), "bus", True)
    # Without a time: now, 12:00 in Berlin.
    [line] = mark(school.office, MarkRequest("present", serial_numbers=("002",))).lines
    assert (line.occasion.key, line.at) == (f"lesson:{art}", None)
    told = {(row["student_id"], row["day"], row["cause"]) for row in school.all(dirty_students)}
    assert told == {(school.students[serial], DAY, "mark") for serial in ("1", "002")}
    assert school.desk.actions() == ["mark.set", "mark.set"]
    entries = school.desk.rows("select subject, object, detail from audit where action = 'mark.set' order by at")
    assert entries[0][:2] == (f"student:{school.students['1']}", f"lesson:{maths}")
    assert "bus" not in str(entries)


def test_what_stands_already_is_not_written_again_and_the_newest_word_stands(school: LittleSchool) -> None:
    lesson = school.lesson("08:00")
    assert said(school.office, "present", "1", lesson_id=lesson) == [("1", "present", True)]
    assert said(school.office, "present", "1", lesson_id=lesson) == [("1", "present", False)]
    school.desk.clock.moment = NOW - timedelta(hours=1)  # the clock was set back
    assert said(school.office, "excused", "1", lesson_id=lesson) == [("1", "excused", True)]
    rows = sorted(school.all(marks), key=lambda row: row["made_at"])
    assert [row["status"] for row in rows] == ["present", "excused"]


def test_a_whole_section_but_for_some_and_its_undoing_with_one_gesture(school: LittleSchool) -> None:
    first, second = school.lesson("08:00"), school.lesson("09:00", label="Art")
    school.student("5", "Zoe", "7b")
    assert said(school.office, "absent", "1", lesson_id=first) == [("1", "absent", True)]
    trip = MarkRequest("excused", Named(section="7b", day=DAY), besides=("5",), reason="trip")
    made = mark(school.office, trip)
    assert [(one.student.fields.serial_number, one.occasion.key) for one in made.lines] == [
        (serial, f"lesson:{lesson}") for lesson in (first, second) for serial in ("002", "1")
    ]
    undone = unmark_batch(school.office, made.batch_id)
    assert [(one.student.fields.serial_number, one.stands) for one in undone.lines if one.stands] == [("1", "absent")]
    assert len(undone.lines) == 4
    before = school.desk.count("audit")
    assert unmark_batch(school.office, made.batch_id).lines == ()
    assert school.desk.count("audit") == before
    with pytest.raises(NotFound, match="not among them"):
        mark(school.office, replace(trip, besides=("3",)))


def test_a_mark_stays_with_its_lesson_when_that_moves_to_another_day(school: LittleSchool) -> None:
    lesson = school.lesson("08:00")
    made = mark(school.office, MarkRequest("late", Named(lesson_id=lesson), ("1",)))
    school.desk.clean()
    with school.office.database.transaction() as connection:
        moved = {"starts_at": local("2026-08-31T08:00"), "ends_at": local("2026-08-31T08:45")}
        connection.execute(update(lessons).where(lessons.c.id == lesson).values(moved))
    assert said(school.office, "late", "1", lesson_id=lesson) == [("1", "late", False)]
    unmark_batch(school.office, made.batch_id)
    assert school.desk.dirty() == [("1", "2026-08-31")]


def test_a_mark_at_a_unit_is_silenced_by_the_hub_and_undoing_twice_changes_nothing(school: LittleSchool) -> None:
    lesson = school.lesson("08:00")
    unit = school.unit()
    student = school.students["1"]
    body = a_mark(1, student, "absent", utc(6, 5), lesson_id=lesson)
    school.event(unit, "mark", utc(6, 5), json.dumps(body), student)
    said(school.office, "late", "1", lesson_id=lesson)
    whom = MarkRequest(named=Named(lesson_id=lesson), serial_numbers=("1",))
    [line] = unmark(school.office, whom).lines
    assert ([row.status for row in line.taken_back], line.unit_silenced) == (["late"], True)
    assert [row["status"] for row in school.all(marks) if row["undone_at"] is None] == ["machine"]
    everything = (school.all(marks), school.desk.count("audit"))
    assert unmark(school.office, whom).lines == ()
    assert (school.all(marks), school.desk.count("audit")) == everything
    # Whoever nobody marked: nothing stands, nothing is written.
    assert unmark(school.office, replace(whom, serial_numbers=("002",))).lines == ()


def test_the_same_again_is_written_again_where_a_unit_said_something_later(school: LittleSchool) -> None:
    lesson, student = school.lesson("08:00"), school.students["1"]
    school.desk.clock.moment = utc(6, 10)
    assert said(school.office, "absent", "1", lesson_id=lesson) == [("1", "absent", True)]
    body = a_mark(1, student, "present", utc(6, 20), lesson_id=lesson)
    school.event(school.unit(), "mark", utc(6, 20), json.dumps(body), student)
    school.desk.clock.moment = utc(7, 40)
    assert said(school.office, "absent", "1", lesson_id=lesson) == [("1", "absent", True)]
    assert said(school.office, "absent", "1", lesson_id=lesson) == [("1", "absent", False)]
    undone = unmark(school.office, MarkRequest(named=Named(lesson_id=lesson), serial_numbers=("1",)))
    entries = school.desk.rows("select detail from audit where action = 'mark.undo'")
    assert len(entries) == 3
    assert {json.loads(str(detail))["gesture"] for (detail,) in entries} == {undone.batch_id}


def test_lessons_that_were_cancelled_or_are_to_come_take_no_mark_but_an_excuse(school: LittleSchool) -> None:
    lesson, coming = school.lesson("08:00"), school.lesson("2026-09-02T08:00")
    with pytest.raises(Conflict, match="has not begun"):
        said(school.office, "present", "1", lesson_id=coming)
    both = Named(day=DAY, last_day=date(2026, 9, 4))
    excused = mark(school.office, MarkRequest("excused", both, ("1",), reason="medical"))
    assert [one.occasion.key for one in excused.lines] == [f"lesson:{lesson}", f"lesson:{coming}"]
    # What is left out is said.
    assert excused.left_out == (date(2026, 9, 3), date(2026, 9, 4))
    with school.office.database.transaction() as connection:
        connection.execute(update(lessons).where(lessons.c.id == lesson).values(cancelled_at=NOW))
    for request in (
        MarkRequest("present", Named(lesson_id=lesson), ("1",)),
        MarkRequest("present", Named(lesson_id=lesson)),
        MarkRequest("present", Named(lesson_id=lesson), ("3",), guest=True),
    ):
        with pytest.raises(Conflict, match="cancelled"):
            mark(school.office, request)


def test_who_is_not_expected_is_a_guest_or_refused_and_errors_say_what_there_is(school: LittleSchool) -> None:
    lesson = school.lesson("08:00")
    with pytest.raises(Conflict, match="not expected"):
        said(school.office, "present", "3", lesson_id=lesson)
    assert said(school.office, "present", "3", lesson_id=lesson, guest=True) == [("3", "present", True)]
    with pytest.raises(NotFound, match="no lesson at 2026-09-01 12:00") as refused:
        said(school.office, "present", "1")
    assert "Maths of 7b in 12" in refused.value.hint
    with pytest.raises(NotFound, match="number 2"):
        said(school.office, "present", "2", lesson_id=lesson)
    with pytest.raises(BadInput, match="who is meant"):
        said(school.office, "present")
    with pytest.raises(BadInput, match="2026-09-02 08:20 is not in Maths"):
        said(school.office, "late", "1", lesson_id=lesson, at=local("2026-09-02T08:20"))
    with pytest.raises(BadInput, match="no status"):
        said(school.office, "here", "1")
    assert said(school.office, "present", section="7b", room="12", at=local("07:55")) == [
        ("002", "present", True),
        ("1", "present", True),
    ]


def test_without_lessons_the_parts_of_the_day_are_marked(school: LittleSchool) -> None:
    [line] = mark(school.office, MarkRequest("present", Named(at=local("08:20")), ("4",))).lines
    assert (line.occasion.key, line.at) == ("day:2026-09-01", local("08:20"))
    week = Named(section="8a", day=date(2026, 9, 3), last_day=date(2026, 9, 7))
    excused = mark(school.office, MarkRequest("excused", week))
    assert excused.left_out == ()
    assert [one.occasion.key for one in excused.lines] == [
        "day:2026-09-03",
        "day:2026-09-04",
        "day:2026-09-07",
    ]


def test_every_mark_made_at_the_hub_is_a_line_of_its_attendance_csv(school: LittleSchool) -> None:
    lesson = school.lesson("08:00")
    school.student("=1", "=Ada()", "7b")
    path = school.office.settings.data_dir / "attendance.csv"
    assert said(school.office, "late", "=1", at=local("08:20")) == [("=1", "late", True)]
    said(school.office, "late", "=1", at=local("08:20"))
    said(school.office, "excused", "1", lesson_id=lesson, reason="medical")
    unmark(school.office, MarkRequest(named=Named(lesson_id=lesson), serial_numbers=("1",)))
    rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    assert rows[0][:3] == ["date", "time", "name"]
    assert [(*row[:3], row[6], row[7]) for row in rows[1:]] == [
        ("2026-09-01", "08:20:00", "'=1_=Ada()", "Late", ""),
        ("2026-09-01", "08:00:00", "1_Ada", "Excused", "medical"),
        ("2026-09-01", "08:00:00", "1_Ada", "taken back", "medical"),
    ]
    assert path.stat().st_mode & 0o777 == 0o600
    assert office_marks.rebuild_csv(school.office) == 1
    assert len(path.read_text().splitlines()) == 2
    # A torn last line is left alone, and what comes begins a new one.
    with path.open("a") as file:
        file.write("2026-09-0")
    said(school.office, "present", "1", lesson_id=lesson)
    assert path.read_text().splitlines()[-1].endswith(",tester")
    path.unlink()
    path.mkdir()
    made = mark(school.office, MarkRequest("absent", Named(lesson_id=lesson), ("1",)))
    assert made.lines[0].new
    assert "cannot be written" in made.csv_problem


def test_nobody_is_excused_from_holidays_after_their_last_day_or_years_ahead(school: LittleSchool) -> None:
    office = school.office
    office_students.leave_student(office, "1", DAY + timedelta(days=1))
    office_students.add_student(office, {"serial_number": "9", "name": "New", "joined_on": "2026-09-14"})
    office_holidays.add_holiday(office, date(2026, 12, 25), date(2026, 12, 25), "Christmas", ReplanChoice())
    for serial, day, error, why in (
        ("002", date(2026, 12, 25), BadInput, r"2026-12-25 is a holiday \(Christmas\)"),
        ("002", date(2029, 12, 21), BadInput, "is the year right"),
        ("1", date(2026, 9, 3), Conflict, "student 1 left: their last day was 2026-09-02"),
        ("9", date(2026, 9, 11), Conflict, "student 9 joins on 2026-09-14"),
    ):
        with pytest.raises(error, match=why):
            said(office, "excused", serial, day=day)
    week = MarkRequest("excused", Named(day=DAY, last_day=date(2026, 9, 4)), ("1", "002"))
    made = mark(office, week)
    assert [one.student.fields.serial_number for one in made.lines].count("1") == 2
    assert made.left_out == (date(2026, 9, 3), date(2026, 9, 4))
