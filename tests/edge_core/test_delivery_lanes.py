"""Two lanes, batches that shrink and grow, and the single event that never gets an answer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from edge.core.delivery import BATCH_CONTENT_BYTES, DeliveryWindow, Outgoing
from edge.core.flights import ALONE_AT_MOST
from edge.core.patience import LEAST_BATCH_BYTES, Patience
from edge.core.ports import Queued
from protocol import codec
from protocol.delivery import EventBatch, Limits, Receipt, ranges
from tests.builders import mark, seen
from tests.fakes import EPOCH, MemoryJournal, counting

Hub = Callable[[Outgoing, float], Receipt | None]


@dataclass
class Line:
    """A window on a journal, and a hub at the other end that answers after `delay_s`."""

    limits: Limits = field(default_factory=Limits)
    delay_s: float = 0.1
    now_s: float = 0.0
    sent: list[Outgoing] = field(default_factory=list)
    aside: list[tuple[str, int]] = field(default_factory=list)
    recorded: int = 0

    def __post_init__(self) -> None:
        self.journal = MemoryJournal()
        self.window = DeliveryWindow(counting(1000), lambda: 1.0, self.limits)
        self._coming: list[tuple[float, Receipt]] = []

    def record(self, count: int, *, large: bool = False) -> None:
        for _ in range(count):
            self.recorded += 1
            event = mark(event=self.recorded) if large else seen(event=self.recorded)
            note = {"note": "x" * 500} if large else {}
            self.journal.append([event.model_copy(update=note)])

    def welcome(self) -> None:
        """Begin to send; what waits now is backlog."""
        self.window.reset(self.limits, boundary=self.journal.last_place())

    def due(self) -> list[Outgoing]:
        return self.window.due(self.now_s, self.journal.undelivered, self.journal.last_place)

    def run(self, seconds: float, hub: Hub, *, record_every_s: float | None = None, step_s: float = 0.5) -> None:
        """Let time pass; every batch is shown to the hub."""
        until_s = self.now_s + seconds
        recorded_s = self.now_s
        while self.now_s < until_s:
            self.now_s += step_s
            if record_every_s and self.now_s - recorded_s >= record_every_s:
                recorded_s = self.now_s
                self.record(1)
            self._answer()
            for out in self.due():
                self.sent.append(out)
                receipt = hub(out, self.now_s)
                if receipt:
                    self._coming.append((self.now_s + self.delay_s, receipt))
            for epoch, seq in self.window.put_aside():
                self.aside.append((epoch, seq))
                self._settle(Receipt(epoch=epoch, batch_id=str(counting()()), accepted=ranges([seq])))

    def _answer(self) -> None:
        arrived = [receipt for at_s, receipt in self._coming if at_s <= self.now_s]
        self._coming = [(at_s, receipt) for at_s, receipt in self._coming if at_s > self.now_s]
        for receipt in arrived:
            if self.window.answered(receipt, self.now_s):
                self._settle(receipt)

    def _settle(self, receipt: Receipt) -> None:
        self.journal.delivered(receipt.epoch, [*receipt.accepted, *receipt.duplicate])


def seqs(batch: EventBatch) -> list[int]:
    return [event["seq"] for event in batch.events]


def takes(out: Outgoing, _now_s: float) -> Receipt:
    batch = out.batch
    return Receipt(epoch=batch.epoch, batch_id=batch.batch_id, accepted=ranges(seqs(batch)))


def but(*poison: int) -> Hub:
    """Return a hub that never answers a batch with one of these."""

    def hub(out: Outgoing, now_s: float) -> Receipt | None:
        return None if set(poison) & set(seqs(out.batch)) else takes(out, now_s)

    return hub


def test_what_waited_goes_out_as_backlog_and_what_happens_now_as_live_and_first() -> None:
    line = Line()
    line.record(5)
    line.welcome()
    line.record(2)
    assert [(out.channel, seqs(out.batch)) for out in line.due()] == [
        ("events", [6, 7]),
        ("backlog", [1, 2, 3, 4, 5]),
    ]


def test_each_lane_has_its_own_window() -> None:
    line = Line(Limits(batch_events=1, batches_in_flight=3, backlog_in_flight=2))
    line.record(10)
    line.welcome()
    line.record(10)
    assert [out.channel for out in line.due()] == ["events"] * 3 + ["backlog"] * 2


def test_a_backlog_does_not_hold_up_what_happens_now() -> None:
    """The backlog's batches wait for a slow hub; a live event goes out at the next look."""
    line = Line(Limits(batch_events=10), delay_s=4.0)
    line.record(2000)
    line.welcome()
    line.run(20, takes)
    before = len(line.sent)
    line.record(1)
    (live,) = line.due()
    assert (live.channel, seqs(live.batch)) == ("events", [2001])
    assert before < 20


