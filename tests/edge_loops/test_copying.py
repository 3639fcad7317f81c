"""The CSV copy's keeper: what it does about a copy that fails, and that nobody who records waits for it."""

from collections.abc import Callable, Mapping

import pytest

from edge.core.errors import StorageDamaged, StorageFailed, StorageFull
from edge.loops.copying import CopyKeeper
from edge.loops.health import Health
from tests.builders import seen
from tests.fakes import FakeClock


class FakeCopy:
    """`RecordCopy` that lacks so many portions and takes so long for each."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.takes_s = 0.0
        self.meanwhile: Callable[[], None] = lambda: None
        self.lacks = 0
        self.lost = 0
        self.tries = 0
        self.error: StorageFailed | None = None
        self.names: list[Mapping[str, str]] = []

    def copy_some(self, names: Mapping[str, str]) -> bool:
        self.tries += 1
        self.clock.advance(self.takes_s)
        self.meanwhile()
        if self.error:
            raise self.error
        self.names.append(names)
        self.lacks = max(0, self.lacks - 1)
        return self.lacks > 0


class Desk:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.copy = FakeCopy(self.clock)
        self.health = Health()
        self.names = {"x": "S1_Ann"}
        self.keeper = CopyKeeper(self.copy, lambda: self.names, self.health, self.clock)

    def problems(self) -> list[str]:
        return [problem.code for problem in self.health.problems()]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_what_is_recorded_is_not_written_by_whoever_records_it(desk: Desk) -> None:
    desk.copy.error = StorageFailed("the stick hangs")
    desk.keeper.append([seen(event=1)], {})

    assert desk.copy.tries == 0


def test_one_look_writes_one_portion_with_the_names_of_now(desk: Desk) -> None:
    desk.copy.lacks = 3
    desk.keeper.look()
    desk.names = {}
    desk.keeper.look()

    assert desk.copy.names == [{"x": "S1_Ann"}, {}]


def test_it_does_not_rest_while_there_is_more_or_something_new(desk: Desk) -> None:
    """A rest here would be ten seconds."""
    desk.copy.lacks = 2
    desk.keeper.look()
    desk.keeper.rest()
    desk.keeper.look()
    desk.keeper.append([seen(event=1)], {})
    desk.keeper.rest()

    assert desk.copy.tries == 2


def test_a_copy_that_fails_is_a_problem_and_is_tried_again_by_the_clock(desk: Desk) -> None:
    """Somebody pulled the stick out for a week: each event must not cost a try."""
    desk.copy.error = StorageFailed("attendance-2026-03-02.csv cannot be written")
    tries = []
    for _ in range(120):
        for _ in range(10):
            desk.keeper.append([seen(event=1)], {})
            desk.keeper.look()
        desk.clock.advance(1.0)
        tries.append(desk.copy.tries)

    assert desk.problems() == ["csv_failed"]
    assert tries[:8] == [1, 2, 2, 3, 3, 3, 3, 4]
    assert desk.copy.tries == 8
    desk.copy.error = None
    desk.clock.advance(30.0)
    desk.keeper.look()
    assert desk.problems() == []
    desk.keeper.look()
    assert desk.copy.tries == 10


def test_records_that_were_deleted_before_their_lines_were_written_are_a_problem_until_a_restart(desk: Desk) -> None:
    desk.copy.lost = 12
    desk.keeper.look()
    desk.keeper.look()

    (problem,) = desk.health.problems()
    assert problem.code == "csv_gap"
    assert "12 records" in problem.text


def test_at_the_end_everything_is_written_also_what_would_have_been_tried_later(desk: Desk) -> None:
    desk.copy.error = StorageFull("the disk is full")
    desk.keeper.look()
    desk.copy.error, desk.copy.lacks = None, 7
    desk.keeper.finish()

    assert desk.copy.lacks == 0
    assert desk.problems() == []


def test_the_end_does_not_wait_for_a_copy_that_takes_long(desk: Desk) -> None:
    desk.copy.lacks, desk.copy.takes_s = 1000, 1.0
    desk.keeper.finish()

    assert 0 < desk.copy.tries < 5


def test_a_disk_that_hangs_is_reported_by_whoever_still_runs(desk: Desk) -> None:
    desk.copy.meanwhile = desk.keeper.watch
    desk.copy.takes_s = 59.0
    desk.keeper.look()
    assert desk.problems() == []
    seen_then: list[str] = []

    def watch() -> None:
        desk.keeper.watch()
        seen_then.extend(desk.problems())

    desk.copy.meanwhile, desk.copy.takes_s = watch, 61.0
    desk.keeper.look()
    assert seen_then == ["csv_failed"]
    assert desk.problems() == []
    desk.clock.advance(1000.0)
    desk.keeper.watch()
    assert desk.problems() == []


def test_a_damaged_record_ends_the_program(desk: Desk) -> None:
    desk.copy.error = StorageDamaged("unit.db is damaged")

    with pytest.raises(StorageDamaged):
        desk.keeper.look()
