"""The ingest loop: nothing is confirmed before it is committed, and nothing a unit sends stops the hub."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.core.errors import BadInput, Conflict, HubError, StoreBusy
from hub.core.ingest import Arrival, Batch, Unusable, busy
from hub.core.ports import Greeting, Taken
from hub.loops.held_up import HeldUp
from hub.loops.ingest import IngestLoop
from hub.loops.ingest_state import IngestState
from protocol.base import Envelope
from protocol.codec import encode
from protocol.content import Applied, Want, Wanted
from protocol.delivery import (
    Audit,
    AuditAnswer,
    Hello,
    Limits,
    RangeDigest,
    Receipt,
    SeqRange,
    Welcome,
    xor64,
)
from protocol.events import event_sha256
from protocol.status import Status
from protocol.topics import up
from tests.hub_core.builders import BOOT, EPOCH, PACK, START, UNIT, a_message, an_event, an_id
from tests.hub_loops.fakes import FakeClock, FakeInbox, FakeLink, MemoryEventStore, Sent

SITE = "test-site"
STRANGE = an_id(66)


class Hub:
    """An ingest loop with fakes around it."""

    def __init__(self, state: IngestState | None = None) -> None:
        self.clock, self.inbox, self.link = FakeClock(), FakeInbox(), FakeLink()
        self.limits = Limits()
        self.store = MemoryEventStore([UNIT])
        self.wants: list[tuple[str, Want]] = []
        self.greeted: list[str] = []
        self.loop = IngestLoop(
            site=SITE,
            inbox=self.inbox,
            link=self.link,
            store=self.store,
            clock=self.clock,
            on_want=lambda unit_id, want: self.wants.append((unit_id, want)),
            on_greeted=self.greeted.append,
            state=state,
            limits=lambda: self.limits,
        )

    def hears(self, channel: str, message: Envelope | bytes, *, unit_id: str = UNIT, retained: bool = False) -> None:
        payload = message if isinstance(message, bytes) else encode(message)
        self.inbox.waiting.append(Arrival(up(SITE, unit_id, channel).topic, payload, self.clock.now(), retained))

    def hears_events(self, *seqs: int, number: int = 1, unit_id: str = UNIT, **changed: Any) -> None:
        self.hears("events", a_message([an_event(seq, **changed) for seq in seqs], number=number), unit_id=unit_id)

    def published(self) -> list[Sent]:
        self.loop.step()
        return self.link.take()

    def answers(self) -> list[Envelope]:
        return [sent.message for sent in self.published()]

    def receipts(self) -> list[Receipt]:
        return [message for message in self.answers() if isinstance(message, Receipt)]


@pytest.fixture
def hub() -> Hub:
    return Hub()


def a_hello(delivered_seq: int = 0) -> Hello:
    return Hello(
        epoch=EPOCH,
        boot_id=BOOT,
        last_seq=0,
        delivered_seq=delivered_seq,
        gallery_revision=0,
        pack_id=PACK,
        software="1",
        clock="synced",
        at=START,
    )


def test_a_committed_batch_is_confirmed(hub: Hub) -> None:
    hub.hears_events(1, 2)
    [receipt] = hub.receipts()
    assert (receipt.result, receipt.high_water) == ("taken", 2)
    assert hub.loop.committed == 2


def test_while_the_database_is_away_units_are_told_to_wait_and_nothing_is_confirmed(
    hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    hub.store.away = True
    for number in range(3):
        hub.hears_events(1, number=number)
        [receipt] = hub.receipts()
        assert (receipt.result, receipt.accepted) == ("busy", ())
        assert receipt.retry_after_s
        hub.clock.move(timedelta(seconds=3))
    hub.store.away = False
    hub.hears_events(1, number=9)
    [receipt] = hub.receipts()
    assert receipt.result == "taken"
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[0].startswith("database lost")
    assert said[1].startswith("database recovered after_s=9")


def test_an_idle_minute_without_a_database_is_not_called_a_recovery(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    hub.store.away = True
    hub.hears_events(1)
    hub.answers()
    hub.clock.move(timedelta(minutes=1))
    hub.answers()
    assert not [record for record in caplog.records if "recovered" in record.getMessage()]


def test_a_database_that_does_not_answer_is_not_asked_for_every_message(hub: Hub) -> None:
    hub.store.away = True
    for number in range(20):
        hub.hears_events(1, number=number)
        hub.answers()
    assert hub.store.calls == 1


def test_a_lost_answer_to_a_commit_ends_as_a_duplicate(hub: Hub) -> None:
    hub.store.lose_answer = True
    hub.hears_events(1)
    assert hub.receipts()[0].result == "busy"
    hub.store.lose_answer = False
    hub.clock.move(timedelta(seconds=5))
    hub.hears_events(1)
    [receipt] = hub.receipts()
    assert receipt.duplicate
    assert not receipt.accepted
    assert len(hub.store.events) == 1


def test_a_broker_that_is_away_does_not_stop_anything(hub: Hub) -> None:
    hub.link.up = False
    hub.hears_events(1)
    assert hub.receipts() == []
    assert len(hub.store.events) == 1


def test_hello_is_welcomed_with_time_and_high_water(hub: Hub) -> None:
    hub.hears_events(1, 2)
    hub.answers()
    hub.hears("hello", a_hello())
    [welcome] = hub.answers()
    assert isinstance(welcome, Welcome)
    assert (welcome.epoch, welcome.high_water, welcome.server_time) == (EPOCH, 2, START)
    assert hub.greeted == [UNIT]


def test_a_hello_during_an_outage_is_answered_when_it_is_over(hub: Hub) -> None:
    hub.store.away = True
    hub.hears("hello", a_hello())
    assert hub.answers() == []
    hub.store.away = False
    hub.clock.move(timedelta(seconds=5))
    [welcome] = hub.answers()
    assert isinstance(welcome, Welcome)


def test_a_database_that_lost_confirmed_events_is_reported(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    hub.hears("hello", a_hello(delivered_seq=100))
    hub.answers()
    assert "was it restored?" in caplog.text


def test_a_copied_card_is_reported(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    hub.store.clone = True
    hub.hears("hello", a_hello())
    hub.answers()
    assert "was a card copied?" in caplog.text


def test_a_contradiction_is_reported_without_its_content(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    hub.hears_events(1)
    hub.answers()
    hub.hears_events(1, number=2, student_id=an_id(4242))
    [receipt] = hub.receipts()
    assert [one.code for one in receipt.rejected] == ["conflict"]
    assert "contradicts" in caplog.text
    assert an_id(4242) not in caplog.text


def test_an_unknown_unit_is_not_answered_and_named_once(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(3):
        hub.hears_events(1, number=number, unit_id=an_id(404))
        hub.hears("hello", a_hello(), unit_id=an_id(404))
        assert hub.answers() == []
    assert caplog.text.count(an_id(404)) == 1
    assert hub.store.events == {}


def test_garbage_is_kept_aside_and_counted(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    hub.hears("events", b"\xff")
    hub.hears("hello", b"{}")
    hub.hears_events(1)
    assert len(hub.receipts()) == 1
    assert [one.code for one in hub.store.unusable] == ["invalid", "invalid"]
    hub.clock.move(timedelta(minutes=2))
    hub.answers()
    assert "invalid=2" in caplog.text


def test_wants_are_handed_on_without_asking_the_database(hub: Hub) -> None:
    want = Want(items=(Wanted(kind="manifest", hash="0" * 64),))
    hub.store.away = True
    hub.hears("want", want)
    hub.answers()
    assert hub.wants == [(UNIT, want)]


def test_applied_is_kept_and_a_problem_is_logged(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    hub.hears("applied", Applied(revision=3, at=START, problem="disk_full", detail="no room"))
    hub.answers()
    assert hub.store.applied[UNIT].revision == 3
    assert "disk_full" in caplog.text


def test_a_retained_status_counts_from_when_it_was_written(hub: Hub) -> None:
    before = START - timedelta(days=3)
    status = Status(state="watching", session=1, epoch=EPOCH, at=before)
    hub.hears("status", status, retained=True)
    hub.answers()
    assert hub.store.status_at[UNIT] == before
    hub.hears("status", status)
    hub.answers()
    assert hub.store.status_at[UNIT] == START


def test_an_old_copy_of_a_file_is_reported_and_its_events_are_not_kept(
    hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    hub.hears_events(1, 2)
    hub.answers()
    hub.hears_events(2, number=2, event_id=an_id(77))
    [receipt] = hub.receipts()
    assert [(one.seq, one.code) for one in receipt.rejected] == [(2, "seq_taken")]
    assert "old file put back" in caplog.text
    assert hub.store.refused == set()


def test_a_late_copy_of_an_event_that_was_numbered_anew_is_no_alarm(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    hub.hears("events", a_message([an_event(1)], epoch="00000000000000bb"))
    hub.answers()
    hub.hears_events(1, number=2)
    [receipt] = hub.receipts()
    assert [(one.seq, one.code) for one in receipt.rejected] == [(1, "moved")]
    assert hub.store.refused == set()
    assert [record.levelname for record in caplog.records if "numbered anew" in record.message] == ["INFO"]
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


def test_what_waited_is_taken_as_what_happens_now_is(hub: Hub) -> None:
    hub.hears("backlog", a_message([an_event(1)]))
    [receipt] = hub.receipts()
    assert receipt.accepted == (SeqRange(first=1, last=1),)


def test_the_welcome_names_the_hello_it_answers_and_what_may_be_sent(hub: Hub) -> None:
    hub.limits = Limits(backlog_in_flight=1)
    hub.hears("hello", a_hello().model_copy(update={"hello_id": an_id(5)}))
    [welcome] = hub.answers()
    assert isinstance(welcome, Welcome)
    assert (welcome.hello_id, welcome.limits.backlog_in_flight) == (an_id(5), 1)


def test_an_audit_is_answered_with_what_the_database_lacks(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    hub.hears_events(1, 2)
    hub.answers()
    sha256s = [event_sha256(an_event(seq)) for seq in (1, 2)]
    digest = RangeDigest(first=1, last=1000, count=2, xor64=xor64(sha256s))
    audit = Audit(epoch=EPOCH, audit_id=an_id(8), digests=(digest,))
    hub.hears("audit", audit)
    assert hub.answers() == [AuditAnswer(epoch=EPOCH, audit_id=an_id(8))]
    hub.store.lose([(UNIT, EPOCH, 2)])
    hub.hears("audit", audit)
    [answer] = hub.answers()
    assert isinstance(answer, AuditAnswer)
    assert answer.differing == (SeqRange(first=1, last=1000),)
    assert "differs" in caplog.text
    hub.hears("audit", audit, unit_id=an_id(404))
    assert hub.answers() == []


def test_a_batch_that_found_no_room_is_told_to_come_again_without_being_read(hub: Hub) -> None:
    message = a_message([an_event(1)], number=6)
    topic = up(SITE, UNIT, "backlog").topic
    hub.inbox.no_room_for = [
        Arrival(topic, encode(message)[:400], START),
        Arrival(topic, b'{"garbage', START),
    ]
    [receipt] = hub.receipts()
    assert (receipt.batch_id, receipt.result) == (message.batch_id, "busy")
    assert hub.store.events == {}


def test_lanes_that_share_their_state_say_once_that_the_database_is_away_and_one_asks_for_all(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    state = IngestState(FakeClock())
    first, second = Hub(state), Hub(state)
    for hub in (first, second):
        hub.store.away = True
        hub.hears_events(1)
        assert [one.result for one in hub.receipts()] == ["busy"]
    assert (first.store.calls, second.store.calls) == (1, 0)
    assert caplog.text.count("database lost") == 1


def test_lost_transactions_are_counted_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock, lost = FakeClock(), [0]
    state = IngestState(clock, lambda: lost[0])
    for repeated in (0, 3, 3, 5):
        lost[0] = repeated
        clock.move(timedelta(minutes=2))
        state.report()
    said = [record.getMessage() for record in caplog.records]
    assert said == ["lost transactions run again count=3", "lost transactions run again count=2"]


def test_units_count_as_heard_for_some_minutes() -> None:
    clock = FakeClock()
    state = IngestState(clock)
    state.heard(UNIT)
    state.heard(UNIT)
    state.heard(STRANGE)
    assert state.units_heard() == 2
    clock.move(timedelta(minutes=20))
    state.report()
    assert state.units_heard() == 0


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.lists(st.integers(1, 15), min_size=1, max_size=8)),
        st.tuples(st.sampled_from(["away", "lose_answer", "link_down", "heal", "garbage"]), st.none()),
    ),
    max_size=30,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(STEPS, st.sets(st.integers(1, 15), max_size=4))
def test_whatever_breaks_every_event_counts_once_and_receipts_cover_only_what_is_committed(
    steps: list[tuple[str, list[int] | None]], poison: set[int]
) -> None:
    hub = Hub()
    for number, (what, seqs) in enumerate(steps):
        if seqs is not None:
            events = [an_event(seq, **({"score": 9} if seq in poison else {})) for seq in seqs]
            hub.hears("events", a_message(events, number=number))
        elif what == "garbage":
            hub.hears("events", b"{")
        hub.store.away = what == "away" or (hub.store.away and what != "heal")
        hub.store.lose_answer = what == "lose_answer" or (hub.store.lose_answer and what != "heal")
        hub.link.up = not (what == "link_down" or (not hub.link.up and what != "heal"))
        hub.clock.move(timedelta(seconds=3))
        for receipt in hub.receipts():
            on_record = {seq for _, _, seq in hub.store.events}
            refused = {seq for _, _, seq in hub.store.refused}
            for one in (*receipt.accepted, *receipt.duplicate):
                assert set(range(one.first, one.last + 1)) <= on_record
            assert {one.seq for one in receipt.rejected} <= refused
            assert set(range(1, receipt.high_water + 1)) <= on_record | refused
    hub.store.away = hub.store.lose_answer = False
    hub.link.up = True
    hub.clock.move(timedelta(seconds=10))
    everything = sorted({seq for _, seqs in steps for seq in seqs or []})
    if everything:
        hub.hears("events", a_message([an_event(seq, **({"score": 9} if seq in poison else {})) for seq in everything]))
        [receipt] = hub.receipts()
        assert receipt.result == "taken"
    assert {seq for _, _, seq in hub.store.events} == set(everything) - poison


class StumblingStore(MemoryEventStore):
    """Finds something wrong with one unit's messages that no other attempt makes right."""

    def take(self, batches: Sequence[Batch]) -> list[Taken]:
        if any(batch.unit_id == STRANGE for batch in batches):
            raise Conflict("this refers to something that is not on record")
        return super().take(batches)

    def confirm_gallery(self, unit_id: str, applied: Applied, at: datetime) -> bool:
        if unit_id == STRANGE:
            raise BadInput("a number is too large")
        return super().confirm_gallery(unit_id, applied, at)

    def quarantine(self, unusable: Sequence[Unusable]) -> int:
        if any(one.code == "broken" for one in unusable):
            raise BadInput("a text is too long")
        return super().quarantine(unusable)