def test_a_live_lane_that_has_grown_too_long_becomes_backlog() -> None:
    line = Line(Limits(batch_events=10, batches_in_flight=2))
    line.welcome()
    line.record(800)
    for out in line.due():
        line._settle(takes(out, 0.0))
        line.window.answered(takes(out, 0.0), 0.0)
    assert line.window.boundary == 800
    line.record(1)
    line.run(60, takes)
    assert not line.journal.waiting().events
    assert [seqs(out.batch) for out in line.sent if out.channel == "events"] == [[801]]


def test_no_event_is_under_way_twice_when_the_boundary_moves_over_it() -> None:
    line = Line(Limits(batch_events=10, batches_in_flight=2, backlog_in_flight=8))
    line.welcome()
    line.record(800)
    out = line.due()
    line.window.look_again()
    out += line.due()
    line.window.move_boundary(line.journal.last_place())
    out += line.due()
    all_seqs = [seq for one in out for seq in seqs(one.batch)]
    assert len(all_seqs) == len(set(all_seqs)) == 100


def test_batches_never_hold_events_of_two_streams() -> None:
    line = Line()
    line.record(3)
    line.journal.begin_epoch()
    line.record(3)
    line.welcome()
    batches = [out.batch for out in line.due()]
    assert [(batch.epoch == EPOCH, seqs(batch)) for batch in batches] == [(True, [1, 2, 3]), (False, [1, 2, 3])]


@pytest.mark.parametrize("limits", [Limits(), Limits(backlog_in_flight=1), Limits(batch_events=1, backlog_in_flight=1)])
def test_the_one_event_that_is_never_answered_is_put_aside_and_all_others_arrive(limits: Limits) -> None:
    line = Line(limits)
    line.record(250)
    line.welcome()
    line.run(3600, but(77), record_every_s=20)
    assert line.aside == [(EPOCH, 77)]
    line.run(60, takes)
    assert not line.journal.waiting().events


def test_several_poison_events_in_one_batch_are_all_found() -> None:
    line = Line(Limits(backlog_in_flight=1))
    line.record(100)
    line.welcome()
    line.run(2 * 3600, but(1, 50, 51, 100), record_every_s=20)
    assert sorted(line.aside) == [(EPOCH, 1), (EPOCH, 50), (EPOCH, 51), (EPOCH, 100)]


def test_live_events_do_not_wait_for_poison_among_them() -> None:
    line = Line(Limits(batches_in_flight=2))
    line.welcome()
    line.record(1)
    delivered_s: dict[int, float] = {}

    def hub(out: Outgoing, now_s: float) -> Receipt | None:
        if 1 in seqs(out.batch):
            return None
        for seq in seqs(out.batch):
            delivered_s.setdefault(seq, now_s)
        return takes(out, now_s)

    line.run(1800, hub, record_every_s=30)
    assert line.aside == [(EPOCH, 1)]
    # Recorded every 30 s and seen by the hub at the next look, however the poison is doing.
    moments = list(delivered_s.values())
    assert max(later - earlier for earlier, later in pairwise(moments)) <= 31


@pytest.mark.slow
def test_a_hub_that_is_silent_to_everybody_puts_nothing_aside() -> None:
    line = Line()
    line.record(300)
    line.welcome()
    line.run(3 * 3600, lambda _out, _now_s: None, record_every_s=600, step_s=10.0)
    assert line.aside == []
    line.run(600, takes)
    assert not line.journal.waiting().events


@pytest.mark.slow
def test_a_channel_that_does_not_get_through_puts_nothing_aside_and_its_events_come_the_other_way() -> None:
    """Such as a broker whose rights do not know the backlog channel yet."""
    line = Line()
    line.record(300)
    line.welcome()
    line.run(4 * 3600, lambda out, now_s: takes(out, now_s) if out.channel == "events" else None, record_every_s=60)
    assert line.aside == []
    assert line.journal.waiting().events < 10


