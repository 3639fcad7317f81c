"""Reports on a real database: what they count, how they are taken away, and what the audit log then says."""

import io
import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from sqlalchemy import Connection, update
from typer.testing import CliRunner, Result

from hub.adapters import printed_fonts, spreadsheets
from hub.adapters.report_store import Days, RegisterLines
from hub.adapters.schema import attendance, consents, lessons, marks, student_sections, students, terms
from hub.cli import app, report
from hub.core.errors import BadInput, NotFound
from hub.core.report_tables import Report
from hub.office import report_printing, reports
from hub.office.report_printing import Print
from hub.office.reports import Asked
from tests.hub_adapters.explaining import full_scans
from tests.hub_adapters.test_register_explained import FILLED, SIX_THOUSAND
from tests.hub_office.conftest import NOW, OfficeUnderTest
from tests.hub_office.little_school import DAY, LittleSchool, local

pytestmark = pytest.mark.server
TODAY = Asked(DAY, DAY)
THAT_DAY = ("--from", "2026-09-01", "--until", "2026-09-01")
"""Of commands, which go by the clock of the machine."""
Command = Callable[..., Result]


@pytest.fixture
def school(desk: OfficeUnderTest) -> LittleSchool:
    return LittleSchool(desk)


@pytest.fixture
def run(desk: OfficeUnderTest) -> Command:
    def call(*words: str, code: int = 0) -> Result:
        result = CliRunner().invoke(
            app,
            ["--config", str(desk.settings_file), "--actor", "ada", "report", *words],
            env={"COLUMNS": "300"},
        )
        assert result.exit_code == code, result.output
        return result

    return call


def named(made: Report, key: str) -> list[dict[str, Any]]:
    table = made.table(key)
    assert table is not None
    return [dict(zip((one.key for one in table.headings), line, strict=True)) for line in table.lines]


def agree(school: LittleSchool, serial: str) -> None:
    row = {"id": school.new_id(), "student_id": school.students[serial], "given_at": NOW - timedelta(days=1)}
    school.put(consents, row | {"given_by": "x", "scope": "recognition"})


def of_a_day(school: LittleSchool, serial: str, unit_id: str | None, at: datetime, status: str = "Present") -> None:
    day = at.date()
    row = {"student_id": school.students[serial], "occasion": f"day:{day}", "day": day, "timestamp": at}
    row |= {"status": status, "method": "Face Recognition", "rule": "day", "unit_id": unit_id}
    school.put(attendance, row)


def exports(school: LittleSchool) -> list[tuple[Any, ...]]:
    return school.desk.rows("select subject, detail from audit where action = 'report.export' order by seq")


def test_a_section_has_its_lessons_its_guests_and_of_free_days_whoever_belonged_to_it(school: LittleSchool) -> None:
    maths = school.lesson("08:00")
    other = school.lesson("08:00", section="8a", room="13")
    school.derived("1", maths, "Late", "seen_late", timestamp=local("08:20"))
    school.derived("002", maths, "Not observed", "not_able")
    school.derived("3", maths, "Present", "mark", method="Manual")
    school.derived("1", other, "Present", "mark", method="Manual")
    for serial in ("1", "3"):
        of_a_day(school, serial, None, local("2026-09-02T10:00"))
    agree(school, "1")
    made = reports.section_report(school.office, "7b", Asked(DAY, date(2026, 9, 2)))
    told = {one["serial_number"]: one for one in named(made, "students")}
    assert {serial: one["recorded"] for serial, one in told.items()} == {"1": 2, "002": 1, "3": 1}
    assert (told["1"]["minutes_late"], told["1"]["attendance_share"], told["1"]["recorded_by"]) == (
        20,
        1.0,
        "camera",
    )
    assert (told["002"]["attendance_share"], told["002"]["recorded_by"]) == (None, "by hand")
    assert [one["date"] for one in named(made, "days")] == [DAY, date(2026, 9, 2)]
    assert exports(school) == []
    # Of days on which the student belonged to another section, that one's report tells.
    moved = update(student_sections).where(student_sections.c.student_id == school.students["1"])
    with school.office.database.transaction() as connection:
        connection.execute(moved.values(since=local("2026-09-03T00:00")))
    again = reports.section_report(school.office, "7b", Asked(DAY, date(2026, 9, 2)))
    assert [one["date"] for one in named(again, "days")] == [DAY]


