"""The weekly timetable on a real database: from the spreadsheet to the single lessons, and back."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection

from hub.adapters.database import Database
from hub.core.csv_reading import RowsRefused
from hub.core.errors import Conflict, NotFound
from hub.core.timetable_calendar import CalendarChoice
from hub.office import (
    holidays,
    lesson_changes,
    lessons,
    rooms,
    sections,
    students,
    terms,
    timetable,
    timetable_calendar,
)
from hub.office.lesson_changes import LessonChoice, LessonEdit
from hub.office.lesson_effects import LessonsClash
from hub.office.timetable import SeriesChoice, TimetableImported
from hub.office.timetable_replan import ReplanChoice
from tests.hub_office.conftest import OfficeUnderTest, invoke

Result = TypeVar("Result")
HEADER = "weekday,week,starts,ends,room,section,group,label,teacher,from_day,until_day\n"
MATHS = "Tuesday,,08:00,08:45,12,7b,,Maths,Ms Iyer,,\n"
ART = "Wednesday,A,14:00,14:45,12,7b,,Art,,,\n"
LATIN = "Thursday,,10:00,10:45,12,7b,Latin,Latin,Mr Cole,,\n"
MUSIC = "Thursday,,10:00,10:45,13,7b,Music,Music,,,\n"
WEEK = HEADER + MATHS + ART + LATIN + MUSIC


@pytest.fixture
def school(desk: OfficeUnderTest) -> OfficeUnderTest:
    """Two rooms, a section with two groups and a student, a term of five weeks that began today."""
    office = desk.office
    for room in ("12", "13"):
        rooms.add_room(office, room)
    desk.add_unit("12")
    for section in ("7b", "8a"):
        sections.add_section(office, section)
    for group in ("Latin", "Music"):
        sections.add_group(office, "7b", group)
    students.add_student(office, {"serial_number": "1", "name": "S1", "section": "7b"})
    terms.add_term(office, "Autumn", date(2026, 9, 1), date(2026, 10, 2), weeks=2)
    return desk


def bring(
    school: OfficeUnderTest, text: str, *, update: bool = False, replace_all: bool = False, **how: bool
) -> TimetableImported:
    choice = ReplanChoice(**how)
    return timetable.import_timetable(
        school.office, text.encode(), "Autumn", choice, update=update, replace_all=replace_all
    )


def planned(school: OfficeUnderTest, label: str = "") -> list[str]:
    """The days of lessons that take place, or of those of one label."""
    found = lessons.list_lessons(school.office, date(2026, 8, 1), date(2026, 11, 1))
    return [
        f"{one.fields.starts_at:%m-%d} {one.fields.room} {one.fields.label}{' by hand' * one.by_hand}"
        for one in found
        if not one.cancelled and label in one.fields.label
    ]


def test_a_week_becomes_a_term_of_lessons_and_reads_back(school: OfficeUnderTest) -> None:
    before = school.revision()
    tried = bring(school, WEEK, dry_run=True)
    assert (len(tried.added), tried.lessons.added, len(tried.lessons.first), school.count("lessons")) == (4, 17, 17, 0)
    # Today's Maths began at 8: without --past-too it is not made.
    done = bring(school, WEEK)
    assert (done.lessons.added, done.lessons.begun) == (17, 1)
    assert planned(school, "Maths") == [f"{day} 12 Maths" for day in ("09-08", "09-15", "09-22", "09-29")]
    assert planned(school, "Art") == [f"{day} 12 Art" for day in ("09-02", "09-16", "09-30")]
    assert (school.revision(), school.dirty()) == (before + 1, [])
    audited = school.count("audit")
    again = bring(school, WEEK)
    assert (again.unchanged, again.lessons.added, again.lessons.unchanged) == (4, 0, 17)
    content = timetable.export_timetable(school.office, "Autumn", bom=True).content
    assert bring(school, content.decode(), replace_all=True).unchanged == 4
    assert (school.revision(), school.count("audit")) == (before + 1, audited)
    assert bring(school, WEEK, past_too=True).lessons.added == 1
    assert school.dirty() == [("1", "2026-09-01")]
    assert school.actions()[-1] == "timetable.lessons"
    assert [line.lessons for line in timetable.list_series(school.office, "Autumn")] == [5, 3, 5, 5]


def test_one_bad_row_keeps_everything_out(school: OfficeUnderTest) -> None:
    bring(school, HEADER + MATHS)
    bad = [
        "Tuesday,,08:30,09:15,12,8a,,Bio,,,\n",
        "Tuesday,,08:40,09:00,13,7b,Latin,,,,\n",
        "Tuesday,A,08:00,08:45,13,8a,,Bio,Ms Iyer,,\n",
        "Friday,,08:00,08:45,99,8a,,,,,\n",
    ]
    with pytest.raises(RowsRefused) as named:
        bring(school, HEADER + "".join(bad))
    assert [problem.line for problem in named.value.problems] == [5]
    with pytest.raises(RowsRefused) as clashing:
        bring(school, HEADER + "".join(bad[:3]))
    told = {line: str([one.reason for one in clashing.value.problems if one.line == line]) for line in (2, 3, 4)}
    assert "'Bio' of 8a in 12, 2026-09-08 08:30-09:15 overlaps with 'Maths' of 7b in 12" in told[2]
    assert "7b (Latin) would be in two places at once" in told[3]
    assert "Ms Iyer would teach in two places at once" in told[4]
    assert (school.count("lesson_series"), school.count("lessons")) == (1, 4)
    assert bring(school, HEADER + bad[2], teacher_conflicts=True).lessons.added == 2
    with pytest.raises(NotFound, match="no term 'Spring'"):
        timetable.import_timetable(school.office, WEEK.encode(), "Spring", ReplanChoice())


def test_a_student_of_two_groups_cannot_be_in_both(school: OfficeUnderTest) -> None:
    school.do(
        "insert into student_groups (student_id, group_id, since) "
        "select students.id, section_groups.id, '2026-09-15' from students, section_groups"
    )
    with pytest.raises(RowsRefused, match=r"line 3: .*09-17.* student 1 of 7b \(Music\) and 7b \(Latin\) would be"):
        bring(school, HEADER + LATIN + MUSIC)
    until = MUSIC.replace(",,\n", ",,2026-09-14\n")
    assert bring(school, HEADER + LATIN + until).lessons.added == 7


def test_changes_spare_what_has_begun_and_what_a_person_decided(school: OfficeUnderTest) -> None:
    bring(school, WEEK, past_too=True)
    school.clock.forward(timedelta(days=7))
    school.clean()
    office = school.office

    def on(day: str) -> LessonChoice:
        found = lessons.list_lessons(office, date.fromisoformat(day), date.fromisoformat(day), section="7b")
        return LessonChoice(lesson_id=found[0].lesson_id)

    lesson_changes.change_lesson(office, on("2026-09-15"), LessonEdit(teacher="Mr Cole"))
    lesson_changes.cancel_lesson(office, on("2026-09-22"))
    done = bring(school, WEEK.replace("08:45,12,7b,,Maths", "08:45,13,7b,,Maths"), update=True)
    assert (done.lessons.changed, done.lessons.by_hand, done.lessons.begun) == (1, 2, 2)
    assert planned(school, "Maths") == [
        "09-01 12 Maths", "09-08 12 Maths", "09-15 12 Maths by hand", "09-29 13 Maths",
    ]  # fmt: skip
    assert school.dirty() == []
    # All of it goes but what has begun; what somebody excused in advance is kept, cancelled.
    school.do(
        "insert into marks (id, student_id, occasion, lesson_id, day, status, made_at, made_by) select uuid(), "
        "students.id, 'lesson:x', lessons.id, '2026-09-29', 'excused', now(), 't' from students, lessons "
        "where series_day = '2026-09-29'".replace("uuid()", "random_bytes(16)")
    )
    with pytest.raises(NotFound):
        timetable.end_series(office, "Autumn", SeriesChoice(room="99"), None, ReplanChoice())
    for unknown in (SeriesChoice(room="99"), SeriesChoice(section="9z")):
        with pytest.raises(NotFound, match="there is no"):
            timetable.list_series(office, "Autumn", unknown)
    ended = timetable.end_series(office, "Autumn", SeriesChoice(section="7b", weekday=2), None, ReplanChoice())
    assert (ended.lessons.cancelled, ended.lessons.deleted) == (1, 2)
    assert planned(school, "Maths") == ["09-01 12 Maths", "09-08 12 Maths"]
    (line,) = timetable.list_series(office, "Autumn", SeriesChoice(weekday=2))
    assert line.series.fields.until_day == date(2026, 9, 8)
    # Back at the same place under another name: the excuse still holds.
    music = "Tuesday,,08:00,08:45,13,7b,,Singing,,2026-09-09,\n"
    assert bring(school, HEADER + music).lessons.added == 2
    assert "09-29 13 Singing" in planned(school)
    assert school.rows(
        "select count(*) from marks join lessons on lessons.id = lesson_id where cancelled_at is null"
    ) == [(1,)]


def test_replacing_ends_what_is_missing_and_takes_its_place(school: OfficeUnderTest) -> None:
    bring(school, WEEK)
    swapped = HEADER + MATHS + LATIN.replace(",12,", ",13,") + MUSIC.replace(",13,", ",12,")
    done = bring(school, swapped, replace_all=True)
    # Two half groups exchange their rooms; Art was never held, and is as if it had never been.
    assert (done.lessons.changed, done.lessons.deleted, len(done.ended)) == (10, 3, 1)
    assert planned(school, "Latin")[0] == "09-03 13 Latin"
    assert school.count("lesson_series") == 3
    assert school.actions().count("timetable.end") == 1


def test_what_is_as_planned_again_follows_the_timetable_again(school: OfficeUnderTest) -> None:
    bring(school, HEADER + MATHS)
    office, day = school.office, date(2026, 9, 8)
    meant = LessonChoice(lesson_id=lessons.list_lessons(office, day, day)[0].lesson_id)
    assert lesson_changes.cancel_lesson(office, meant).after.by_hand
    assert not lesson_changes.restore_lesson(office, meant).after.by_hand
    assert lesson_changes.change_lesson(office, meant, LessonEdit(teacher="Mr Cole")).after.by_hand
    assert not lesson_changes.change_lesson(office, meant, LessonEdit(teacher="Ms Iyer")).after.by_hand
    with pytest.raises(Conflict, match="belongs to the weekly timetable, which would make it again"):
        lesson_changes.delete_lesson(office, meant)
    assert bring(school, HEADER + MATHS.replace(",12,", ",13,"), update=True).lessons.changed == 4


def test_a_week_that_changes_its_turn_moves_the_lessons(school: OfficeUnderTest) -> None:
    bring(school, HEADER + ART + ART.replace(",A,", ",B,").replace("Art", "Drama"))
    first = planned(school)
    changed = terms.change_term(school.office, "Autumn", {"first_week": 1}, ReplanChoice())
    assert (changed.lessons.changed, changed.lessons.added, changed.lessons.deleted) == (5, 0, 0)
    assert [one.replace("Art", "x").replace("Drama", "Art").replace("x", "Drama") for one in first] == planned(school)


AT = {"starts_at": "2026-09-05T08:00", "ends_at": "2026-09-05T08:45"}
CALENDAR = """BEGIN:VCALENDAR
VERSION:2.0
BEGIN:VEVENT
UID:maths
DTSTART:20260901T080000
DTEND:20260901T084500
RRULE:FREQ=WEEKLY{rule}
SUMMARY:Maths
LOCATION:12
CATEGORIES:7b
END:VEVENT
END:VCALENDAR
"""


def test_a_calendar_is_followed_and_never_doubles(school: OfficeUnderTest) -> None:
    def bring_calendar(rule: str = "", **how: bool) -> tuple[int, ...]:
        data = CALENDAR.format(rule=rule).encode()
        done = timetable_calendar.import_calendar(
            school.office, data, "Autumn", CalendarChoice(), ReplanChoice(**how)
        ).lessons
        return done.added, done.changed, done.deleted, done.unchanged, done.by_hand, done.begun

    assert bring_calendar() == (4, 0, 0, 0, 0, 1)
    assert bring_calendar() == (0, 0, 0, 4, 0, 1)
    hand = LessonChoice(lesson_id=lessons.list_lessons(school.office, date(2026, 9, 8), date(2026, 9, 8))[0].lesson_id)
    lesson_changes.change_lesson(school.office, hand, LessonEdit(room="13"))
    assert bring_calendar("\nEXDATE:20260915T080000,20260929T080000") == (0, 0, 2, 1, 1, 1)
    assert planned(school) == ["09-08 13 Maths by hand", "09-22 12 Maths"]
    with pytest.raises(RowsRefused, match=r"line 2: .* overlaps with 'Maths' of 7b in 12"):
        bring(school, HEADER + MATHS)
    form = dict(zip(HEADER.strip().split(","), MATHS.strip().split(","), strict=True))
    with pytest.raises(LessonsClash, match=r"overlaps with 'Maths' of 7b in 12.*; nothing was changed"):
        timetable.add_series(school.office, form, "Autumn", ReplanChoice())
    assert school.actions()[-1] == "timetable.calendar"


def test_an_event_that_is_gone_from_a_calendar_goes_when_the_file_replaces_what_came_of_calendars(
    school: OfficeUnderTest,
) -> None:
    def bring_calendar(uid: str, section: str, rule: str = "", *, replace_all: bool = False) -> tuple[int, int]:
        hour = "T1" if section == "8a" else "T0"
        data = CALENDAR.format(rule=rule).replace("UID:maths", f"UID:{uid}").replace("T0", hour).encode()
        choice = CalendarChoice(section=section, room="13" if section == "8a" else None)
        done = timetable_calendar.import_calendar(
            school.office, data, "Autumn", choice, ReplanChoice(), replace_all=replace_all
        ).lessons
        return done.added, done.deleted

    lessons.add_lesson(school.office, {"room": "13", "section": "7b", "label": "by hand"} | AT)
    assert bring_calendar("old", "7b") == (4, 0)
    assert bring_calendar("other", "8a") == (5, 0)
    # The same lessons under another identifier are the same lessons; the others may be another calendar's.
    assert bring_calendar("new", "7b", ";COUNT=3") == (0, 0)
    assert bring_calendar("new", "7b", ";COUNT=3", replace_all=True) == (0, 2)
    assert bring_calendar("new", "7b", ";COUNT=3", replace_all=True) == (0, 0)
    assert bring_calendar("new", "7b", ";COUNT=3") == (0, 0)
    assert school.rows("select count(*) from lessons") == [(8,)]


class Forgetful(Database):
    """Loses the answer to every commit once."""

    def run(self, work: Callable[[Connection], Result], **how: Any) -> Result:
        super().run(work, **how)
        return super().run(work, **how)


def test_a_commit_whose_answer_was_lost_is_not_done_again(school: OfficeUnderTest) -> None:
    office = replace(school.office, database=Forgetful(school.office.database.address))
    with office:
        terms.add_term(office, "Winter", date(2026, 11, 1), date(2026, 12, 1))
        timetable.import_timetable(office, WEEK.encode(), "Autumn", ReplanChoice())
        holidays.add_holiday(office, date(2026, 9, 8), date(2026, 9, 8), "Fair", ReplanChoice())
        assert holidays.remove_holiday(office, date(2026, 9, 8), ReplanChoice()).lessons.added == 1
        added = lessons.add_lesson(office, {"room": "13", "section": "8a", "label": "Bio"} | AT)
        choice = LessonChoice(lesson_id=added.lesson_id)
        lesson_changes.cancel_lesson(office, choice)
        lesson_changes.delete_lesson(office, choice)
        calendar = CALENDAR.format(rule=";COUNT=3").replace("12", "13").replace("T08", "T16").encode()
        timetable_calendar.import_calendar(office, calendar, "Autumn", CalendarChoice(), ReplanChoice())
        ended = timetable.end_series(office, "Autumn", SeriesChoice(weekday=3), None, ReplanChoice())
        assert (len(ended.ended), ended.lessons.deleted) == (1, 3)
    actions = school.actions()
    assert [actions.count(one) for one in ("term.add", "timetable.add", "holiday.add", "holiday.remove")] == [
        2,
        4,
        1,
        1,
    ]
    assert [actions.count(one) for one in ("lesson.add", "lesson.cancel", "lesson.delete")] == [1, 1, 1]
    assert [actions.count(one) for one in ("timetable.calendar", "timetable.end")] == [1, 1]
    assert school.count("lessons") == 17 - 3 + 3


def test_the_commands_say_what_happens(school: OfficeUnderTest, tmp_path: Path) -> None:
    # Commands live by the real clock: a term like this one that is yet to come for long.
    terms.add_term(school.office, "2082", date(2082, 9, 1), date(2082, 10, 2), weeks=2)
    file = tmp_path / "week.csv"
    file.write_text(WEEK)

    def run(*words: str) -> str:
        result = invoke(school, *words)
        assert result.exit_code == 0, result.stderr
        return str(result.stdout)

    tried = run("timetable", "import", str(file), "--term", "2082", "--dry-run")
    assert "Weekly timetable: 4 would be added" in tried
    assert "Lessons: 18 would be added" in tried
    done = json.loads(run("timetable", "import", str(file), "--term", "2082", "--json"))
    assert (done["added"], done["lessons"]["added"], done["lessons"]["begun_left"]) == (4, 18, 0)
    out = tmp_path / "out.csv"
    assert "Wrote 4 rows" in run("timetable", "export", str(out), "--term", "2082")
    assert "Tuesday,,08:00,08:45,12,7b,,Maths,Ms Iyer,," in out.read_text()
    listed = json.loads(run("timetable", "list", "--term", "2082", "--section", "7b", "--weekday", "Tue", "--json"))
    assert [one["label"] for one in listed] == ["Maths"]
    run("timetable", "end", "--term", "2082", "--id", listed[0]["series_id"], "--on", "2082-09-10")
    added = ("timetable", "add", "--term", "2082", "--weekday", "Fri", "--starts", "9:00", "--room", "12")
    assert "Lessons: 5 added" in run(*added, "--ends", "9:45", "--section", "8a")
    refused = invoke(school, *added, "--ends", "9:30", "--section", "7b")
    assert (refused.exit_code, "overlaps with a lesson of 8a in 12" in refused.stderr) == (1, True)
    terms.add_term(school.office, "Spring", date(2083, 3, 22), date(2083, 3, 28))
    skipped = run("timetable", "add", "--term", "Spring", "--weekday", "7", "--starts", "2:30", "--ends", "3:15",
                  "--room", "12", "--section", "7b")  # fmt: skip
    assert "a lesson of 7b in 12, 2083-03-28 03:30-04:15: the clocks skip its time: it is moved." in skipped
    nothing = invoke(school, "timetable", "end", "--term", "2082")
    assert (nothing.exit_code, "what is to end?" in nothing.stderr) == (1, True)
    calendar = tmp_path / "c.ics"
    calendar.write_text(
        CALENDAR.format(rule="")
        .replace("2026", "2082")
        .replace("T08", "T16")
        .replace(":12", ":Hall")
        .replace("7b", "7")
    )
    words = ("timetable", "import-ical", str(calendar), "--term", "2082", "--section", "8a")
    assert "location says 'Hall': there is no such room" in invoke(school, *words).stderr
    mapping = tmp_path / "map.csv"
    mapping.write_text("what,text,name\nroom,Hall,13\n")
    assert "Lessons: 5 added" in run(*words, "--mapping", str(mapping))