def test_a_busy_hub_puts_nothing_aside() -> None:
    line = Line()
    line.record(1)
    line.welcome()

    def busy_for_the_first(out: Outgoing, now_s: float) -> Receipt:
        if 1 in seqs(out.batch):
            return Receipt(epoch=EPOCH, batch_id=out.batch.batch_id, result="busy", retry_after_s=5)
        return takes(out, now_s)

    line.run(3600, busy_for_the_first, record_every_s=10)
    assert line.aside == []


def test_chance_alone_puts_no_event_aside() -> None:
    """One message in five is lost each way: most tries of some batch fail many times in a row."""
    line = Line(Limits(batch_events=10))
    line.record(500)
    line.welcome()
    state = [12345]

    def lossy(out: Outgoing, now_s: float) -> Receipt | None:
        state[0] = (1103515245 * state[0] + 12345) % 2**31
        return takes(out, now_s) if state[0] / 2**31 > 0.36 else None

    line.run(2 * 3600, lossy, record_every_s=30)
    assert line.aside == []
    line.run(600, takes)
    assert not line.journal.waiting().events


def test_an_event_gets_many_chances_on_its_own_before_it_is_put_aside() -> None:
    line = Line()
    line.record(1)
    line.welcome()
    line.run(3600, but(1), record_every_s=10)
    tries = [out for out in line.sent if seqs(out.batch) == [1]]
    assert line.aside == [(EPOCH, 1)]
    assert len(tries) >= ALONE_AT_MOST


def test_a_hub_that_dies_with_poison_under_way_is_noticed() -> None:
    line = Line()
    line.record(1)
    line.welcome()
    line.run(25, but(1), record_every_s=2)
    assert not line.window.unanswered
    line.run(120, lambda _out, _now_s: None)
    assert line.window.unanswered


class Pipe:
    """A link of some bytes a second: what is sent waits behind what was sent before."""

    def __init__(self, bytes_per_s: float) -> None:
        self._free_s = 0.0
        self._bytes_per_s = bytes_per_s
        self.carried = 0
        self.arriving: list[tuple[float, Receipt]] = []

    def carry(self, out: Outgoing, now_s: float) -> None:
        size = len(codec.encode(out.batch))
        self.carried += size
        self._free_s = max(now_s, self._free_s) + size / self._bytes_per_s
        self.arriving.append((self._free_s, takes(out, now_s)))


@pytest.mark.slow
def test_a_slow_link_carries_the_backlog_with_few_repetitions_and_live_events_between() -> None:
    """64 kbit/s of which a third is lost: about 5 kB a second."""
    line = Line()
    line.record(1500, large=True)
    line.welcome()
    pipe = Pipe(5_000)
    latest_s = 0.0
    for step in range(7200):
        line.now_s = step * 0.5
        if step % 120 == 119:
            line.record(1)
        for at_s, receipt in [one for one in pipe.arriving if one[0] <= line.now_s]:
            pipe.arriving.remove((at_s, receipt))
            if line.window.answered(receipt, line.now_s):
                line._settle(receipt)
        for out in line.due():
            pipe.carry(out, line.now_s)
        if line.journal.waiting().events:
            latest_s = line.now_s
        else:
            break
    content = 1500 * 1000
    assert line.journal.waiting().events == 0
    assert line.aside == []
    assert pipe.carried < 2.5 * content
    assert latest_s < 2.5 * content / 5_000


def test_a_batch_shrinks_to_what_the_broker_takes() -> None:
    line = Line()
    line.record(300, large=True)
    line.window.patience.broker_bytes = 8_000
    line.welcome()
    line.run(600, takes)
    assert not line.journal.waiting().events
    assert max(len(codec.encode(out.batch)) for out in line.sent) <= 8_000 - 256
    assert len(line.sent) < 60


def test_a_connection_that_ends_after_a_large_batch_makes_the_next_ones_smaller_until_they_pass() -> None:
    """A broker with a limit that it does not name cuts the connection over every message above it."""
    line = Line()
    line.record(300, large=True)
    for _ in range(20):
        line.now_s += 30
        line.welcome()
        out = line.due()
        if all(len(codec.encode(one.batch)) < 20_000 for one in out):
            break
        line.window.cut_off(line.now_s + 1)
        line.window.reset()
    line.run(120, takes)
    assert not line.journal.waiting().events


