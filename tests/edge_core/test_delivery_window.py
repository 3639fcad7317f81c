"""The delivery window: every event reaches the hub in the end, through any loss, and the network is left in peace."""

from collections.abc import Callable

import pytest

from edge.core.delivery import BATCH_CONTENT_BYTES, DeliveryWindow
from edge.core.flights import REMEMBERED_BATCHES
from protocol import codec
from protocol.base import MAX_BATCH_BYTES
from protocol.delivery import EventBatch, Limits, Receipt, Rejection, ranges
from tests.builders import mark, seen, uid
from tests.fakes import EPOCH, MemoryJournal, counting

IMPATIENT = 0.0
PATIENT = 1.0


def window(limits: Limits | None = None, *, jitter: float = PATIENT) -> DeliveryWindow:
    return DeliveryWindow(counting(1000), lambda: jitter, limits or Limits())


def due(flights: DeliveryWindow, journal: MemoryJournal, now_s: float) -> list[EventBatch]:
    """Return the batches to send now, of both lanes."""
    return [out.batch for out in flights.due(now_s, journal.undelivered, journal.last_place)]


def journal_of(count: int) -> MemoryJournal:
    journal = MemoryJournal()
    journal.append([seen(event=n + 1) for n in range(count)])
    return journal


def taken(batch: EventBatch) -> Receipt:
    spans = ranges([event["seq"] for event in batch.events])
    return Receipt(epoch=batch.epoch, batch_id=batch.batch_id, accepted=spans)


def sends(
    flights: DeliveryWindow, journal: MemoryJournal, seconds: float, react: Callable[[EventBatch, float], None]
) -> int:
    """Run for a while in steps of 0.2 s; return how many batches went out."""
    count = 0
    for step in range(round(seconds / 0.2)):
        for batch in due(flights, journal, step * 0.2):
            count += 1
            react(batch, step * 0.2)
    return count


def test_events_go_out_in_order_in_batches_of_the_allowed_size() -> None:
    flights, journal = window(Limits(batch_events=10, batches_in_flight=3)), journal_of(25)
    batches = due(flights, journal, 0.0)
    assert [[event["seq"] for event in batch.events] for batch in batches] == [
        list(range(1, 11)),
        list(range(11, 21)),
        list(range(21, 26)),
    ]
    assert flights.in_flight == 3


def test_no_more_batches_are_under_way_than_the_hub_allows() -> None:
    flights, journal = window(Limits(batch_events=1, batches_in_flight=2)), journal_of(5)
    first, _ = due(flights, journal, 0.0)
    assert due(flights, journal, 0.1) == []
    assert flights.answered(taken(first), 0.2)
    (third,) = due(flights, journal, 0.3)
    assert third.events[0]["seq"] == 3


def test_a_batch_of_the_largest_events_is_never_larger_than_the_wire_allows() -> None:
    flights, journal = window(), MemoryJournal()
    journal.append([mark(event=n + 1).model_copy(update={"note": "ä" * 500, "by": "语" * 100}) for n in range(150)])
    batches = due(flights, journal, 0.0)
    assert sum(len(batch.events) for batch in batches) == 150
    assert max(len(codec.encode(batch)) for batch in batches) <= MAX_BATCH_BYTES
    assert len(codec.encode(batches[0])) > BATCH_CONTENT_BYTES - 3000


def test_an_unanswered_batch_is_sent_again_as_it_was_ever_more_rarely_but_twice_a_minute_at_least() -> None:
    """A hub that comes back hears of its units soon."""
    flights, journal = window(), journal_of(3)
    times: list[float] = []
    ids: set[str] = set()

    def note(batch: EventBatch, now_s: float) -> None:
        times.append(round(now_s))
        ids.add(batch.batch_id)

    sends(flights, journal, 200, note)
    assert times == [0, 10, 30, 60, 90, 120, 150, 180]
    assert len(ids) == 1


