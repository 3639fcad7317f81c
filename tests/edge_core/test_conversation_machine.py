"""Any order of losses, delays, repetitions, restarts and repairs: in the end everything is at the hub exactly once."""

from contextlib import suppress

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge.core import repairs
from edge.core.actions import Send
from edge.core.errors import StorageFull
from edge.core.greeting import NO_ANSWER
from protocol import codec
from protocol.base import MAX_BATCH_BYTES, Envelope
from protocol.delivery import Audit, AuditAnswer, EventBatch, Hello, Limits, Receipt, Welcome
from protocol.events import Anchor
from tests.edge_core.talking import HubModel, Unit
from tests.fakes import FakeClock, MemoryJournal

LIMITS = Limits(batch_events=4, batches_in_flight=3, backlog_in_flight=2)


class ConversationMachine(RuleBasedStateMachine):
    """A network that loses, doubles and reorders; a hub that is busy, silent, restored; a unit that restarts."""

    def __init__(self) -> None:
        super().__init__()
        # A loss is then put back in several steps.
        self.slice_seqs, repairs.SLICE_SEQS = repairs.SLICE_SEQS, 3
        clock = FakeClock(quality="holdover")
        self.hub = HubModel(limits=LIMITS)
        self.unit = Unit(MemoryJournal(clock=clock), clock, jitter=0.5)
        self.up: list[Envelope] = []
        self.down: list[Envelope] = []
        self.written: set[str] = set()

    # ---- the unit --------------------------------------------------------------------------------------------------

    @rule(count=st.integers(1, 6))
    def record(self, count: int) -> None:
        # What a full disk refuses is not written down: the recorder holds it.
        with suppress(StorageFull):
            self.written |= {event.event_id for event in self.unit.record(count)}

    @rule(seconds=st.sampled_from([0.2, 3.0, 11.0, 40.0, 700.0]))
    def time_passes(self, seconds: float) -> None:
        self._send(self.unit.tick(seconds))

    @rule()
    def tick(self) -> None:
        self._send(self.unit.tick())
        again = [send for send in self.unit.tick() if isinstance(send.message, EventBatch)]
        assert again == [], "what was just sent is sent again"

    @rule(name_limit=st.sampled_from([None, None, 4_000]))
    def connect(self, name_limit: int | None) -> None:
        self.unit.connect(name_limit)

    @rule(loses_all=st.booleans())
    def disconnect(self, loses_all: bool) -> None:
        self.unit.disconnect()
        if loses_all:
            self.up.clear()
            self.down.clear()

    @rule()
    def restart(self) -> None:
        """Killed and started: what is on disk stays, the conversation begins anew; old messages still travel."""
        self.unit = Unit(self.unit.journal, self.unit.clock, jitter=0.5)

    @rule()
    def disk_is_full_for_a_moment(self) -> None:
        self.unit.journal.trouble.fill(times=2)

    @rule()
    def operator_retries_dead_letters(self) -> None:
        if self.unit.journal.trouble.error is None or self.unit.journal.trouble.times == 0:
            self.unit.journal.retry(None)
            self.unit.talk.window.look_again()

    def _send(self, sends: list[Send]) -> None:
        for send in sends:
            if isinstance(send.message, EventBatch):
                self._check_batch(send.message)
        if self.unit.connected:
            self.up += [send.message for send in sends]

    def _check_batch(self, batch: EventBatch) -> None:
        seqs = [event["seq"] for event in batch.events]
        assert len(seqs) <= LIMITS.batch_events
        assert seqs == sorted(set(seqs))
        assert len(codec.encode(batch)) <= MAX_BATCH_BYTES

    # ---- the network and the hub -----------------------------------------------------------------------------------

    @precondition(lambda self: self.up)
    @rule(data=st.data(), mood=st.sampled_from(["takes", "takes", "takes", "busy", "silent", "foreign", "some"]))
    def hub_reads(self, data: st.DataObject, mood: str) -> None:
        message = data.draw(st.sampled_from(self.up))
        if data.draw(st.booleans()):
            self.up.remove(message)
        match message:
            case Hello():
                if mood != "silent":
                    self.down.append(self.hub.welcome(message, self.unit.true_time))
            case Audit():
                if mood != "silent":
                    self.down.append(self.hub.compare(message))
            case EventBatch():
                self.down += self._answers(message, mood)

    def _answers(self, batch: EventBatch, mood: str) -> list[Receipt]:
        if mood == "silent":
            return []
        if mood == "busy":
            return [Receipt(epoch=batch.epoch, batch_id=batch.batch_id, result="busy", retry_after_s=3.0)]
        if mood == "some":
            return [self.hub.take(batch.model_copy(update={"events": batch.events[::2]}))]
        receipt = self.hub.take(batch)
        return [receipt.model_copy(update={"epoch": "f" * 16})] if mood == "foreign" else [receipt]

    @precondition(lambda self: self.down)
    @rule(data=st.data())
    def unit_hears(self, data: st.DataObject) -> None:
        message = data.draw(st.sampled_from(self.down))
        if data.draw(st.booleans()):
            self.down.remove(message)
        if isinstance(message, Welcome | Receipt | AuditAnswer):
            self.unit.hear(message)

    @rule(data=st.data())
    def hub_is_restored_from_a_backup(self, data: st.DataObject) -> None:
        """All that the backup lacks is lost; what was on its way to units is lost too, with the hub that sent it."""
        epoch = self.unit.journal.epoch
        kept = data.draw(st.integers(0, 30))
        self.hub.forget(epoch, range(kept + 1, 10_000))
        self.down.clear()

    @rule(place=st.integers(1, 3))
    def another_card_writes_where_this_one_will(self, place: int) -> None:
        """As after an old copy of the file was put back: the hub has other events at the next places."""
        epoch, last = self.unit.journal.epoch, self.unit.journal.positions()[0]
        stranger = f"{len(self.hub.ids) + 0xDEAD_0000:032x}"
        self.hub.places.setdefault((epoch, last + place), (stranger, "0" * 64))

    # ---- what must hold --------------------------------------------------------------------------------------------

    @invariant()
    def windows_are_kept(self) -> None:
        assert self.unit.talk.window.in_flight <= LIMITS.batches_in_flight + LIMITS.backlog_in_flight

    @invariant()
    def no_event_is_under_way_twice(self) -> None:
        keys = [key for flight in self.unit.talk.window._flights.values() for key in flight.keys]
        assert len(keys) == len(set(keys))

    @invariant()
    def nothing_is_twice_at_the_hub(self) -> None:
        assert all(self.hub.places[place][0] == event_id for event_id, place in self.hub.ids.items())

    def teardown(self) -> None:
        """Now everything works: honest hub, good network, and an audit."""
        try:
            self._end_well()
        finally:
            repairs.SLICE_SEQS = self.slice_seqs

    def _end_well(self) -> None:
        unit = self.unit
        unit.journal.trouble.heal()
        unit.sent.clear()
        unit.disconnect()
        unit.connect()
        begun_s = unit.clock.monotonic_s()
        unit.settle(self.hub, rounds=3000)
        # The first audit finds what a restored backup lost below the high water.
        while unit.clock.monotonic_s() - begun_s < 1300:
            unit.tick(30)
            unit.serve(self.hub)
        unit.settle(self.hub, rounds=3000)
        letters = {letter.body["event_id"]: letter.code for letter in unit.journal.dead_letters()}
        on_disk = {event.event_id for event in unit.journal.events}
        anchors = {event.event_id for event in unit.journal.events if isinstance(event, Anchor)}
        assert self.written <= on_disk, "something written down is gone from the disk"
        assert (on_disk - anchors) == self.written
        assert on_disk <= set(self.hub.ids) | set(letters), "neither at the hub nor among the dead letters"
        assert NO_ANSWER not in letters.values(), "a good event was put aside"
        assert max(self._latency_s(), 0) <= 1.0

    def _latency_s(self) -> float:
        """Return how long a live event takes to be sent, now that all is well."""
        (event,) = self.unit.record(1)
        started_s = self.unit.clock.monotonic_s()
        for _ in range(100):
            sends = self.unit.tick(0.2)
            for send in sends:
                if isinstance(send.message, EventBatch) and event.event_id in {
                    e["event_id"] for e in send.message.events
                }:
                    assert send.channel == "events"
                    return self.unit.clock.monotonic_s() - started_s
        raise AssertionError("a live event is not sent")


ConversationMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestAnyNetworkHubAndUnit = ConversationMachine.TestCase