def test_a_room_has_its_lessons_and_of_free_days_whoever_its_unit_saw(school: LittleSchool) -> None:
    here, there = school.unit("12"), school.unit("13")
    school.derived("1", school.lesson("08:00"), "Present", "seen", unit_id=here)
    # Seen in room 12 for a lesson that was elsewhere: that is not what happened here.
    school.derived("3", school.lesson("08:00", section="8a", room="13"), "Present", "seen", unit_id=here)
    of_a_day(school, "4", here, local("2026-09-02T10:00"))
    of_a_day(school, "3", there, local("2026-09-02T10:00"))
    made = reports.room_report(school.office, "12", Asked(DAY, date(2026, 9, 2)))
    assert [(one["section"], one["present"]) for one in named(made, "sections")] == [(None, 1), ("7b", 1)]
    other = reports.unobserved_report(school.office, TODAY, section="8a", room="13")
    assert named(other, "occasions") == []
    for refused in ("room_report", "section_report", "student_report"):
        with pytest.raises(NotFound):
            getattr(reports, refused)(school.office, "nobody", TODAY)


def test_the_days_of_a_report_are_those_of_the_term_else_thirty(school: LittleSchool) -> None:
    first = reports.student_report(school.office, "1", Asked())
    assert (first.first_day, first.last_day) == (date(2026, 8, 3), DAY)
    term = {"id": school.new_id(), "name": "Autumn", "first_day": date(2026, 8, 24), "last_day": date(2026, 12, 18)}
    school.put(terms, term)
    assert reports.student_report(school.office, "1", Asked()).first_day == date(2026, 8, 24)
    assert reports.student_report(school.office, "1", Asked(last=date(2026, 8, 20))).first_day == date(2026, 7, 22)
    ahead = reports.student_report(school.office, "1", Asked(first=date(2026, 9, 9)))
    assert (ahead.first_day, ahead.last_day) == (date(2026, 9, 9), date(2026, 9, 9))
    for wrong in (Asked(DAY, DAY - timedelta(days=1)), Asked(date(2000, 1, 1), DAY)):
        with pytest.raises(BadInput):
            reports.student_report(school.office, "1", wrong)


def test_a_lesson_after_midnight_and_one_when_the_clocks_go_back_are_of_the_schools_day(school: LittleSchool) -> None:
    night = school.lesson("2026-10-25T00:30", label="Night")
    school.derived("1", night, "Present", "seen")
    again = school.lesson("2026-10-25T01:30", label="Twice")
    with school.office.database.transaction() as connection:
        twice = {
            "starts_at": datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
            "ends_at": datetime(2026, 10, 25, 2, tzinfo=UTC),
        }
        connection.execute(update(lessons).where(lessons.c.id == again).values(twice))
    school.derived("1", again, "Late", "seen_late", timestamp=datetime(2026, 10, 25, 1, 45, tzinfo=UTC))
    day = date(2026, 10, 25)
    made = reports.section_report(school.office, "7b", Asked(day, day))
    assert [(one["date"], one["recorded"], one["minutes_late"]) for one in named(made, "days")] == [(day, 2, 15)]
    assert named(reports.section_report(school.office, "7b", Asked(DAY, day - timedelta(days=1))), "days") == []