def test_units_that_lost_the_hub_together_do_not_come_back_together() -> None:
    def times(jitter: float) -> list[int]:
        found: list[int] = []
        sends(window(jitter=jitter), journal_of(1), 62, lambda _batch, now_s: found.append(round(now_s)))
        return found

    assert times(IMPATIENT) == [0, 5, 15, 30, 45, 60]
    assert times(PATIENT) == [0, 10, 30, 60]


def test_without_anything_under_way_nothing_is_due() -> None:
    flights = window()
    for now_s in (0.0, 100.0, 1e6):
        assert due(flights, MemoryJournal(), now_s) == []
    assert flights.in_flight == 0
    assert not flights.unanswered


def test_a_batch_that_was_sent_three_times_is_unanswered_and_not_before() -> None:
    flights, journal = window(), journal_of(1)
    said: list[bool] = []
    for now_s in (0.0, 9.9, 10.0, 29.9, 30.0, 1e6):
        due(flights, journal, now_s)
        said.append(flights.unanswered)
    assert said == [False, False, False, False, True, True]


@pytest.mark.parametrize("ends", ["receipt", "connect"])
def test_nothing_is_unanswered_any_more_after_a_receipt_or_a_new_connection(ends: str) -> None:
    flights, journal = window(), journal_of(1)
    for now_s in (0.0, 10.0, 30.0):
        (batch,) = due(flights, journal, now_s)
    assert flights.unanswered
    if ends == "receipt":
        assert flights.answered(taken(batch), 31.0)
    else:
        flights.reset()
    assert not flights.unanswered


def test_a_hub_that_says_it_is_busy_is_not_a_silent_one() -> None:
    """Greeting it anew would end the pause that it asked for."""
    flights, journal = window(), journal_of(1)
    for now_s in range(0, 600, 60):
        (batch,) = due(flights, journal, now_s)
        assert not flights.unanswered
        flights.answered(Receipt(epoch=EPOCH, batch_id=batch.batch_id, result="busy", retry_after_s=30.0), now_s)


@pytest.mark.parametrize(("asked_s", "least_s", "most_s"), [(30.0, 30.0, 45.0), (0.0, 5.0, 7.5), (None, 5.0, 7.5)])
def test_a_busy_hub_is_left_alone_for_as_long_as_it_asks(asked_s: float | None, least_s: float, most_s: float) -> None:
    for jitter in (IMPATIENT, PATIENT):
        flights, journal = window(Limits(batch_events=1), jitter=jitter), journal_of(20)
        batch = due(flights, journal, 0.0)[0]
        busy = Receipt(epoch=EPOCH, batch_id=batch.batch_id, result="busy", retry_after_s=asked_s)
        assert not flights.answered(busy, 1.0)
        assert due(flights, journal, 1.0 + least_s - 0.01) == []
        again = due(flights, journal, 1.0 + most_s)
        assert batch.batch_id in {repeated.batch_id for repeated in again}


def test_a_receipt_of_another_epoch_is_not_for_this_file() -> None:
    flights, journal = window(), journal_of(1)
    (batch,) = due(flights, journal, 0.0)
    assert not flights.answered(taken(batch).model_copy(update={"epoch": "f" * 16}), 0.1)
    assert flights.in_flight == 1


def test_a_receipt_for_a_batch_of_an_earlier_connection_is_just_as_true() -> None:
    flights, journal = window(), journal_of(1)
    (batch,) = due(flights, journal, 0.0)
    flights.reset()
    assert flights.answered(taken(batch), 0.1)


def test_a_receipt_for_a_batch_that_this_program_never_sent_says_nothing() -> None:
    """A second machine with a copy of this card gets what is meant for the first one: other events, the same places."""
    flights, journal = window(), journal_of(3)
    (batch,) = due(flights, journal, 0.0)
    foreign = taken(batch).model_copy(update={"batch_id": uid(77)})
    assert flights.answered(foreign, 0.1) is None
    assert flights.answered(foreign.model_copy(update={"result": "busy"}), 0.1) is None
    assert due(flights, journal, 9.9) == []
    assert [again.batch_id for again in due(flights, journal, 10.0)] == [batch.batch_id]


