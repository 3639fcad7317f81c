"""The supervisor: one loop that fails ends the program, and stopping takes its order and its time."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.loops.supervisor import STUCK, Loop, Supervisor


class Diary:
    """What the loops did, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.stop = threading.Event()

    def waiting(self, name: str, *, ends_program: bool = False) -> Loop:
        """Return a loop that waits until it is interrupted."""
        released = threading.Event()

        def step() -> bool:
            released.wait(10)
            return True

        def interrupt() -> None:
            self.lines.append(f"{name} interrupted")
            released.set()

        return Loop(name, step, interrupt, lambda: self.lines.append(f"{name} finished"), ends_program=ends_program)

    def run(self, *loops: Loop) -> bool:
        return Supervisor(list(loops), self.stop).run()

    def stop_from(self, name: str) -> Loop:
        """Return a loop that asks everything to stop, as a signal does."""

        def step() -> bool:
            self.stop.set()
            return False

        return Loop(name, step, finish=lambda: self.lines.append(f"{name} finished"))


def failing() -> bool:
    raise RuntimeError("a fault")


def failing_to_end() -> None:
    raise RuntimeError("a fault")


def test_loops_are_stopped_in_order_each_one_finished_before_the_next() -> None:
    diary = Diary()
    assert diary.run(diary.waiting("capture"), diary.waiting("vision"), diary.stop_from("signal"))
    diary.lines.remove("signal finished")
    assert diary.lines == ["capture interrupted", "capture finished", "vision interrupted", "vision finished"]


def test_a_loop_that_fails_stops_all_others_and_the_program_says_so(caplog: pytest.LogCaptureFixture) -> None:
    diary = Diary()
    assert not diary.run(diary.waiting("capture"), Loop("vision", failing), diary.waiting("delivery"))
    assert "delivery finished" in diary.lines
    assert [record.message for record in caplog.records] == ["loop failed name=vision"]
    assert caplog.records[0].exc_info is not None


def test_after_a_failure_the_others_are_in_a_hurry() -> None:
    """The program is started again at once: waiting for a hub that is away would only keep attendance waiting."""
    diary, hurry = Diary(), threading.Event()
    seen: list[bool] = []
    delivery = Loop("delivery", lambda: not diary.stop.wait(0.01), finish=lambda: seen.append(hurry.is_set()))
    assert not Supervisor([Loop("vision", failing), delivery], diary.stop, on_failure=hurry.set).run()
    assert seen == [True]


def test_a_loop_that_fails_while_finishing_makes_the_program_fail() -> None:
    diary = Diary()
    assert not diary.run(Loop("vision", lambda: False, finish=failing_to_end), diary.stop_from("x"))


def test_a_loop_that_fails_is_not_finished() -> None:
    """What it would write after a fault cannot be trusted; a restart closes what it left open."""
    diary = Diary()
    diary.run(Loop("vision", failing, finish=lambda: diary.lines.append("finished")))
    assert diary.lines == []


def test_a_loop_that_ends_by_itself_does_not_end_the_program() -> None:
    diary = Diary()
    ended = threading.Event()
    steps: list[Callable[[], bool]] = [lambda: False]

    def last() -> bool:
        ended.wait(10)
        diary.stop.set()
        return False

    assert diary.run(Loop("capture", steps[0], finish=ended.set), Loop("other", last))


def test_the_end_of_a_recording_ends_the_program() -> None:
    diary = Diary()
    assert diary.run(Loop("vision", lambda: False, ends_program=True), diary.waiting("delivery"))
    assert diary.lines == ["delivery interrupted", "delivery finished"]


def test_a_loop_that_hangs_does_not_block_longer_than_its_patience() -> None:
    diary, release = Diary(), threading.Event()
    hanging = Loop("capture", lambda: release.wait(30), patience_s=0.05)
    started_s = time.monotonic()
    assert not diary.run(hanging, diary.waiting("vision"), diary.stop_from("signal"))
    release.set()
    assert time.monotonic() - started_s < 5
    assert "vision finished" in diary.lines


def test_a_device_that_cannot_be_released_does_not_keep_the_others_from_finishing() -> None:
    """A camera's driver may fail when it is closed; the records must still be written."""
    diary = Diary()
    broken = Loop("capture", lambda: not diary.stop.wait(0.01), interrupt=failing_to_end)
    assert not diary.run(broken, diary.waiting("vision"), diary.stop_from("signal"))
    assert "vision finished" in diary.lines


class Watched:
    """A supervisor whose time passes only when a test says so, and that notes how it would end the process."""

    def __init__(self, *loops: Loop, slice_s: float = 0.5) -> None:
        self.now_s = 0.0
        self.ended: list[int] = []
        self.looks = 0
        self._slice_s = slice_s
        self.on_look: Callable[[], None] = lambda: None
        self.supervisor = Supervisor(
            list(loops), threading.Event(), monotonic_s=lambda: self.now_s, wait=self._wait, end=self.ended.append
        )

    def _wait(self, stop: threading.Event, _timeout_s: float) -> bool:
        self.looks += 1
        self.on_look()
        self.now_s += self._slice_s
        if self.looks > 1000:
            stop.set()
        return stop.is_set()


