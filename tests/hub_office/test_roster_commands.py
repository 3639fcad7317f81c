"""The commands of students, sections, rooms and units, as an operator types them."""

import codecs
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from hub.cli import app
from hub.core.csv_reading import MAX_CSV_BYTES
from tests.hub_office.conftest import OfficeUnderTest

Command = Callable[..., Result]


@pytest.fixture
def run(desk: OfficeUnderTest) -> Command:
    def call(*words: str, code: int = 0, stdin: bytes | None = None) -> Result:
        result = CliRunner().invoke(app, ["--config", str(desk.settings_file), "--actor", "ada", *words], input=stdin)
        assert result.exit_code == code, result.output
        return result

    return call


def read(result: Result) -> Any:
    return json.loads(result.stdout)


def test_a_student_is_changed_moved_leaves_and_is_exported(run: Command, tmp_path: Path) -> None:
    for name in ("7b", "8a"):
        run("section", "add", name)
    run("section", "group-add", "7b", "A")
    run(
        "student",
        "add",
        "--serial",
        "007",
        "--name",
        "Zoë",
        "--section",
        "7b",
        "--groups",
        "A",
        "--joined",
        "2026-08-01",
    )
    changed = run(
        "student", "change", "--serial", "007", "--section", "8a", "--phone", "+49 30 12", "--from", "2026-08-30"
    )
    assert changed.stdout == "007: phone - -> +49 30 12\n007: section 7b -> 8a\n007: groups A -> -\n"
    again = run("student", "change", "--serial", "007", "--section", "8a")
    assert again.stdout == "Student 007 is on record like that already.\n"
    assert "--from" in run("student", "change", "--help").output
    left = read(run("student", "leave", "--serial", "007", "--on", "2026-08-31", "--json"))
    assert left["changed"] == {"left_on": {"before": "", "after": "2026-08-31"}}
    assert read(run("student", "list", "--joined", "--json")) == []
    [line] = read(run("student", "list", "--left", "--json"))
    assert (line["serial_number"], line["left_on"], line["groups"], line["pack_id"]) == ("007", "2026-08-31", [], None)
    shown = run("student", "show", "--serial", "007").output
    assert "Joined on: 2026-08-01" in shown
    assert "7b A" in shown
    belonged = read(run("student", "show", "--serial", "007", "--json"))["belonged"]
    assert [(one["what"], one["name"], one["from"], one["until"]) for one in belonged] == [
        ("section", "7b", "2026-08-01T00:00:00+02:00", "2026-08-30T00:00:00+02:00"),
        ("section", "8a", "2026-08-30T00:00:00+02:00", "2026-09-01T00:00:00+02:00"),
        ("group", "7b A", "2026-08-01T00:00:00+02:00", "2026-08-30T00:00:00+02:00"),
    ]
    file = tmp_path / "students.csv"
    assert read(run("student", "export", str(file), "--json")) == {"file": str(file), "students": 1}
    assert read(run("student", "import", str(file), "--json"))["unchanged"] == 1
    assert file.read_bytes().startswith(codecs.BOM_UTF8)
    assert run("student", "export", "-", "--bom").stdout_bytes == file.read_bytes()
    assert codecs.BOM_UTF8 + run("student", "export", "-").stdout_bytes == file.read_bytes()
    huge = tmp_path / "huge.csv"
    with huge.open("wb") as content:
        content.truncate(MAX_CSV_BYTES + 1)
    assert "is it the right file?" in run("student", "import", str(huge), code=1).stderr
    assert "2026-09-31" in run("student", "leave", "--serial", "007", "--on", "2026-09-31", code=1).output


def test_groups_are_set_and_sections_and_rooms_renamed(run: Command) -> None:
    run("section", "add", "7b")
    assert "group-add" in run("section", "groups", "7b").stdout
    run("section", "group-add", "7b", "A")
    for serial in ("1", "2"):
        run("student", "add", "--serial", serial, "--name", "X", "--section", "7b")
    since = ("--from", "2026-08-25")
    done = read(run("section", "group-set", "7b", "A", "--serial", "1", "--serial", "2", *since, "--json"))
    assert (done["came"], done["left"], done["members"]) == (["1", "2"], [], ["1", "2"])
    said = run("section", "group-set", "7b", "A", "--remove", "--serial", "2", "--from", "2026-09-01").stdout
    assert said == "Group A of section 7b: 1 student.\nLeft: 2\n"
    said = run("section", "group-set", "7b", "A", "--remove", "--serial", "2", "--from", "2026-08-31").stdout
    assert said == "Group A of section 7b: 1 student.\nCorrected from 2026-08-31 on: 2\n"
    corrected = ("student", "change", "--serial", "2", "--groups", "", "--from", "2026-08-30")
    assert read(run(*corrected, "--json"))["corrected"]
    assert "on record like that already" in run(*corrected).stdout
    assert read(run("section", "groups", "7b", "--json"))[0]["serial_numbers"] == ["1"]
    run("section", "group-set", "7b", "A", code=2)
    run("section", "group-set", "7b", "A", "--add", "--remove", "--serial", "1", code=2)
    assert read(run("section", "group-set", "7b", "A", "--nobody", "--json"))["left"] == ["1"]
    assert run("section", "rename", "7b", "8b").stdout == "Section 7b is now 8b.\n"
    run("room", "add", "12")
    assert read(run("room", "rename", "12", "Physics", "--json"))["room"] == "Physics"
    assert "rollcall-hub section list shows them" in _refused(run, "section", "rename", "8b", "7b", add="7b")


def _refused(run: Command, *words: str, add: str) -> str:
    run("section", "add", add)
    return run(*words, code=1).output


def test_a_unit_is_moved_by_the_schools_clock(run: Command, desk: OfficeUnderTest) -> None:
    for name in ("12", "13", "14"):
        run("room", "add", name)
    desk.add_unit("12")
    moved = run("unit", "move", "unit", "--room", "13", "--at", "2026-09-01T11:30").stdout
    assert moved == "Unit unit is in room 13 since 2026-09-01T11:30:00+02:00.\n"
    back = read(run("unit", "move", "unit", "--room", "14", "--at", "2026-09-01T11:00:00+02:00", "--json"))
    assert (back["room"], back["until"], back["students_days"]) == ("14", "2026-09-01T09:30:00Z", 0)
