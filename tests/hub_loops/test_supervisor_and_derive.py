"""The supervisor ends everything with the first failure; the derivation is bounded and patient."""

import logging
import threading
import traceback
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from hub.core.errors import BrokerRefused, Fault, StoreRefused, StoreUnavailable
from hub.loops.derive import MOST_AT_ONCE, DeriveLoop
from hub.loops.supervisor import Supervisor
from tests.hub_loops.fakes import FakeClock


class Steps:
    """A loop that does what it is told."""

    def __init__(self, name: str, work: Callable[[], object]) -> None:
        self.name = name
        self._work = work

    def step(self) -> None:
        self._work()


def nothing_wrong() -> None:
    return None


def raising(exc: Exception) -> Callable[[], object]:
    def work() -> object:
        raise exc

    return work


def test_the_first_failure_stops_all_loops_and_is_raised() -> None:
    stopping = threading.Event()
    idle = Steps("idle", lambda: stopping.wait(5))
    failing = Steps("failing", raising(StoreRefused("wrong password")))
    with pytest.raises(StoreRefused):
        Supervisor([idle, failing], nothing_wrong, stopping).run()
    assert stopping.is_set()


def test_an_unexpected_failure_is_logged_where_it_happened_but_never_quoted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stopping = threading.Event()
    failing = Steps("failing", raising(KeyError("Ada Lovelace")))
    with pytest.raises(Fault) as caught:
        Supervisor([failing], nothing_wrong, stopping).run()
    said = "".join(traceback.format_exception(caught.value))
    assert "KeyError" in str(caught.value)
    assert "Ada" not in said
    assert "error=KeyError" in caplog.text
    assert "in work" in caplog.text
    assert "Ada" not in caplog.text


def test_a_failure_of_the_system_or_the_database_is_named_by_its_number() -> None:
    failing = Steps("failing", raising(OSError(28, "Ada Lovelace")))
    with pytest.raises(Fault, match="failing, OSError, 28"):
        Supervisor([failing], nothing_wrong, threading.Event()).run()


def test_what_is_wrong_outside_of_the_loops_ends_them_too() -> None:
    stopping = threading.Event()
    refused = BrokerRefused("wrong user name or password")
    with pytest.raises(BrokerRefused):
        Supervisor([Steps("idle", lambda: stopping.wait(5))], lambda: refused, stopping).run()


def test_stop_ends_without_a_failure() -> None:
    stopping = threading.Event()
    supervisor = Supervisor([], nothing_wrong, stopping)
    supervisor = Supervisor([Steps("stopper", supervisor.stop)], nothing_wrong, stopping)
    supervisor.run()


class Register:
    """Counts what it is asked."""

    def __init__(self) -> None:
        self.ended = 0
        self.dirty = 0
        self.away = False

    def mark_ended_lessons(self, now: datetime) -> int:  # noqa: ARG002 (the port's signature)
        self.ended += 1
        return 0

    def derive(self, now: datetime, most: int) -> int:  # noqa: ARG002
        if self.away:
            raise StoreUnavailable("away")
        done = min(self.dirty, most)
        self.dirty -= done
        return done


def test_a_large_amount_is_derived_without_a_pause_and_then_it_rests() -> None:
    register, clock = Register(), FakeClock()
    pauses: list[float] = []
    loop = DeriveLoop(store=register, clock=clock, pause=pauses.append)
    register.dirty = 2 * MOST_AT_ONCE + 1
    for _ in range(2):
        loop.step()
    assert pauses == []
    loop.step()
    assert (register.dirty, len(pauses)) == (0, 1)


def test_while_much_comes_in_it_rests_between_parts_and_still_goes_on() -> None:
    register = Register()
    pauses: list[float] = []
    loop = DeriveLoop(store=register, clock=FakeClock(), pause=pauses.append, pressed=lambda: True)
    register.dirty = 2 * MOST_AT_ONCE
    for _ in range(2):
        loop.step()
    assert (register.dirty, len(pauses)) == (0, 2)


def test_lessons_that_ended_are_looked_for_now_and_then() -> None:
    register, clock = Register(), FakeClock()
    loop = DeriveLoop(store=register, clock=clock, pause=lambda _: None)
    for _ in range(50):
        loop.step()
        clock.move(timedelta(seconds=1))
    assert register.ended == 3


def test_a_database_that_is_away_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    register = Register()
    pauses: list[float] = []
    register.away = True
    DeriveLoop(store=register, clock=FakeClock(), pause=pauses.append).step()
    assert pauses == [5.0]
    assert caplog.text == ""
