"""A mark is on disk when the answer says so, or it is nowhere."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from edge.core.errors import StorageFailed, StorageFull
from edge.loops.control import ControlDesk
from edge.loops.health import Health
from edge.loops.marking import MarkDesk
from edge.loops.recorder import Recorder
from protocol.events import Event, Mark
from tests.edge_loops.test_control import Files
from tests.fakes import FakeClock, MemoryJournal

REQUEST = {"command": "mark", "student_id": "x", "status": "late", "by": "A. Person"}
STUDENT = "00000000-0000-0000-0000-000000000007"


class Desk:
    def __init__(self) -> None:
        self.journal, self.copied, self.clock = MemoryJournal(), list[Event](), FakeClock()
        recorder = Recorder(self.journal, self, Health(), monotonic_s=self.clock.monotonic_s)
        marks = MarkDesk(recorder, lambda: {STUDENT: "S7_Ann"}, lambda: (), self.clock)
        self.desk = ControlDesk(self.journal, Files(), dict, dict, marks)

    def append(self, events: Sequence[Event], names: Mapping[str, str]) -> None:
        assert names == {STUDENT: "S7_Ann"}
        self.copied += events

    def ask(self, **changed: Any) -> dict[str, Any]:
        return self.desk.answer({**REQUEST, "student_id": STUDENT} | changed)


def test_a_mark_is_written_down_with_its_line() -> None:
    desk = Desk()
    answer = desk.ask(note="bus")
    [queued] = desk.journal.undelivered(0, None, 10, 10_000)
    assert queued.body["kind"] == "mark"
    assert answer == {
        "ok": True,
        "event_id": queued.body["event_id"],
        "at": desk.clock.at.isoformat(),
        "clock": "synced",
        "lesson_id": None,
    }
    [event] = desk.copied
    assert isinstance(event, Mark)
    assert (event.seq, event.note) == (1, "bus")


def test_what_is_wrong_with_a_mark_is_answered_and_nothing_is_written() -> None:
    desk = Desk()
    answer = desk.ask(status="early")
    assert (answer["ok"], answer["problem"]) == (False, "wrong or missing: status")
    assert desk.journal.last_place() == 0


def test_a_full_disk_marks_nobody_and_says_so() -> None:
    desk = Desk()
    desk.journal.trouble.fill()
    assert desk.ask() == {"ok": False, "problem": "the disk is full", "hint": "free some space"}
    desk.journal.trouble.heal()
    assert desk.journal.last_place() == 0
    assert desk.ask()["ok"]
    assert desk.journal.last_place() == 1


def test_a_broken_disk_is_not_answered_here() -> None:
    desk = Desk()
    desk.journal.trouble.break_down()
    with pytest.raises(StorageFailed) as broken:
        desk.ask()
    assert not isinstance(broken.value, StorageFull)


def test_a_desk_without_marks_does_not_know_the_request() -> None:
    assert ControlDesk(MemoryJournal(), Files(), dict, dict).answer(REQUEST)["ok"] is False
