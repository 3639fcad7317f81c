"""The machine's clocks, as events carry them."""

import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from edge.adapters.clock_system import SystemClock
from edge.adapters.stamping import moved
from tests.edge_adapters.pieces import stamp


def test_a_stamp_is_utc_and_counts_from_the_boot_of_this_machine() -> None:
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    found = SystemClock().stamp()

    assert found.at.tzinfo is UTC
    assert before <= found.boottime_ns <= time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    assert found.boot_id == SystemClock().stamp().boot_id


def test_identifiers_are_of_version_7_all_different_and_rise_with_time() -> None:
    clock = SystemClock()
    found = [clock.new_id() for _ in range(200)]

    assert len(set(found)) == 200
    assert {UUID(text).version for text in found} == {7}
    assert [text[:13] for text in found] == sorted(text[:13] for text in found)


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ([False], ["unsynced"]),
        ([True], ["synced"]),
        ([True, False], ["synced", "holdover"]),
        ([False, True, False, True], ["unsynced", "synced", "holdover", "synced"]),
    ],
)
def test_a_clock_that_was_once_set_holds_over(
    monkeypatch: pytest.MonkeyPatch, answers: list[bool], told: list[str]
) -> None:
    """The kernel's answer cannot be chosen here, so that it is replaced; and it is asked each time."""
    clock = SystemClock()
    left = list(answers)
    monkeypatch.setattr(clock, "_kernel_is_synced", lambda: left.pop(0))
    monkeypatch.setattr("edge.adapters.clock_system._ASK_AGAIN_S", 0.0)

    assert [clock.quality() for _ in answers] == told


def test_the_kernel_is_not_asked_for_each_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    asked: list[bool] = []

    def kernel_is_synced() -> bool:
        asked.append(True)
        return True

    monkeypatch.setattr(clock, "_kernel_is_synced", kernel_is_synced)
    for _ in range(50):
        clock.stamp()

    assert len(asked) == 1


def test_a_moved_stamp_moves_on_both_clocks() -> None:
    assert moved(stamp(), -1_500_000_000) == stamp(-1.5)
    assert moved(stamp(), 250_000_000) == stamp(0.25)


def test_the_boot_clock_stops_at_zero() -> None:
    early = moved(stamp(), -2_000_000_000_000)

    assert early.boottime_ns == 0
    assert early.at == datetime(2026, 3, 2, 8, 0, tzinfo=UTC) - timedelta(seconds=2000)


class SetByHand(SystemClock):
    """A clock whose wall clock and kernel a test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = timedelta(0)
        self.synced = False
        self.asked = 0

    def _read(self) -> tuple[datetime, int]:
        at, boottime_ns = super()._read()
        return at + self.ahead, boottime_ns

    def _kernel_is_synced(self) -> bool:
        self.asked += 1
        return self.synced


def test_a_clock_that_ntp_sets_says_so_in_the_first_stamp_with_the_new_time() -> None:
    """It would otherwise be called unsynced for ten seconds more, though it is right."""
    clock = SetByHand()
    clock.ahead = timedelta(days=-20_000)
    assert clock.stamp().clock == "unsynced"
    clock.ahead, clock.synced = timedelta(0), True
    found = clock.stamp()
    assert (found.clock, found.at.year > 2000) == ("synced", True)


def test_a_clock_that_somebody_sets_ten_years_on_is_not_called_synced_any_longer() -> None:
    """An anchor made of that would date a whole boot wrongly."""
    clock = SetByHand()
    clock.synced = True
    assert clock.stamp().clock == "synced"
    clock.ahead, clock.synced = timedelta(days=3652), False
    assert clock.stamp().clock == "holdover"


def test_a_stamp_never_pairs_a_time_from_before_with_the_quality_of_after() -> None:
    """NTP sets the clock between reading the time and asking the kernel."""

    class SetInBetween(SetByHand):
        def _read(self) -> tuple[datetime, int]:
            found = super()._read()
            self.ahead, self.synced = timedelta(0), True
            return found

    clock = SetInBetween()
    clock.ahead = timedelta(days=-20_000)
    found = clock.stamp()
    assert (found.clock, found.at.year < 2000) == ("unsynced", True)
    assert clock.stamp().clock == "synced"


def test_a_clock_that_only_runs_is_asked_once_for_many_stamps() -> None:
    clock = SetByHand()
    for _ in range(50):
        clock.stamp()
    assert clock.asked == 1
