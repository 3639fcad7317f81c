"""The disk's keeper: what is given up in which order when space runs out, and that it comes back by itself."""

import threading
from collections.abc import Callable, Sequence
from unittest.mock import Mock

import pytest

from edge.bootstrap.loops import side_loops
from edge.core.errors import StorageFailed, StorageFull, StorageReadOnly
from edge.loops.health import Health
from edge.loops.recorder import Recorder
from edge.loops.storage import StorageKeeper, StorageLimits
from protocol.events import Event
from tests.builders import seen, uid
from tests.fakes import FakeClock, MemoryCsv, MemoryJournal

LOW = 500


class FakeDisk:
    """`Reserves`: so much space, of which a ballast, staged pieces and old events take some."""

    def __init__(self, free: int = 10_000, *, ballast: int = 8, staged: int = 0, old: int = 0, pack: int = 0) -> None:
        self.free = free
        self.ballast = ballast
        self.held = True
        self.staged = staged
        self.old = old
        self.pack = pack
        self.read_only = False
        self.broken = False
        self.done: list[str] = []
        self.prunable = 0
        self.to_erase = 0
        """In how many steps what must go of damaged files is overwritten."""
        self.on_erasing: Callable[[], object] = lambda: None

    def _write(self) -> None:
        if self.broken:
            raise StorageFailed("the disk does not answer")
        if self.read_only:
            raise StorageReadOnly("the disk can only be read now")

    def free_bytes(self) -> int:
        return self.free

    def hold_ballast(self) -> bool:
        if not self.held and self.free >= 2 * self.ballast:
            self.held, self.free = True, self.free - self.ballast
            self.done.append("hold")
        return self.held

    def release_ballast(self) -> bool:
        was, self.held = self.held, False
        if was:
            self.free += self.ballast
            self.done.append("release")
        return was

    def write_back(self) -> None:
        self._write()

    def erase_damaged(self) -> bool:
        if not self.to_erase:
            return False
        self.to_erase -= 1
        self.done.append("erase")
        self.on_erasing()
        return True

    def try_erasing_again(self) -> None:
        self._write()

    def try_to_write(self) -> None:
        self._write()
        if not self.free:
            raise StorageFull("the disk is full")

    def drop_pack(self) -> int:
        dropped, self.pack = self.pack, 0
        if dropped:
            self.free += dropped
            self.done.append("drop pack")
        return dropped * 1024 * 1024

    def drop_staged(self) -> int:
        self._write()
        dropped, self.staged = self.staged, 0
        if dropped:
            self.free += dropped
            self.done.append("drop")
        return dropped

    def prune_early(self) -> int:
        self._write()
        pruned, self.old = min(self.old, 2), max(0, self.old - 2)
        if pruned:
            self.free += pruned
            self.done.append("prune early")
        return pruned

    def prune(self, keep_days: float) -> int:
        assert keep_days == 30
        self._write()
        pruned, self.prunable = min(self.prunable, 500), max(0, self.prunable - 500)
        return pruned


class SmallJournal(MemoryJournal):
    """A journal on a `FakeDisk`: each event takes one unit of space."""

    def __init__(self, disk: FakeDisk) -> None:
        super().__init__()
        self.disk = disk

    def append(self, events: Sequence[Event]) -> list[Event]:
        if self.disk.read_only:
            raise StorageReadOnly("the disk can only be read now")
        if len(events) > self.disk.free:
            raise StorageFull("the disk is full")
        stored = super().append(events)
        self.disk.free -= len(stored)
        return stored


class Desk:
    def __init__(self, disk: FakeDisk) -> None:
        self.disk = disk
        self.clock = FakeClock()
        self.health = Health()
        self.keeper = StorageKeeper(disk, self.health, self.clock, StorageLimits(LOW, 30))
        self.journal = SmallJournal(disk)
        self.recorder = Recorder(self.journal, MemoryCsv(), self.health, self.keeper, self.clock.monotonic_s)
        self._last = 0

    def record(self, count: int = 1) -> int:
        """Record events one by one, some seconds apart; return how many are on disk now."""
        for _ in range(count):
            self._last += 1
            self.clock.advance(10)
            self.recorder.record([seen(event=self._last)], {})
        return len(self.journal.events)

    def problems(self) -> list[str]:
        return [problem.code for problem in self.health.problems()]