class PoisonedStore(MemoryEventStore):
    """Answers everybody but gives up on whatever one unit sends."""

    error: HubError = StoreBusy("waited too long for a lock (here)")
    asked: tuple[int, ...] = ()
    """How many batches each transaction had."""
    stumbles_over_all = False

    def _stumble(self, unit_ids: set[str]) -> None:
        if STRANGE in unit_ids or self.stumbles_over_all:
            raise self.error

    def take(self, batches: Sequence[Batch]) -> list[Taken]:
        self.asked = (*self.asked, len(batches))
        self._stumble({batch.unit_id for batch in batches})
        return super().take(batches)

    def greet(self, unit_id: str, hello: Hello, at: datetime) -> Greeting | None:
        self._stumble({unit_id})
        return super().greet(unit_id, hello, at)


@pytest.fixture
def poisoned(hub: Hub) -> PoisonedStore:
    """The hub's store, which cannot take what STRANGE sends."""
    hub.store.__class__ = PoisonedStore
    hub.store.units.add(STRANGE)
    assert isinstance(hub.store, PoisonedStore)
    return hub.store


def the_receipts(hub: Hub) -> dict[str, str]:
    """Return the result of each unit's receipt of one step."""
    sent = [one for one in hub.published() if isinstance(one.message, Receipt)]
    return {one.topic.split("/")[4]: one.message.result for one in sent if isinstance(one.message, Receipt)}


