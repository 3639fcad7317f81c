"""What the original system kept, read and written without a database."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.core.errors import BadInput
from hub.core.legacy import SourceRow, attendance_columns, students_columns
from hub.core.legacy_attendance import People, Person, Saw, read_attendance
from hub.core.legacy_encodings import DIMENSIONS, read_encoding
from hub.core.legacy_export import Numbered, Said, picture_name
from hub.core.legacy_students import StudentsRead, completed, read_students
from hub.core.roster import Student, StudentFields

BERLIN = ZoneInfo("Europe/Berlin")
COLUMNS = ("student_id", "name", "timestamp", "status", "method", "notes")


def people(*known: tuple[str, str]) -> People:
    found = People()
    for serial, name in known:
        found.add(Person(f"id-{serial}", serial, name))
    return found


ADA = people(("0012", "Ada Lovelace"), ("12", "Grace Hopper"), ("13", "Alex Kim"), ("14", "Alex Kim"))


def saw(*, columns: tuple[str, ...] = COLUMNS, who: People = ADA, **cells: str) -> Saw | None:
    return read_attendance(SourceRow("row 1", cells), attendance_columns(columns, "attendance"), who, BERLIN, BERLIN)


def students(*rows: dict[str, str]) -> StudentsRead:
    return read_students(SourceRow(f"row {number}", row) for number, row in enumerate(rows, start=1))


def test_columns_are_found_by_any_known_spelling_and_the_others_are_told() -> None:
    found = students_columns(["ID", "Roll No", "full_name", "Class", "face_encoding", "password"], "students")
    assert found.columns == {
        "id": "ID",
        "serial_number": "Roll No",
        "name": "full_name",
        "section": "Class",
        "face_encoding": "face_encoding",
    }
    assert found.ignored == ("password",)
    # Where nothing else is the number, that is what students are called; never one column for two things.
    assert students_columns(["student_id", "name"], "students").columns["serial_number"] == "student_id"
    with pytest.raises(BadInput, match="no column for name"):
        students_columns(["serial_number", "password"], "students")
    with pytest.raises(BadInput, match="who it was"):
        attendance_columns(["timestamp", "status"], "attendance")
    with pytest.raises(BadInput, match="when it was"):
        attendance_columns(["student_id", "status"], "attendance")


def test_a_student_loses_a_bad_cell_and_not_the_rest() -> None:
    read = students(
        {"id": "7", "serial_number": "0012", "name": "Ada  Lovelace", "email": "ada@example", "section": "7b"}
    )
    assert read.students[0].fields == StudentFields("0012", "Ada Lovelace", section="7b")
    assert read.serial_of_id == {"7": "0012"}
    assert [(one.kind, "not an email address" in one.reason) for one in read.problems] == [("cell", True)]


def test_a_serial_number_that_is_there_twice_is_named_and_the_first_counts() -> None:
    ada = {"serial_number": "0012", "name": "Ada Lovelace"}
    read = students(
        {**ada, "id": "1"},
        {**ada, "id": "2"},
        {**ada, "id": "3", "phone": "12345"},
        {"id": "4", "serial_number": "0012", "name": "Grace Hopper"},
        {"id": "5", "serial_number": "12", "name": "Grace Hopper", "username": "g"},
        {"id": "6", "serial_number": "13", "name": "Alan Turing", "username": "g"},
        {"id": "7", "serial_number": "a_b", "name": "Nobody"},
    )
    assert [one.fields.serial_number for one in read.students] == ["0012", "12", "13"]
    assert read.repeated == 1
    # Rows of attendance with the id of another person would make that person present.
    assert read.serial_of_id == {"1": "0012", "2": "0012", "3": "0012", "5": "12", "6": "13"}
    assert [one.kind for one in read.problems] == ["duplicate", "duplicate", "cell", "student"]
    assert "already at row 1 for Ada Lovelace: Grace Hopper was not taken over" in read.problems[1].reason


def test_what_the_original_does_not_say_of_a_student_stays() -> None:
    before = Student("id", StudentFields("1", "Ada", phone="12345", section="7b", groups=("A",)))
    assert completed(before, StudentFields("1", "Ada Lovelace")).phone == "12345"
    moved = completed(before, StudentFields("1", "Ada Lovelace", section="8a"))
    assert (moved.name, moved.section, moved.groups) == ("Ada Lovelace", "8a", ())


@pytest.mark.parametrize(
    "row",
    [
        {"name": "0012_Ada Lovelace"},
        {"name": "0012_Ada_Lovelace"},
        {"name": "ada  lovelace"},
        {"serial_number": "0012", "name": "whoever"},
        {"student_id": "7", "name": "whoever"},
    ],
)
def test_a_row_names_a_student_by_number_id_or_unique_name(row: dict[str, str]) -> None:
    who = people(("0012", "Ada Lovelace"), ("12", "Grace Hopper"))
    who.serial_of_id = {"7": "0012"}
    assert who.of(SourceRow("row 1", row)).serial_number == "0012"


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"name": "12_Ada Lovelace"}, "is Grace Hopper, not Ada Lovelace"),
        ({"name": "Alex Kim"}, "more than one"),
        ({"name": "7_Nobody"}, "nobody is called"),
        ({"name": ""}, "names nobody"),
        ({"student_id": "99"}, "no student has the id"),
        ({"serial_number": "012"}, "no student has serial number 012"),
    ],
)
def test_a_row_that_names_nobody_for_certain_is_of_nobody(row: dict[str, str], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        ADA.of(SourceRow("row 1", row))


@pytest.mark.parametrize(
    ("written", "moment", "odd"),
    [
        ("2026-09-01 08:05:30", datetime(2026, 9, 1, 6, 5, 30, tzinfo=UTC), ""),
        ("2026/09/01T8:05", datetime(2026, 9, 1, 6, 5, tzinfo=UTC), ""),
        ("2026-09-01 08:05:30.25", datetime(2026, 9, 1, 6, 5, 30, 250_000, tzinfo=UTC), ""),
        ("2026-09-01 08:05:00+00:00", datetime(2026, 9, 1, 8, 5, tzinfo=UTC), ""),
        # The clocks skip 02:30 that night: later by the hour they skip. In October it happens twice: the first.
        ("2026-03-29 02:30:00", datetime(2026, 3, 29, 1, 30, tzinfo=UTC), "skipped"),
        ("2026-10-25 02:30:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "twice"),
    ],
)
def test_times_are_of_the_schools_clock_unless_they_say_otherwise(written: str, moment: datetime, odd: str) -> None:
    found = saw(name="0012_Ada Lovelace", timestamp=written, status="Present", method="Face Recognition")
    assert found is not None
    assert (found.moment, found.odd, found.timed, found.method) == (moment, odd, True, "Face Recognition")


@pytest.mark.parametrize(
    "written",
    ["", "01/09/2026 08:00", "2026-02-30 08:00", "2026-09-01 25:00", "0000-00-00 00:00:00", "now", "2026-9-1"],
)
def test_a_moment_that_is_none_or_could_be_two_is_refused(written: str) -> None:
    with pytest.raises(BadInput):
        saw(name="0012_Ada Lovelace", timestamp=written, status="Present")


def test_times_of_another_zone_are_on_the_day_of_the_school() -> None:
    row = SourceRow("row 1", {"name": "Ada Lovelace", "timestamp": "2026-08-31 23:30:00", "status": "Present"})
    found = read_attendance(row, attendance_columns(COLUMNS, "attendance"), ADA, UTC, BERLIN)
    assert found is not None
    assert (found.moment, found.day) == (datetime(2026, 8, 31, 23, 30, tzinfo=UTC), date(2026, 9, 1))


def test_status_and_method_are_taken_over_and_nothing_said_is_nothing() -> None:
    rows = [("Present", "Manual"), ("LATE", "manual"), ("absent", ""), ("Excused", "Face Recognition")]
    found = [
        saw(name="Ada Lovelace", timestamp="2026-09-01 08:00", status=status, method=method, notes=" came\tby bus ")
        for status, method in rows
    ]
    assert [(one.status, one.method, one.note) for one in found if one] == [
        ("present", "Manual", "came by bus"),
        ("late", "Manual", "came by bus"),
        ("absent", "Manual", "came by bus"),
        ("excused", "Face Recognition", "came by bus"),
    ]
    assert saw(name="Ada Lovelace", timestamp="2026-09-01 08:00", status="") is None
    with pytest.raises(BadInput, match="no status"):
        saw(name="Ada Lovelace", timestamp="2026-09-01 08:00", status="Ill")


def test_a_mark_has_one_id_however_the_row_was_spelled() -> None:
    table = saw(name="Ada Lovelace", timestamp="2026-09-01 08:05:30.75", status="Late")
    line = saw(columns=("date", "time", "name"), date="2026-09-01", time="08:05:30", name="0012_Ada Lovelace")
    later = saw(columns=("date", "time", "name"), date="2026-09-01", time="08:05:31", name="0012_Ada Lovelace")
    day = saw(columns=("date", "name"), date="2026-09-01", name="0012_Ada Lovelace")
    assert table is not None
    assert line is not None
    assert later is not None
    assert day is not None
    assert (line.plain, line.status, table.plain) == (True, "present", False)
    assert table.mark_id == line.mark_id
    assert len({line.mark_id, later.mark_id, day.mark_id}) == 3
    assert (day.timed, day.day) == (False, date(2026, 9, 1))


NUMBERS = [0.25, -1.5e-3, *[0.125] * (DIMENSIONS - 2)]


@pytest.mark.parametrize(
    "text", [str(NUMBERS), str([NUMBERS]), " ".join(map(str, NUMBERS)), "[ " + "\n".join(map(str, NUMBERS)) + "]"]
)
def test_an_encoding_is_read_however_it_was_printed(text: str) -> None:
    assert read_encoding(text) == tuple(NUMBERS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        str(NUMBERS[1:]),
        str([*NUMBERS, 1.0]),
        str([*NUMBERS[1:], float("nan")]),
        str([*NUMBERS[1:], float("inf")]),
        "[" + ", ".join(["1e999", *map(str, NUMBERS[1:])]) + "]",
        "[" + ", ".join(["0"] * DIMENSIONS) + "]",
        "[" + ", ".join(["1 2", *map(str, NUMBERS[1:])]) + "]",
        "[" + ", ".join(["--1", *map(str, NUMBERS[1:])]) + "]",
        "[[[" + ", ".join(map(str, NUMBERS)) + "]]]",
        "__import__('os').system('true')",
        "[" * 4000,
        "[" + ", ".join(["0." + "1" * 200] * DIMENSIONS) + "]",
    ],
)
def test_anything_else_is_no_encoding_and_is_never_run(text: str) -> None:
    with pytest.raises(BadInput):
        read_encoding(text)


@given(
    st.lists(st.floats(-1e6, 1e6).filter(bool), min_size=DIMENSIONS, max_size=DIMENSIONS),
    st.integers(0, DIMENSIONS - 1),
    st.text(alphabet="0123456789eE+-.,[] \n_x", max_size=4),
)
@settings(max_examples=15)
def test_what_was_written_is_read_and_a_spoilt_number_gives_nothing_else(
    numbers: list[float], place: int, spoilt: str
) -> None:
    assert read_encoding(str(numbers)) == tuple(numbers)
    parts = [repr(number) for number in numbers]
    parts[place] = spoilt
    try:
        read = read_encoding(f"[{', '.join(parts)}]")
    except BadInput:
        return
    assert read[place] == float(spoilt)
    assert read[:place] + read[place + 1 :] == tuple(numbers[:place] + numbers[place + 1 :])


def test_nobody_becomes_absent_by_being_exported() -> None:
    ada = Numbered(3, Student("id", StudentFields("0012", "Ada Lovelace")))
    moment = datetime(2026, 9, 1, 6, 5, 30, tzinfo=UTC)
    said = [
        Said(moment, word, "Manual", "", "").table_cells(1, ada, BERLIN)
        for word in ("Present", "Late", "Absent", "Excused", "Not seen", "Not observed")
    ]
    assert [cells[3] for cells in said] == ["Present", "Late", "Absent", "", "", ""]
    assert said[4] == [
        "1",
        "3",
        "2026-09-01 08:05:30",
        "",
        "Manual",
        "",
        "0012",
        "",
        "Not seen",
        "2026-09-01 06:05:30Z",
    ]


def test_a_portrait_has_a_name_that_every_disk_takes() -> None:
    ada = Numbered(1, Student("id", StudentFields("0012", "Ada/Lovelace: " + "é" * 200)))
    first, second = picture_name(ada, 1, b"\x89PNG\r\n"), picture_name(ada, 2, b"\xff\xd8")
    assert first.startswith("0012_Ada Lovelace")
    assert first.endswith("é.png")
    assert len(first.encode()) < 200
    assert second == first.removesuffix(".png") + "_2.jpg"