def test_a_receipt_counts_for_just_what_its_batch_carried() -> None:
    flights, journal = window(Limits(batch_events=3)), journal_of(9)
    _, batch, _ = due(flights, journal, 0.0)
    refused = (Rejection(seq=5, code="invalid"), Rejection(seq=9, code="invalid"))
    receipt = taken(batch).model_copy(
        update={"accepted": ranges([1, 2, 3, 4]), "duplicate": ranges([6, 7, 8]), "rejected": refused}
    )
    mine = flights.answered(receipt, 0.1)
    assert mine is not None
    assert (mine.accepted, mine.duplicate, mine.rejected) == (ranges([4]), ranges([6]), refused[:1])
    assert flights.in_flight == 2


def test_a_late_receipt_ends_the_repetition_of_just_what_its_batch_carried() -> None:
    flights, journal = window(Limits(batch_events=2)), journal_of(4)
    first, second = due(flights, journal, 0.0)
    flights.reset()
    assert len(due(flights, journal, 0.1)) == 2
    late = taken(first).model_copy(update={"accepted": ranges([1, 2, 3, 4])})
    mine = flights.answered(late, 0.2)
    assert mine is not None
    assert mine.accepted == ranges([1, 2])
    assert flights.in_flight == 1
    assert flights.answered(late, 0.3) is None
    assert flights.answered(taken(second), 0.4) is not None
    assert flights.in_flight == 0


def test_batches_are_remembered_over_many_connections_up_to_a_bound() -> None:
    flights, journal = window(Limits(batch_events=1, batches_in_flight=1)), journal_of(1)
    sent: list[EventBatch] = []
    for now_s in range(REMEMBERED_BATCHES + 1):
        sent += due(flights, journal, float(now_s))
        flights.reset()
    assert flights.answered(taken(sent[0]), 9999.0) is None
    assert flights.answered(taken(sent[1]), 9999.0) is not None


def test_what_was_confirmed_before_the_hub_lost_its_record_is_not_believed_after_that() -> None:
    flights, journal = window(), journal_of(2)
    (batch,) = due(flights, journal, 0.0)
    flights.reset()
    flights.forget_earlier()
    assert flights.answered(taken(batch), 0.1) is None


def test_after_a_connect_everything_without_a_receipt_goes_out_again() -> None:
    flights, journal = window(), journal_of(3)
    due(flights, journal, 0.0)
    flights.reset(Limits(batch_events=2, batches_in_flight=1))
    (batch,) = due(flights, journal, 0.1)
    assert [event["seq"] for event in batch.events] == [1, 2]


def test_events_that_a_receipt_left_out_are_sent_again_after_a_while() -> None:
    flights, journal = window(), journal_of(4)
    (batch,) = due(flights, journal, 0.0)
    partial = taken(batch).model_copy(update={"accepted": ranges([1, 3])})
    assert flights.answered(partial, 0.1)
    journal.delivered(EPOCH, partial.accepted)
    assert due(flights, journal, 0.2) == []
    assert due(flights, journal, 5.0) == []
    (again,) = due(flights, journal, 5.3)
    assert [event["seq"] for event in again.events] == [2, 4]


def test_a_hub_that_answers_without_taking_anything_does_not_make_a_hot_loop() -> None:
    flights, journal = window(), journal_of(3)

    def shrug(batch: EventBatch, now_s: float) -> None:
        flights.answered(Receipt(epoch=EPOCH, batch_id=batch.batch_id), now_s)

    assert sends(flights, journal, 60, shrug) <= 13


def test_an_event_has_one_batch_id_of_its_own_kind() -> None:
    flights, journal = window(), journal_of(1)
    (batch,) = due(flights, journal, 0.0)
    assert (batch.epoch, batch.events[0]["event_id"]) == (EPOCH, uid(1))
