"""Taking over what the original system kept, from its own tables and files, and writing them again."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from deploy.database_server import Database as ServerDatabase
from deploy.database_server import DatabaseServer
from hub.adapters import photo_store
from hub.adapters.database import DatabaseAddress
from hub.adapters.legacy_files import LegacyFolder
from hub.adapters.legacy_tables import LegacyTables
from hub.adapters.photo_store import NewPhoto
from hub.adapters.register_deriving import MySqlRegisterStore
from hub.core.attendance_facts import SchoolDays
from hub.core.enrolment_faces import FoundFace
from hub.core.errors import BadInput, Conflict, StoreRefused, StoreUnavailable
from hub.core.legacy import SourceRow
from hub.office import consents, lessons, marks, rooms, sections, students
from hub.office.enrolment import Enroller
from hub.office.legacy import LegacyChoices, LegacyImported, import_legacy
from hub.office.legacy_export import export_legacy
from hub.office.legacy_faces import FacesTold
from hub.office.marks import MarkRequest
from hub.office.occasions import Named
from hub.office.rules_of_settings import of_settings
from tests.builders import PackOffer
from tests.hub_adapters.emptied import EmptiedDatabase
from tests.hub_office.conftest import NOW, OfficeUnderTest, invoke, with_pack
from tests.hub_office.drawn_faces import DrawnFaces
from tests.hub_office.little_school import LittleSchool, local
from tests.hub_office.test_marks_twice import AnswersLost
from tests.pack_fakes import made_up_pack

TABLES = (
    """CREATE TABLE students (id INT PRIMARY KEY, serial_number VARCHAR(20), name VARCHAR(100), username VARCHAR(50),
    email VARCHAR(100), phone VARCHAR(20), `class` VARCHAR(20), password VARCHAR(50), face_encoding TEXT)""",
    """CREATE TABLE attendance (id INT PRIMARY KEY, student_id INT, `timestamp` DATETIME, status VARCHAR(20),
    method VARCHAR(30), notes TEXT)""",
    """INSERT INTO students VALUES
    (1, '0012', 'Ada Lovelace', 'ada', 'ada@school.example', '555 0100', '7b', 'secret', '[0.1, 0.2]'),
    (2, '12', 'Grace Hopper', 'ada', 'no address', NULL, '7b', 'secret', NULL),
    (3, '13', '李小龍', NULL, NULL, NULL, '8a', 'secret', repeat('9', 20000)),
    (4, '12', 'Alan Turing', NULL, NULL, NULL, '8a', 'secret', NULL)""",
    """INSERT INTO attendance VALUES
    (1, 1, '2026-08-31 08:03:00', 'Present', 'Face Recognition', ''),
    (2, 2, '2026-08-31 08:20:00', 'Late', 'Manual', 'bus'),
    (3, 3, '2026-08-31 08:00:00', 'Absent', 'Manual', NULL),
    (4, 1, '2026-08-30 08:05:00', 'Present', 'Face Recognition', ''),
    (5, 4, '2026-08-31 08:00:00', 'Present', 'Manual', ''),
    (6, 1, '2026-12-01 08:00:00', 'Present', 'Manual', ''),
    (7, 1, '2026-08-29 08:00:00', 'Ill', 'Manual', '')""",
)
REFERENCE = LegacyChoices(consent_reference="folder 3")


@pytest.fixture(scope="module")
def original(mariadb: DatabaseServer) -> Iterator[ServerDatabase]:
    """The original's database."""
    found = mariadb.create_database()
    for statement in TABLES:
        mariadb.execute(statement, found)
    yield found
    mariadb.drop_database(found)


def opened(original: ServerDatabase, password: str | None = None) -> LegacyTables:
    secret = original.password if password is None else password
    return LegacyTables(DatabaseAddress(original.host, original.port, original.name, original.user, secret))


def take(desk: OfficeUnderTest, original: ServerDatabase, choices: LegacyChoices) -> LegacyImported:
    with opened(original) as source:
        return import_legacy(desk.office, source, choices)


def derive(desk: OfficeUnderTest) -> None:
    settings = desk.office.settings
    store = MySqlRegisterStore(desk.office.database, SchoolDays(settings.zone), of_settings(settings.attendance))
    while store.derive(NOW, 500):
        pass


