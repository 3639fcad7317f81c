"""The conversation as a whole: restored hubs, old copies, taken places, audits, and the time."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from edge.core.actions import Delivered, Record, Requeue, Send
from edge.core.greeting import NO_ANSWER, Greeted
from edge.core.ports import DeadLetter
from protocol.delivery import (
    Audit,
    AuditAnswer,
    EventBatch,
    Hello,
    RangeDigest,
    Receipt,
    Rejection,
    SeqRange,
    Welcome,
    ranges,
)
from protocol.events import Anchor
from protocol.status import Status
from tests.builders import uid
from tests.edge_core.talking import HubModel, Unit
from tests.fakes import EPOCH, FakeClock, MemoryJournal

OTHER_EPOCH = "f" * 16


def talking(count: int = 0, hub: HubModel | None = None) -> tuple[Unit, HubModel]:
    """Return a unit that was welcomed, with everything delivered, and its hub."""
    unit, hub = Unit(), hub or HubModel()
    if count:
        unit.record(count)
    unit.connect()
    unit.settle(hub)
    return unit, hub


def everything_is_at_the_hub_once(unit: Unit, hub: HubModel) -> bool:
    """Tell whether every event on disk is at its place at the hub, under its id, and was taken once."""
    here = {event.event_id for event in unit.journal.events}
    return here <= set(hub.ids) and all(hub.times_taken[event_id] == 1 for event_id in here)


def test_a_hello_carries_an_id_of_its_own_and_how_far_the_unit_is() -> None:
    unit = Unit()
    unit.record(3)
    unit.connect()
    unit.tick()
    unit.tick(10.0)
    first, second = [message for message in unit.on("hello") if isinstance(message, Hello)]
    assert (first.last_seq, first.delivered_seq, first.kept_seq) == (3, 0, 1)
    assert first.hello_id != second.hello_id


def test_a_welcome_to_a_greeting_of_an_earlier_connection_is_ignored() -> None:
    """It tells how far the hub was then: events would be sent again for nothing, and the alarm would be false."""
    unit, hub = Unit(), HubModel()
    unit.connect()
    unit.tick()
    (early,) = unit.on("hello")
    assert isinstance(early, Hello)
    unit.disconnect()
    unit.connect()
    unit.hear(hub.welcome(early, unit.true_time))
    assert not unit.talk.welcomed


def test_a_hub_that_does_not_name_the_greeting_is_understood() -> None:
    unit = Unit()
    unit.record(1)
    unit.connect()
    unit.tick()
    unit.hear(Welcome(epoch=EPOCH, high_water=0, server_time=unit.true_time))
    assert unit.talk.welcomed
    assert unit.tick()


@pytest.mark.parametrize("kept", [0, 3, 9])
def test_a_hub_that_was_restored_gets_everything_again(kept: int) -> None:
    unit, hub = talking(10)
    hub.forget(EPOCH, range(kept + 1, 100))
    hub.times_taken.clear()
    unit.connect()
    unit.tick()
    unit.serve(hub)
    assert "hub_restored" in unit.problems
    unit.settle(hub)
    assert len(hub.ids) == len(unit.journal.events)
    unit.connect()
    unit.settle(hub)
    assert max(hub.times_taken.values()) == 1


def test_the_alarm_of_a_restored_hub_ends_when_everything_is_confirmed_again() -> None:
    unit, hub = Unit(status_every_s=10.0), HubModel()
    unit.record(10)
    unit.connect()
    unit.settle(hub)
    hub.forget(EPOCH, range(4, 100))
    unit.connect()
    unit.tick()
    unit.serve(hub)
    unit.tick(11)
    assert "hub_restored" in unit.problems
    unit.settle(hub)
    unit.tick(11)
    assert "hub_restored" not in unit.problems


def test_what_a_restored_hub_had_refused_is_offered_again_so_that_it_can_count_on() -> None:
    """Its high water would stand still before the refused event for ever, and each welcome would be an alarm."""
    unit, hub = Unit(), HubModel()
    third = unit.record(5)[2]
    hub.invalid.add(third.event_id)
    unit.connect()
    unit.settle(hub)
    assert [letter.seq for letter in unit.journal.dead_letters()] == [3]
    hub.forget(EPOCH, range(1, 100))
    unit.connect()
    unit.settle(hub)
    assert [letter.seq for letter in unit.journal.dead_letters()] == [3]
    unit.problems.clear()
    unit.connect()
    unit.settle(hub)
    assert "hub_restored" not in unit.problems
    assert hub.high_water(EPOCH) == 6


def test_an_event_that_was_put_aside_here_is_no_loss_of_the_hub() -> None:
    unit, hub = talking(3)
    unit.journal.append([unit.record(1)[0].model_copy(update={"event_id": uid(99)})])
    aside = unit.journal.positions()[0] - 1
    unit.journal.rejected(EPOCH, [Rejection(seq=aside, code=NO_ANSWER)])
    unit.settle(hub)
    for _ in range(3):
        unit.connect()
        unit.tick()
        unit.serve(hub)
        assert "hub_restored" not in unit.problems
        assert unit.journal.waiting().events == 0
    assert [letter.seq for letter in unit.journal.dead_letters()] == [aside]


def test_what_was_delivered_above_an_event_that_still_waits_is_sent_again_too() -> None:
    """A restored hub lost it as well, and the audit comes only tomorrow."""
    unit, hub = talking(10)
    unit.journal.requeue(EPOCH, [SeqRange(first=6, last=6)])
    hub.forget(EPOCH, range(3, 100))
    unit.connect()
    unit.tick()
    unit.serve(hub)
    assert unit.journal.waiting().events == 9
    assert {send.channel for send in unit.tick() if isinstance(send.message, EventBatch)} == {"backlog"}


def test_more_than_was_stated_may_be_on_record_by_the_time_of_the_answer() -> None:
    """Greeting and batches overtake each other at the hub: that is no old copy."""
    unit, hub = talking(3)
    unit.connect()
    unit.tick()
    (hello,) = unit.on("hello")
    assert isinstance(hello, Hello)
    unit.record(2)
    for seq in (5, 6):
        hub.places[EPOCH, seq] = (uid(seq), "x")
    unit.hear(hub.welcome(hello, unit.true_time))
    assert "old_copy" not in unit.problems
    assert unit.journal.epoch == EPOCH


def test_an_old_copy_of_the_file_begins_a_new_stream_and_loses_nothing() -> None:
    """The card was replaced by one with last week's file: the hub has other events where this one writes."""
    unit, hub = talking(20)
    old = Unit(MemoryJournal(), FakeClock(quality="holdover"))
    for _ in range(1000):
        # Other events than those that were lost with the card.
        old.clock.new_id()
    old.record(8)
    old.connect()
    old.tick()
    old.serve(hub)
    assert "old_copy" in old.problems
    assert old.journal.epoch != EPOCH
    old.record(3)
    old.settle(hub)
    assert everything_is_at_the_hub_once(old, hub)
    assert everything_is_at_the_hub_once(unit, hub)
    assert old.journal.waiting().dead_letters == 0
    old.tick(3601)
    assert "old_copy" not in old.problems


