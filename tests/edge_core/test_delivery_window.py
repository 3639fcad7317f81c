"""The delivery window: every event reaches the hub in the end, through any loss, and the network is left in peace."""

from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge.core.delivery import BATCH_CONTENT_BYTES, DeliveryWindow
from protocol import codec
from protocol.base import MAX_BATCH_BYTES
from protocol.delivery import EventBatch, Limits, Receipt, Rejection, ranges
from tests.builders import mark, seen, uid
from tests.fakes import EPOCH, MemoryJournal, counting

IMPATIENT = 0.0
PATIENT = 1.0


def window(limits: Limits | None = None, *, jitter: float = PATIENT) -> DeliveryWindow:
    return DeliveryWindow(EPOCH, counting(1000), lambda: jitter, limits or Limits())


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
        for batch in flights.due(step * 0.2, journal.undelivered):
            count += 1
            react(batch, step * 0.2)
    return count


def test_events_go_out_in_order_in_batches_of_the_allowed_size() -> None:
    flights, journal = window(Limits(batch_events=10, batches_in_flight=3)), journal_of(25)
    batches = flights.due(0.0, journal.undelivered)
    assert [[event["seq"] for event in batch.events] for batch in batches] == [
        list(range(1, 11)),
        list(range(11, 21)),
        list(range(21, 26)),
    ]
    assert flights.in_flight == 3


def test_no_more_batches_are_under_way_than_the_hub_allows() -> None:
    flights, journal = window(Limits(batch_events=1, batches_in_flight=2)), journal_of(5)
    first, _ = flights.due(0.0, journal.undelivered)
    assert flights.due(0.1, journal.undelivered) == []
    assert flights.answered(taken(first), 0.2)
    (third,) = flights.due(0.3, journal.undelivered)
    assert third.events[0]["seq"] == 3


def test_a_batch_of_the_largest_events_is_never_larger_than_the_wire_allows() -> None:
    flights, journal = window(), MemoryJournal()
    journal.append([mark(event=n + 1).model_copy(update={"note": "ä" * 500, "by": "语" * 100}) for n in range(150)])
    batches = flights.due(0.0, journal.undelivered)
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
        assert flights.due(now_s, MemoryJournal().undelivered) == []
    assert flights.in_flight == 0
    assert not flights.unanswered


def test_a_batch_that_was_sent_three_times_is_unanswered_and_not_before() -> None:
    flights, journal = window(), journal_of(1)
    said: list[bool] = []
    for now_s in (0.0, 9.9, 10.0, 29.9, 30.0, 1e6):
        flights.due(now_s, journal.undelivered)
        said.append(flights.unanswered)
    assert said == [False, False, False, False, True, True]


@pytest.mark.parametrize("ends", ["receipt", "connect"])
def test_nothing_is_unanswered_any_more_after_a_receipt_or_a_new_connection(ends: str) -> None:
    flights, journal = window(), journal_of(1)
    for now_s in (0.0, 10.0, 30.0):
        (batch,) = flights.due(now_s, journal.undelivered)
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
        (batch,) = flights.due(now_s, journal.undelivered)
        assert not flights.unanswered
        flights.answered(Receipt(epoch=EPOCH, batch_id=batch.batch_id, result="busy", retry_after_s=30.0), now_s)


@pytest.mark.parametrize(("asked_s", "least_s", "most_s"), [(30.0, 30.0, 45.0), (0.0, 5.0, 7.5), (None, 5.0, 7.5)])
def test_a_busy_hub_is_left_alone_for_as_long_as_it_asks(asked_s: float | None, least_s: float, most_s: float) -> None:
    for jitter in (IMPATIENT, PATIENT):
        flights, journal = window(Limits(batch_events=1), jitter=jitter), journal_of(20)
        batch = flights.due(0.0, journal.undelivered)[0]
        busy = Receipt(epoch=EPOCH, batch_id=batch.batch_id, result="busy", retry_after_s=asked_s)
        assert not flights.answered(busy, 1.0)
        assert flights.due(1.0 + least_s - 0.01, journal.undelivered) == []
        again = flights.due(1.0 + most_s, journal.undelivered)
        assert batch.batch_id in {repeated.batch_id for repeated in again}


def test_a_receipt_of_another_epoch_is_not_for_this_file() -> None:
    flights, journal = window(), journal_of(1)
    (batch,) = flights.due(0.0, journal.undelivered)
    assert not flights.answered(taken(batch).model_copy(update={"epoch": "f" * 16}), 0.1)
    assert flights.in_flight == 1


def test_a_receipt_for_a_batch_of_an_earlier_connection_is_just_as_true() -> None:
    flights, journal = window(), journal_of(1)
    (batch,) = flights.due(0.0, journal.undelivered)
    flights.reset()
    assert flights.answered(taken(batch), 0.1)


def test_after_a_connect_everything_without_a_receipt_goes_out_again() -> None:
    flights, journal = window(), journal_of(3)
    flights.due(0.0, journal.undelivered)
    flights.reset(Limits(batch_events=2, batches_in_flight=1))
    (batch,) = flights.due(0.1, journal.undelivered)
    assert [event["seq"] for event in batch.events] == [1, 2]