def test_what_is_taken_away_is_audited_by_ids_and_numbers_and_what_is_looked_at_is_not(
    school: LittleSchool, run: Command, tmp_path: Path
) -> None:
    school.derived("1", school.lesson("08:00"), "Not observed", "held")
    looked = run("student", "1", *THAT_DAY)
    assert "so few were seen that a person has to look at the lesson" in looked.output
    assert "08:00" in looked.stdout
    assert "neither attendance nor absence" in looked.stderr
    assert "Nothing is on record" in run("room", "13", *THAT_DAY).stdout
    assert exports(school) == []
    told = json.loads(run("unobserved", "--json", *THAT_DAY).stdout)
    assert [one["lesson_start"] for one in told["occasions"]] == ["2026-09-01T06:00:00Z"]
    assert (
        run("section", "7b", "--table", "days", "--format", "csv", *THAT_DAY)
        .stdout.splitlines()[1]
        .startswith("2026-09-01,1,")
    )
    run("student", "1", *THAT_DAY, "-o", str(tmp_path / "1.json"))
    assert json.loads((tmp_path / "1.json").read_text())["total"][0]["not_observed"] == 1
    run("today", "-o", str(tmp_path / "today.csv"))
    first, *_ = exports(school)
    assert json.loads(str(first[1])) == {
        "report": "unobserved", "format": "json", "from": "2026-09-01", "until": "2026-09-01", "lines": 1,
    }  # fmt: skip
    assert [one[0] for one in exports(school)] == [
        "register",
        f"section:{school.sections['7b']}",
        f"student:{school.students['1']}",
        f"register:{json.loads(str(exports(school)[-1][1]))['from']}",
    ]
    assert not re.search("Ada|Bob", str(exports(school)))
    file = tmp_path / "7b.xlsx"
    told = json.loads(run("section", "7b", "-o", str(file), "--json", *THAT_DAY).stdout)
    assert told.items() >= {"file": str(file), "format": "xlsx", "until": "2026-09-01", "lines": 1}.items()
    assert "By student" in openpyxl.load_workbook(file).sheetnames
    assert json.loads(str(exports(school)[-1][1]))["format"] == "xlsx"


def test_wrong_usage_is_said_and_changes_nothing(school: LittleSchool, run: Command, tmp_path: Path) -> None:
    assert "spreadsheet needs a file" in run("section", "7b", "--format", "xlsx", code=2).output
    assert "name a form" in run("section", "7b", "-o", str(tmp_path / "x.txt"), code=2).output
    assert "only a CSV file" in run("section", "7b", "--table", "days", code=2).output
    assert "exclude each other" in run("section", "7b", "--json", "--format", "csv", code=2).output
    assert "no section" in run("section", "9z", code=1).output
    assert "should end with .pdf" in run("register", "--section", "7b", "-o", "x.csv", code=2).output
    for command in report.app.registered_commands:
        text = run(str(command.name), "--help").output
        assert f"rollcall-hub report {command.name}" in text
        assert "--json" in text
    assert exports(school) == []
    assert list(tmp_path.glob("x*")) == []


def test_a_spreadsheet_holds_words_as_words_and_times_of_the_school(
    school: LittleSchool, run: Command, tmp_path: Path
) -> None:
    evil = school.student("0=1", "=1+1", "7b")
    with school.office.database.transaction() as connection:
        connection.execute(update(students).where(students.c.id == evil).values(name="=cmd|' /C calc'!A0"))
    school.derived("0=1", school.lesson("08:00", label="https://x"), "Late", "seen_late", timestamp=local("08:12"))
    file = tmp_path / "section.xlsx"
    run("section", "7b", *THAT_DAY, "-o", str(file))
    book = openpyxl.load_workbook(file)
    assert book.sheetnames == ["By student", "By day", "Not observed, because", "In sum", "About"]
    sheet = book["By student"]
    assert sheet.freeze_panes == "A2"
    line = next(row for row in sheet.iter_rows(min_row=2) if row[0].value == "0=1")
    assert (line[1].value, line[1].data_type) == ("=cmd|' /C calc'!A0", "s")
    assert (line[11].value, line[11].number_format) == (1, "0.0%")
    assert book["About"]["A3"].value == "Times: Europe/Berlin"
    content = spreadsheets.workbook(reports.student_report(school.office, "0=1", TODAY), NOW)
    occasions = openpyxl.load_workbook(io.BytesIO(content))["Line by line"]
    day, start, label = (cell.value for cell in occasions[2][:3])
    assert (day, start, label) == (datetime(2026, 9, 1), datetime(2026, 9, 1, 8), "https://x")  # noqa: DTZ001
    assert occasions["C2"].hyperlink is None


