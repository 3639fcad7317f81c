"""Terms and holidays on a real database."""

import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from hub.core.csv_reading import RowsRefused
from hub.core.errors import BadInput, Conflict, NotFound
from hub.office import holidays, lessons, rooms, sections, students, terms, timetable
from hub.office.timetable_replan import ReplanChoice
from tests.hub_office.conftest import OfficeUnderTest, invoke

NOW = ReplanChoice()
WEEK = b"weekday,starts,ends,room,section,week\nTuesday,08:00,08:45,12,7b,\nFriday,08:00,08:45,12,7b,A\n"


@pytest.fixture
def school(desk: OfficeUnderTest) -> OfficeUnderTest:
    """A term of five weeks that began today, with a weekly timetable."""
    rooms.add_room(desk.office, "12")
    sections.add_section(desk.office, "7b")
    students.add_student(desk.office, {"serial_number": "1", "name": "S1", "section": "7b"})
    terms.add_term(desk.office, "Autumn", date(2026, 9, 1), date(2026, 10, 2), weeks=2)
    timetable.import_timetable(desk.office, WEEK, "Autumn", NOW)
    return desk


def days(school: OfficeUnderTest) -> list[str]:
    found = lessons.list_lessons(school.office, date(2026, 8, 1), date(2027, 2, 1))
    return [f"{one.fields.starts_at:%m-%d}" for one in found if not one.cancelled]


def test_terms_do_not_overlap_unless_that_is_meant(school: OfficeUnderTest) -> None:
    office = school.office
    with pytest.raises(Conflict, match="overlaps with 'Autumn', 2026-09-01 to 2026-10-02"):
        terms.add_term(office, "Exams", date(2026, 10, 2), date(2026, 10, 9))
    with pytest.raises(Conflict, match="there is a term 'Autumn' already"):
        terms.add_term(office, " Autumn ", date(2027, 9, 1), date(2027, 10, 9))
    with pytest.raises(BadInput, match="before it begins"):
        terms.add_term(office, "Exams", date(2026, 10, 9), date(2026, 10, 2))
    terms.add_term(office, "Exams", date(2026, 10, 2), date(2026, 10, 9), may_overlap=True)
    assert [(line.term.name, line.series) for line in terms.list_terms(office)] == [("Autumn", 2), ("Exams", 0)]


def test_a_changed_term_takes_its_lessons_along(school: OfficeUnderTest) -> None:
    office = school.office
    assert days(school) == ["09-04", "09-08", "09-15", "09-18", "09-22", "09-29", "10-02"]
    longer = {"last_day": date(2026, 10, 9)}
    assert terms.change_term(office, "Autumn", longer, ReplanChoice(dry_run=True)).lessons.added == 1
    assert len(days(school)) == 7
    assert terms.change_term(office, "Autumn", longer, NOW).lessons.added == 1
    assert terms.change_term(office, "Autumn", longer, NOW).lessons.unchanged == 8
    assert terms.change_term(office, "Autumn", {"last_day": date(2026, 9, 20)}, NOW).lessons.deleted == 4
    assert days(school) == ["09-04", "09-08", "09-15", "09-18"]
    with pytest.raises(BadInput, match="weeks that are all alike"):
        terms.change_term(office, "Autumn", {"weeks": 1}, NOW)
    with pytest.raises(NotFound, match="no term 'Spring'"):
        terms.change_term(office, "Spring", longer, NOW)
    assert school.actions().count("term.change") == 2


def test_holidays_take_the_lessons_of_their_days_and_give_them_back(school: OfficeUnderTest) -> None:
    office = school.office
    school.clean()
    added = holidays.add_holiday(office, date(2026, 9, 14), date(2026, 9, 18), "Fair", NOW)
    assert (added.lessons.deleted, days(school)) == (2, ["09-04", "09-08", "09-22", "09-29", "10-02"])
    again = holidays.add_holiday(office, date(2026, 9, 14), date(2026, 9, 18), "Fair", NOW)
    assert (again.holidays, again.unchanged, school.count("holidays")) == ((), 1, 1)
    file = b"\xef\xbb\xbflabel,first_day,last_day\nFair,2026-09-14,2026-09-18\nStorm,2026-09-22, \n"
    assert holidays.import_holidays(office, file, ReplanChoice(dry_run=True)).lessons.deleted == 1
    brought = holidays.import_holidays(office, file, NOW)
    assert ([one.label for one in brought.holidays], brought.unchanged) == (["Storm"], 1)
    assert brought.holidays[0].last_day == date(2026, 9, 22)
    back = holidays.remove_holiday(office, date(2026, 9, 14), NOW)
    assert (back.lessons.added, days(school)) == (2, ["09-04", "09-08", "09-15", "09-18", "09-29", "10-02"])
    with pytest.raises(NotFound, match="no holidays begin on 2026-09-14"):
        holidays.remove_holiday(office, date(2026, 9, 14), NOW)
    assert school.dirty() == []
    bad = b"label,first_day,last_day\nFair,2026-02-30,2026-03-01\n,2026-09-01,2026-09-01\nA,2026-09-02,2026-09-01\n"
    with pytest.raises(RowsRefused) as caught:
        holidays.import_holidays(office, bad + b"B,2026-09-01,2026-09-01\nB,2026-09-01,2026-09-01\n", NOW)
    assert [problem.line for problem in caught.value.problems] == [2, 3, 4, 6]


def test_a_day_off_that_is_noted_late_spares_what_was_held(school: OfficeUnderTest) -> None:
    school.clock.forward(timedelta(days=7))
    school.clean()
    office = school.office
    assert holidays.add_holiday(office, date(2026, 9, 8), date(2026, 9, 8), "Storm", NOW).lessons.deleted == 0
    holidays.remove_holiday(office, date(2026, 9, 8), NOW)
    done = holidays.add_holiday(office, date(2026, 9, 8), date(2026, 9, 8), "Storm", ReplanChoice(past_too=True))
    assert (done.lessons.deleted, school.dirty()) == (1, [("1", "2026-09-08")])


def test_the_commands_say_what_happens(school: OfficeUnderTest, tmp_path: Path) -> None:
    def run(*words: str) -> str:
        result = invoke(school, *words)
        assert result.exit_code == 0, result.stderr
        return str(result.stdout)

    # Commands live by the real clock: a term that is yet to come for long.
    added = run("term", "add", "T", "--from", "2082-09-01", "--to", "2082-10-02", "--weeks", "2", "--first-week", "b")
    assert "Added term T, 2082-09-01 to 2082-10-02." in added
    timetable.import_timetable(school.office, WEEK, "T", NOW)
    listed = json.loads(run("term", "list", "--json"))
    assert [(one["term"], one["begins_with"], one["series"]) for one in listed] == [("Autumn", "A", 2), ("T", "B", 2)]
    assert "Lessons: 1 would be added" in run("term", "change", "T", "--to", "2082-10-06", "--dry-run")
    assert "Lessons: 1 added" in run("term", "change", "T", "--to", "2082-10-06")
    assert "Fair, 2082-09-15: added.\nLessons: 0 added, 0 changed, 0 cancelled, 1 deleted" in run(
        "holiday", "add", "Fair", "--from", "2082-09-15"
    )
    file = tmp_path / "h.csv"
    file.write_text("first_day,last_day,label\n2082-09-15,2082-09-15,Fair\n")
    assert "All of them are on record already." in run("holiday", "import", str(file))
    assert "Fair" in run("holiday", "list")
    assert json.loads(run("holiday", "remove", "2082-09-15", "--json"))["lessons"]["added"] == 1
