"""Several processes that serve: one that dies is started again, one that is refused ends all, all stop together."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from hub.cli.console import EXIT_FAILED, EXIT_TEMPORARY, EXIT_USAGE
from hub.core.errors import Fault
from hub.loops.workers import REFUSED, Workers
from tests.hub_loops.fakes import FakeClock


@dataclass
class FakeProcess:
    """Runs until it is ended; `stubborn` needs to be killed."""

    number: int
    code: int | None = None
    stubborn: bool = False
    asked: list[str] = field(default_factory=list)

    def poll(self) -> int | None:
        return self.code

    def terminate(self) -> None:
        self.asked.append("terminate")
        if not self.stubborn:
            self.code = 0

    def kill(self) -> None:
        self.asked.append("kill")
        self.code = -9


class Crew:
    """Workers whose processes are fakes and whose time is moved by what happens in `plan`."""

    def __init__(self, count: int = 2) -> None:
        self.clock = FakeClock()
        self.started: list[FakeProcess] = []
        self.plan: list[Callable[[], None]] = []
        self.slept = 0
        self.no_room = 0
        self.workers = Workers(count, self._start, self.clock, self._pause, self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.slept += 1
        self.clock.move(timedelta(seconds=seconds))

    def _start(self, number: int) -> FakeProcess:
        if self.no_room:
            self.no_room -= 1
            raise OSError(12, "Cannot allocate memory")
        self.started.append(FakeProcess(number))
        return self.started[-1]

    def _pause(self, seconds: float) -> bool:
        self.clock.move(timedelta(seconds=seconds))
        if not self.plan:
            return True
        self.plan.pop(0)()
        return False

    def ends(self, at: int, code: int = 1) -> Callable[[], None]:
        def end() -> None:
            self.started[at].code = code

        return end

    def waits(self, seconds: float) -> Callable[[], None]:
        return lambda: self.clock.move(timedelta(seconds=seconds))


def test_all_are_started_and_asked_to_end_together() -> None:
    crew = Crew(3)
    crew.workers.run()
    assert [one.number for one in crew.started] == [1, 2, 3]
    assert all(one.asked == ["terminate"] for one in crew.started)


def test_one_that_dies_is_started_again_later_and_later() -> None:
    crew = Crew(1)
    delays = []
    for at in range(4):
        crew.plan.append(crew.ends(at))
        crew.plan += [crew.waits(0)] * (2 ** (at + 1) + 2)
    crew.plan.append(lambda: delays.append(len(crew.started)))
    crew.workers.run()
    assert delays == [5]
    assert {one.number for one in crew.started} == {1}


def test_one_that_dies_at_once_is_not_started_at_once() -> None:
    crew = Crew(1)
    crew.plan = [crew.ends(0), crew.waits(0)]
    crew.workers.run()
    assert len(crew.started) == 1


def test_the_others_go_on_meanwhile() -> None:
    crew = Crew(2)
    crew.plan = [crew.ends(0), *[crew.waits(0)] * 6]
    crew.workers.run()
    assert [one.number for one in crew.started] == [1, 2, 1]


def test_one_that_is_refused_ends_all_of_them() -> None:
    crew = Crew(2)
    crew.plan = [crew.ends(1, REFUSED), crew.waits(0)]
    with pytest.raises(Fault, match="worker 2"):
        crew.workers.run()
    assert crew.started[0].asked == ["terminate"]


def test_one_that_does_not_end_is_killed_within_ten_seconds() -> None:
    crew = Crew(1)
    crew.plan = [lambda: setattr(crew.started[0], "stubborn", True)]
    before_s = crew.clock.monotonic_s()
    crew.workers.run()
    assert crew.started[0].asked == ["terminate", "kill"]
    assert crew.clock.monotonic_s() - before_s < 11


def test_waiting_for_the_end_of_a_worker_leaves_the_processor_to_it() -> None:
    crew = Crew(1)
    crew.plan = [lambda: setattr(crew.started[0], "stubborn", True)]
    crew.workers.run()
    assert 10 < crew.slept < 1000


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1, "it failed and said above why (exit code 1)"),
        (EXIT_TEMPORARY, "the database or the broker could not be reached (exit code 3)"),
        (-9, "something ended it by SIGKILL, perhaps for want of memory"),
        (-11, "something ended it by SIGSEGV"),
        (77, "it failed (exit code 77)"),
    ],
)
def test_why_a_worker_ended_is_said(code: int, reason: str, caplog: pytest.LogCaptureFixture) -> None:
    crew = Crew(1)
    crew.plan = [crew.ends(0, code), *[crew.waits(0)] * 6]
    crew.workers.run()
    assert f"worker ended number=1 reason={reason!r}" in caplog.text
    assert len(crew.started) == 2


def test_a_worker_for_which_there_is_no_room_is_started_later(caplog: pytest.LogCaptureFixture) -> None:
    crew = Crew(2)
    crew.no_room = 1
    crew.plan = [crew.waits(0)] * 6
    crew.workers.run()
    assert "it could not be started: Cannot allocate memory" in caplog.text
    assert [one.number for one in crew.started] == [2, 1]


def test_being_refused_is_no_other_end_of_a_command() -> None:
    assert REFUSED not in {0, EXIT_FAILED, EXIT_USAGE, EXIT_TEMPORARY, 130}
