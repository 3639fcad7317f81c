"""What commands may ask: done or refused with a reason, and a broken record still ends the program."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from edge.core.errors import StorageDamaged, StorageFailed, StorageReadOnly
from edge.loops.control import MOST_LETTERS, ControlDesk, ControlLoop
from protocol.delivery import Rejection
from tests.builders import seen
from tests.fakes import MemoryJournal

DAYS = ["2026-03-02", "2026-03-03"]


class Files:
    def __init__(self) -> None:
        self.rebuilt: list[tuple[str, Mapping[str, str]]] = []
        self.error: StorageFailed | None = None

    def days(self) -> list[str]:
        return DAYS

    def rebuild(self, day: str, names: Mapping[str, str]) -> int:
        if day not in DAYS:
            raise ValueError(day)
        if self.error:
            raise self.error
        self.rebuilt.append((day, names))
        return 17


class Room:
    def __init__(self) -> None:
        self.journal = MemoryJournal()
        self.files = Files()
        self.desk = ControlDesk(self.journal, self.files, lambda: {"x": "S1_Ann"}, lambda: {"state": "watching"})
        self.journal.append([seen(event=number) for number in range(1, 4)])
        self.epoch = self.journal.epoch
        self.journal.rejected(self.epoch, [Rejection(seq=1, code="invalid"), Rejection(seq=3, code="conflict")])


@pytest.fixture
def room() -> Room:
    return Room()


def test_the_status_is_what_the_unit_says(room: Room) -> None:
    assert room.desk.answer({"command": "status"}) == {"ok": True, "state": "watching"}


def test_named_dead_letters_are_sent_again(room: Room) -> None:
    assert room.desk.answer({"command": "retry", "letters": [[room.epoch, 3], [room.epoch, 2]]}) == {
        "ok": True,
        "retried": 1,
    }
    assert [letter.seq for letter in room.journal.dead_letters()] == [1]


def test_all_of_them_are_sent_again(room: Room) -> None:
    assert room.desk.answer({"command": "retry", "letters": None}) == {"ok": True, "retried": 2}


def test_a_day_is_written_anew_with_the_names_of_the_gallery(room: Room) -> None:
    assert room.desk.answer({"command": "csv_days"}) == {"ok": True, "days": DAYS}
    assert room.desk.answer({"command": "csv_rebuild", "day": DAYS[0]}) == {"ok": True, "lines": 17}
    assert room.files.rebuilt == [(DAYS[0], {"x": "S1_Ann"})]


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"command": "erase everything"},
        {"command": ["status"]},
        {"command": "retry"},
        {"command": "retry", "letters": "all"},
        {"command": "retry", "letters": [["a"]]},
        {"command": "retry", "letters": [["a", "1"]]},
        {"command": "retry", "letters": [["a", 0]]},
        {"command": "retry", "letters": [["a", 2**63]]},
        {"command": "retry", "letters": [["a", 1]] * (MOST_LETTERS + 1)},
        {"command": "csv_rebuild"},
        {"command": "csv_rebuild", "day": 3},
        {"command": "csv_rebuild", "day": "../../etc/passwd"},
    ],
)
def test_anything_else_is_refused_with_a_reason_and_changes_nothing(room: Room, request_: dict[str, Any]) -> None:
    answer = room.desk.answer(request_)

    assert answer["ok"] is False
    assert answer["problem"]
    assert len(room.journal.dead_letters()) == 2
    assert room.files.rebuilt == []


def test_a_full_disk_is_said_and_is_no_end(room: Room) -> None:
    room.journal.trouble.fill()

    answer = room.desk.answer({"command": "retry", "letters": None})

    assert answer == {"ok": False, "problem": "the disk is full", "hint": "free some space"}


class OneRequest:
    def __init__(self, request: Mapping[str, Any]) -> None:
        self.request = request
        self.answers: list[Mapping[str, Any]] = []

    def serve(self, answer: Callable[[Mapping[str, Any]], Mapping[str, Any]], timeout_s: float) -> bool:
        assert timeout_s > 0
        self.answers.append(answer(self.request))
        return True


def test_a_step_answers_one_request(room: Room) -> None:
    counter = OneRequest({"command": "status"})

    assert ControlLoop(counter, room.desk).step()
    assert counter.answers == [{"ok": True, "state": "watching"}]


def test_a_broken_disk_is_answered_and_then_ends_the_program(room: Room) -> None:
    room.journal.trouble.break_down()
    counter = OneRequest({"command": "retry", "letters": None})

    with pytest.raises(StorageFailed):
        ControlLoop(counter, room.desk).step()
    assert counter.answers[0]["ok"] is False
    assert "does not answer" in counter.answers[0]["problem"]


@pytest.mark.parametrize("error", [StorageFailed, StorageReadOnly])
def test_a_folder_for_the_copy_that_cannot_be_used_is_answered_and_ends_nothing(
    room: Room, error: type[StorageFailed]
) -> None:
    """Who mistypes `storage.csv_dir`, or pulls the stick out, must not end recognition with `csv rebuild`."""
    room.files.error = error("the folder cannot be written", hint="check storage.csv_dir")
    counter = OneRequest({"command": "csv_rebuild", "day": DAYS[0]})

    assert ControlLoop(counter, room.desk).step()
    assert counter.answers == [
        {"ok": False, "problem": "the folder cannot be written", "hint": "check storage.csv_dir"}
    ]


def test_a_damaged_record_ends_the_program_also_when_a_copy_was_asked_for(room: Room) -> None:
    room.files.error = StorageDamaged("unit.db is damaged")
    counter = OneRequest({"command": "csv_rebuild", "day": DAYS[0]})

    with pytest.raises(StorageDamaged):
        ControlLoop(counter, room.desk).step()
    assert counter.answers[0]["ok"] is False
