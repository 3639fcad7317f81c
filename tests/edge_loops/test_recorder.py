"""The recorder: what happened is on disk, or waits for it, and is never there twice."""

import threading
from collections.abc import Sequence

import pytest

from edge.core.errors import StorageFailed
from edge.core.ports import OpenInterval
from edge.loops import recorder as recorder_module
from edge.loops.health import Health
from edge.loops.recorder import Recorder
from protocol.events import Event
from tests.builders import seen, stamp, student, uid
from tests.fakes import FakeClock, MemoryCsv, MemoryJournal

NAMES = {student(1): "0001_Student 1"}


class Desk:
    def __init__(self, journal: MemoryJournal | None = None) -> None:
        self.journal = journal or MemoryJournal()
        self.csv = MemoryCsv()
        self.health = Health()
        self.clock = FakeClock()
        self.recorder = Recorder(self.journal, self.csv, self.health, monotonic_s=self.clock.monotonic_s)

    def record(self, *events: Event, after_s: float = 5.0) -> list[int]:
        """Record some seconds after the last time; return the numbers of what is on disk now."""
        self.clock.advance(after_s)
        return [event.seq for event in self.recorder.record(events, NAMES)]

    def problems(self) -> list[str]:
        return [problem.code for problem in self.health.problems()]


def test_events_are_numbered_stored_and_copied_with_their_names() -> None:
    desk = Desk()
    assert desk.record(seen(event=1), seen(event=2)) == [1, 2]
    assert [event.event_id for event in desk.journal.events] == [uid(1), uid(2)]
    assert desk.csv.lines == [(uid(1), "0001_Student 1"), (uid(2), "0001_Student 1")]


def test_nothing_to_record_touches_nothing() -> None:
    desk = Desk()
    desk.journal.trouble.break_down()
    assert desk.record() == []


def test_a_full_disk_holds_events_back_and_they_are_stored_in_order_later() -> None:
    desk = Desk()
    desk.journal.trouble.fill()
    assert desk.record(seen(event=1)) == []
    assert desk.record(seen(event=2)) == []
    assert desk.problems() == ["disk_full"]
    desk.journal.trouble.heal()
    assert desk.record(seen(event=3)) == [1, 2, 3]
    assert [event.event_id for event in desk.journal.events] == [uid(1), uid(2), uid(3)]
    assert len(desk.csv.lines) == 3
    assert desk.problems() == []


def test_what_was_held_back_goes_to_disk_though_nothing_new_happens() -> None:
    desk = Desk()
    desk.journal.trouble.fill(times=1)
    desk.record(seen(event=1))
    assert desk.record() == [1]


def test_what_does_not_fit_into_memory_either_is_lost_oldest_first_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "_HELD_AT_MOST", 3)
    desk = Desk()
    desk.journal.trouble.fill()
    for number in range(1, 6):
        desk.record(seen(event=number))
    assert desk.recorder.lost == 2
    desk.journal.trouble.heal()
    desk.record()
    assert [event.event_id for event in desk.journal.events] == [uid(3), uid(4), uid(5)]


def test_a_full_disk_is_not_asked_to_take_everything_at_once() -> None:
    """Ten thousand held events, tried again with each frame, would leave no time for recognition."""
    sizes: list[int] = []

    class Noting(MemoryJournal):
        def append(self, events: Sequence[Event]) -> list[Event]:
            sizes.append(len(events))
            return super().append(events)

    desk = Desk(Noting())
    desk.journal.trouble.fill()
    desk.record(*(seen(event=n) for n in range(1, 1201)))
    desk.record()
    desk.journal.trouble.heal()
    assert desk.record() == list(range(1, 1201))
    assert max(sizes) <= 500


class Counting(MemoryJournal):
    """Notes how many events each try had."""

    def __init__(self) -> None:
        super().__init__()
        self.tries: list[int] = []

    def append(self, events: Sequence[Event]) -> list[Event]:
        self.tries.append(len(events))
        return super().append(events)