def test_taken_places_are_left_also_when_the_welcome_gave_no_warning() -> None:
    """The copy has grown longer than the hub's record of the stream before it is heard."""
    unit, hub = talking(5)
    copy = Unit(MemoryJournal(), FakeClock(quality="holdover"))
    for _ in range(1000):
        copy.clock.new_id()
    copy.record(40)
    copy.connect()
    copy.settle(hub)
    assert everything_is_at_the_hub_once(copy, hub)
    assert everything_is_at_the_hub_once(unit, hub)
    assert copy.journal.waiting().dead_letters == 0
    assert "old_copy" in copy.problems


def test_events_whose_answers_are_still_under_way_keep_their_places() -> None:
    """Moved, they would stand at the hub a second time under another place: that is a conflict, not a delivery."""
    unit, hub = Unit(), HubModel()
    hub.limits = hub.limits.model_copy(update={"batch_events": 10, "backlog_in_flight": 4})
    for seq in range(1, 8):
        hub.places[EPOCH, seq] = (uid(seq), "x")
        hub.ids[uid(seq)] = (EPOCH, seq)
    unit.record(30)
    unit.connect()
    unit.tick()
    unit.serve(hub)
    sends = unit.tick(0.1)
    batches = [send.message for send in sends if isinstance(send.message, EventBatch)]
    receipts = [hub.take(batch) for batch in batches]
    for receipt in receipts:
        unit.hear(receipt)
    unit.settle(hub)
    assert everything_is_at_the_hub_once(unit, hub)
    assert unit.journal.waiting().dead_letters == 0