def register(desk: OfficeUnderTest) -> list[tuple[object, ...]]:
    return desk.rows(
        "select serial_number, cast(timestamp as char), status, method, notes from attendance join students"
        " on students.id = student_id order by 1, 2, 3"
    )


def lesson(desk: OfficeUnderTest) -> None:
    """Section 7b has maths on Monday at eight."""
    rooms.add_room(desk.office, "12")
    sections.add_section(desk.office, "7b")
    form = {"room": "12", "section": "7b", "label": "Maths"}
    lessons.add_lesson(desk.office, form | {"starts_at": "2026-08-31T08:00", "ends_at": "2026-08-31T08:45"})


def problems(done: LegacyImported) -> list[tuple[str, str]]:
    return [(one.kind, one.where) for one in done.problems]


def test_students_and_attendance_are_taken_over_once_and_what_was_corrected_here_stays(
    desk: OfficeUnderTest, original: ServerDatabase
) -> None:
    lesson(desk)
    before = desk.actions()
    shown = take(desk, original, LegacyChoices(dry_run=True))
    assert (desk.actions(), desk.count("students"), desk.count("marks")) == (before, 0, 0)
    done = take(desk, original, LegacyChoices())
    assert (done.students.added, done.students.new_sections, done.ignored) == (
        3,
        ("8a",),
        {"students": ("password",), "attendance": ()},
    )
    # Whoever is not there yet has no lessons: that is all that a dry run cannot foresee.
    assert replace(shown.marks, of_lessons=2) == done.marks
    assert (done.marks.rows, done.marks.new, done.marks.of_lessons, done.marks.on_record) == (7, 4, 2, 0)
    assert shown.problem_counts == done.problem_counts
    # A bad email, a username that is taken, a serial number with two names and whoever it is then; what is to come,
    # a status nobody knows; encodings that are none.
    assert sorted(problems(done)) == [
        ("attendance", "attendance id 5"),
        ("attendance", "attendance id 6"),
        ("attendance", "attendance id 7"),
        ("cell", "students id 2"),
        ("cell", "students id 2"),
        ("duplicate", "students id 4"),
        ("encoding", "students id 1"),
        ("encoding", "students id 3"),
    ]
    derive(desk)
    taken_over = [
        ("0012", "2026-08-30 06:05:00.000000", "Present", "Face Recognition", ""),
        ("0012", "2026-08-31 06:03:00.000000", "Present", "Face Recognition", ""),
        ("12", "2026-08-31 06:20:00.000000", "Late", "Manual", "bus"),
        ("13", "2026-08-31 06:00:00.000000", "Absent", "Manual", ""),
    ]
    assert register(desk) == taken_over
    assert desk.rows("select distinct origin, made_by from marks") == [("legacy", "legacy")]
    # A teacher corrects one, takes back another, and a student moves: importing again changes none of it.
    day = marks.mark(desk.office, MarkRequest("excused", serial_numbers=("0012",), named=_on("2026-08-30")))
    marks.unmark(desk.office, MarkRequest(serial_numbers=("13",), named=_on("2026-08-31")))
    students.change_student(desk.office, "13", {"section": "7b"})
    again = take(desk, original, LegacyChoices())
    assert (again.students.added, again.students.changed, again.marks.new, again.marks.on_record) == (0, 0, 0, 4)
    assert ("differs", "students id 3") in problems(again)
    derive(desk)
    assert [row[2] for row in register(desk)] == ["Excused", "Present", "Late"]
    assert day.lines[0].new
    # All of it can be taken back with one command.
    marks.unmark_batch(desk.office, done.batch_id)
    derive(desk)
    assert [row[2] for row in register(desk)] == ["Excused", "Not observed", "Not observed"]
    # Where it is asked for, what the original says of a student counts.
    assert take(desk, original, LegacyChoices(update=True)).students.changed == 1


def _on(day: str) -> Named:
    return Named(day=local(f"{day}T08:00").date())


