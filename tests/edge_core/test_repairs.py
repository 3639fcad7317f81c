"""What the hub lost is put back a slice at a time, and once more when a full disk refused it."""

from edge.core.actions import Action, BeginEpoch, Clear, Requeue, Retry
from edge.core.greeting import NO_ANSWER
from edge.core.repairs import SLICE_SEQS, RepairBook
from protocol.delivery import Rejection, SeqRange
from tests.builders import seen
from tests.fakes import EPOCH, MemoryJournal


def requeue(*spans: tuple[int, int], epoch: str = EPOCH) -> Requeue:
    return Requeue(epoch, tuple(SeqRange(first=first, last=last) for first, last in spans))


def steps(book: RepairBook, now_s: float, count: int) -> list[list[Action]]:
    return [book.step(now_s + second, MemoryJournal()) for second in range(count)]


def test_little_is_put_back_at_once_and_other_actions_pass() -> None:
    book = RepairBook()
    assert book.take([Clear("x"), requeue((3, 5))], 10.0, MemoryJournal()) == [Clear("x"), requeue((3, 5))]
    assert not book.pending
    assert book.next_due_s == float("inf")
    assert book.take([Clear("x")], 10.0, MemoryJournal()) == [Clear("x")]


def test_much_is_put_back_a_slice_each_second_each_of_one_stream() -> None:
    book, other = RepairBook(), "f" * 16
    lost: list[Action] = [requeue((1, 10), (21, 2 * SLICE_SEQS)), requeue((5, 6), epoch=other)]
    first = book.take(lost, 0.0, MemoryJournal())
    assert first == [requeue((1, 10), (21, SLICE_SEQS + 10))]
    assert book.pending
    assert book.step(0.5, MemoryJournal()) == []
    assert steps(book, 1.0, 3) == [
        [requeue((SLICE_SEQS + 11, 2 * SLICE_SEQS))],
        [requeue((5, 6), epoch=other)],
        [],
    ]


def test_what_the_hub_had_refused_among_it_is_offered_again_and_what_was_put_aside_here_is_not() -> None:
    journal = MemoryJournal()
    journal.append([seen(event=number) for number in range(1, 5)])
    journal.rejected(EPOCH, [Rejection(seq=2, code="invalid"), Rejection(seq=3, code=NO_ANSWER)])
    assert RepairBook().take([requeue((1, 4))], 0.0, journal) == [requeue((1, 4)), Retry(((EPOCH, 2),))]


def test_what_a_full_disk_refused_is_asked_for_again_after_half_a_minute_until_it_is_done() -> None:
    book = RepairBook()
    refused: list[Action] = [requeue((1, 4)), BeginEpoch(EPOCH), Retry(((EPOCH, 2),))]
    for action in [*refused, *refused, Clear("no matter of the disk")]:
        book.not_done(action, 0.0)
    assert book.next_due_s == 30.0
    assert book.step(29.0, MemoryJournal()) == []
    assert book.step(30.0, MemoryJournal()) == refused
    book.not_done(refused[0], 30.0)
    assert book.step(60.0, MemoryJournal()) == refused[:1]
    assert not book.pending