def test_a_full_disk_that_refuses_a_new_stream_is_no_fault_and_it_is_begun_later() -> None:
    _, hub = talking(20)
    old = Unit(MemoryJournal(), FakeClock(quality="holdover"))
    for _ in range(1000):
        old.clock.new_id()
    old.record(8)
    old.connect()
    old.tick()
    old.journal.trouble.fill(times=3)
    for _ in range(5):
        old.serve(hub)
        old.tick(11.0)
    old.settle(hub)
    assert everything_is_at_the_hub_once(old, hub)


def an_old_copy() -> tuple[Unit, HubModel]:
    """Return a unit whose file is older than what the hub has of it, and its hub."""
    _, hub = talking(20)
    old = Unit(MemoryJournal(), FakeClock(quality="holdover"))
    for _ in range(1000):
        old.clock.new_id()
    old.record(8)
    old.connect()
    old.tick()
    return old, hub


def test_a_new_stream_that_a_full_disk_refuses_is_not_asked_for_in_a_hot_loop() -> None:
    """The hub must not be greeted and sent the same refused events as fast as it answers."""
    old, hub = an_old_copy()
    old.journal.trouble.fill()
    said: list[Send] = []
    for _ in range(600):
        old.serve(hub)
        said += old.tick(0.1)
    assert sum(send.channel == "hello" for send in said) == 0
    assert sum(isinstance(send.message, EventBatch) for send in said) <= 8
    old.journal.trouble.heal()
    old.settle(hub)
    assert everything_is_at_the_hub_once(old, hub)


def test_a_new_stream_is_greeted_with_once_and_before_its_first_batch() -> None:
    old, hub = an_old_copy()
    old.serve(hub)
    old.record(3)
    sends = old.tick()
    assert [(send.channel, getattr(send.message, "epoch", "")) for send in sends] == [("hello", old.journal.epoch)]
    assert old.tick(0.1) == []


def test_what_a_restored_hub_lost_is_sent_again_when_a_full_disk_refused_that_at_first() -> None:
    unit, hub = talking(10)
    hub.forget(EPOCH, range(4, 100))
    unit.journal.trouble.fill()
    unit.connect()
    for _ in range(20):
        unit.tick(10.0)
        unit.serve(hub)
    assert unit.journal.waiting().events == 0
    assert "hub_restored" in unit.problems
    unit.journal.trouble.heal()
    unit.tick(30.0)
    unit.settle(hub)
    assert everything_is_at_the_hub_once(unit, hub) or max(hub.times_taken.values()) == 2
    assert len(hub.ids) == len(unit.journal.events)


def test_what_an_audit_misses_is_sent_again_when_a_full_disk_refused_that_at_first() -> None:
    unit, hub = talking(10)
    hub.forget(EPOCH, [5])
    unit.journal.trouble.fill()
    for _ in range(30):
        unit.tick(60)
        unit.serve(hub)
    unit.journal.trouble.heal()
    unit.tick(30.0)
    unit.settle(hub)
    assert len(hub.ids) == len(unit.journal.events)


class Measured(MemoryJournal):
    """Tells how much is put back, read or searched at once."""

    requeued: list[int]
    read: list[int]

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock=clock)
        self.requeued, self.read = [], []

    def requeue(self, epoch: str, ranges: Sequence[SeqRange]) -> int:
        self.requeued.append(sum(span.last - span.first + 1 for span in ranges))
        return super().requeue(epoch, ranges)

    def digests(self, epoch: str, size: int, most: int, below: int | None = None) -> list[RangeDigest]:
        self.read.append(most)
        return super().digests(epoch, size, most, below)

    def dead_letters(self) -> list[DeadLetter]:
        raise AssertionError("reads every body that was ever refused")

    def refusals(self, *_asked: object) -> list[tuple[int, str]]:
        return []