class Gate:
    """A step that waits until somebody lets it go on, as often as it is let."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.begun = threading.Event()

    def step(self) -> bool:
        self.begun.set()
        self.released.wait(30)
        return False


def test_a_loop_that_makes_no_progress_ends_the_process_with_a_code_of_its_own_and_says_where_it_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate = Gate()
    watched = Watched(Loop("delivery", gate.step, interrupt=gate.released.set, stuck_after_s=20.0))

    def look() -> None:
        gate.begun.wait(10)

    watched.on_look = look
    assert not watched.supervisor.run()
    assert watched.ended == [STUCK]
    assert STUCK not in (0, 1, 2)
    assert 20 < watched.now_s < 22
    (record,) = [record for record in caplog.records if record.levelname == "CRITICAL"]
    assert "name=delivery" in record.message
    assert "in step" in record.message
    assert "test_supervisor.py" in record.message


def test_a_loop_may_take_as_long_as_it_is_allowed() -> None:
    """A camera waits for its own time-outs."""
    gate = Gate()
    watched = Watched(
        Loop("capture", gate.step, interrupt=gate.released.set, stuck_after_s=400.0, ends_program=True),
        Loop("vision", lambda: False, stuck_after_s=20.0),
    )

    def release_late() -> None:
        gate.begun.wait(10)
        if watched.now_s > 300:
            gate.released.set()
            watched.supervisor.stop.wait(10)

    watched.on_look = release_late
    assert watched.supervisor.run()
    assert watched.ended == []
    assert watched.now_s > 300


def test_each_step_that_returns_is_progress() -> None:
    turns = threading.Semaphore(0)
    done = threading.Semaphore(0)
    steps: list[int] = []

    def step() -> bool:
        turns.acquire()
        steps.append(1)
        done.release()
        return len(steps) < 10

    watched = Watched(Loop("vision", step, stuck_after_s=20.0, ends_program=True))

    def every_fifteen_seconds() -> None:
        if watched.looks % 30 == 0:
            turns.release()
            done.acquire()
            # The step that returned is noted by its own thread.
            deadline_s = time.monotonic() + 10
            name_moved = watched.supervisor._moved_s
            while name_moved.get("vision", watched.now_s) < watched.now_s and time.monotonic() < deadline_s:
                watched.supervisor.stop.wait(0.001)
            if len(steps) == 10:
                watched.supervisor.stop.wait(10)

    watched.on_look = every_fifteen_seconds
    assert watched.supervisor.run()
    assert watched.ended == []
    assert watched.now_s > 140


def test_a_process_that_stood_still_as_a_whole_blames_no_loop() -> None:
    """Stopped by a debugger, or by a machine that slept: every loop seems late, also this one."""
    gate = Gate()
    watched = Watched(Loop("delivery", gate.step, interrupt=gate.released.set, stuck_after_s=20.0), slice_s=60.0)
    watched.on_look = lambda: watched.supervisor.stop.set() if watched.looks > 20 else None
    assert watched.supervisor.run()
    assert watched.ended == []


def test_a_loop_that_takes_its_time_to_finish_is_not_stuck() -> None:
    gate = Gate()

    def finish() -> None:
        gate.step()

    watched = Watched(Loop("delivery", lambda: False, finish=finish, stuck_after_s=20.0))

    def look() -> None:
        gate.begun.wait(10)
        if watched.now_s > 100:
            gate.released.set()
            watched.supervisor.stop.set()

    watched.on_look = look
    assert watched.supervisor.run()
    assert watched.ended == []


def test_a_stuck_program_really_ends(tmp_path: Path) -> None:
    """With a lock that is never given back, in a process of its own."""
    program = tmp_path / "stuck.py"
    program.write_text(
        "import logging, threading\n"
        "from edge.loops.supervisor import Loop, Supervisor\n"
        "logging.basicConfig()\n"
        "lock = threading.Lock()\n"
        "lock.acquire()\n"
        "def deadlock():\n"
        "    lock.acquire()\n"
        "Supervisor([Loop('vision', deadlock, stuck_after_s=0.2)], threading.Event()).run()\n"
    )
    ended = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == STUCK
    assert "loop stuck name=vision" in ended.stderr
    assert "in deadlock" in ended.stderr


def test_a_step_that_is_known_to_take_long_is_given_ten_minutes() -> None:
    gate = Gate()
    loop = Loop("delivery", gate.step, interrupt=gate.released.set, stuck_after_s=20.0, excused=lambda: True)
    watched = Watched(loop, slice_s=2.0)

    def look() -> None:
        gate.begun.wait(10)

    watched.on_look = look
    assert not watched.supervisor.run()
    assert watched.ended == [STUCK]
    assert 600 < watched.now_s < 605