def test_batches_grow_again_after_answers_in_time() -> None:
    patience = Patience(lambda: 1.0)
    for step in range(10):
        patience.shrink(step * 10.0)
    assert patience.batch_bytes == LEAST_BATCH_BYTES
    for _ in range(100):
        patience.answered(0.2, repeated=False)
    assert patience.batch_bytes == BATCH_CONTENT_BYTES


def test_what_happens_to_many_batches_at_once_shrinks_them_once() -> None:
    patience = Patience(lambda: 1.0)
    for _ in range(8):
        patience.shrink(10.0)
    assert patience.batch_bytes == BATCH_CONTENT_BYTES // 2


def test_patience_follows_the_answers_between_five_seconds_and_two_minutes() -> None:
    patience = Patience(lambda: 0.0)
    for _ in range(50):
        patience.answered(0.05, repeated=False)
    assert patience.timeout_s == 5.0
    assert patience.wait_s(1) == 5.0
    for _ in range(50):
        patience.answered(20.0, repeated=False)
    assert 20.0 <= patience.timeout_s <= 40.0
    for _ in range(50):
        patience.answered(3600.0, repeated=False)
    assert patience.timeout_s == 120.0
    assert patience.wait_s(9) <= 120.0


@pytest.mark.slow
def test_a_link_that_is_always_slower_than_the_first_guess_is_learned() -> None:
    """Only repeated batches are answered: whoever measured none of them would repeat for ever."""
    line = Line(delay_s=40.0)
    line.record(2000)
    line.welcome()
    line.run(1200, takes)
    before = len(line.sent)
    line.run(600, takes)
    assert len({out.batch.batch_id for out in line.sent[before:]}) == len(line.sent[before:])


def test_the_next_look_is_named_so_that_nobody_need_ask_before() -> None:
    line = Line()
    assert line.window.next_due_s(0.0) == float("inf")
    line.record(1)
    line.due()
    assert line.window.next_due_s(0.0) == 10.0
    (flight,) = line.window._flights.values()
    busy = Receipt(epoch=EPOCH, batch_id=flight.batch.batch_id, result="busy", retry_after_s=60)
    line.window.answered(busy, 1.0)
    assert line.window.next_due_s(1.0) == 91.0


def test_what_cannot_be_there_is_not_looked_for() -> None:
    """Each look is a query on a card."""
    line = Line()
    looks: list[int] = []

    def fetch(after: int, until: int | None, limit: int, max_bytes: int) -> list[Queued]:
        looks.append(after)
        return line.journal.undelivered(after, until, limit, max_bytes)

    line.record(1)
    line.welcome()
    line.record(1)
    sent = line.window.due(0.0, fetch, line.journal.last_place)
    assert [out.channel for out in sent] == ["events", "backlog"]
    assert looks == [1, 0]
    for _ in range(3):
        assert not line.window.due(0.1, fetch, line.journal.last_place)
    assert looks == [1, 0]
    line.record(1)
    assert line.window.due(0.2, fetch, line.journal.last_place)
    assert looks == [1, 0, 2]


def test_what_has_no_slot_or_no_way_is_not_due() -> None:
    line = Line(limits=Limits(batch_events=1, batches_in_flight=1))
    line.record(2)
    line.run(120, lambda _out, _now_s: None)
    assert any(flight.resting for flight in line.window._flights.values())
    for _ in range(100):
        # A slot that one gives up is taken by another at the next look.
        for _ in range(2):
            line.due()
        assert line.window.next_due_s(line.now_s) > line.now_s
        line.now_s = line.window.next_due_s(line.now_s)
    line.window.ways.closed = frozenset({"events", "backlog"})
    assert line.window.next_due_s(line.now_s) == float("inf")


def test_an_event_that_a_receipt_left_out_does_not_wait_for_a_quiet_moment() -> None:
    """There is always something under way in the lane, so that nobody would come to look for what is stranded."""
    line = Line(Limits(batches_in_flight=8), delay_s=3.0)
    line.welcome()
    line.record(3)
    times: list[float] = []

    def leaves_out_the_second_once(out: Outgoing, now_s: float) -> Receipt:
        if 2 in seqs(out.batch):
            times.append(now_s)
            if len(times) == 1:
                taken = [seq for seq in seqs(out.batch) if seq != 2]
                return Receipt(epoch=EPOCH, batch_id=out.batch.batch_id, accepted=ranges(taken))
        return takes(out, now_s)

    line.run(60, leaves_out_the_second_once, record_every_s=0.5)
    assert len(times) == 2
    assert times[1] - times[0] <= 9.0
