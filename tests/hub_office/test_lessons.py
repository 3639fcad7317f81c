"""The timetable on a real database."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from hub.adapters.clock import SystemClock
from hub.core.csv_reading import RowsRefused
from hub.core.errors import BadInput, Conflict, NotFound
from hub.office import lesson_changes, lessons, rooms, sections, students
from hub.office.lesson_changes import LessonChoice, LessonEdit
from hub.office.lesson_effects import LessonsClash
from tests.hub_office.conftest import OfficeUnderTest, invoke

HEADER = "room,section,label,starts_at,ends_at\n"
DAY = date(2026, 9, 1)
FILE = (
    HEADER
    + "12,7b,Maths,2026-09-01T08:00,2026-09-01T08:45\n"
    + "12,7b,Art,2026-09-01T08:45,2026-09-01T09:30\n"
    + "12,7b,Maths,2026-11-02T08:00,2026-11-02T08:45\n"
).encode()


@pytest.fixture
def school(desk: OfficeUnderTest) -> OfficeUnderTest:
    """A room with a unit, a section with two students."""
    for room in ("12", "13"):
        rooms.add_room(desk.office, room)
    desk.add_unit("12")
    for section in ("7b", "8a"):
        sections.add_section(desk.office, section)
    for serial in ("1", "2"):
        students.add_student(desk.office, {"serial_number": serial, "name": f"S{serial}", "section": "7b"})
    return desk


def form(start: str, end: str, *, room: str = "12", section: str = "7b", label: str = "Maths") -> dict[str, str]:
    return {"room": room, "section": section, "label": label, "starts_at": start, "ends_at": end}


def test_a_timetable_is_imported_once_in_the_schools_time(school: OfficeUnderTest) -> None:
    before = school.revision()
    assert len(lessons.import_lessons(school.office, FILE).added) == 3
    found = lessons.list_lessons(school.office, date(2026, 9, 1), date(2026, 11, 2))
    assert [lesson.fields.starts_at for lesson in found] == [
        datetime(2026, 9, 1, 6, tzinfo=UTC),
        datetime(2026, 9, 1, 6, 45, tzinfo=UTC),
        datetime(2026, 11, 2, 7, tzinfo=UTC),
    ]
    assert school.revision() == before + 1
    assert school.dirty() == [("1", "2026-09-01"), ("2", "2026-09-01")]
    audited = school.count("audit")
    again = lessons.import_lessons(school.office, FILE)
    assert (again.added, again.changed, again.unchanged) == ((), (), 3)
    assert (school.revision(), school.count("audit")) == (before + 1, audited)


def test_a_dry_run_changes_nothing(school: OfficeUnderTest) -> None:
    assert len(lessons.import_lessons(school.office, FILE, dry_run=True).added) == 3
    assert school.count("lessons") == 0


def test_one_bad_row_keeps_everything_out(school: OfficeUnderTest) -> None:
    bad = (
        FILE + b"12,8a,Bio,2026-09-01T09:00,2026-09-01T10:00\n14,7b,,2026-09-01T10:00,2026-09-01T11:00\n12,7b,,soon,x\n"
    )
    with pytest.raises(RowsRefused) as caught:
        lessons.import_lessons(school.office, bad)
    assert [problem.line for problem in caught.value.problems] == [5, 6, 7]
    assert school.count("lessons") == 0


def test_an_update_changes_label_and_end(school: OfficeUnderTest) -> None:
    lessons.import_lessons(school.office, FILE)
    school.clean()
    later = (HEADER + "12,7b,Geometry,2026-09-01T08:45,2026-09-01T09:15\n").encode()
    with pytest.raises(RowsRefused, match="pass --update"):
        lessons.import_lessons(school.office, later)
    assert len(lessons.import_lessons(school.office, later, update=True).changed) == 1
    labels = [lesson.fields.label for lesson in lessons.list_lessons(school.office, date(2026, 9, 1), date(2026, 9, 1))]
    assert labels == ["Maths", "Geometry"]
    assert school.actions()[-1] == "lesson.change"
    assert school.dirty() == [("1", "2026-09-01"), ("2", "2026-09-01")]


def test_a_lesson_is_added_only_where_the_room_is_free(school: OfficeUnderTest) -> None:
    lessons.add_lesson(school.office, form("2026-09-01T08:00", "2026-09-01T08:45"))
    lessons.add_lesson(school.office, form("2026-09-01T08:45", "2026-09-01T09:30"))
    lessons.add_lesson(school.office, form("2026-09-01T08:00", "2026-09-01T08:45", room="13", section="8a"))
    with pytest.raises(
        Conflict, match=r"'Art' of 8a in 12.*08:30-09:00 overlaps with 'Maths' of 7b in 12.*08:00-08:45"
    ):
        lessons.add_lesson(school.office, form("2026-09-01T08:30", "2026-09-01T09:00", section="8a", label="Art"))
    assert school.count("lessons") == 3


@pytest.mark.parametrize(
    ("wrong", "error", "sentence"),
    [
        ({"room": "99"}, NotFound, "no room '99'"),
        ({"section": "99"}, NotFound, "no section '99'"),
        ({"starts_at": "2026-03-29T02:30", "ends_at": "2026-03-29T03:30"}, BadInput, "does not exist in Europe/Berlin"),
        ({"ends_at": "2026-09-01T07:00"}, BadInput, "ends before it starts"),
    ],
)
def test_a_lesson_that_cannot_be_is_refused(
    school: OfficeUnderTest, wrong: dict[str, str], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        lessons.add_lesson(school.office, form("2026-09-01T08:00", "2026-09-01T08:45") | wrong)


def meant(at: str, *, room: str | None = "12", section: str | None = None) -> LessonChoice:
    return LessonChoice(room=room, section=section, at=datetime.fromisoformat(at + "+02:00"))


def states(school: OfficeUnderTest) -> list[str]:
    found = lessons.list_lessons(school.office, DAY, date(2026, 9, 3))
    return [
        f"{one.fields.starts_at:%d %H:%M} {one.fields.room} {one.fields.label} {one.fields.teacher}"
        f"{' cancelled' * one.cancelled}{one.note and f' ({one.note})'}"
        for one in found
    ]


def test_what_a_lesson_needs_is_free(school: OfficeUnderTest) -> None:
    sections.add_group(school.office, "7b", "Latin")
    taught = form("2026-09-01T08:00", "2026-09-01T08:45") | {"teacher": "Ms Iyer", "group": "Latin"}
    lessons.add_lesson(school.office, taught)
    with pytest.raises(NotFound, match="section 7b has no group 'Greek'"):
        lessons.add_lesson(school.office, taught | {"group": "Greek"})
    with pytest.raises(LessonsClash, match="7b would be in two places at once"):
        lessons.add_lesson(school.office, form("2026-09-01T08:30", "2026-09-01T09:00", room="13"))
    elsewhere = form("2026-09-01T08:30", "2026-09-01T09:00", room="13", section="8a") | {"teacher": "Ms Iyer"}
    with pytest.raises(LessonsClash, match="Ms Iyer would teach in two places at once"):
        lessons.add_lesson(school.office, elsewhere)
    lessons.add_lesson(school.office, elsewhere, teacher_conflicts=True)
    assert school.count("lessons") == 2


def test_a_list_of_lessons_goes_out_and_comes_back(school: OfficeUnderTest) -> None:
    sections.add_group(school.office, "7b", "=Latin")
    rich = (
        "room,section,label,starts_at,ends_at,group,teacher\n"
        '12,7b,"+Maths, advanced",2026-09-01T08:00,2026-09-01T08:45,=Latin,O\'Neil\n'
        "13,8a,\u6570\u5b66,2026-10-25T02:30+01:00,2026-10-25T03:15+01:00,,\n"
    )
    assert len(lessons.import_lessons(school.office, rich.encode()).added) == 2
    content = lessons.export_lessons(school.office, DAY, date(2026, 10, 31), bom=True).content
    again = lessons.import_lessons(school.office, content, update=True)
    assert (again.added, again.changed, again.unchanged) == ((), (), 2)
    # A file without the optional columns leaves what is in them.
    plain = (HEADER + '12,7b,"+Maths, advanced",2026-09-01T08:00,2026-09-01T08:45\n').encode()
    assert lessons.import_lessons(school.office, plain).unchanged == 1


def test_a_lesson_is_cancelled_and_restored_once_each(school: OfficeUnderTest) -> None:
    office = school.office
    lessons.import_lessons(office, FILE)
    school.clean()
    before = school.revision()
    first = lesson_changes.cancel_lesson(office, meant("2026-09-01T08:10"), note="ill")
    assert (first.before.cancelled, first.after.cancelled, first.after.by_hand) == (False, True, False)
    assert (school.revision(), school.dirty()) == (before + 1, [("1", "2026-09-01"), ("2", "2026-09-01")])
    again = lesson_changes.cancel_lesson(office, meant("2026-09-01T08:10"))
    assert again.before == again.after
    assert (school.revision(), states(school)) == (
        before + 1,
        ["01 06:00 12 Maths  cancelled (ill)", "01 06:45 12 Art "],
    )
    with pytest.raises(RowsRefused, match="was cancelled: `rollcall-hub lesson restore --id"):
        lessons.import_lessons(office, FILE, update=True)
    assert b"Maths" not in lessons.export_lessons(office, DAY, DAY).content
    # Its place in the records is taken; its room and its students are free.
    with pytest.raises(LessonsClash, match="was cancelled and is on record"):
        lessons.add_lesson(office, form("2026-09-01T08:00", "2026-09-01T08:45"))
    lessons.add_lesson(office, form("2026-09-01T08:05", "2026-09-01T08:45", section="8a"))
    with pytest.raises(LessonsClash, match="overlaps with 'Maths' of 8a"):
        lesson_changes.restore_lesson(office, meant("2026-09-01T08:10", section="7b"))
    lesson_changes.delete_lesson(office, meant("2026-09-01T08:10", section="8a"))
    lesson_changes.restore_lesson(office, meant("2026-09-01T08:10"))
    twice = lesson_changes.restore_lesson(office, meant("2026-09-01T08:10"))
    assert twice.before == twice.after
    assert school.actions()[-2:] == ["lesson.delete", "lesson.restore"]


def test_one_lesson_changes_and_nothing_else(school: OfficeUnderTest) -> None:
    office = school.office
    lessons.import_lessons(office, FILE)
    with pytest.raises(LessonsClash, match="overlaps with 'Art'"):
        lesson_changes.change_lesson(
            office, meant("2026-09-01T08:10"), LessonEdit(ends_at=datetime(2026, 9, 1, 7, tzinfo=UTC))
        )
    for edit, error in (
        (LessonEdit(room="99"), NotFound),
        (LessonEdit(ends_at=datetime(2026, 9, 1, 5, tzinfo=UTC)), BadInput),
        (LessonEdit(note="x" * 201), BadInput),
    ):
        with pytest.raises(error):
            lesson_changes.change_lesson(office, meant("2026-09-01T08:10"), edit)
    lesson_changes.change_lesson(
        office, meant("2026-09-01T08:10"), LessonEdit(room="13", teacher="Mr Cole", note="sub")
    )
    moved = LessonEdit(starts_at=datetime(2026, 9, 2, 9, tzinfo=UTC))
    done = lesson_changes.change_lesson(office, meant("2026-09-01T08:45"), moved)
    assert done.after.fields.ends_at - done.after.fields.starts_at == timedelta(minutes=45)
    assert states(school) == ["01 06:00 13 Maths Mr Cole (sub)", "02 09:00 12 Art "]
    for choice in (meant("2026-09-01T07:00"), LessonChoice(lesson_id="01990000-0000-7000-8000-000000000001")):
        with pytest.raises(NotFound):
            lesson_changes.cancel_lesson(office, choice)
    with pytest.raises(BadInput, match="which lesson"):
        lesson_changes.cancel_lesson(office, LessonChoice(room="12"))
    log = school.rows("select detail from audit where action = 'lesson.change'")
    assert "Cole" not in str(log)
    assert "teacher" in str(log)


def test_what_somebody_spoke_about_is_not_deleted_nor_moved_to_another_day(school: OfficeUnderTest) -> None:
    lessons.import_lessons(school.office, FILE)
    school.do(
        "insert into closings (id, lesson_id, closed_at, closed_by) "
        "select random_bytes(16), id, now(), 't' from lessons where label = 'Art'"
    )
    with pytest.raises(Conflict, match="has marks, a closing or attendance"):
        lesson_changes.delete_lesson(school.office, meant("2026-09-01T08:45"))
    with pytest.raises(Conflict, match="cannot move to 2026-09-02"):
        lesson_changes.change_lesson(
            school.office, meant("2026-09-01T08:45"), LessonEdit(starts_at=datetime(2026, 9, 2, 9, tzinfo=UTC))
        )
    assert lesson_changes.delete_lesson(school.office, meant("2026-09-01T08:00")).fields.label == "Maths"
    assert school.count("lessons") == 2


def test_the_commands_say_what_happens(school: OfficeUnderTest, tmp_path: Path) -> None:
    file = tmp_path / "lessons.csv"
    # Commands live by the real clock, by which a lesson is not too far away.
    year = SystemClock().now().year + 1
    file.write_text(FILE.decode().replace("2026", str(year)))

    def run(*words: str) -> str:
        result = invoke(school, "lesson", *words)
        assert result.exit_code == 0, result.stderr
        return str(result.stdout)

    assert "Would add 3" in run("import", str(file), "--dry-run")
    assert "Added 3" in run("import", str(file))
    this = ("--room", "12", "--at", f"{year}-09-01T08:00")
    assert "is cancelled." in run("cancel", *this)
    assert "is cancelled already." in run("cancel", *this)
    days = ("--from", f"{year}-09-01", "--to", f"{year}-09-01")
    listed = json.loads(run("list", *days, "--json"))
    assert [(one["label"], one["state"]) for one in listed] == [("Maths", "cancelled"), ("Art", "")]
    assert "takes place." in run("restore", "--id", listed[0]["lesson_id"])
    assert "in 13" in run("change", *this, "--to-room", "13", "--teacher", "Mr Cole")
    out = tmp_path / "out.csv"
    assert json.loads(run("export", str(out), *days, "--json"))["lessons"] == 2
    assert "Mr Cole" in out.read_text()
    assert "Deleted: 'Maths'" in run("delete", "--section", "7b", "--at", f"{year}-09-01T08:00")
    for words in (("cancel", "--id", "x"), ("change", *this), ("cancel", "--room", "12")):
        assert invoke(school, "lesson", *words).exit_code == 1