def test_codes_are_told_by_the_most_exact_key(school: LittleSchool, run: Command, tmp_path: Path) -> None:
    settings = school.desk.settings_file
    codes = '"Present" = "/", "Late" = "L", "Late:15" = "U", "Excused" = "C", "Excused:medical" = "M"'
    settings.write_text(settings.read_text() + f"\n[attendance]\ncodes = {{ {codes} }}\n")
    maths = school.lesson("08:00")
    school.derived("1", maths, "Late", "seen_late", timestamp=local("08:15"))
    mark = {"student_id": school.students["002"], "occasion": f"lesson:{maths}", "lesson_id": maths, "day": DAY}
    for number, reason in enumerate(("trip", "medical")):
        made = {"id": school.new_id(), "made_at": NOW + timedelta(minutes=number), "made_by": "x"}
        school.put(marks, mark | made | {"status": "excused", "reason": reason})
    school.derived("002", maths, "Excused", "mark", method="Manual", notes="medical: dentist")
    school.derived("3", maths, "Not observed", "not_able")
    file = tmp_path / "codes.csv"
    told = run("codes", *THAT_DAY, "-o", str(file))
    assert file.read_text() == "serial_number,date,lesson_start,code\n002,2026-09-01,08:00,M\n1,2026-09-01,08:00,U\n"
    assert "1 Not observed" in told.stderr
    assert "derived again" not in told.stderr
    assert json.loads(run("codes", *THAT_DAY, "--section", "7b", "-o", str(file), "--json").stdout)["lines"] == 2
    assert len(exports(school)) == 2
    school.desk.do("insert into dirty_students (student_id, day, mark) select id, '2026-09-01', 1 from students")
    assert "students' rows are about to be derived again" in run("codes", *THAT_DAY, "-o", str(file)).stderr
    assert "students' rows are about to be derived again" in run("section", "7b", *THAT_DAY).stderr
    assert json.loads(run("unobserved", "--json", *THAT_DAY).stdout)["waiting"] > 1


def texts_in(pdf: bytes) -> str:
    """What is written with the fonts that every reader has, in the order of writing."""
    return "\n".join(part.decode("latin-1") for part in re.findall(rb"\(((?:[^()\\]|\\.)*)\) Tj", pdf))


def test_a_register_is_printed_for_every_week_with_legend_and_a_line_to_sign(school: LittleSchool) -> None:
    maths = school.lesson("08:00", label="Maths")
    school.lesson("2026-09-01T14:00", label="Art")
    school.lesson("2026-09-08T08:00", label="Maths")
    school.derived("1", maths, "Present", "seen")
    made = report_printing.print_register(school.office, "7b", Asked(DAY, date(2026, 9, 11)), Print(compressed=False))
    text = texts_in(made.content)
    assert (made.pages, made.students, made.unprintable) == (2, 2, ())
    assert "Register of section 7b" in text
    assert "test, Tuesday 2026-09-01" in text
    assert text.index("Maths") < text.index("Art") < text.index("Page 2 of 2")
    assert re.search(r"\n1\nAda\n/\n", text)
    # Nobody derived Bob's lesson yet, and the afternoon's is to come.
    assert re.search(r"\n002\nBob\n-\n(?!-)", text)
    assert "/  Present; -  Not seen or Not observed; empty: not expected, or not over yet" in text
    assert text.count("Signature") == 2
    assert made.content.startswith(b"%PDF")
    assert len(exports(school)) == 1


