"""`status`, `dead-letters` and `csv`: the same answers whether the unit runs or not, and never two who write."""

import csv
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from edge.adapters.clock_system import SystemClock
from edge.adapters.control_socket import ControlServer
from edge.adapters.salvage import open_record
from edge.adapters.single_instance import DataFolderLock
from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_journal import SqliteJournal
from edge.bootstrap.disk import open_disk
from edge.bootstrap.names import stored_names, stored_room
from edge.cli.commands import app
from edge.loops.control import ControlDesk, ControlLoop
from edge.loops.copying import CopyKeeper
from edge.loops.health import Health
from edge.loops.marking import MarkDesk
from edge.loops.recorder import Recorder
from edge.settings import load_settings
from protocol.delivery import Rejection
from protocol.events import event_json
from tests.edge_adapters.pieces import MORNING, ident, left, mark, seen
from tests.edge_cli.units import UnitFolder

DAY = "2026-03-02"


@contextmanager
def running(unit: UnitFolder, status: dict[str, Any] | None = None) -> Iterator[list[str]]:
    """Hold the unit's folder and answer commands as the daemon does; yield the commands that came."""
    settings = load_settings(unit.config)
    asked: list[str] = []
    said = status or {"state": "watching", "problems": []}

    class Noting(ControlDesk):
        def answer(self, request: Any) -> dict[str, Any]:
            asked.append(str(request.get("command")))
            return super().answer(request)

    with (
        open_disk(settings, SystemClock(), Health()) as disk,
        ControlServer(settings.storage.data_dir) as server,
    ):
        names = stored_names(settings, disk.gallery)
        room = stored_room(settings, disk.gallery)
        copying = CopyKeeper(disk.csv, lambda: names, disk.health, disk.clock)
        recorder = Recorder(disk.journal, copying, disk.health, disk.storage)
        marks = MarkDesk(recorder, lambda: names, lambda: room.lessons, disk.clock)
        desk = Noting(disk.journal, disk.csv, lambda: names, lambda: dict(said), marks)
        loop, over = ControlLoop(server, desk), threading.Event()

        def serve() -> None:
            while not over.is_set():
                loop.step()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield asked
        finally:
            over.set()
            server.interrupt()
            thread.join(10)
            copying.finish()


@pytest.fixture(params=["the unit runs", "nothing runs"])
def asked(request: pytest.FixtureRequest, unit: UnitFolder) -> Iterator[list[str] | None]:
    """Commands that reached the running unit; None where none runs. The record is made before."""
    fill(unit)
    if request.param == "nothing runs":
        yield None
        return
    with running(unit) as commands:
        yield commands


def fill(unit: UnitFolder) -> None:
    unit.record(seen(1), seen(2, seconds=5), mark(3), left(4, 1), seen(5, seconds=9))
    unit.give_gallery({ident(7): "S7_Ann Example"})
    file = UnitFile(unit.data)
    journal = SqliteJournal(file)
    refused = [Rejection(seq=2, code="invalid", detail="wrong: score"), Rejection(seq=3, code="conflict")]
    journal.rejected(journal.epoch, refused)
    file.close()


def run(unit: UnitFolder, *arguments: object) -> Result:
    words = [str(argument) for argument in arguments]
    place = 2 if words[0] in ("dead-letters", "csv") else 1
    return CliRunner().invoke(app, [*words[:place], "--config", str(unit.config), *words[place:]])


