"""What every journal promises: the one on disk, and the one in memory that other tests trust."""

import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_journal import SqliteJournal
from edge.core.errors import StorageFailed
from edge.core.ports import Journal, OpenInterval, Queued
from protocol.base import canonical_bytes
from protocol.delivery import RangeDigest, Rejection, SeqRange, xor64
from protocol.events import Event, event_json, event_sha256
from tests.edge_adapters.pieces import MORNING, ident, left, mark, seen, stamp
from tests.fakes import FakeClock, MemoryJournal

EVERYTHING = 1_000_000


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["sqlite", "memory"])
def journal(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[Journal]:
    if request.param == "memory":
        yield MemoryJournal(clock=clock)
        return
    file = UnitFile(tmp_path)
    yield SqliteJournal(file, clock)
    file.close()


def span(first: int, last: int | None = None) -> list[SeqRange]:
    return [SeqRange(first=first, last=last or first)]


def queued(journal: Journal) -> list[Queued]:
    """Return everything that waits, in its order."""
    found: list[Queued] = []
    while some := journal.undelivered(found[-1].place if found else 0, None, 100, EVERYTHING):
        assert len({event.epoch for event in some}) == 1
        found += some
    assert [event.place for event in found] == sorted(event.place for event in found)
    return found


def queue(journal: Journal) -> list[tuple[str, int]]:
    """Return everything that waits, in its order, by stream and seq."""
    return [(event.epoch, event.seq) for event in queued(journal)]


def waiting_seqs(journal: Journal) -> list[int]:
    return [seq for epoch, seq in queue(journal) if epoch == journal.epoch]


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

    found = journal.undelivered(0, None, 10, EVERYTHING)
    assert [event.body for event in found] == [event_json(event) for event in stored]
    assert [(event.epoch, event.seq) for event in found] == [(journal.epoch, 1), (journal.epoch, 2)]


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


def test_undelivered_events_come_by_rising_place_between_two_places_up_to_a_limit(journal: Journal) -> None:
    journal.append([seen(number) for number in range(1, 11)])
    places = [event.place for event in journal.undelivered(0, None, 100, EVERYTHING)]

    def seqs(after: int, until: int | None, limit: int = 100) -> list[int]:
        return [event.seq for event in journal.undelivered(after, until, limit, EVERYTHING)]

    assert seqs(places[2], None, 4) == [4, 5, 6, 7]
    assert seqs(places[2], places[4]) == [4, 5]
    assert seqs(0, places[0]) == [1]
    assert seqs(places[-1], None) == []
    assert seqs(places[3], places[3]) == []
    assert journal.last_place() == places[-1]


def test_undelivered_events_together_keep_below_a_size(journal: Journal) -> None:
    stored = journal.append([seen(number) for number in range(1, 11)])
    size = len(canonical_bytes(event_json(stored[0]))) + 1

    found = journal.undelivered(0, None, 10, 3 * size)

    assert [event.seq for event in found] == [1, 2, 3]
    assert sum(len(canonical_bytes(event.body)) for event in found) <= 3 * size


def test_an_event_larger_than_the_size_comes_alone_so_that_it_cannot_block_the_queue(journal: Journal) -> None:
    journal.append([seen(1), seen(2)])

    assert [event.seq for event in journal.undelivered(0, None, 10, 1)] == [1]


def test_the_size_is_that_of_utf8(journal: Journal) -> None:
    """Counted in characters, a note in another script would make a batch three times too large."""
    note = "東" * 400
    journal.append([mark(n).model_copy(update={"note": note}) for n in (1, 2)])

    assert [event.seq for event in journal.undelivered(0, None, 10, 1500 * 2 - 200)] == [1]


def test_what_is_delivered_waits_no_longer(journal: Journal) -> None:
    journal.append([seen(number) for number in range(1, 7)])

    assert journal.delivered(journal.epoch, [SeqRange(first=1, last=2), SeqRange(first=5, last=5)]) == 3
    assert waiting_seqs(journal) == [3, 4, 6]
    assert journal.positions() == (6, 2)


def test_a_receipt_that_comes_twice_counts_once(journal: Journal) -> None:
    journal.append([seen(1)])
    journal.delivered(journal.epoch, [SeqRange(first=1, last=1)])

    assert journal.delivered(journal.epoch, [SeqRange(first=1, last=1)]) == 0
    assert journal.delivered(journal.epoch, []) == 0


def test_a_receipt_for_events_that_do_not_exist_changes_nothing(journal: Journal) -> None:
    journal.append([seen(1)])

    assert journal.delivered(journal.epoch, [SeqRange(first=2, last=2**61)]) == 0
    assert [event.seq for event in journal.append([seen(2)])] == [2]
    assert waiting_seqs(journal) == [1, 2]


def test_a_rejected_event_becomes_a_dead_letter_and_blocks_nothing(journal: Journal) -> None:
    journal.append([seen(1), seen(2)])

    assert journal.rejected(journal.epoch, [Rejection(seq=1, code="invalid", detail="score")]) == 1
    assert waiting_seqs(journal) == [2]
    assert journal.waiting().dead_letters == 1
    assert journal.positions() == (2, 1)


def test_a_rejection_of_what_is_delivered_or_unknown_makes_no_dead_letter(journal: Journal) -> None:
    journal.append([seen(1)])
    journal.delivered(journal.epoch, [SeqRange(first=1, last=1)])

    assert journal.rejected(journal.epoch, [Rejection(seq=1, code="invalid"), Rejection(seq=5, code="invalid")]) == 0
    assert journal.rejected(journal.epoch, []) == 0
    assert journal.waiting().dead_letters == 0


def test_a_rejection_that_comes_twice_makes_one_dead_letter(journal: Journal) -> None:
    journal.append([seen(1)])
    journal.rejected(journal.epoch, [Rejection(seq=1, code="invalid")])

    assert journal.rejected(journal.epoch, [Rejection(seq=1, code="invalid")]) == 0
    assert journal.waiting().dead_letters == 1


def test_waiting_counts_and_dates_what_the_hub_lacks(journal: Journal) -> None:
    assert journal.waiting().oldest_at is None
    journal.append([seen(1, seconds=5), seen(2, seconds=9)])
    journal.delivered(journal.epoch, [SeqRange(first=1, last=1)])

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


class TestSeveralStreams:
    """A file that was salvaged, or an old copy that was put back, holds events of more than one stream."""

    def test_a_new_stream_counts_from_1_and_the_old_one_still_waits(self, journal: Journal) -> None:
        journal.append([seen(1), seen(2)])
        old = journal.epoch

        new = journal.begin_epoch()

        assert journal.epoch == new != old
        assert len(new) == 16
        assert journal.positions() == (0, 0)
        assert [event.seq for event in journal.append([seen(3)])] == [1]
        assert journal.epochs() == [old, new]
        assert queue(journal) == [(old, 1), (old, 2), (new, 1)]
        assert journal.waiting().events == 3
        assert journal.waiting().oldest_at == stamp().at

    def test_an_event_may_not_be_stored_again_under_another_stream(self, journal: Journal) -> None:
        journal.append([seen(1)])
        journal.begin_epoch()

        with pytest.raises(StorageFailed):
            journal.append([seen(1)])

    def test_a_batch_ends_where_another_stream_begins(self, journal: Journal) -> None:
        journal.append([seen(1), seen(2)])
        old = journal.epoch
        journal.begin_epoch()
        journal.append([seen(3)])

        assert [event.epoch for event in journal.undelivered(0, None, 100, EVERYTHING)] == [old, old]

    def test_a_receipt_counts_for_its_own_stream_only(self, journal: Journal) -> None:
        journal.append([seen(1), seen(2)])
        old = journal.epoch
        journal.begin_epoch()
        journal.append([seen(3), seen(4)])

        assert journal.delivered(old, span(1, 100)) == 2
        assert journal.rejected(journal.epoch, [Rejection(seq=2, code="invalid")]) == 1
        assert journal.delivered("0123456789abcdef", span(1, 100)) == 0
        assert queue(journal) == [(journal.epoch, 1)]
        assert journal.positions() == (2, 0)

    def test_a_stream_without_events_is_not_listed_unless_it_is_the_present_one(self, journal: Journal) -> None:
        journal.begin_epoch()

        assert journal.epochs() == [journal.epoch]

    def test_renumbered_events_keep_their_ids_and_go_to_the_end_of_the_present_stream(self, journal: Journal) -> None:
        journal.append([seen(1), seen(2), seen(3), seen(4)])
        old = journal.epoch
        journal.delivered(old, span(1))
        journal.begin_epoch()
        journal.append([seen(5)])
        before = journal.last_place()

        assert journal.renumber(old, [4, 2, 1, 99]) == 2
        assert queue(journal) == [(old, 3), (journal.epoch, 1), (journal.epoch, 2), (journal.epoch, 3)]
        moved = journal.undelivered(before, None, 10, EVERYTHING)
        assert [(event.seq, event.body["seq"], event.body["event_id"]) for event in moved] == [
            (2, 2, ident(2)),
            (3, 3, ident(4)),
        ]
        assert journal.positions() == (3, 0)
        assert journal.waiting().events == 4
        assert [event.seq for event in journal.append([seen(6)])] == [4]

    def test_an_interval_stays_open_when_its_beginning_is_renumbered(self, journal: Journal) -> None:
        journal.append([seen(1)])
        old = journal.epoch
        journal.begin_epoch()
        journal.renumber(old, [1])

        assert [interval.interval_id for interval in journal.open_intervals()] == [ident(1)]
        journal.append([left(2, 1)])
        assert journal.open_intervals() == []

    def test_the_present_stream_cannot_be_renumbered_into_itself(self, journal: Journal) -> None:
        journal.append([seen(1)])

        with pytest.raises(ValueError, match="present"):
            journal.renumber(journal.epoch, [1])

    def test_what_was_delivered_or_refused_is_not_renumbered(self, journal: Journal) -> None:
        journal.append([seen(1), seen(2)])
        old = journal.epoch
        journal.delivered(old, span(1))
        journal.rejected(old, [Rejection(seq=2, code="invalid")])
        journal.begin_epoch()

        assert journal.renumber(old, [1, 2]) == 0
        assert journal.epochs() == [old, journal.epoch]

    def test_the_oldest_kept_seq_is_that_of_the_present_stream(self, journal: Journal, clock: FakeClock) -> None:
        assert journal.kept_seq() is None
        journal.append([seen(1), seen(2)])
        journal.delivered(journal.epoch, span(1))
        journal.prune(clock.at + timedelta(days=1))
        assert journal.kept_seq() == 2
        journal.begin_epoch()
        assert journal.kept_seq() is None


class TestSentAgain:
    def test_what_the_hub_lost_goes_to_the_end_of_the_queue(self, journal: Journal) -> None:
        journal.append([seen(number) for number in range(1, 6)])
        journal.delivered(journal.epoch, span(1, 3))
        before = journal.last_place()

        assert journal.requeue(journal.epoch, [*span(2, 4), *span(3)]) == 2
        assert waiting_seqs(journal) == [4, 5, 2, 3]
        assert journal.last_place() == before + 2
        assert journal.positions() == (5, 1)
        assert journal.waiting().events == 4

    def test_what_waits_or_was_refused_stays_where_it_is(self, journal: Journal) -> None:
        journal.append([seen(1), seen(2)])
        journal.rejected(journal.epoch, [Rejection(seq=2, code="invalid")])

        assert journal.requeue(journal.epoch, span(1, 10**9)) == 0
        assert waiting_seqs(journal) == [1]
        assert journal.waiting().dead_letters == 1

    def test_more_than_a_portion_is_put_back_whole_and_in_order(self, journal: Journal) -> None:
        journal.append([seen(number) for number in range(1, 1201)])
        journal.delivered(journal.epoch, span(1, 1200))

        assert journal.requeue(journal.epoch, span(1, 2**40)) == 1200
        assert waiting_seqs(journal) == list(range(1, 1201))

    def test_a_place_is_never_used_twice(self, journal: Journal) -> None:
        journal.append([seen(1), seen(2)])
        journal.delivered(journal.epoch, span(1, 2))
        assert journal.last_place() == 2

        journal.append([seen(3)])
        journal.requeue(journal.epoch, span(2))

        assert [event.place for event in journal.undelivered(0, None, 10, EVERYTHING)] == [3, 4]
        assert journal.last_place() == 4

    def test_nothing_was_ever_written_down(self, journal: Journal) -> None:
        assert journal.last_place() == 0


class TestDeadLetters:
    def test_they_tell_the_reason_and_the_event_oldest_refusal_first(self, journal: Journal, clock: FakeClock) -> None:
        stored = journal.append([seen(1), mark(2)])
        journal.rejected(journal.epoch, [Rejection(seq=2, code="invalid", detail="wrong: by")])
        clock.advance(60)
        journal.rejected(journal.epoch, [Rejection(seq=1, code="conflict")])

        letters = journal.dead_letters()

        assert [(letter.seq, letter.code, letter.detail) for letter in letters] == [
            (2, "invalid", "wrong: by"),
            (1, "conflict", ""),
        ]
        assert letters[0].body == event_json(stored[1])
        assert letters[1].refused_at - letters[0].refused_at == timedelta(seconds=60)
        assert {letter.epoch for letter in letters} == {journal.epoch}

    def test_one_that_is_tried_again_waits_at_the_end(self, journal: Journal) -> None:
        journal.append([seen(1), seen(2), seen(3)])
        journal.rejected(journal.epoch, [Rejection(seq=1, code="invalid"), Rejection(seq=2, code="invalid")])

        assert journal.retry([(journal.epoch, 2), (journal.epoch, 3), ("0123456789abcdef", 1)]) == 1
        assert waiting_seqs(journal) == [3, 2]
        assert [letter.seq for letter in journal.dead_letters()] == [1]
        assert journal.waiting().dead_letters == 1

    def test_all_of_every_stream_can_be_tried_again(self, journal: Journal) -> None:
        journal.append([seen(1)])
        old = journal.epoch
        journal.rejected(old, [Rejection(seq=1, code="invalid")])
        journal.begin_epoch()
        journal.append([seen(2)])
        journal.rejected(journal.epoch, [Rejection(seq=1, code="invalid")])

        assert journal.retry(None) == 2
        assert queue(journal) == [(old, 1), (journal.epoch, 1)]
        assert journal.dead_letters() == []
        assert journal.retry(None) == 0

    def test_one_that_is_refused_again_is_there_once(self, journal: Journal) -> None:
        journal.append([seen(1)])
        for _ in range(2):
            journal.rejected(journal.epoch, [Rejection(seq=1, code="invalid")])
            journal.retry(None)
        journal.rejected(journal.epoch, [Rejection(seq=1, code="conflict")])

        assert [letter.code for letter in journal.dead_letters()] == ["conflict"]

    def test_which_they_are_can_be_asked_without_reading_them(self, journal: Journal) -> None:
        journal.append([seen(number) for number in range(1, 6)])
        old = journal.epoch
        journal.rejected(old, [Rejection(seq=seq, code="conflict" if seq == 3 else "invalid") for seq in (4, 3, 1)])
        journal.begin_epoch()
        journal.append([seen(6)])
        journal.rejected(journal.epoch, [Rejection(seq=1, code="invalid")])

        assert journal.refusals(old, 1, 5) == [(1, "invalid"), (3, "conflict"), (4, "invalid")]
        assert journal.refusals(old, 2, 3) == [(3, "conflict")]
        assert journal.refusals(old, 1, 2**53, "invalid") == [(1, "invalid"), (4, "invalid")]
        assert journal.refusals("0123456789abcdef", 1, 5) == []


class TestDigests:
    """What the daily audit compares: it must never say that something is there that the hub need not have."""

    @staticmethod
    def of(stored: list[Event], first: int, last: int) -> RangeDigest:
        """Return the digest of these seqs, worked out from the events themselves."""
        hashes = [event_sha256(event_json(event)) for event in stored if first <= event.seq <= last]
        return RangeDigest(first=first, last=last, count=len(hashes), xor64=xor64(hashes))

    def test_ranges_are_aligned_at_1_and_the_last_ends_with_the_newest_event(self, journal: Journal) -> None:
        stored = journal.append([seen(number) for number in range(1, 26)])
        journal.delivered(journal.epoch, span(1, 25))

        expected = [self.of(stored, *bounds) for bounds in ((1, 10), (11, 20), (21, 25))]
        assert journal.digests(journal.epoch, 10, 500) == expected
        assert journal.digests(journal.epoch, 10, 2) == expected[1:]

    @pytest.mark.parametrize("at_once", [1, 2, 3, 50])
    def test_page_by_page_they_are_the_same(self, journal: Journal, at_once: int) -> None:
        """Also where a page ends in the middle of a range that has holes."""
        journal.append([seen(number) for number in range(1, 46)])
        old = journal.epoch
        journal.delivered(old, [*span(1, 2), *span(4, 5), *span(7, 38), *span(40, 42), *span(44, 45)])
        journal.begin_epoch()
        journal.renumber(old, [3, 6, 39, 43])
        found, below = list[RangeDigest](), None
        while page := journal.digests(old, 10, at_once, below):
            found, below = page + found, page[0].first

        assert found == journal.digests(old, 10, 500)
        assert len(found) == 9

    def test_a_range_with_something_undelivered_is_left_out(self, journal: Journal) -> None:
        stored = journal.append([seen(number) for number in range(1, 26)])
        journal.delivered(journal.epoch, [*span(1, 14), *span(16, 24)])

        assert journal.digests(journal.epoch, 10, 500) == [self.of(stored, 1, 10)]

    def test_dead_letters_are_not_counted_but_do_not_spoil_their_range(self, journal: Journal) -> None:
        stored = journal.append([seen(number) for number in range(1, 11)])
        journal.rejected(journal.epoch, [Rejection(seq=4, code="invalid")])
        journal.delivered(journal.epoch, span(1, 10))

        rest = [event for event in stored if event.seq != 4]
        assert journal.digests(journal.epoch, 10, 500) == [self.of(rest, 1, 10)]

    def test_a_range_of_which_something_was_pruned_is_compared_from_there_on(
        self, journal: Journal, clock: FakeClock
    ) -> None:
        stored = journal.append([seen(number) for number in range(1, 31)])
        journal.delivered(journal.epoch, span(1, 12))
        clock.advance(86_400)
        journal.delivered(journal.epoch, span(13, 30))
        journal.prune(clock.at - timedelta(hours=1))

        assert journal.digests(journal.epoch, 10, 500) == [self.of(stored[12:], 13, 20), self.of(stored, 21, 30)]

    def test_a_stream_out_of_which_events_were_moved_is_still_compared_around_the_holes(self, journal: Journal) -> None:
        """It says no hello any more: what a restored database lost of it would never be missed."""
        stored = journal.append([seen(number) for number in range(1, 21)])
        old = journal.epoch
        journal.delivered(old, span(1, 14))
        journal.delivered(old, span(17, 18))
        journal.begin_epoch()
        journal.renumber(old, [15, 16, 19, 20])

        parts = [self.of(stored, 1, 10), self.of(stored, 11, 14), self.of(stored, 17, 18)]
        assert journal.digests(old, 10, 500) == parts
        assert journal.digests(old, 10, 2) == parts[1:]
        assert journal.digests(journal.epoch, 10, 500) == []

    def test_an_unknown_or_empty_stream_has_none(self, journal: Journal) -> None:
        assert journal.digests(journal.epoch, 10, 500) == []
        assert journal.digests("0123456789abcdef", 10, 500) == []

    def test_what_is_sent_again_is_in_no_digest_until_it_is_delivered_again(self, journal: Journal) -> None:
        stored = journal.append([seen(number) for number in range(1, 11)])
        journal.delivered(journal.epoch, span(1, 10))
        journal.requeue(journal.epoch, span(3))
        assert journal.digests(journal.epoch, 10, 500) == []

        journal.delivered(journal.epoch, span(3))
        assert journal.digests(journal.epoch, 10, 500) == [self.of(stored, 1, 10)]


class TestPruning:
    def test_only_what_was_delivered_before_the_moment_goes(self, journal: Journal, clock: FakeClock) -> None:
        journal.append([seen(number) for number in range(1, 6)])
        journal.delivered(journal.epoch, span(1))
        journal.rejected(journal.epoch, [Rejection(seq=2, code="invalid")])
        clock.advance(3600)
        journal.delivered(journal.epoch, span(3))

        assert journal.prune(clock.at) == 1
        assert journal.prune(clock.at) == 0
        assert journal.kept_seq() == 2
        assert waiting_seqs(journal) == [4, 5]
        assert journal.waiting().dead_letters == 1
        assert journal.positions() == (5, 3)

    def test_a_seq_is_not_used_again_after_its_event_was_pruned(self, journal: Journal, clock: FakeClock) -> None:
        journal.append([seen(1), seen(2)])
        journal.delivered(journal.epoch, span(1, 2))
        journal.prune(clock.at + timedelta(seconds=1))

        assert journal.kept_seq() is None
        assert [event.seq for event in journal.append([seen(3)])] == [3]

    def test_nothing_goes_by_a_clock_that_is_not_set(self, journal: Journal, clock: FakeClock) -> None:
        journal.append([seen(1)])
        journal.delivered(journal.epoch, span(1))
        clock.quality = "unsynced"
        clock.set_wall(datetime(2036, 1, 1, tzinfo=UTC))

        assert journal.prune(clock.at) == 0

    @pytest.mark.parametrize("wrong", [datetime(1970, 1, 1, 1, tzinfo=UTC), datetime(2036, 1, 1, tzinfo=UTC)])
    def test_what_was_delivered_under_a_wrong_clock_counts_from_when_the_time_is_known(
        self, journal: Journal, clock: FakeClock, wrong: datetime
    ) -> None:
        """A unit that booted in 1970 would otherwise delete it at once, one in 2036 never."""
        true = clock.at
        clock.quality = "unsynced"
        clock.set_wall(wrong)
        journal.append([seen(1)])
        journal.delivered(journal.epoch, span(1))
        clock.quality = "synced"
        clock.set_wall(true)

        assert journal.prune(clock.at - timedelta(days=30)) == 0
        clock.advance(31 * 86_400)
        assert journal.prune(clock.at - timedelta(days=30)) == 1


NUMBERS = st.integers(1, 12)
OPERATIONS = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 4)),
    st.tuples(st.just("delivered"), st.integers(0, 3), NUMBERS, NUMBERS),
    st.tuples(st.just("rejected"), st.integers(0, 3), NUMBERS),
    st.tuples(st.just("requeue"), st.integers(0, 3), NUMBERS, NUMBERS),
    st.tuples(st.just("renumber"), st.integers(0, 3), NUMBERS, NUMBERS),
    st.tuples(st.just("begin_epoch")),
    st.tuples(st.just("retry"), st.none() | NUMBERS),
    st.tuples(st.just("pass_time"), st.integers(1, 50)),
    st.tuples(st.just("prune"), st.integers(0, 100)),
)