def test_a_large_loss_is_put_back_slice_by_slice_so_that_no_step_takes_long() -> None:
    """A step that takes long is taken for a stuck one, and the program would be ended in the middle, each time."""
    clock = FakeClock(quality="holdover")
    unit, journal = Unit(Measured(clock), clock), Measured(clock)
    unit.journal = unit.talk.journal = journal
    lost = 12_300
    unit.connect()
    unit.tick()
    (hello,) = unit.on("hello")
    assert isinstance(hello, Hello)
    journal._streams[EPOCH] = lost + 7
    said = hello.model_copy(update={"last_seq": lost + 7, "delivered_seq": lost + 7, "kept_seq": 8})
    unit.talk._greeting._sent[hello.hello_id or ""] = Greeted(said, unit.clock.monotonic_s())
    unit.hear(HubModel().welcome(hello, unit.true_time))
    for _ in range(20):
        assert "hub_restored" in unit.problems
        unit.tick(0.5)
    assert journal.requeued == [2000] * 6 + [300]


def test_a_welcome_in_the_middle_of_a_repair_does_not_begin_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was put back first is confirmed again by then, and the rest looks like another loss."""
    monkeypatch.setattr("edge.core.repairs.SLICE_SEQS", 4)
    unit, hub = Unit(status_every_s=0.5), HubModel()
    unit.record(19)
    unit.connect()
    unit.settle(hub)
    hub.forget(EPOCH, range(1, 100))
    hub.times_taken.clear()
    said: list[str] = []
    for _ in range(12):
        unit.connect()
        for _ in range(4):
            unit.tick(0.2)
            unit.serve(hub)
        said.append(unit.problems.get("hub_restored", "over"))
        assert said[-1] != "over" or len(hub.ids) == len(unit.journal.events)
    first, *others = dict.fromkeys(said)
    assert "after event 0;" in first
    assert others == ["over"]
    assert everything_is_at_the_hub_once(unit, hub)


def test_an_audit_reads_a_long_stream_page_by_page_and_asks_for_all_of_it() -> None:
    clock = FakeClock(quality="holdover")
    unit = Unit(Measured(clock), clock)
    hub = HubModel()
    unit.connect()
    unit.settle(hub)
    pages = [
        [RangeDigest(first=first, last=first + 999, count=1000, xor64="0" * 16) for first in range(1, 120_001, 1000)]
    ]

    def digests(epoch: str, size: int, most: int, below: int | None = None) -> list[RangeDigest]:
        assert (epoch, size) == (EPOCH, 1000)
        assert most <= 25
        return [one for one in pages[0] if below is None or one.last < below][-most:]

    unit.journal.digests = digests  # type: ignore[method-assign]
    for _ in range(1400):
        unit.tick(1.0)
    audits = [message for message in unit.on("audit") if isinstance(message, Audit)]
    assert [len(audit.digests) for audit in audits] == [25, 25, 25, 25, 20]
    assert sorted(digest.first for audit in audits for digest in audit.digests) == [*range(1, 120_001, 1000)]
    # The answer to the first page alone is not yet the end of it.
    for audit in audits:
        unit.hear(AuditAnswer(epoch=EPOCH, audit_id=audit.audit_id))
    for _ in range(20):
        unit.tick(3600)
    assert len(unit.on("audit")) == 5
    for _ in range(4):
        unit.tick(3600)
    assert len(unit.on("audit")) > 5


def test_receipts_of_our_earlier_streams_are_believed_and_those_of_others_are_not() -> None:
    unit, hub = Unit(), HubModel()
    unit.record(3)
    unit.journal.begin_epoch()
    unit.connect()
    unit.tick()
    unit.serve(hub)
    batch = waiting_batch(unit.tick())
    ours = Receipt(epoch=EPOCH, batch_id=batch.batch_id, accepted=ranges([1, 2]))
    assert unit.talk.heard(ours.model_copy(update={"epoch": OTHER_EPOCH}), unit.now) == []
    assert unit.talk.heard(ours, unit.now) == [Delivered(EPOCH, ranges([1, 2]))]


def waiting_batch(sends: list[Send]) -> EventBatch:
    """Return what waited."""
    (batch,) = [one.message for one in sends if one.channel == "backlog" and isinstance(one.message, EventBatch)]
    return batch


def test_a_receipt_for_another_machine_with_a_copy_of_this_card_confirms_nothing_here() -> None:
    """Both are offline and write other things at the same places; one sends, the other one hears the answer."""
    hub, mine, twin = HubModel(), *(Unit(clock=FakeClock(quality="holdover")) for _ in range(2))
    for _ in range(1000):
        twin.clock.new_id()
    for unit in (mine, twin):
        unit.record(10)
        unit.connect()
        unit.serve(hub, unit.tick())
    receipt = hub.take(waiting_batch(mine.tick()))
    assert twin.tick()
    before = twin.journal.waiting().events
    twin.hear(receipt)
    assert twin.journal.waiting().events == before
    mine.hear(receipt)
    for unit in (mine, twin):
        unit.settle(hub)
        assert everything_is_at_the_hub_once(unit, hub)


def test_an_audit_comes_ten_to_twenty_minutes_after_the_first_welcome_and_then_daily() -> None:
    unit, hub = talking(30)
    times: list[float] = []
    begun_s = unit.clock.monotonic_s()
    for _ in range(4 * 24 * 30):
        unit.tick(120)
        times += [unit.clock.monotonic_s() - begun_s for message in unit.on("audit") if isinstance(message, Audit)]
        unit.serve(hub)
    assert 600 <= times[0] <= 1330
    gaps_h = [(later - earlier) / 3600 for earlier, later in pairwise(times)]
    assert len(times) == 4
    assert all(21 <= gap <= 24.2 for gap in gaps_h)


def test_an_audit_finds_what_a_failover_lost_in_the_middle() -> None:
    """The high water alone does not show it."""
    unit, hub = talking(2500)
    hub.forget(EPOCH, range(1500, 1510))
    assert hub.high_water(EPOCH) == 1499
    for seq in range(1, 1500):
        assert (EPOCH, seq) in hub.places
    for _ in range(25):
        unit.tick(60)
        unit.serve(hub)
    unit.settle(hub)
    assert len(hub.ids) == len(unit.journal.events)


def test_an_audit_brings_back_what_the_hub_had_refused_and_lost_with_the_rest() -> None:
    """It was kept on both sides, and is on one: in an earlier stream no greeting would ever tell."""
    unit, hub = Unit(), HubModel()
    third = unit.record(5)[2]
    hub.invalid.add(third.event_id)
    unit.journal.begin_epoch()
    unit.connect()
    unit.settle(hub)
    elsewhere = unit.record(1)[0]
    unit.journal.rejected(unit.journal.epoch, [Rejection(seq=elsewhere.seq, code="invalid")])
    hub.forget(EPOCH, range(1, 6))
    hub.invalid.clear()
    for _ in range(25):
        unit.tick(60)
        unit.serve(hub)
    unit.settle(hub)
    assert third.event_id in hub.ids
    assert [letter.seq for letter in unit.journal.dead_letters()] == [elsewhere.seq]


def test_an_audit_without_an_answer_is_asked_again_after_an_hour_and_answers_to_nothing_are_ignored() -> None:
    unit, _hub = talking(30)
    for _ in range(20):
        unit.tick(120)
    (audit,) = unit.on("audit")
    assert isinstance(audit, Audit)
    strange = AuditAnswer(epoch=EPOCH, audit_id=uid(5), differing=(SeqRange(first=1, last=30),))
    unit.hear(strange)
    beyond = AuditAnswer(epoch=EPOCH, audit_id=audit.audit_id, differing=(SeqRange(first=1, last=10**9),))
    for _ in range(31):
        unit.tick(120)
    assert len(unit.on("audit")) == 2
    unit.hear(beyond)
    assert unit.journal.waiting().events == 0


def test_what_was_put_aside_gets_another_chance_every_day() -> None:
    """Perhaps the hub was repaired; nobody had to notice."""
    unit, hub = talking(5)
    (event,) = unit.record(1)
    unit.journal.rejected(EPOCH, [Rejection(seq=event.seq, code=NO_ANSWER)])
    for _ in range(25):
        unit.tick(60)
        unit.serve(hub)
    assert unit.journal.waiting().dead_letters == 0
    assert event.event_id in hub.ids


def test_an_event_that_is_never_answered_becomes_a_dead_letter_with_its_reason() -> None:
    unit, hub = Unit(), HubModel()
    poison = unit.record(20)[7]
    unit.connect()
    for step in range(2000):
        sends = unit.tick(0.5)
        if step % 20 == 0:
            unit.record(1)
        good = [send for send in sends if not _holds(send, poison.event_id)]
        unit.serve(hub, good)
        if unit.journal.waiting().dead_letters:
            break
    (letter,) = unit.journal.dead_letters()
    assert (letter.seq, letter.code) == (poison.seq, NO_ANSWER)


def _holds(send: Send, event_id: str) -> bool:
    return isinstance(send.message, EventBatch) and any(one["event_id"] == event_id for one in send.message.events)


def test_a_unit_that_wakes_only_when_something_is_due_says_the_same() -> None:
    """A simulation of thousands of units cannot ask each of them every second."""
    unit, hub = Unit(status_every_s=30.0), HubModel()
    unit.record(3)
    unit.connect()
    statuses = 0
    for _ in range(200):
        statuses += sum(send.channel == "status" for send in unit.tick())
        unit.serve(hub)
        due_s = unit.talk.next_due_s(unit.clock.monotonic_s())
        unit.pass_time(max(0.01, min(due_s - unit.clock.monotonic_s(), 600.0)))
    assert unit.journal.waiting().events == 0
    assert unit.talk.welcomed
    assert statuses > 50


@pytest.mark.parametrize("channels", [("hello",), ("status",), ("audit",), ("events", "backlog")])
def test_what_the_broker_refuses_is_due_when_it_is_tried_again_and_not_before(channels: tuple[str, ...]) -> None:
    """Whoever sleeps until something is due would not sleep at all."""
    unit, hub = Unit(status_every_s=10.0), HubModel()
    unit.connect()
    if "hello" not in channels:
        unit.settle(hub)
        unit.record(1)
        unit.pass_time(1300.0)
    for channel in channels:
        unit.do(unit.talk.refused(unit.now, "not allowed", channel))
    sleeps, sends = 0, unit.tick()
    while not {send.channel for send in sends} & set(channels):
        unit.serve(hub, sends)
        due_s, now_s = unit.talk.next_due_s(unit.clock.monotonic_s()), unit.clock.monotonic_s()
        assert due_s > now_s
        sends = unit.tick(due_s - now_s)
        sleeps += 1
    assert 0 < sleeps < 5


def test_an_audit_that_waits_for_a_repair_is_not_due() -> None:
    unit, _hub = talking(5)
    unit.pass_time(1300.0)
    unit.talk.not_done(Requeue(EPOCH, (SeqRange(first=1, last=1),)), unit.now)
    assert not [send for send in unit.tick() if send.channel == "audit"]
    assert unit.talk.next_due_s(unit.clock.monotonic_s()) == unit.clock.monotonic_s() + 30.0


def test_progress_is_how_long_something_waits_and_nothing_is_taken_whatever_the_wall_clock_does() -> None:
    unit, hub = Unit(status_every_s=10.0), HubModel()
    unit.connect()
    unit.settle(hub)
    unit.tick(11)
    unit.record(1)
    for _ in range(10):
        unit.tick(10)
        unit.clock.set_wall(unit.clock.at + timedelta(days=3650))
    stalled = [one.progress_s for one in unit.on("status") if isinstance(one, Status) and one.progress_s is not None]
    assert 89 <= stalled[-1] <= 111
    unit.settle(hub)
    unit.tick(11)
    last = [one for one in unit.on("status") if isinstance(one, Status)][-1]
    assert (last.progress_s, last.waiting_events) == (0.0, 0)


def test_progress_counts_the_time_without_a_connection_too() -> None:
    """A unit that was cut off for three hours with records on its disk must not say that all is well."""
    unit = Unit(status_every_s=30.0)
    for _ in range(60):
        unit.tick(30)
    unit.record(1)
    for _ in range(360):
        unit.tick(30)
    unit.connect()
    unit.tick(1)
    (status,) = [one for one in unit.on("status") if isinstance(one, Status)]
    assert status.progress_s is not None
    assert 3 * 3600 - 60 <= status.progress_s <= 3 * 3600 + 60


class TestTime:
    """What time it was, for a unit that did not know."""

    BOOT_1970 = datetime(1970, 1, 1, 0, 0, 30, tzinfo=UTC)
    TRUE = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)

    def unit(self) -> Unit:
        unit = Unit(clock=FakeClock(self.BOOT_1970, quality="unsynced"))
        unit.true_time = self.TRUE
        return unit

    def an_hour_without_network(self, unit: Unit) -> None:
        for _ in range(60):
            unit.record(1)
            unit.tick(60)

    def anchors(self, unit: Unit) -> list[Anchor]:
        return [event for event in unit.journal.events if isinstance(event, Anchor)]

    def corrected(self, unit: Unit, anchor: Anchor) -> list[timedelta]:
        """Return how far the corrected times of an hour's events are from the truth."""
        events = [event for event in unit.journal.events if not isinstance(event, Anchor)][:60]
        zero = anchor.utc - timedelta(microseconds=anchor.boottime_ns / 1000)
        return [
            zero + timedelta(microseconds=event.boottime_ns / 1000) - (self.TRUE + n * timedelta(minutes=1))
            for n, event in enumerate(events)
        ]

    def test_an_hour_recorded_in_1970_is_dated_by_the_welcome(self) -> None:
        unit, hub = self.unit(), HubModel()
        self.an_hour_without_network(unit)
        assert self.anchors(unit) == []
        unit.connect()
        sends = unit.tick()
        unit.pass_time(0.4)
        unit.serve(hub, sends)
        (anchor,) = self.anchors(unit)
        assert (anchor.source, anchor.error_ms, anchor.clock) == ("welcome", 300, "unsynced")
        assert anchor.at.year == 1970
        assert all(abs(error) <= timedelta(milliseconds=anchor.error_ms) for error in self.corrected(unit, anchor))
        unit.settle(hub)
        assert "clock_wrong" in unit.problems

    def test_an_hour_recorded_in_1970_is_dated_by_ntp(self) -> None:
        unit = self.unit()
        self.an_hour_without_network(unit)
        unit.clock.set_wall(unit.true_time)
        unit.clock.quality = "synced"
        unit.tick()
        (anchor,) = self.anchors(unit)
        assert (anchor.source, anchor.utc) == ("ntp", unit.true_time)
        assert all(abs(error) < timedelta(milliseconds=1) for error in self.corrected(unit, anchor))
        for _ in range(100):
            unit.tick(60)
        assert len(self.anchors(unit)) == 1

    def test_each_time_that_ntp_sets_the_clock_again_is_written_down(self) -> None:
        unit = self.unit()
        for quality in ("unsynced", "synced", "synced", "holdover", "synced", "unsynced"):
            unit.clock.quality = quality
            unit.tick(60)
        assert [anchor.source for anchor in self.anchors(unit)] == ["ntp", "ntp"]

    def test_a_welcome_after_ntp_that_agrees_says_nothing_new_and_one_that_does_not_is_written_down(self) -> None:
        unit, hub = self.unit(), HubModel()
        unit.clock.set_wall(unit.true_time)
        unit.clock.quality = "synced"
        unit.connect()
        unit.settle(hub)
        assert [anchor.source for anchor in self.anchors(unit)] == ["ntp"]
        unit.true_time += timedelta(seconds=1)
        for _ in range(2):
            unit.connect()
            unit.settle(hub)
        assert [anchor.source for anchor in self.anchors(unit)] == ["ntp", "welcome"]

    def test_at_most_one_anchor_is_written_on_each_connection(self) -> None:
        unit, hub = self.unit(), HubModel()
        unit.connect()
        for _ in range(5):
            unit.settle(hub)
            unit.talk._greeting.anew()
            unit.true_time += timedelta(seconds=100)
            unit.tick(1)
            unit.serve(hub)
        assert len(self.anchors(unit)) == 1

    def test_without_a_time_server_the_hub_is_asked_for_the_time_every_six_hours(self) -> None:
        """A crystal is off by seconds within days, and a connection may last for weeks."""
        unit, hub = self.unit(), HubModel()
        unit.connect()
        hellos = 0
        for _ in range(4 * 24 * 6):
            sends = unit.tick(150)
            hellos += sum(send.channel == "hello" for send in sends)
            unit.serve(hub, sends)
        assert [anchor.source for anchor in self.anchors(unit)] == ["welcome"] * 4
        assert hellos == 4

    def test_with_a_time_server_the_hub_is_not_asked_for_the_time(self) -> None:
        unit, hub = self.unit(), HubModel()
        unit.clock.set_wall(unit.true_time)
        unit.clock.quality = "synced"
        unit.connect()
        hellos = 0
        for _ in range(4 * 24 * 6):
            sends = unit.tick(150)
            hellos += sum(send.channel == "hello" for send in sends)
            unit.serve(hub, sends)
        assert hellos == 1
        assert [anchor.source for anchor in self.anchors(unit)] == ["ntp"]

    @pytest.mark.parametrize("answer_s", [1.81, 5.1, 60.0])
    def test_an_answer_that_took_long_tells_no_time_and_is_asked_for_once_more(self, answer_s: float) -> None:
        unit, hub = self.unit(), HubModel()
        unit.connect()
        first = unit.tick()
        unit.pass_time(answer_s)
        unit.sent.clear()
        unit.serve(hub, first)
        assert self.anchors(unit) == []
        again = unit.tick()
        assert [send.channel for send in again] == ["hello"]
        unit.serve(hub, again)
        assert len(self.anchors(unit)) == 1

    def test_a_line_that_is_always_slow_tells_no_time_and_is_left_in_peace_until_the_next_connection(self) -> None:
        """An anchor is right to a second or is none: the order of the stream still dates what has no anchor."""
        unit, hub = self.unit(), HubModel()
        unit.connect()
        for expected in (1, 1, 0, 0):
            sends = [send for send in unit.tick() if send.channel == "hello"]
            assert len(sends) == expected
            unit.pass_time(2.0)
            unit.serve(hub, sends)
        assert self.anchors(unit) == []
        unit.connect()
        sends = unit.tick()
        unit.pass_time(1.8)
        unit.serve(hub, sends)
        (anchor,) = self.anchors(unit)
        assert anchor.error_ms == 1000

    def test_jumps_of_the_wall_clock_move_no_window_and_no_timer(self) -> None:
        """Ten years on and back: the same messages at the same moments as without it."""

        def story(*, jumps: bool) -> list[tuple[float, str]]:
            unit, hub = Unit(status_every_s=30.0), HubModel()
            unit.record(5)
            unit.connect()
            said: list[tuple[float, str]] = []
            for second in range(3600):
                if jumps and second in (100, 700):
                    years = 10 if second == 100 else -10
                    unit.clock.set_wall(unit.clock.at + timedelta(days=3652 * years / 10))
                if second % 300 == 10:
                    unit.record(1)
                sends = unit.tick(1)
                said += [(unit.clock.monotonic_s(), send.channel) for send in sends]
                # The hub is away for a while in between.
                unit.serve(hub, sends if not 900 < second < 1500 else [])
            assert unit.journal.waiting().events == 0
            return said

        assert story(jumps=True) == story(jumps=False)

    def test_a_year_that_no_school_has_is_not_written_down(self) -> None:
        unit = self.unit()
        unit.connect()
        (hello,) = [send.message for send in unit.tick() if isinstance(send.message, Hello)]
        actions = unit.talk.heard(
            Welcome(
                epoch=EPOCH,
                high_water=0,
                server_time=datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
                hello_id=hello.hello_id,
            ),
            unit.now,
        )
        assert not any(isinstance(action, Record) for action in actions)