def told(unit: UnitFolder, *arguments: object) -> Any:
    result = run(unit, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


class TestDeadLetters:
    def test_they_are_listed_with_the_reason(self, unit: UnitFolder, asked: list[str] | None) -> None:
        letters = told(unit, "dead-letters", "list")

        assert [(letter["seq"], letter["code"], letter["detail"]) for letter in letters] == [
            (2, "invalid", "wrong: score"),
            (3, "conflict", ""),
        ]
        assert letters[0]["event"] == event_json(seen(2, seconds=5).model_copy(update={"seq": 2}))
        text = run(unit, "dead-letters", "list").stdout
        assert "wrong: score" in text
        assert "2 refused by the hub" in text
        assert letters[0]["epoch"] not in text
        # Reading needs nobody.
        assert not asked

    @pytest.mark.usefixtures("asked")
    def test_one_is_shown_whole(self, unit: UnitFolder) -> None:
        assert json.loads(run(unit, "dead-letters", "show", 3).stdout)["event"]["kind"] == "mark"
        assert told(unit, "dead-letters", "show", 3) == told(unit, "dead-letters", "list")[1]
        assert run(unit, "dead-letters", "show", 1).exit_code == 2

    def test_named_ones_are_sent_again(self, unit: UnitFolder, asked: list[str] | None) -> None:
        assert told(unit, "dead-letters", "retry", 3) == {"retried": 1}
        assert [letter["seq"] for letter in told(unit, "dead-letters", "list")] == [2]
        assert asked is None or "retry" in asked

    @pytest.mark.usefixtures("asked")
    def test_all_of_them_are_sent_again(self, unit: UnitFolder) -> None:
        assert "2 wait for the hub again" in run(unit, "dead-letters", "retry", "--all").stdout
        assert told(unit, "dead-letters", "list") == []
        assert told(unit, "dead-letters", "retry", "--all") == {"retried": 0}
        assert run(unit, "dead-letters", "list").stdout == "the hub refused nothing\n"

    def test_more_than_fit_into_one_request(self, unit: UnitFolder) -> None:
        unit.record(*(seen(number) for number in range(1, 1201)))
        file = UnitFile(unit.data)
        journal = SqliteJournal(file)
        journal.rejected(journal.epoch, [Rejection(seq=seq, code="invalid") for seq in range(1, 1201)])
        file.close()
        with running(unit) as asked:
            assert told(unit, "dead-letters", "retry", "--all") == {"retried": 1200}
        assert asked.count("retry") == 3

    @pytest.mark.parametrize("arguments", [[], [2, "--all"], [99], ["two"]])
    def test_a_request_that_is_not_clear_changes_nothing(self, unit: UnitFolder, arguments: list[object]) -> None:
        fill(unit)

        assert run(unit, "dead-letters", "retry", *arguments).exit_code == 2
        assert len(told(unit, "dead-letters", "list")) == 2

    @pytest.mark.usefixtures("asked")
    def test_they_are_exported_for_somebody_who_helps(self, unit: UnitFolder) -> None:
        target = unit.folder / "letters.jsonl"
        assert "2 lines" in run(unit, "dead-letters", "export", target).stdout

        lines = [json.loads(line) for line in target.read_text().splitlines()]
        assert [line["code"] for line in lines] == ["invalid", "conflict"]
        assert target.stat().st_mode & 0o777 == 0o600

    def test_where_there_are_several_streams_each_says_which(self, unit: UnitFolder) -> None:
        fill(unit)
        file = UnitFile(unit.data)
        journal = SqliteJournal(file)
        old, new = journal.epoch, journal.begin_epoch()
        journal.append([seen(11), seen(12)])
        journal.rejected(new, [Rejection(seq=2, code="invalid")])
        file.close()

        assert new in run(unit, "dead-letters", "list").stdout
        unclear = run(unit, "dead-letters", "retry", 2)
        assert (unclear.exit_code, "--stream" in unclear.stderr) == (2, True)
        assert told(unit, "dead-letters", "retry", 2, "--stream", new) == {"retried": 1}
        assert {letter["epoch"] for letter in told(unit, "dead-letters", "list")} == {old}


class TestCsv:
    def lines(self, unit: UnitFolder) -> list[list[str]]:
        return list(csv.reader((unit.data / "csv" / f"attendance-{DAY}.csv").read_text().splitlines()))[1:]

    def test_a_lost_file_is_written_again(self, unit: UnitFolder, asked: list[str] | None) -> None:
        assert told(unit, "csv", "rebuild", "--day", DAY) == [{"day": DAY, "lines": 4}]
        assert {row[2] for row in self.lines(unit)} == {"S7_Ann Example"}
        assert asked is None or "csv_rebuild" in asked

    @pytest.mark.usefixtures("asked")
    def test_every_day_the_record_has(self, unit: UnitFolder) -> None:
        assert told(unit, "csv", "rebuild", "--all") == [{"day": DAY, "lines": 4}]
        assert told(unit, "csv", "rebuild") == [{"day": DAY, "lines": 4}]
        text = run(unit, "csv", "rebuild").stdout
        assert f"{DAY}  4 lines" in text
        assert f"written to {unit.data / 'csv'}" in text

    @pytest.mark.usefixtures("asked")
    def test_for_a_day_on_which_nobody_was_marked_no_file_is_made(self, unit: UnitFolder) -> None:
        assert told(unit, "csv", "rebuild", "--day", "2026-03-01") == [{"day": "2026-03-01", "lines": 0}]
        assert "marks nobody" in run(unit, "csv", "rebuild", "--day", "2026-03-01").stdout
        assert not (unit.data / "csv").exists()

    def test_a_folder_that_cannot_be_written_is_said_with_the_remedy_and_the_unit_goes_on(
        self, unit: UnitFolder, asked: list[str] | None
    ) -> None:
        (unit.data / "csv").write_text("no folder")
        for words in (["csv", "rebuild"], ["csv", "rebuild", "--all", "--json"]):
            result = run(unit, *words)
            assert (result.exit_code, result.stdout) == (1, "")
            assert f"{unit.data / 'csv'} is no folder" in result.stderr
            assert "storage.csv_dir" in result.stderr
        assert told(unit, "status")["state"] == ("stopped" if asked is None else "watching")

    @pytest.mark.parametrize("arguments", [["--day", "monday"], ["--day", DAY, "--all"], ["--day", "9999-12-31"]])
    def test_what_is_no_day_is_refused(self, unit: UnitFolder, arguments: list[str]) -> None:
        fill(unit)

        assert run(unit, "csv", "rebuild", *arguments).exit_code == 2
        assert not (unit.data / "csv").exists()

    def test_without_the_key_it_is_written_without_names_and_says_so(self, unit: UnitFolder) -> None:
        fill(unit)
        (unit.folder / "data.key").unlink()
        result = run(unit, "csv", "rebuild")

        assert result.exit_code == 0
        assert "without names" in result.stderr
        assert {row[2] for row in self.lines(unit)} == {ident(7)}


class TestStatus:
    def test_a_running_unit_speaks_for_itself(self, unit: UnitFolder) -> None:
        fill(unit)
        with running(unit):
            assert told(unit, "status") == {"state": "watching", "problems": []}

    def test_otherwise_the_record_does(self, unit: UnitFolder) -> None:
        fill(unit)
        status = told(unit, "status")

        assert status["state"] == "stopped"
        assert (status["waiting"], status["dead_letters"], status["last_delivery_at"]) == (3, 2, None)
        assert status["oldest_waiting_at"] == MORNING.isoformat()
        text = run(unit, "status").stdout
        assert "waiting  3" in text
        assert "last delivery at  -" in text

    def test_for_people_it_is_in_words_and_names_the_codes_that_the_runbook_explains(self, unit: UnitFolder) -> None:
        fill(unit)
        problem = {"code": "broker_lost", "text": "no broker answers"}
        with running(unit, {"state": "degraded", "connected": False, "problems": [problem]}):
            text = run(unit, "status").stdout

        assert "connected  no" in text
        assert "problem  broker_lost: no broker answers" in text

    def test_a_unit_that_cannot_say_how_it_is_is_no_unit_that_is_well(self, unit: UnitFolder) -> None:
        fill(unit)
        refusal = {"ok": False, "problem": "this is no request that this version knows", "hint": "start it again"}
        with running(unit, refusal):
            result = run(unit, "status")

        assert (result.exit_code, result.stdout) == (1, "")
        assert "start it again" in result.stderr

    def test_a_record_that_was_damaged_is_told_of(self, unit: UnitFolder) -> None:
        fill(unit)
        with (unit.data / "unit.db").open("r+b") as file:
            file.write(b"\xff" * 100)
        open_record(unit.data, MORNING).close()

        assert [problem["code"] for problem in told(unit, "status")["problems"]] == ["record_damaged"]
        assert "events were saved" in run(unit, "status").stdout


@pytest.mark.parametrize(
    "arguments", [["status"], ["dead-letters", "list"], ["dead-letters", "retry", "--all"], ["csv", "rebuild"]]
)
def test_a_unit_that_never_ran_says_so(unit: UnitFolder, arguments: list[str]) -> None:
    result = run(unit, *arguments)

    assert result.exit_code == 1
    assert "fix:" in result.stderr
    assert not unit.data.exists()


def test_a_unit_that_starts_just_now_is_not_written_to_beside_it(unit: UnitFolder) -> None:
    """It holds its folder and does not listen yet."""
    fill(unit)
    with DataFolderLock(unit.data):
        result = run(unit, "dead-letters", "retry", "--all")

    assert result.exit_code == 1
    assert "already runs" in result.stderr
    assert len(told(unit, "dead-letters", "list")) == 2


@pytest.mark.parametrize(
    "words", [["status"], ["csv", "rebuild"], *(["dead-letters", name] for name in ("list", "show", "retry", "export"))]
)
def test_every_command_explains_itself(words: list[str]) -> None:
    result = CliRunner().invoke(app, [*words, "--help"])

    assert result.exit_code == 0
    assert "--config" in result.stdout
    # Brackets in a help text are taken for markup, and vanish.
    assert "$ROLLCALL_EDGE_CONFIG" in result.stdout
