"""`run` and the CSV copy: completed by whoever runs next, and never a reason not to run."""

import json
import signal
from pathlib import Path

import pytest

from deploy.own_process import wait_until
from edge.adapters.control_socket import ask
from recognition.adapters.pack_files import read_manifest
from tests.edge_adapters.pieces import ident, seen
from tests.edge_cli.units import TIMEOUT_S, UnitFolder


@pytest.fixture
def killed(unit: UnitFolder, pack_folder: Path) -> UnitFolder:
    """A unit that was killed before the lines of what it had recorded were written."""
    unit.changes |= {"recognition.pack_dir": str(pack_folder), "delivery.drain_s": 0}
    unit.record(*(seen(number) for number in range(1, 1201)))
    return unit


def run(unit: UnitFolder) -> str:
    """Run the unit over its short recording; return its log."""
    program = unit.start("exec $EDGE run --config $CONFIG")
    _out, log = program.communicate(timeout=TIMEOUT_S)
    assert program.returncode == 0, log
    return log


def test_the_next_run_writes_what_an_earlier_one_left_out(killed: UnitFolder) -> None:
    assert "csv_failed" not in run(killed)

    lines = (killed.data / "csv" / "attendance-2026-03-02.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[3] for line in lines[1:]] == [ident(number) for number in range(1, 1201)]


def test_a_unit_whose_csv_folder_cannot_be_used_runs_and_says_so_once(killed: UnitFolder) -> None:
    (killed.folder / "stick").write_text("no folder")
    killed.changes["storage.csv_dir"] = "stick"
    said = [line for line in run(killed).splitlines() if "csv_failed" in line]

    assert len(said) == 1
    assert "is no folder" in said[0]


def test_a_mark_reaches_the_unit_that_runs_and_gets_its_line(unit: UnitFolder, pack_folder: Path) -> None:
    unit.changes |= {"recognition.pack_dir": str(pack_folder), "delivery.drain_s": 0}
    unit.changes |= {"camera.at_end": "again", "camera.replay_pace": "own"}
    unit.give_gallery(pack_id=read_manifest(pack_folder).pack_id)
    program = unit.start("exec $EDGE run --config $CONFIG")
    try:
        wait_until(lambda: ask(unit.data, {"command": "status"}) is not None, timeout_s=TIMEOUT_S)
        result = unit.run("mark", "S7", "--status", "excused", "--json")
        program.send_signal(signal.SIGTERM)
        _out, log = program.communicate(timeout=TIMEOUT_S)
    finally:
        program.kill()

    assert (program.returncode, result.exit_code) == (0, 0), log + result.output
    [path] = (unit.data / "csv").iterdir()
    [line] = path.read_text(encoding="utf-8").splitlines()[1:]
    assert json.loads(result.stdout)["event_id"] in line
    assert "S7_Ann Example" in line
    assert "Ann" not in log
