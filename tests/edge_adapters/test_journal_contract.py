"""What every journal promises: the one on disk, and the one in memory that other tests trust."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_journal import SqliteJournal
from edge.core.errors import StorageFailed
from edge.core.ports import Journal, OpenInterval
from protocol.base import canonical_bytes
from protocol.delivery import Rejection, SeqRange
from protocol.events import Event, event_json
from tests.edge_adapters.pieces import MORNING, ident, left, mark, seen, stamp
from tests.fakes import MemoryJournal

EVERYTHING = 1_000_000


@pytest.fixture(params=["sqlite", "memory"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    if request.param == "memory":
        yield MemoryJournal()
        return
    file = UnitFile(tmp_path)
    yield SqliteJournal(file)
    file.close()


def waiting_seqs(journal: Journal) -> list[int]:
    return [raw["seq"] for raw in journal.undelivered(0, EVERYTHING, EVERYTHING)]


def test_the_first_event_has_seq_1_whatever_seq_it_came_with(journal: Journal) -> None:
    stored = journal.append([seen(1).model_copy(update={"seq": 99})])

    assert [event.seq for event in stored] == [1]


def test_seqs_go_on_without_a_gap_over_several_appends(journal: Journal) -> None:
    journal.append([seen(1), seen(2)])

    assert [event.seq for event in journal.append([seen(3), left(4, 3)])] == [3, 4]
    assert journal.positions() == (4, 0)


def test_nothing_appended_is_nothing_stored(journal: Journal) -> None:
    assert journal.append([]) == []
    assert journal.positions() == (0, 0)


def test_an_event_comes_back_as_the_object_that_was_stored(journal: Journal) -> None:
    stored = journal.append([seen(1), mark(2)])

    assert journal.undelivered(0, 10, EVERYTHING) == [event_json(event) for event in stored]


def test_events_are_stored_all_or_none(journal: Journal) -> None:
    """The second event has an id that is taken: the first must not be there either, and its seq is used again."""
    journal.append([seen(1)])

    with pytest.raises(StorageFailed):
        journal.append([seen(2), left(3, 2), seen(1)])

    assert waiting_seqs(journal) == [1]
    assert [interval.interval_id for interval in journal.open_intervals()] == [ident(1)]
    assert [event.seq for event in journal.append([seen(4)])] == [2]


def test_a_session_is_one_higher_each_time(journal: Journal) -> None:
    assert [journal.next_session() for _ in range(3)] == [1, 2, 3]


def test_the_epoch_stays_the_same(journal: Journal) -> None:
    epoch = journal.epoch
    journal.append([seen(1)])

    assert journal.epoch == epoch
    assert len(epoch) == 16


def test_an_interval_is_open_from_seen_to_left(journal: Journal) -> None:
    journal.append([seen(1, student=7, seconds=3), seen(2, student=8)])
    journal.append([left(3, 2, student=8)])

    assert journal.open_intervals() == [OpenInterval(ident(1), ident(7), stamp(3), stamp(3))]


def test_a_mark_by_a_person_opens_no_interval(journal: Journal) -> None:
    journal.append([mark(1)])

    assert journal.open_intervals() == []


def test_seen_and_left_in_one_append_leave_nothing_open(journal: Journal) -> None:
    journal.append([seen(1), left(2, 1)])

    assert journal.open_intervals() == []


def test_an_open_interval_remembers_when_the_student_was_last_seen(journal: Journal) -> None:
    journal.append([seen(1)])
    journal.keep_open([OpenInterval(ident(1), ident(7), stamp(), stamp(42))])

    assert journal.open_intervals() == [OpenInterval(ident(1), ident(7), stamp(), stamp(42))]


def test_an_interval_that_is_closed_already_is_not_opened_by_remembering_it(journal: Journal) -> None:
    journal.append([seen(1), left(2, 1)])
    journal.keep_open([OpenInterval(ident(1), ident(7), stamp(), stamp(42))])

    assert journal.open_intervals() == []


def test_undelivered_events_come_by_rising_seq_after_a_seq_up_to_a_limit(journal: Journal) -> None:
    journal.append([seen(number) for number in range(1, 11)])

    assert [raw["seq"] for raw in journal.undelivered(3, 4, EVERYTHING)] == [4, 5, 6, 7]
    assert journal.undelivered(10, 4, EVERYTHING) == []


def test_undelivered_events_together_keep_below_a_size(journal: Journal) -> None:
    stored = journal.append([seen(number) for number in range(1, 11)])
    size = len(canonical_bytes(event_json(stored[0]))) + 1

    found = journal.undelivered(0, 10, 3 * size)

    assert [raw["seq"] for raw in found] == [1, 2, 3]
    assert sum(len(canonical_bytes(raw)) for raw in found) <= 3 * size


def test_an_event_larger_than_the_size_comes_alone_so_that_it_cannot_block_the_queue(journal: Journal) -> None:
    journal.append([seen(1), seen(2)])

    assert [raw["seq"] for raw in journal.undelivered(0, 10, 1)] == [1]


def test_the_size_is_that_of_utf8(journal: Journal) -> None:
    """Counted in characters, a note in another script would make a batch three times too large."""
    note = "東" * 400
    journal.append([mark(n).model_copy(update={"note": note}) for n in (1, 2)])

    assert [raw["seq"] for raw in journal.undelivered(0, 10, 1500 * 2 - 200)] == [1]


def test_what_is_delivered_waits_no_longer(journal: Journal) -> None:
    journal.append([seen(number) for number in range(1, 7)])

    assert journal.delivered([SeqRange(first=1, last=2), SeqRange(first=5, last=5)]) == 3
    assert waiting_seqs(journal) == [3, 4, 6]
    assert journal.positions() == (6, 2)


def test_a_receipt_that_comes_twice_counts_once(journal: Journal) -> None:
    journal.append([seen(1)])
    journal.delivered([SeqRange(first=1, last=1)])

    assert journal.delivered([SeqRange(first=1, last=1)]) == 0
    assert journal.delivered([]) == 0


def test_a_receipt_for_events_that_do_not_exist_changes_nothing(journal: Journal) -> None:
    journal.append([seen(1)])

    assert journal.delivered([SeqRange(first=2, last=2**61)]) == 0
    assert [event.seq for event in journal.append([seen(2)])] == [2]
    assert waiting_seqs(journal) == [1, 2]


def test_a_rejected_event_becomes_a_dead_letter_and_blocks_nothing(journal: Journal) -> None:
    journal.append([seen(1), seen(2)])

    assert journal.rejected([Rejection(seq=1, code="invalid", detail="score")]) == 1
    assert waiting_seqs(journal) == [2]
    assert journal.waiting().dead_letters == 1
    assert journal.positions() == (2, 1)


def test_a_rejection_of_what_is_delivered_or_unknown_makes_no_dead_letter(journal: Journal) -> None:
    journal.append([seen(1)])
    journal.delivered([SeqRange(first=1, last=1)])

    assert journal.rejected([Rejection(seq=1, code="invalid"), Rejection(seq=5, code="invalid")]) == 0
    assert journal.rejected([]) == 0
    assert journal.waiting().dead_letters == 0


def test_a_rejection_that_comes_twice_makes_one_dead_letter(journal: Journal) -> None:
    journal.append([seen(1)])
    journal.rejected([Rejection(seq=1, code="invalid")])

    assert journal.rejected([Rejection(seq=1, code="invalid")]) == 0
    assert journal.waiting().dead_letters == 1


def test_waiting_counts_and_dates_what_the_hub_lacks(journal: Journal) -> None:
    assert journal.waiting().oldest_at is None
    journal.append([seen(1, seconds=5), seen(2, seconds=9)])
    journal.delivered([SeqRange(first=1, last=1)])

    waiting = journal.waiting()

    assert waiting.events == 1
    assert waiting.oldest_at == stamp(9).at
    assert waiting.oldest_at > MORNING


def test_many_threads_at_once_get_seqs_without_gap_or_repetition(journal: Journal) -> None:
    stored: list[Event] = []

    def work(first: int) -> Callable[[], None]:
        return lambda: stored.extend(event for n in range(20) for event in journal.append([mark(first + n)]))

    threads = [threading.Thread(target=work(1 + 100 * worker)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(event.seq for event in stored) == list(range(1, 81))