def test_names_that_no_font_can_print_are_said_before_anything_is_printed(
    school: LittleSchool, run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    school.student("5", "محمد", "7b")
    school.lesson("08:00")
    file = tmp_path / "register.pdf"
    words = ["register", "--section", "7b", "--from", "2026-09-01", "-o", str(file)]
    monkeypatch.setattr(printed_fonts, "FOLDERS", (tmp_path,))
    refused = run(*words, code=1)
    assert "serial numbers 5" in refused.output
    assert "fonts-dejavu-core" in refused.output
    assert not file.exists()
    assert exports(school) == []
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    assert "cannot be read" in run(*words, "--font", str(tmp_path / "broken.ttf"), code=1).output
    anyway = json.loads(run(*words, "--font-anyway", "--json").stdout)
    assert anyway["unprintable"] == ["5"]
    assert file.read_bytes().startswith(b"%PDF")


def test_which_package_has_the_letters_depends_on_the_script() -> None:
    assert printed_fonts.packages_for("李") == ["fonts-noto-cjk"]
    assert printed_fonts.packages_for("م") == ["fonts-dejavu-core", "fonts-noto-core"]
    assert printed_fonts.find(frozenset("Zoë Müller")).files == ()


def test_a_font_of_the_machine_prints_names_in_other_scripts(school: LittleSchool) -> None:
    if printed_fonts.find(frozenset("م"), None, printed_fonts.FOLDERS).missing:
        pytest.skip("this machine has no font with Arabic letters (fonts-dejavu-core)")
    school.student("5", "محمد", "7b")
    school.lesson("08:00")
    made = report_printing.print_register(school.office, "7b", TODAY, Print(compressed=False))
    assert (made.unprintable, made.letter_by_letter) == ((), ())
    # Each letter in the form its neighbours ask for: the first, two in the midst, the last.
    for form in (b"<FEE3>", b"<FEA4>", b"<FEE4>", b"<FEAA>"):
        assert form in made.content


SOME_DAYS = Days(date(2026, 6, 1), date(2026, 6, 5), datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 6, tzinfo=UTC))
WORK: dict[str, Callable[[RegisterLines], object]] = {
    "student": lambda lines: list(lines.of_student(some_id(1))),
    "serial number": lambda lines: lines.student("7"),
    "section": lambda lines: list(lines.of_section(some_id(5, "a"))),
    "members": lambda lines: lines.members(some_id(5, "a")),
    "room": lambda lines: list(lines.of_room(some_id(7, "c"))),
    "school": lambda lines: list(lines.of_school()),
    "unobserved": lambda lines: list(lines.of_school(status="Not observed")),
}


def _read(work: Callable[[RegisterLines], object], connection: Connection) -> object:
    return work(RegisterLines(connection, SOME_DAYS, NOW))


def some_id(number: int, filler: str = "0") -> str:
    digits = f"{number:x}".rjust(32, filler)
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def test_reports_find_their_lines_by_indexes(desk: OfficeUnderTest) -> None:
    wanted = ("sections", "students", "student_sections", "lessons", "attendance", "marks")
    with desk.office.database.transaction() as connection:
        many = "select distinct unhex(lpad(hex(1 + n % 60), 32, 'c')), concat('r', n) from numbers where n <= 60"
        connection.exec_driver_sql(f"insert into rooms {SIX_THOUSAND} {many}")
        for table, rows in FILLED.items():
            if table.split()[0] in wanted:
                text = f"insert into {table} {SIX_THOUSAND} {rows}"
                text = text.replace(":room", "unhex(lpad(hex(1 + n % 60), 32, 'c'))")
                connection.exec_driver_sql(text)
        connection.exec_driver_sql(
            "insert into units (id, label, room_id, data_key_sealed, added_at)"
            " values (unhex(repeat('9', 32)), 'u', unhex(lpad('7', 32, 'c')), 'x', now())"
        )
        for table in wanted:
            connection.exec_driver_sql(f"analyze table {table}").all()
    with desk.office.database.transaction() as connection:
        lines = RegisterLines(connection, SOME_DAYS, NOW)
        assert len(list(lines.of_school())) == 150
        assert list(lines.of_room(some_id(7, "c")))
        assert list(lines.of_section(some_id(5, "a")))
    tables = {"attendance", "lessons", "students", "student_sections", "marks"}
    scans = {name: full_scans(desk.office.database, partial(_read, work), tables) for name, work in WORK.items()}
    assert {name: found for name, found in scans.items() if found} == {}
