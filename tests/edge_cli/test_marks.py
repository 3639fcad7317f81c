"""`rollcall-edge mark`: the same whether the unit runs or not, for people who see names and logs that do not."""

import csv
import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from edge.adapters.clock_system import SystemClock
from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_journal import SqliteJournal
from protocol.content import TimetableLesson
from tests.edge_adapters.pieces import MORNING, ident, seen
from tests.edge_cli.test_desk import running
from tests.edge_cli.units import UnitFolder

ANN, ANNA, KIM, ELSEWHERE = (ident(number) for number in (7, 8, 9, 10))
NAMES = {ANN: "0042_Ann Example", ANNA: "43_Anna [red]Berg", KIM: "44_김민준", ELSEWHERE: "45_Dora Elsewhere"}


LESSON = TimetableLesson(
    lesson_id=ident(100), starts_at=MORNING - timedelta(minutes=9), ends_at=MORNING + timedelta(hours=1), label="Maths"
)


@pytest.fixture(autouse=True)
def _in_the_morning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the kernel of the machine that runs the tests says of its clock."""
    monkeypatch.setattr(SystemClock, "quality", lambda _self: "synced")
    monkeypatch.setattr(SystemClock, "_read", lambda _self: (MORNING, 1_000_000_000_000))


@pytest.fixture
def known(unit: UnitFolder) -> UnitFolder:
    """A unit with a record and a gallery, in the middle of a lesson."""
    unit.record(seen(1, 7, at=MORNING), seen(2, 8, at=MORNING - timedelta(days=1)))
    unit.give_gallery(NAMES, wider=[ELSEWHERE], lessons=(LESSON,))
    return unit


@pytest.fixture(params=["the unit runs", "nothing runs"])
def asked(request: pytest.FixtureRequest, known: UnitFolder) -> Iterator[list[str] | None]:
    """Commands that reached the running unit; None where none runs."""
    if request.param == "nothing runs":
        yield None
        return
    with running(known) as commands:
        yield commands


def marks_of(unit: UnitFolder) -> list[dict[str, Any]]:
    file = UnitFile(unit.data, read_only=True)
    try:
        return [body for body, _state in SqliteJournal(file).history(kinds=("mark",))]
    finally:
        file.close()


def lines_of(folder: Path) -> list[list[str]]:
    [path] = [path for path in folder.glob("attendance-*.csv") if "Manual" in path.read_text(encoding="utf-8")]
    return [row for row in csv.reader(path.read_text(encoding="utf-8").splitlines()) if "Manual" in row]


def test_somebody_is_marked_for_the_lesson_that_runs(
    known: UnitFolder, asked: list[str] | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    result = known.run("mark", "0042", "--status", "late", "--note", "bus", "--by", "Ms Weber")
    assert result.exit_code == 0, result.output
    assert "0042_Ann Example: late for Maths" in result.stdout
    told = json.loads(known.run("mark", "민준", "--status", "excused", "--lesson", "now", "--json").stdout)

    first, second = marks_of(known)
    assert [first[name] for name in ("student_id", "status", "lesson_id", "by", "note")] == [
        ANN,
        "late",
        ident(100),
        "Ms Weber",
        "bus",
    ]
    assert (second["student_id"], second["lesson_id"], bool(second["by"])) == (KIM, ident(100), True)
    assert told == {
        "student_id": KIM,
        "serial_number": "44",
        "name": "김민준",
        "expected_in_room": True,
        "status": "excused",
        "event_id": second["event_id"],
        "at": told["at"],
        "clock": "synced",
        "lesson_id": ident(100),
    }
    assert asked is None or asked.count("mark") == 2
    assert not any(name in caplog.text for name in ("Ann", "Kim", "민준"))


def test_the_line_in_the_csv_file_is_written_with_it(known: UnitFolder) -> None:
    for status in ("absent", "present"):
        assert known.run("mark", "Anna", "--status", status).exit_code == 0
    assert [row[2:] for row in lines_of(known.data / "csv")] == [
        ["43_Anna [red]Berg", body["event_id"], ident(100), "Manual", "", "synced"] for body in marks_of(known)
    ]


def test_a_csv_folder_that_cannot_be_written_does_not_cost_the_mark(known: UnitFolder) -> None:
    (known.data / "csv").write_text("no folder")
    result = known.run("mark", "Anna", "--status", "absent")
    assert (result.exit_code, len(marks_of(known))) == (0, 1)
    assert "the line in the CSV file comes later" in result.stderr


@pytest.mark.usefixtures("asked")
def test_who_is_meant_must_be_clear_and_the_person_sees_who_it_may_be(known: UnitFolder) -> None:
    result = known.run("mark", "ann", "--status", "late")
    assert result.exit_code == 2
    assert "0042_Ann Example, 43_Anna [red]Berg" in result.stderr
    assert "serial number" in result.stderr
    assert marks_of(known) == []


def test_what_is_not_clear_or_not_there_marks_nobody(known: UnitFolder) -> None:
    for code, *words in (
        (2, "0042"),
        (2, "--status", "late"),
        (2, "0042", "--status", "early"),
        (2, "0099", "--status", "late"),
        (2, "--list", "0042"),
        (2, "--list", "--status", "late"),
        (1, "0042", "--status", "late", "--lesson", ident(3)),
        (1, "0042", "--status", "late", "--note", "x" * 501),
    ):
        result = known.run("mark", *words)
        assert (result.exit_code, "fix:" in result.stderr) == (code, True), (words, result.output)
    assert marks_of(known) == []


def test_who_is_not_expected_in_the_room_may_be_marked_and_it_is_said_what_that_means(known: UnitFolder) -> None:
    result = known.run("mark", "45", "--status", "present", "--json")
    assert json.loads(result.stdout)["expected_in_room"] is False
    assert "only if the hub expects them" in result.stderr


def test_a_unit_that_does_not_know_the_time_leaves_the_lesson_to_the_hub(
    known: UnitFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SystemClock, "quality", lambda _self: "unsynced")
    result = known.run("mark", "0042", "--status", "late", "--json")
    assert json.loads(result.stdout)["lesson_id"] is None
    assert "clock is not set" in result.stderr
    refused = known.run("mark", "0042", "--status", "late", "--lesson", "now")
    assert (refused.exit_code, "what time it is" in refused.stderr) == (1, True)


def test_the_list_shows_the_room_and_what_was_written_down_today(known: UnitFolder) -> None:
    assert known.run("mark", "Anna", "--status", "absent", "--by", "Ms Weber").exit_code == 0
    assert known.run("mark", "Anna", "--status", "late", "--by", "Ms Weber", "--lesson", ident(100)).exit_code == 0
    told = json.loads(known.run("mark", "--list", "--json").stdout)

    assert [one["lesson_id"] for one in told["lessons"]] == [ident(100)]
    by_serial = {one["serial_number"]: one for one in told["students"]}
    assert list(by_serial) == ["0042", "43", "44"]
    # Yesterday is not today.
    assert [bool(one["seen_at"]) for one in told["students"]] == [True, False, False]
    assert [len(one["marks"]) for one in told["students"]] == [0, 1, 0]
    assert {key: by_serial["43"]["marks"][0][key] for key in ("status", "lesson_id", "by")} == {
        "status": "late",
        "lesson_id": ident(100),
        "by": "Ms Weber",
    }
    text = known.run("mark", "--list").stdout
    for part in (f"{ident(100)}  Maths", "Anna [red]Berg", "late at", "Ms Weber", "3 students"):
        assert part in text
    assert "Dora" not in text


def test_a_unit_without_a_gallery_says_so(unit: UnitFolder) -> None:
    unit.record(seen(1))
    result = unit.run("mark", "0042", "--status", "late")
    assert (result.exit_code, "connect it to the hub" in result.stderr) == (1, True)
    assert "no list of students" in unit.run("mark", "--list").stdout


def test_without_the_key_nobody_is_marked(known: UnitFolder) -> None:
    (known.folder / "data.key").unlink()
    result = known.run("mark", "0042", "--status", "late")
    assert (result.exit_code, "fix:" in result.stderr, marks_of(known)) == (1, True, [])


def test_the_command_explains_itself(unit: UnitFolder) -> None:
    text = unit.run("mark", "--help").stdout
    for part in ("--status", "--lesson", "--list", "late, excused or absent", "mark 0042", "$ROLLCALL_EDGE_CONFIG"):
        assert part in text