def write(folder: Path, name: str, *lines: str) -> None:
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_the_originals_csv_adds_nothing_where_its_table_says_more(desk: OfficeUnderTest, tmp_path: Path) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    write(folder, "students.csv", "id,serial_number,name", "1,0012,Ada Lovelace", "2,13,Bob", "3,14,'=Eve")
    write(folder, "attendance_table.csv", "student_id,timestamp,status", "1,2026-08-31 08:20:00,Late")
    write(
        folder,
        "attendance.csv",
        "date,time,name",
        "2026-08-31,08:20:01,0012_Ada Lovelace",
        "2026-08-31,08:00:00,Bob",
        "2026-08-31,08:00:07,13_Bob",
        "2026-03-29,02:30:00,14_=Eve",
        "2026-08-31,08:00:00,99_Nobody",
        "2026-08-31,08:00:00,13_Eve",
    )
    for dry_run in (True, False):
        done = import_legacy(desk.office, LegacyFolder(folder), LegacyChoices(dry_run=dry_run))
        assert (done.marks.rows, done.marks.new, done.marks.on_record, done.marks.clock_skipped) == (7, 3, 2, 1)
        assert [one.where for one in done.problems] == ["attendance.csv line 6", "attendance.csv line 7"]
    derive(desk)
    assert [row[:3] for row in register(desk)] == [
        ("0012", "2026-08-31 06:20:00.000000", "Late"),
        ("13", "2026-08-31 06:00:00.000000", "Present"),
        ("14", "2026-03-29 01:30:00.000000", "Present"),
    ]
    again = import_legacy(desk.office, LegacyFolder(folder), LegacyChoices())
    assert (again.marks.new, again.marks.on_record) == (0, 5)


class Stopped(LegacyFolder):
    """Somebody presses Ctrl-C after so many rows of attendance."""

    def __init__(self, folder: Path, after: int) -> None:
        super().__init__(folder)
        self._after = after

    def rows(self, table: str, columns: Mapping[str, str]) -> Iterator[SourceRow]:
        for number, row in enumerate(super().rows(table, columns)):
            if table == "attendance" and number == self._after:
                raise KeyboardInterrupt
            yield row


def test_an_import_that_was_stopped_or_whose_answers_were_lost_goes_on_and_takes_nothing_twice(
    desk: OfficeUnderTest, tmp_path: Path
) -> None:
    write(tmp_path, "students.csv", "serial_number,name", *(f"{number},Student {number}" for number in range(100, 130)))
    write(
        tmp_path,
        "attendance.csv",
        "date,time,name",
        *(
            f"2026-05-{day:02},08:00:{second:02},{number}_Student {number}"
            for day in range(1, 25)
            for second in (5, 6)
            for number in range(100, 130)
        ),
    )
    with pytest.raises(KeyboardInterrupt):
        import_legacy(desk.office, Stopped(tmp_path, 1300), LegacyChoices())
    # The first thousand: two lines of a day are one.
    assert (desk.count("students"), desk.count("marks")) == (30, 510)
    twice = replace(desk.office, database=AnswersLost(desk.office.database.address))
    done = import_legacy(twice, LegacyFolder(tmp_path), LegacyChoices())
    assert (done.students.added, done.marks.new, done.marks.on_record) == (0, 210, 1230)
    assert desk.count("marks") == 720
    assert desk.rows("select count(*), count(distinct student_id, occasion) from marks") == [(720, 720)]
    entries = desk.rows("select detail from audit where action = 'import.legacy' order by seq")
    assert [json.loads(str(row[0]))["marks"] for row in entries] == [510, 210]
    assert desk.count("dirty_students") == 720
    twice.database.close()