@pytest.mark.parametrize("error", [StoreBusy("waited too long for a lock"), Conflict("no parent row")])
def test_a_batch_that_the_database_gives_up_on_holds_up_its_own_unit_alone(
    hub: Hub, poisoned: PoisonedStore, error: HubError, caplog: pytest.LogCaptureFixture
) -> None:
    poisoned.error = error
    for number in range(20):
        hub.hears_events(number + 1, number=number)
        hub.hears_events(1, number=number, unit_id=STRANGE)
        assert the_receipts(hub) == {UNIT: "taken", STRANGE: "busy"}
        hub.clock.move(timedelta(seconds=3))
    assert "database lost" not in caplog.text
    assert f"the others go on unit={STRANGE}" in caplog.text
    # Not at every message: it is left alone for longer and longer.
    assert sum(len(record.getMessage()) > 0 for record in caplog.records if "others go on" in record.message) == 3
    poisoned.error = StoreBusy("")
    poisoned.__class__ = MemoryEventStore  # type: ignore[assignment]
    hub.clock.move(timedelta(minutes=10))
    hub.hears_events(1, unit_id=STRANGE)
    assert the_receipts(hub) == {STRANGE: "taken"}


def test_what_stays_untaken_is_set_aside_for_a_person(hub: Hub, poisoned: PoisonedStore) -> None:
    for _ in range(3):
        assert hub.store.unusable == []
        hub.hears_events(1, unit_id=STRANGE)
        hub.answers()
        hub.clock.move(timedelta(minutes=10))
    assert [(one.code, one.unit_id) for one in poisoned.unusable] == [("not_taken", STRANGE)]


