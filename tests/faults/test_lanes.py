"""Which parts of faults run beside each other, and what becomes of them when something goes wrong."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.environment import PROJECT
from tests.faults.bench import Bench
from tests.faults.catalogue import Fault, Outcome, read_lines, write_json
from tests.faults.lanes import LONGEST_S, Lanes, Task, in_order


def _nothing(_bench: Bench) -> Outcome:
    return Outcome("held", "")


def task(number: int, *, quiet: bool = False, part: int = 0) -> Task:
    return Task(number, Fault(number, f"fault {number}", _nothing, quiet), part)


class Machine:
    """Processes that end when the clock comes to their moment; `at` is called as that time passes."""

    def __init__(self, seconds: dict[int, float], at: dict[float, Callable[[], None]] | None = None) -> None:
        self.seconds = seconds
        self.now_s = 0.0
        self.at = at or {}
        self.together: list[set[int]] = []
        self.running: dict[int, Machine.Process] = {}
        self.done: list[tuple[int, bool]] = []
        self.stopped: list[int] = []
        self.killed: list[int] = []

    class Process:
        def __init__(self, machine: "Machine", number: int) -> None:
            self.machine, self.number = machine, number
            self.ends_s = machine.now_s + machine.seconds[number]

        def ended(self) -> bool:
            return self.machine.now_s >= self.ends_s

        def stop(self) -> None:
            self.machine.stopped.append(self.number)
            self.ends_s = self.machine.now_s + 1

        def kill(self) -> None:
            if not self.ended():
                self.machine.killed.append(self.number)

    def start(self, task: Task) -> "Machine.Process":
        process = self.running[task.place] = Machine.Process(self, task.place)
        self.together.append(set(self.running))
        return process

    def over(self, task: Task, _process: "Machine.Process", by_itself: bool) -> None:
        del self.running[task.place]
        self.done.append((task.place, by_itself))

    def wait(self, _seconds: float) -> None:
        self.now_s += 1
        for moment in [moment for moment in self.at if moment <= self.now_s]:
            self.at.pop(moment)()

    def run(self, tasks: list[Task], count: int = 2) -> None:
        Lanes(count, self.start, self.over, lambda: self.now_s).run(tasks, self.wait)


def test_two_run_side_by_side_and_the_next_begins_when_one_is_over() -> None:
    machine = Machine({1: 10, 2: 3, 3: 3, 4: 20})
    machine.run([task(number) for number in (1, 2, 3, 4)])
    assert machine.together == [{1}, {1, 2}, {1, 3}, {1, 4}]
    assert machine.done == [(2, True), (3, True), (1, True), (4, True)]


def test_nothing_runs_beside_a_quiet_one() -> None:
    machine = Machine({1: 5, 2: 5, 3: 5, 4: 5})
    machine.run([task(1), task(2, quiet=True), task(3), task(4)])
    assert machine.together == [{1}, {2}, {3}, {3, 4}]


def test_those_that_need_quiet_come_last_and_the_others_keep_their_order() -> None:
    tasks = [task(1), task(2, quiet=True), task(3), task(4, quiet=True)]
    assert [one.place for one in in_order(tasks)] == [1, 3, 2, 4]


def test_parts_of_one_fault_are_spread_among_the_others() -> None:
    tasks = [*(task(number) for number in range(1, 5)), *(task(9, part=part) for part in range(4))]
    assert [one.place for one in in_order(tasks)] == [1, 9, 2, 9, 3, 9, 4, 9]
    assert [one.part for one in in_order(tasks) if one.place == 9] == [0, 1, 2, 3]


def test_one_that_is_stuck_is_ended_and_the_others_go_on() -> None:
    machine = Machine({1: 10 * LONGEST_S, 2: 5, 3: 5})
    machine.run([task(1), task(2), task(3)])
    assert machine.killed == [1]
    assert machine.done == [(2, True), (3, True), (1, False)]


def test_ctrl_c_tells_each_that_runs_to_end_and_waits_for_it() -> None:
    def ctrl_c() -> None:
        raise KeyboardInterrupt

    machine = Machine({1: 100, 2: 100, 3: 5}, {7: ctrl_c})
    with pytest.raises(KeyboardInterrupt):
        machine.run([task(1), task(2), task(3)])
    assert machine.stopped == [1, 2]
    assert machine.killed == []
    assert machine.now_s == 8


@pytest.mark.system
@pytest.mark.slow
def test_a_run_that_goes_on_keeps_what_is_known_and_runs_the_rest(tmp_path: Path) -> None:
    """Fault 36 says at once why it cannot be made; it is a program of its own all the same."""
    results = tmp_path / "faults.json"

    def run(*more: str) -> str:
        command = [sys.executable, "-m", "tests.faults", "--only", "36", "--out", str(results), "--json", *more]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=True)
        assert json.loads(done.stdout) == json.loads(results.read_text())
        return done.stderr

    assert "skipped" in run()
    lines = read_lines(results)
    assert [(line.number, line.outcome.result) for line in lines] == [(36, "skipped")]
    known = Outcome("held", "as if it had been made")
    write_json(results, [replace(lines[0], outcome=known)])
    assert "1 of 1 are known" in run("--resume")
    assert read_lines(results)[0].outcome == known