def test_nobody_is_taken_for_somebody_else_who_has_their_number_here(desk: OfficeUnderTest, tmp_path: Path) -> None:
    students.add_student(desk.office, {"serial_number": "0012", "name": "Grace Hopper", "username": "ada"})
    write(tmp_path, "students.csv", "id,serial_number,name,username", "1,0012,Ada Lovelace,", "2,13,Ada Byron,ada")
    write(tmp_path, "attendance.csv", "student_id,date,status", "1,2026-08-31,Present", "2,2026-08-31,Present")
    done = import_legacy(desk.office, LegacyFolder(tmp_path), LegacyChoices(update=True))
    assert (done.students.added, done.students.changed, done.marks.new) == (1, 0, 1)
    assert [one.kind for one in done.problems] == ["student", "cell", "attendance"]
    assert desk.rows("select name, username from students order by name") == [
        ("Ada Byron", None),
        ("Grace Hopper", "ada"),
    ]
    # A row without a time is of the day, and nobody knows when.
    assert desk.rows("select occasion, at from marks") == [("day:2026-08-31", None)]
    # Of a day whose events were deleted the register stays as it is.
    desk.do("insert into hub_facts values ('register.frozen_until', '2026-08-31', now())")
    write(tmp_path, "attendance.csv", "name,date,status", "Ada Byron,2026-08-30,Late", "Ada Byron,2026-08-31,Late")
    late = import_legacy(desk.office, LegacyFolder(tmp_path), LegacyChoices())
    assert (late.marks.new, late.marks.on_record, late.problem_counts["frozen"]) == (0, 1, 1)
    assert ("differs", "attendance.csv line 3") in problems(late)


class OriginalFaces(DrawnFaces):
    """The models of the original: 128 numbers."""

    def face_of(self, content: bytes, name: str) -> FoundFace:
        face = super().face_of(content, name)
        return FoundFace(np.pad(face.vector, (0, 125)), face.face_px)


def test_faces_come_with_a_consent_only_pictures_first_and_encodings_where_they_are_trusted(
    desk: OfficeUnderTest, tmp_path: Path
) -> None:
    def encoding(place: int) -> str:
        return '"' + str([7.0 if number == place else 0.0 for number in range(128)]) + '"'

    old = tmp_path / "old"
    (old / "known_faces").mkdir(parents=True)
    write(
        old,
        "students.csv",
        "serial_number,name,face_encoding",
        f"1,Ada Lovelace,{encoding(0)}",
        f"2,Grace Hopper,{encoding(1)}",
        f"3,Eve Moneypenny,{encoding(1)}",
        f"4,Alan Turing,{encoding(2)}",
        '5,Kurt Gödel,"[1, 2"',
    )
    write(old / "known_faces", "1_Ada Lovelace.png", "0")
    write(old / "known_faces", "2_Eve.png", "90")
    offer = made_up_pack("facenet", dimensions=128)
    with_models = with_pack(desk, written(offer, tmp_path / "pack"))
    faces = OriginalFaces(pack_id=offer.pack_id, dimensions=128)

    def taken(choices: LegacyChoices) -> FacesTold:
        source = LegacyFolder(old)
        enroller = lambda office: Enroller(office, faces)  # noqa: E731
        return import_legacy(with_models.office, source, choices, faces=source.faces(), enroller=enroller).faces

    nothing = taken(LegacyChoices())
    assert (nothing.pictures, nothing.enrolled, nothing.refused, nothing.encodings_usable) == (2, 0, 1, 4)
    assert (nothing.no_reference, desk.count("templates"), desk.count("consents")) == (True, 0, 0)
    assert taken(REFERENCE).enrolled == 1
    assert (desk.count("templates"), desk.count("consents")) == (1, 1)
    with pytest.raises(BadInput, match="without a consent"):
        LegacyChoices(trust_encodings=True)
    consents.give_consent(desk.office, {"serial_number": "4", "given_by": "father"})
    consents.withdraw_consent(desk.office, "4")
    trusting = replace(REFERENCE, trust_encodings=True)
    # Ada has a picture; Eve has the encoding of Grace, so that one of them is wrong; Alan took his consent back.
    told = taken(trusting)
    assert (told.enrolled, told.enrolled_before, told.refused, told.encodings_used) == (0, 1, 1, 1)
    found = desk.rows(
        "select serial_number, source from templates join students on students.id = student_id order by serial_number"
    )
    assert found == [("1", "folder"), ("2", "legacy")]
    assert taken(trusting).encodings_used == 0
    with_others = with_pack(desk, written(made_up_pack("painted"), tmp_path / "other"))
    write(old, "students.csv", "serial_number,name", "6,Emmy Noether")
    with pytest.raises(Conflict, match="were made with facenet"):
        import_legacy(with_others.office, LegacyFolder(old), trusting)
    write(old, "attendance.csv", "student_id,status", "6,Present")
    with pytest.raises(BadInput, match="when it was"):
        import_legacy(desk.office, LegacyFolder(old), LegacyChoices())
    assert desk.count("students") == 5