def test_a_database_that_takes_nothing_is_not_asked_for_every_batch_alone(hub: Hub, poisoned: PoisonedStore) -> None:
    strangers = [STRANGE, *(an_id(700 + number) for number in range(30))]
    poisoned.units.update(strangers)
    poisoned.stumbles_over_all = True
    for unit_id in strangers:
        hub.hears_events(1, unit_id=unit_id)
    assert the_receipts(hub) == dict.fromkeys(strangers, "busy")
    assert poisoned.asked == (31, 1, 1, 1)


def test_a_hello_that_the_database_gives_up_on_is_answered_later_and_the_others_at_once(
    hub: Hub, poisoned: PoisonedStore
) -> None:
    hub.hears("hello", a_hello(), unit_id=STRANGE)
    hub.hears("hello", a_hello())
    [welcome] = hub.published()
    assert welcome.topic.split("/")[4] == UNIT
    poisoned.__class__ = MemoryEventStore  # type: ignore[assignment]
    assert hub.published() == []
    hub.clock.move(timedelta(seconds=11))
    [welcome] = hub.published()
    assert welcome.topic.split("/")[4] == STRANGE


class PickyStore(MemoryEventStore):
    """Cannot take one event of UNIT, and takes all others."""

    def take(self, batches: Sequence[Batch]) -> list[Taken]:
        if any(row.event.seq == 500 and row.unit_id == UNIT for batch in batches for row in batch.rows):
            raise StoreBusy("the database finds something wrong")
        return super().take(batches)