def test_a_disk_that_refused_is_asked_again_by_the_clock_and_not_by_the_pictures() -> None:
    """Thirty pictures a second, each with a try to write five hundred events, would leave no time for recognition."""
    journal = Counting()
    desk = Desk(journal)
    journal.trouble.fill()
    desk.record(*(seen(event=n) for n in range(1, 601)))
    journal.tries.clear()
    per_second = []
    for second in range(60):
        for picture in range(30):
            desk.record(seen(event=601 + 30 * second + picture), after_s=1 / 30)
        per_second.append(len(journal.tries))

    assert set(journal.tries) == {1}
    assert per_second[0] <= 4
    assert len(journal.tries) <= 4 + 60 / 5
    # And it never waits for longer than a few seconds.
    assert all(later > earlier for earlier, later in zip(per_second[:-6], per_second[6:], strict=True))
    journal.trouble.heal()
    stored = desk.record(after_s=5.0)
    assert stored == list(range(1, 2401))
    assert [event.event_id for event in journal.events] == [uid(n) for n in range(1, 2401)]


def test_one_event_is_tried_first_and_the_others_at_once_when_it_is_taken() -> None:
    journal = Counting()
    desk = Desk(journal)
    journal.trouble.fill(times=2)
    desk.record(*(seen(event=n) for n in range(1, 1201)))
    desk.record()
    desk.record()

    assert journal.tries == [500, 1, 1, 500, 500, 199]


def test_what_is_held_when_the_program_ends_is_tried_whatever_the_clock_says() -> None:
    desk = Desk()
    desk.journal.trouble.fill()
    for number in range(1, 6):
        desk.record(seen(event=number))
    desk.journal.trouble.heal()
    assert [event.seq for event in desk.recorder.record([seen(event=6)], NAMES)] == []
    assert [event.seq for event in desk.recorder.record([], NAMES, at_once=True)] == [1, 2, 3, 4, 5, 6]


def test_what_is_held_between_two_tries_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "_HELD_AT_MOST", 3)
    desk = Desk()
    desk.journal.trouble.fill()
    for number in range(1, 9):
        desk.record(seen(event=number), after_s=0.0)

    assert (desk.recorder.held, desk.recorder.lost) == (3, 5)


def test_a_disk_that_fills_up_in_the_middle_keeps_what_it_took() -> None:
    class Filling(MemoryJournal):
        filled = False

        def append(self, events: Sequence[Event]) -> list[Event]:
            stored = super().append(events)
            if not self.filled:
                self.filled = True
                self.trouble.fill(times=1)
            return stored

    desk = Desk(Filling())
    first = desk.record(*(seen(event=n) for n in range(1, 701)))
    assert len(first) == len(desk.csv.lines)
    assert 0 < len(first) < 700
    assert desk.problems() == ["disk_full"]
    rest = desk.record()
    assert first + rest == list(range(1, 701))
    assert len(desk.csv.lines) == 700


def test_a_broken_disk_ends_the_program() -> None:
    desk = Desk()
    desk.journal.trouble.break_down()
    with pytest.raises(StorageFailed):
        desk.record(seen(event=1))


def test_two_threads_that_record_at_once_lose_nothing_and_store_nothing_twice() -> None:
    """Recognition and the conversation with the hub both record."""
    inside, other_is_done = threading.Event(), threading.Event()

    class Slow(MemoryJournal):
        def append(self, events: Sequence[Event]) -> list[Event]:
            stored = super().append(events)
            if not inside.is_set():
                inside.set()
                other_is_done.wait(0.1)
            return stored

    desk = Desk(Slow())

    def other() -> None:
        inside.wait(5)
        desk.record(seen(event=2))
        other_is_done.set()

    thread = threading.Thread(target=other, daemon=True)
    thread.start()
    desk.record(seen(event=1))
    thread.join(5)
    assert [event.event_id for event in desk.journal.events] == [uid(1), uid(2)]
    assert len(desk.csv.lines) == 2


def test_open_intervals_are_remembered_and_a_full_disk_is_no_reason_to_stop() -> None:
    desk = Desk()
    desk.record(seen(event=1))
    interval = OpenInterval(uid(1), student(1), stamp(0), stamp(30))
    desk.recorder.remember([interval])
    assert desk.journal.open_intervals() == [interval]
    desk.journal.trouble.fill()
    desk.recorder.remember([interval])
    assert desk.problems() == ["disk_full"]
    desk.journal.trouble.break_down()
    with pytest.raises(StorageFailed):
        desk.recorder.remember([interval])