def test_with_space_nothing_is_given_up_and_nothing_is_said() -> None:
    desk = Desk(FakeDisk())
    desk.keeper.look()
    desk.record(3)

    assert desk.keeper.disk_state() == "ok"
    assert (desk.keeper.copies, desk.keeper.may_film) == (True, True)
    assert (desk.disk.done, desk.problems()) == ([], [])


def test_low_space_is_told_before_the_disk_is_full_and_ends_the_film_only() -> None:
    desk = Desk(FakeDisk(free=LOW - 1))
    desk.keeper.look()

    assert desk.keeper.disk_state() == "low"
    assert (desk.keeper.copies, desk.keeper.may_film) == (True, False)
    assert desk.problems() == ["disk_low"]
    desk.disk.free = LOW
    desk.keeper.look()
    assert desk.problems() == []


def test_things_are_given_up_in_the_declared_order_and_events_last_of_all() -> None:
    desk = Desk(FakeDisk(free=1, ballast=8, staged=3, old=4, pack=1))
    desk.keeper.look()
    assert desk.record() == 1
    assert desk.disk.done == []

    assert desk.record() == 2
    assert (desk.disk.done, desk.keeper.copies) == (["drop pack"], True)
    desk.disk.done.clear()

    assert desk.record() == 3
    assert desk.disk.done == ["release"]
    assert (desk.keeper.disk_state(), desk.keeper.copies) == ("full", False)
    assert desk.problems() == ["disk_full"]

    assert desk.record(7) == 10
    assert desk.disk.done == ["release"]
    assert desk.record() == 11
    assert desk.disk.done[:3] == ["release", "drop", "prune early"]
    assert desk.record(30) == 2 + 8 + 3 + 4
    assert desk.recorder.held == 41 - 17
    assert desk.recorder.lost == 0


def test_when_there_is_space_again_everything_is_written_and_the_reserve_kept_again() -> None:
    desk = Desk(FakeDisk(free=0, ballast=8))
    desk.record(12)
    assert desk.recorder.held == 4
    desk.disk.free = 10_000

    assert desk.record() == 13
    assert [event.event_id for event in desk.journal.events] == [uid(number) for number in range(1, 14)]
    assert (desk.recorder.held, desk.keeper.disk_state()) == (0, "full")
    desk.keeper.look()

    assert desk.disk.done == ["release", "hold"]
    assert (desk.keeper.disk_state(), desk.problems()) == ("ok", [])


def test_a_unit_that_starts_on_a_full_disk_without_a_reserve_knows_it() -> None:
    disk = FakeDisk(free=3, ballast=8)
    disk.held = False
    desk = Desk(disk)
    desk.keeper.look()

    assert desk.keeper.disk_state() == "full"
    assert not desk.keeper.copies


def test_a_disk_that_can_only_be_read_gives_up_nothing_and_says_so_until_it_takes_something() -> None:
    desk = Desk(FakeDisk(staged=3, old=4))
    desk.disk.read_only = True
    assert desk.record(2) == 0
    assert desk.keeper.disk_state() == "read_only"
    assert desk.problems() == ["disk_read_only"]
    assert (desk.recorder.held, desk.disk.done, desk.disk.held) == (2, [], True)
    desk.keeper.look()
    assert desk.keeper.disk_state() == "read_only"

    desk.disk.read_only = False
    assert desk.record() == 3
    assert (desk.keeper.disk_state(), desk.problems(), desk.recorder.held) == ("ok", [], 0)