def written(offer: PackOffer, folder: Path) -> Path:
    folder.mkdir()
    for name, content in offer.files.items():
        (folder / name).write_bytes(content)
    return folder


def test_what_is_exported_is_the_same_school_when_it_is_imported_elsewhere(
    desk: OfficeUnderTest, migrated_database: EmptiedDatabase, tmp_path: Path
) -> None:
    school = LittleSchool(desk)
    maths = school.lesson("08:00")
    for serial, status, rule in (("1", "Present", "seen"), ("002", "Not seen", "not_seen")):
        school.derived(serial, maths, status, rule)
    art = school.lesson("09:00")
    school.derived("1", art, "Absent", "closed", notes="=HYPERLINK(1)", method="Manual")
    school.derived("002", art, "Excused", "mark", method="Manual", notes="ill")
    # The hour that comes twice that night: by the clock alone nobody knows which.
    night = school.lesson("2025-10-26T02:30+01:00")
    school.derived("1", night, "Late", "seen_late")
    erased = school.student("9", "Gone", "7b")
    school.derived("9", maths, "Present", "seen")
    desk.do("update students set erased_at = now(), name = 'Erased student' where serial_number = '9'")
    consents.give_consent(desk.office, {"serial_number": "1", "given_by": "mother", "scope": "recognition;photos"})
    keep(desk, school.students["1"], b"\x89PNG one")
    keep(desk, school.students["1"], b"\xff\xd8 two")
    keep(desk, school.students["002"], b"nobody agreed")
    assert erased
    out = tmp_path / "out"
    done = export_legacy(desk.office, out)
    assert (done.students, done.table_rows, done.lines, done.left_out, done.pictures) == (4, 5, 2, 1, 2)
    assert done.without_status == {"Not seen": 1, "Excused": 1}
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*")) == [
        "attendance.csv",
        "attendance_table.csv",
        "known_faces",
        "known_faces/1_Ada.png",
        "known_faces/1_Ada_2.jpg",
        "students.csv",
    ]
    assert {oct(path.stat().st_mode & 0o777) for path in (out, out / "known_faces")} == {"0o700"}
    assert (out / "attendance_table.csv").stat().st_mode & 0o777 == 0o600
    assert "'=HYPERLINK" in (out / "attendance_table.csv").read_text()
    table = list(csv.DictReader((out / "attendance_table.csv").read_text().splitlines()))
    assert [row["status"] for row in table] == ["Late", "Present", "", "Absent", ""]
    assert desk.actions()[-1] == "export.legacy"
    people = "select serial_number, name, section_id is null from students where erased_at is null order by 1"
    before = [row for row in register(desk) if row[2] != "Not seen" and row[0] != "9"], desk.rows(people)
    # To the hub it comes from it says nothing new.
    again = import_legacy(desk.office, LegacyFolder(out), LegacyChoices())
    assert (again.students.added, again.marks.new, again.marks.on_record, desk.count("marks")) == (0, 0, 6, 0)
    migrated_database.empty()
    imported = import_legacy(desk.office, LegacyFolder(out), LegacyChoices())
    assert (imported.problems, imported.marks.new, imported.marks.says_nothing) == ((), 4, 1)
    assert desk.rows(people) == before[1]
    marked = desk.rows(
        "select serial_number, cast(at as char), concat(upper(left(status, 1)), substring(status, 2)), method, note"
        " from marks join students on students.id = student_id order by 1, 2, 3"
    )
    assert marked == before[0]


def keep(desk: OfficeUnderTest, student_id: str, content: bytes) -> None:
    desk.clock.forward(timedelta(seconds=1))
    with desk.office.database.transaction() as connection:
        photo = NewPhoto(str(uuid4()), student_id, content, "file")
        photo_store.keep(connection, desk.office.keys.ring(), photo, desk.clock.now())