def test_events_that_a_receipt_left_out_are_sent_again_after_a_while() -> None:
    flights, journal = window(), journal_of(4)
    (batch,) = flights.due(0.0, journal.undelivered)
    partial = taken(batch).model_copy(update={"accepted": ranges([1, 3])})
    assert flights.answered(partial, 0.1)
    journal.delivered(partial.accepted)
    assert flights.due(0.2, journal.undelivered) == []
    assert flights.due(5.1, journal.undelivered) == []
    (again,) = flights.due(5.3, journal.undelivered)
    assert [event["seq"] for event in again.events] == [2, 4]


def test_a_hub_that_answers_without_taking_anything_does_not_make_a_hot_loop() -> None:
    flights, journal = window(), journal_of(3)

    def shrug(batch: EventBatch, now_s: float) -> None:
        flights.answered(Receipt(epoch=EPOCH, batch_id=batch.batch_id), now_s)

    assert sends(flights, journal, 60, shrug) <= 13


class DeliveryMachine(RuleBasedStateMachine):
    """A network that loses, doubles and delays, and a hub that takes all, some or nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.limits = Limits(batch_events=3, batches_in_flight=2)
        self.window = window(self.limits)
        self.journal = MemoryJournal()
        self.wire: list[EventBatch] = []
        self.receipts: list[Receipt] = []
        self.final: set[int] = set()
        """Seqs that the hub has committed or rejected."""

    @rule(count=st.integers(1, 5))
    def record(self, count: int) -> None:
        have = len(self.journal.stored)
        self.journal.append([seen(event=have + n + 1) for n in range(count)])

    @rule(seconds=st.sampled_from([0.2, 4.0, 11.0, 250.0]))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds

    @rule()
    def send(self) -> None:
        batches = self.window.due(self.now_s, self.journal.undelivered)
        assert len({batch.batch_id for batch in batches}) == len(batches)
        assert all(len(batch.events) <= 3 for batch in batches)
        assert self.window.due(self.now_s, self.journal.undelivered) == []
        self.wire += batches

    @rule(data=st.data(), mood=st.sampled_from(["takes", "takes", "some", "rejects", "busy", "foreign", "silent"]))
    def hub_reads(self, data: st.DataObject, mood: str) -> None:
        if not self.wire:
            return
        batch = data.draw(st.sampled_from(self.wire))
        if data.draw(st.booleans()):
            self.wire.remove(batch)
        seqs = [event["seq"] for event in batch.events]
        if mood == "busy":
            wait_s = data.draw(st.sampled_from([None, 0.0, 30.0]))
            self.receipts.append(Receipt(epoch=EPOCH, batch_id=batch.batch_id, result="busy", retry_after_s=wait_s))
        elif mood == "foreign":
            self.receipts.append(taken(batch).model_copy(update={"epoch": "f" * 16}))
        elif mood == "rejects":
            self.final.update(seqs)
            rejected = (Rejection(seq=seqs[0], code="invalid"),)
            self.receipts.append(taken(batch).model_copy(update={"accepted": ranges(seqs[1:]), "rejected": rejected}))
        elif mood != "silent":
            some = seqs if mood == "takes" else seqs[::2]
            self.final.update(some)
            self.receipts.append(taken(batch).model_copy(update={"accepted": ranges(some)}))

    @rule(data=st.data())
    def unit_reads(self, data: st.DataObject) -> None:
        if self.receipts:
            receipt = data.draw(st.sampled_from(self.receipts))
            if data.draw(st.booleans()):
                self.receipts.remove(receipt)
            self._answer(receipt)

    def _answer(self, receipt: Receipt) -> None:
        if self.window.answered(receipt, self.now_s):
            self.journal.delivered([*receipt.accepted, *receipt.duplicate])
            self.journal.rejected(receipt.rejected)

    @rule(fewer=st.booleans())
    def reconnect(self, fewer: bool) -> None:
        self.limits = Limits(batch_events=1 if fewer else 3, batches_in_flight=1 if fewer else 2)
        self.window.reset(self.limits)
        self.wire.clear()

    @invariant()
    def never_more_in_flight_than_allowed(self) -> None:
        assert self.window.in_flight <= self.limits.batches_in_flight

    @invariant()
    def nothing_counts_as_delivered_that_the_hub_does_not_have(self) -> None:
        waiting = {event["seq"] for event in self.journal.undelivered(0, 10_000, 10**9)}
        assert set(self.journal.stored) - waiting <= self.final

    def teardown(self) -> None:
        rounds = 0
        while self.journal.waiting().events:
            rounds += 1
            assert rounds < 150, "events are stranded"
            self.now_s += 50.0
            for batch in self.window.due(self.now_s, self.journal.undelivered):
                self.final.update(event["seq"] for event in batch.events)
                self._answer(taken(batch))


DeliveryMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestAnyNetworkAndHub = DeliveryMachine.TestCase


def test_an_event_has_one_batch_id_of_its_own_kind() -> None:
    flights, journal = window(), journal_of(1)
    (batch,) = flights.due(0.0, journal.undelivered)
    assert (batch.epoch, batch.events[0]["event_id"]) == (EPOCH, uid(1))