def test_a_good_batch_does_not_end_the_pause_over_a_bad_one_of_the_same_unit(
    hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    hub.store.__class__ = PickyStore
    for number in range(1, 6):
        hub.hears_events(number, number=number)
        hub.hears("backlog", a_message([an_event(500)], number=900))
        assert sorted(one.result for one in hub.receipts()) == ["busy", "taken"]
        hub.clock.move(timedelta(minutes=10))
    assert [one.code for one in hub.store.unusable] == ["not_taken"]
    assert "times=5 again_in_s=160" in caplog.text
    hub.store.__class__ = MemoryEventStore
    hub.hears_events(499, 500, 501, number=7)
    assert [one.result for one in hub.receipts()] == ["taken"]
    hub.store.__class__ = PickyStore
    hub.hears("backlog", a_message([an_event(500)], number=901))
    hub.receipts()
    assert caplog.text.count("times=1 again_in_s=10") == 2


def test_who_comes_back_from_a_pause_is_tried_alone_and_after_the_others(hub: Hub, poisoned: PoisonedStore) -> None:
    others = [an_id(700 + number) for number in range(3)]
    poisoned.units.update(others)
    hub.hears_events(1, unit_id=STRANGE)
    hub.answers()
    hub.clock.move(timedelta(minutes=1))
    before = len(poisoned.asked)
    for unit_id in (STRANGE, *others):
        hub.hears_events(1, unit_id=unit_id, event_id=unit_id)
    assert the_receipts(hub) == {STRANGE: "busy", **dict.fromkeys(others, "taken")}
    assert poisoned.asked[before:] == (3, 1)


def test_while_many_units_are_locked_a_step_waits_for_few_of_them_and_who_is_new_comes_first(
    hub: Hub, poisoned: PoisonedStore, caplog: pytest.LogCaptureFixture
) -> None:
    poisoned.stumbles_over_all = True
    strangers = [an_id(700 + number) for number in range(5)]
    poisoned.units.update(strangers)
    for unit_id in strangers:
        hub.hears("hello", a_hello(), unit_id=unit_id)
    for waits in (2, 4, 5, 5):
        hub.answers()
        assert caplog.text.count("others go on") == waits
    hub.clock.move(timedelta(seconds=11))
    poisoned.stumbles_over_all = False
    hub.hears("hello", a_hello())
    assert [sent.topic.split("/")[4] for sent in hub.published()] == [UNIT, *strangers]


def test_when_a_thousand_units_wait_another_one_waits_too() -> None:
    clock = FakeClock()
    held_up = HeldUp(clock, 600.0)
    for number in range(1001):
        held_up.add(an_id(number), StoreBusy("a lock"))
        clock.move(timedelta(milliseconds=1))
    assert held_up.wait_s(an_id(1000)) > 9
    assert held_up.wait_s(an_id(999)) > 0
    assert held_up.wait_s(an_id(0)) == 0


def test_what_is_deferred_is_the_newest_of_each_kind(hub: Hub) -> None:
    hub.store.away = True
    for number in range(1, 101):
        hub.hears("hello", a_hello().model_copy(update={"hello_id": an_id(number)}))
        hub.hears("status", Status(state="watching", session=number, epoch=EPOCH))
        hub.hears("applied", Applied(revision=number, at=START))
    # The will of a connection that ended before.
    hub.hears("status", Status(state="lost", session=3, epoch=EPOCH))
    hub.hears("applied", Applied(revision=101, at=START, erased=(an_id(5),)))
    hub.hears("applied", Applied(revision=102, at=START))
    while hub.inbox.waiting:
        hub.answers()
    hub.store.away = False
    hub.clock.move(timedelta(seconds=5))
    [welcome] = hub.answers()
    assert isinstance(welcome, Welcome)
    assert welcome.hello_id == an_id(100)
    assert hub.store.statuses[UNIT].session == 100
    assert [said.revision for said in hub.store.all_applied] == [102, 101]
    assert hub.loop._deferred.size_bytes == 0


@pytest.mark.slow
def test_what_waits_for_a_database_that_is_away_is_bounded_for_each_unit_and_in_bytes(hub: Hub) -> None:
    hub.store.away = True
    hub.store.units.add(STRANGE)
    large = Audit(
        epoch=EPOCH,
        audit_id=an_id(8),
        digests=tuple(RangeDigest(first=n, last=n, count=1, xor64="0" * 16) for n in range(1, 501)),
    )
    for _ in range(300):
        hub.hears("hello", a_hello(), unit_id=STRANGE)
        hub.hears("audit", large, unit_id=STRANGE)
    hub.hears("hello", a_hello())
    while hub.inbox.waiting:
        hub.answers()
    assert hub.loop._deferred.size_bytes < 1024 * 1024
    hub.store.away = False
    hub.clock.move(timedelta(seconds=5))
    answered = [sent.topic.split("/")[4] for sent in hub.published()]
    assert UNIT in answered
    assert answered.count(STRANGE) <= 32


def test_one_unit_cannot_fill_the_quarantine_with_garbage(hub: Hub) -> None:
    for _ in range(50):
        hub.hears("hello", b"{}", unit_id=STRANGE)
    hub.hears("hello", b"{}")
    hub.answers()
    kept = [one.unit_id for one in hub.store.unusable]
    assert kept.count(STRANGE) == 10
    assert UNIT in kept
    hub.clock.move(timedelta(days=1))
    hub.hears("hello", b"{", unit_id=STRANGE)
    hub.answers()
    assert [one.unit_id for one in hub.store.unusable].count(STRANGE) == 11


class CrowdedStore(MemoryEventStore):
    """Says of every stream that its unit has begun too many."""

    def take(self, batches: Sequence[Batch]) -> list[Taken]:
        return [Taken(batch, busy(batch, 900.0), too_many_streams=True) for batch in batches]

    def greet(self, unit_id: str, hello: Hello, at: datetime) -> Greeting | None:  # noqa: ARG002
        return Greeting(0, clone_suspected=False, too_many_streams=True)


def test_a_unit_that_begins_stream_after_stream_is_told_to_wait_and_named_once(
    hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    hub.store.__class__ = CrowdedStore
    for number in range(3):
        hub.hears_events(1, number=number)
        hub.hears("hello", a_hello())
        [receipt] = hub.answers()
        assert isinstance(receipt, Receipt)
        assert (receipt.result, receipt.retry_after_s) == ("busy", 900.0)
    assert caplog.text.count("one stream after the other") == 1
    assert hub.greeted == []


def test_one_message_that_cannot_be_taken_does_not_end_the_hub_and_is_never_confirmed(hub: Hub) -> None:
    hub.store.__class__ = StumblingStore
    hub.store.units.add(STRANGE)
    for number in range(15):
        hub.hears("applied", Applied(revision=3, at=START), unit_id=STRANGE)
        hub.hears_events(1, number=number, unit_id=STRANGE)
        hub.hears_events(number + 1, number=number)
        results = {sent.topic.split("/")[4]: sent.message for sent in hub.published() if sent.topic.endswith("receipt")}
        strange, fine = results[STRANGE], results[UNIT]
        assert isinstance(strange, Receipt)
        assert isinstance(fine, Receipt)
        assert (strange.result, strange.accepted, fine.result) == ("busy", (), "taken")
    assert {one.code for one in hub.store.unusable} == {"not_taken"}
    assert len(hub.store.unusable) == 10


def test_a_message_that_cannot_even_be_kept_is_left(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.store.__class__ = StumblingStore
    monkeypatch.setattr("hub.loops.ingest.read", lambda arrival, _: Unusable("broken", "", arrival))
    hub.hears_events(1)
    assert hub.receipts() == []