class Both:
    """The journal on disk and the one in memory, told the same; their streams have other names."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.file = UnitFile(folder)
        self.journals: list[Journal] = [SqliteJournal(self.file, self.clock), MemoryJournal(clock=self.clock)]
        self.streams = [[journal.epoch] for journal in self.journals]
        self.last_event = 0

    def tell(self, operation: tuple[Any, ...]) -> None:
        """Do it to both and compare what they say."""
        answers = [self._tell(number, *operation) for number in (0, 1)]
        assert answers[0] == answers[1]
        if operation[0] == "append":
            self.last_event += operation[1]
        if operation[0] == "pass_time":
            self.clock.advance(operation[1])

    def _tell(self, number: int, name: str, *given: Any) -> object:
        journal, streams = self.journals[number], self.streams[number]
        epoch = streams[given[0] % len(streams)] if name in ("delivered", "rejected", "requeue", "renumber") else ""
        match name:
            case "append":
                new = [seen(self.last_event + n, seconds=n) for n in range(1, given[0] + 1)]
                return [event.seq for event in journal.append(new)]
            case "delivered" | "requeue":
                return getattr(journal, name)(epoch, span(min(given[1:]), max(given[1:])))
            case "rejected":
                return journal.rejected(epoch, [Rejection(seq=given[1], code="invalid")])
            case "renumber":
                return None if epoch == journal.epoch else journal.renumber(epoch, given[1:])
            case "begin_epoch":
                streams.append(journal.begin_epoch())
            case "retry":
                return journal.retry(None if given[0] is None else [(stream, given[0]) for stream in streams])
            case "prune":
                return journal.prune(self.clock.at - timedelta(seconds=given[0]))
        return None

    def look(self, number: int) -> dict[str, object]:
        """Return everything that can be seen from outside, with streams by number."""
        journal, streams = self.journals[number], self.streams[number]
        return {
            "queue": [(streams.index(epoch), seq) for epoch, seq in queue(journal)],
            "places": [event.place for event in queued(journal)],
            "bodies": [event.body for event in queued(journal)],
            "last_place": journal.last_place(),
            "positions": journal.positions(),
            "waiting": journal.waiting(),
            "dead": [(streams.index(letter.epoch), letter.seq, letter.body) for letter in journal.dead_letters()],
            "epochs": [streams.index(epoch) for epoch in journal.epochs()],
            "kept": journal.kept_seq(),
            "digests": [journal.digests(epoch, 3, 4) for epoch in streams],
        }


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(operations=st.lists(OPERATIONS, max_size=40))
def test_the_one_in_memory_and_the_one_on_disk_cannot_be_told_apart(operations: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        both = Both(Path(folder))
        every_id: set[str] = set()
        for operation in operations:
            both.tell(operation)
            assert both.look(0) == both.look(1)
            bodies = both.look(0)["bodies"]
            assert isinstance(bodies, list)
            every_id.update(body["event_id"] for body in bodies)
            assert len({body["event_id"] for body in bodies}) == len(bodies)
        assert len(every_id) == both.last_event
        both.file.close()
