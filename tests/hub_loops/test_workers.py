"""Several processes that serve: one that dies is started again, one that is refused ends all, all stop together."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

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
        self.workers = Workers(count, self._start, self.clock, self._pause)

    def _start(self, number: int) -> FakeProcess:
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