def test_a_folder_with_something_in_it_is_left_alone_unless_it_is_meant(desk: OfficeUnderTest, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "known_faces").mkdir(parents=True)
    (out / "known_faces" / "old.png").write_text("old")
    (out / "students.csv").write_text("old")
    with pytest.raises(BadInput, match="is not empty"):
        export_legacy(desk.office, out)
    assert (out / "students.csv").read_text() == "old"
    export_legacy(desk.office, out, force=True)
    assert (out / "students.csv").read_text().startswith("id,serial_number,name")
    assert (out / "known_faces" / "old.png").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".out")] == []
    with pytest.raises(BadInput, match="is before"):
        export_legacy(desk.office, tmp_path / "no", first=local("08:00").date(), last=local("2026-08-01T08:00").date())


def test_the_commands_say_what_was_done_what_was_not_and_how_to_take_it_back(
    desk: OfficeUnderTest, original: ServerDatabase, tmp_path: Path
) -> None:
    password = tmp_path / "old.password"
    password.write_text(original.password)
    password.chmod(0o600)
    where = ["--host", original.host, "--port", str(original.port), "--user", original.user]
    words = ["import", "legacy", *where, "--password-file", str(password), "--database", original.name]
    said = invoke(desk, *words, "--dry-run")
    assert said.exit_code == 0, said.output
    assert "Would add 3" in said.stdout
    assert "Would add 4 marks" in said.stdout
    assert "Columns of students that nobody looks at: password" in said.stdout
    assert "0012 2026-08-30 08:05:00 present" in said.stdout
    assert "Nobody was enrolled" in said.stdout
    assert "secret" not in said.output
    done = json.loads(invoke(desk, *words, "--json").stdout)
    assert (done["students"]["added"], done["marks"]["new"], done["problem_counts"]["attendance"]) == (3, 4, 3)
    out = tmp_path / "out"
    derive(desk)
    told = invoke(desk, "export", "legacy", "--folder", str(out), "--from", "2026-08-31")
    assert "Wrote 3 students, 3 rows of attendance, 2 lines of who was there and 0 pictures" in told.stdout
    assert invoke(desk, "import", "legacy", str(out), "--json").exit_code == 0
    for wrong, why in (
        (["import", "legacy"], "name one source"),
        (["import", "legacy", str(tmp_path / "none")], "there is no folder"),
        (["import", "legacy", str(desk.settings_file.parent)], "nothing of the original system"),
        ([*words[:-1], "rollcall_nowhere"], "the original's database"),
        ([*words[:-1], desk.office.database.address.name], "a database of a hub"),
        (["import", "legacy", "--database", original.name], "who reads the database?"),
        ([*words, "--zone", "Mars"], "is not a time zone"),
        (["export", "legacy", "--folder", str(out)], "is not empty"),
    ):
        refused = invoke(desk, *wrong)
        assert (refused.exit_code, why in refused.output) == (1, True), refused.output


def test_a_source_that_is_none_or_broken_says_so_and_nothing_of_it_is_half_there(
    desk: OfficeUnderTest, original: ServerDatabase, mariadb: DatabaseServer, tmp_path: Path
) -> None:
    with pytest.raises(StoreRefused, match="wrong password"):
        opened(original, password="no")
    with opened(original) as source, pytest.raises(StoreUnavailable, match="read-only"):
        source._run("DELETE FROM attendance")
    other = mariadb.create_database()
    try:
        mariadb.execute("CREATE TABLE students (id INT, fullname VARCHAR(20))", other)
        with opened(other) as source, pytest.raises(BadInput, match="no column for serial_number"):
            import_legacy(desk.office, source, LegacyChoices())
    finally:
        mariadb.drop_database(other)
    write(tmp_path, "students.csv", "serial_number,name", "1,Ada", '2,"Bob', "3,Eve")
    with pytest.raises(BadInput, match=r"students\.csv cannot be read"):
        import_legacy(desk.office, LegacyFolder(tmp_path), LegacyChoices())
    assert desk.count("students") == 0
    (tmp_path / "students.csv").write_bytes(b"serial_number,name\n1,Jos\xe9\n")
    with pytest.raises(BadInput, match="not UTF-8"):
        import_legacy(desk.office, LegacyFolder(tmp_path), LegacyChoices())
