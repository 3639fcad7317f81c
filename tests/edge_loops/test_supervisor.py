"""The supervisor: one loop that fails ends the program, and stopping takes its order and its time."""

import threading
import time
from collections.abc import Callable

import pytest

from edge.loops.supervisor import Loop, Supervisor


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
