"""The timetable on a real database."""

from datetime import UTC, date, datetime

import pytest

from hub.core.csv_reading import RowsRefused
from hub.core.errors import BadInput, Conflict, NotFound
from hub.office import lessons, rooms, sections, students
from tests.hub_office.conftest import OfficeUnderTest

HEADER = "room,section,label,starts_at,ends_at\n"
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