@pytest.mark.parametrize("trouble", ["read only", "full"])
def test_that_the_disk_takes_writes_again_is_found_without_waiting_for_the_next_event(trouble: str) -> None:
    """In the holidays nothing is recorded for weeks: the status would say so long what was repaired at once."""
    desk = Desk(FakeDisk(free=0, ballast=0) if trouble == "full" else FakeDisk())
    desk.disk.read_only = trouble == "read only"
    desk.record()
    desk.keeper.look()
    assert desk.keeper.disk_state() == trouble.replace(" ", "_")
    assert desk.problems() == [f"disk_{desk.keeper.disk_state()}"]

    desk.disk.read_only, desk.disk.free = False, 10_000
    desk.keeper.look()
    assert desk.keeper.disk_state() == "ok"
    assert desk.problems() == []


def test_freeing_space_is_not_tried_for_each_picture_of_a_full_hour() -> None:
    desk = Desk(FakeDisk(free=0, ballast=1, staged=0, old=100))
    tried: list[float] = []
    real = desk.disk.prune_early

    def counted() -> int:
        tried.append(desk.clock.monotonic_s())
        return real() and 0

    desk.disk.prune_early = counted  # type: ignore[method-assign]
    desk.disk.old = 0
    for number in range(1, 101):
        desk.clock.advance(0.2)
        desk.recorder.record([seen(event=number)], {})

    assert 1 <= len(tried) <= 5


def test_what_the_hub_has_had_for_long_is_deleted_in_portions() -> None:
    desk = Desk(FakeDisk())
    desk.disk.prunable = 50_000
    desk.keeper.look()
    assert 0 < desk.disk.prunable < 50_000
    for _ in range(10):
        desk.keeper.look()
    assert desk.disk.prunable == 0


class TestErasingDamagedFiles:
    """Overwriting takes seconds on a slow card: it is for the disk's own thread, and nobody waits for it."""

    def test_it_goes_on_until_nothing_is_left(self) -> None:
        desk = Desk(FakeDisk())
        desk.disk.to_erase = 30
        desk.keeper.erase_damaged()

        assert desk.disk.to_erase == 0

    def test_a_write_that_found_no_space_never_waits_for_it(self) -> None:
        desk = Desk(FakeDisk(free=0, ballast=1, staged=1, old=4))
        desk.disk.to_erase = 30
        desk.record(20)

        assert {"release", "drop", "prune early"} <= set(desk.disk.done)
        assert desk.disk.to_erase == 30

    def test_room_can_be_made_meanwhile(self) -> None:
        desk = Desk(FakeDisk())
        recognition = threading.Thread(
            target=desk.keeper.make_room, args=[StorageFull("the disk is full")], daemon=True
        )

        def ask() -> None:
            recognition.start()
            recognition.join(10)

        desk.disk.to_erase, desk.disk.on_erasing = 1, ask
        desk.keeper.erase_damaged()

        assert not recognition.is_alive()
        assert desk.disk.done == ["erase", "release"]

    def test_the_disk_is_looked_at_between(self) -> None:
        desk = Desk(FakeDisk())
        desk.disk.to_erase, desk.disk.on_erasing = 30, lambda: desk.clock.advance(4)
        desk.keeper.erase_damaged()

        assert desk.disk.to_erase == 27

    def test_it_is_what_the_disks_own_thread_does(self) -> None:
        desk = Desk(FakeDisk())
        desk.disk.to_erase, desk.disk.on_erasing = 5, desk.keeper.interrupt
        disk, others = Mock(storage=desk.keeper), (Mock(), Mock(), Mock())
        step = next(loop.step for loop in side_loops(disk, *others) if loop.name == "storage")
        step()

        assert desk.disk.to_erase == 4

    def test_the_end_of_the_program_waits_for_one_step_only(self) -> None:
        desk = Desk(FakeDisk())
        desk.disk.to_erase, desk.disk.on_erasing = 30, desk.keeper.interrupt
        desk.keeper.erase_damaged()

        assert desk.disk.to_erase == 29


def test_a_broken_disk_ends_the_program() -> None:
    desk = Desk(FakeDisk())
    desk.disk.broken = True

    with pytest.raises(StorageFailed):
        desk.keeper.look()


def test_open_intervals_that_cannot_be_remembered_also_call_for_room() -> None:
    desk = Desk(FakeDisk())
    desk.journal.trouble.fill(times=1)
    desk.recorder.remember([])

    assert desk.disk.done == ["release"]
