"""The operator's commands: what they print, what scripts read, how they end."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from deploy.environment import PROJECT
from hub.cli import app, enrol
from hub.office.enrolment import PictureOutcome
from tests.hub_office.conftest import OfficeUnderTest, with_pack

SAMPLES = PROJECT / "deploy" / "samples"
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


STUDENTS = "serial_number,name,username,email,phone,section\n007,Zoë Müller,,,,7b\n8,\x1b[31mBob,,,,7b\n"


def test_every_command_teaches_with_an_example() -> None:
    def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
        for name, one in getattr(command, "commands", {}).items():
            yield from leaves(one, (*path, name))
        if not hasattr(command, "commands"):
            yield path, command

    found = dict(leaves(typer.main.get_group(app)))
    assert len(found) > 90
    assert [path for path, one in found.items() if "rollcall-hub " not in f"{one.help}{one.epilog}"] == []
    silent = [
        (path, option.name)
        for path, one in found.items()
        for option in one.params
        if not getattr(option, "hidden", False) and not getattr(option, "help", None)
    ]
    assert silent == []
    for path in (("student", "list"), ("keys", "forget-old")):
        result = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200"})
        assert result.exit_code == 0
        assert "--json" in result.output


def test_a_school_is_set_up_and_its_register_shown(run: Command, tmp_path: Path) -> None:
    run("room", "add", "Room 12")
    run("section", "add", "7b")
    run("student", "add", "--serial", "007", "--name", "Zoë", "--section", "7b")
    added = run(
        "lesson", "add", "--room", "Room 12", "--section", "7b", "--label", "Maths",
        "--starts-at", "2026-09-01T08:00", "--ends-at", "2026-09-01T08:45",
    )  # fmt: skip
    assert added.stdout == "Added lesson 'Maths' of 7b in Room 12, 2026-09-01 08:00-08:45.\n"
    listed = read(run("lesson", "list", "--from", "2026-09-01", "--to", "2026-09-01", "--json"))
    assert [row["starts_at"] for row in listed] == ["2026-09-01T08:00:00+02:00"]
    assert read(run("room", "list", "--json"))[0]["room"] == "Room 12"
    assert read(run("section", "list", "--json"))[0]["students"] == 1
    shown = run("register", "show", "--date", "2026-09-01")
    assert "08:00 Maths" in shown.stdout
    assert "Zoë" in shown.stdout
    counted = read(run("register", "show", "--date", "2026-09-01", "--json"))
    assert counted["students"][0]["serial_number"] == "007"
    assert sum(counted["counts"].values()) <= 1
    file = tmp_path / "register.csv"
    run("register", "export", "--date", "2026-09-01", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_bytes() == run("register", "export", "--date", "2026-09-01", "-").stdout_bytes


def test_students_are_imported_from_a_file_and_from_a_pipe(run: Command, tmp_path: Path) -> None:
    file = tmp_path / "students.csv"
    file.write_text(STUDENTS)
    refused = run("student", "import", str(file), code=1)
    assert "line 2: there is no section '7b'" in refused.stderr
    assert "line 3: the name contains a character that cannot be seen (U+001B)" in refused.stderr
    assert "\x1b[31m" not in refused.stderr
    file.write_text(STUDENTS.replace("\x1b[31m", ""))
    shown = run("student", "import", str(file), "--create-sections", "--dry-run")
    assert "Would add 2, would change 0, unchanged 0." in shown.stdout
    outcome = read(run("student", "import", "-", "--create-sections", "--json", stdin=file.read_bytes()))
    assert (outcome["added"], outcome["new_sections"]) == (2, ["7b"])
    assert read(run("student", "import", str(file), "--json"))["unchanged"] == 2
    assert [row["serial_number"] for row in read(run("student", "list", "--json"))] == ["007", "8"]


def test_consent_is_given_listed_and_withdrawn(run: Command, desk: OfficeUnderTest, tmp_path: Path) -> None:
    run("student", "add", "--serial", "1", "--name", "Ada")
    run("consent", "give", "--serial", "1", "--given-by", "mother", "--expires-on", "2099-01-01")
    [listed] = read(run("consent", "list", "--json"))
    assert (listed["state"], listed["until"]) == ("active", "2099-01-01")
    assert "was on file already" in run(
        "consent", "give", "--serial", "1", "--given-by", "mother", "--expires-on", "2099-01-01"
    ).stdout  # fmt: skip
    assert read(run("consent", "withdraw", "--serial", "1", "--json"))["consents_ended"] == 1
    file = tmp_path / "consents.csv"
    file.write_text("serial_number,given_by\n1,father\n")
    assert "consent_withdrawn" in run("consent", "import", str(file), code=1).stderr
    run("student", "add", "--serial", "2", "--name", "Bob")
    file.write_text("serial_number,given_by\n2,father\n")
    assert read(run("consent", "import", str(file), "--json"))["serial_numbers"] == ["2"]
    assert {row[0] for row in desk.rows("select actor from audit where action like 'consent%'")} == {"ada"}


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["student", "list", "--section", "x"], 1, "there is no section 'x'"),
        (["student", "list", "--section", "x"], 1, "rollcall-hub section list shows them"),
        (["lesson", "list", "--section", "x"], 1, "there is no section 'x'"),
        (["lesson", "list", "--room", "x"], 1, "rollcall-hub room list shows them"),
        (["lesson", "list", "--from", "2026-11-30", "--to", "2026-11-01"], 1, "is before the first"),
        (["review", "list", "--room", "x"], 1, "rollcall-hub room list shows them"),
        (["student", "import", "gone.csv"], 1, "there is no file gone.csv"),
        (["student", "add", "--serial", "1_2", "--name", "A"], 1, "letters, digits"),
        (["student", "add", "--name", "A"], 2, "--serial"),
        (["register", "show", "--date", "yesterday"], 1, "not a day"),
        (["register", "export", "/nowhere/file.csv"], 1, "cannot be written"),
        (["consent", "withdraw", "--serial", "9"], 1, "no student with serial number 9"),
        (["enrol", "--serial", "9", "a.jpg"], 1, "no student with serial number 9"),
        (["enrol", "import", "/nowhere"], 1, "there is no folder /nowhere"),
        (["enrol", "--serial", "9"], 2, "files"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(run: Command, words: list[str], code: int, sentence: str) -> None:
    assert sentence in run(*words, code=code).stderr


def test_pictures_are_enrolled_without_naming_the_command(
    run: Command, desk: OfficeUnderTest, pack_folder: Path, tmp_path: Path
) -> None:
    with_pack(desk, pack_folder)
    run("student", "add", "--serial", "0012", "--name", "Barack Obama")
    refused = run("enrol", "--serial", "0012", str(SAMPLES / "obama.jpg"), code=1)
    assert 'rollcall-hub consent give --serial 0012 --given-by "WHO AGREED"' in refused.stderr
    run("consent", "give", "--serial", "0012", "--given-by", "himself")
    picture, text = str(SAMPLES / "obama.jpg"), tmp_path / "text.jpg"
    text.write_text("no picture")
    outcomes = read(run("enrol", "--serial", "0012", "--json", picture, str(text), code=1))
    assert [outcome["outcome"] for outcome in outcomes] == ["accepted", "refused"]
    assert [outcome["outcome"] for outcome in read(run("enrol", "--serial", "0012", "--json", picture))] == [
        "already enrolled"
    ]
    listed = run("enrol", "list", "--serial", "0012", "--json")
    assert len(read(listed)) == 1
    assert read(run("enrol", "forget", "--serial", "0012", "--json"))["templates_deleted"] == 1


def test_an_import_that_is_stopped_says_how_to_go_on() -> None:
    def coming() -> Iterator[PictureOutcome]:
        yield PictureOutcome("1_Ada.jpg", "accepted", "1")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="Stopped after 1 of 5 pictures; run the same command again"):
        enrol._watched(coming(), 5, as_json=False)


def test_a_folder_is_imported_with_counts(
    run: Command, desk: OfficeUnderTest, pack_folder: Path, tmp_path: Path
) -> None:
    with_pack(desk, pack_folder)
    folder = tmp_path / "known_faces"
    folder.mkdir()
    for name, sample in {
        "012_Barack Obama.jpg": "obama",
        "012_Barack Obama_2.jpg": "obama2",
        "7_Joe Biden.jpg": "biden",
    }.items():
        (folder / name).write_bytes((SAMPLES / f"{sample}.jpg").read_bytes())
    (folder / "8_Empty.jpg").write_bytes(b"")
    assert "rollcall-hub student add --serial 012" in run("enrol", "import", str(folder), code=1).stdout
    words = ["enrol", "import", str(folder), "--add-students", "--consent-reference", "folder 3"]
    outcome = read(run(*words, "--json", code=1))
    assert outcome["counts"] == {"accepted": 3, "already_enrolled": 0, "refused": 1, "other_files": 0}
    assert "0 accepted, 3 already enrolled, 1 refused, 0 other files." in run(*words, code=1).stdout
