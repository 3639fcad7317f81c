"""The conversation with the hub: greeting, records, receipts, gallery, status, and what can go wrong in it."""

import queue
from datetime import timedelta

import pytest

from edge.core.conversation import Conversation
from edge.core.errors import StorageFailed, StorageFull
from edge.core.news import Accepted, Arrived, Connected, Disconnected, Hindered, News, Refused
from edge.core.telling import Condition, UnitFacts
from edge.loops.delivery import DeliveryLoop
from edge.loops.gallery import GalleryKeeper
from edge.loops.health import Health
from edge.loops.recorder import Recorder
from edge.loops.surroundings import UnitSurroundings
from protocol import codec, topics
from protocol.base import MAX_MESSAGE_BYTES, Envelope
from protocol.content import Applied, Head, Want
from protocol.delivery import EventBatch, Hello, Limits, Receipt, Rejection, Welcome, ranges
from protocol.events import Anchor
from protocol.status import Status
from tests.builders import DIMENSIONS, OTHER_UNIT, PACK, SITE, UNIT, HubSide, face_of, seen, student, uid
from tests.fakes import BOOT, EPOCH, FakeClock, FakeUplink, MemoryCsv, MemoryGalleryStore, MemoryJournal

HUB = HubSide()


class Talk:
    """A delivery loop, and a hub that speaks through it."""

    def __init__(self, *, connected: bool = True, clock: FakeClock | None = None) -> None:
        # Such a clock is not news at the start, and what happens now is not mixed with an anchor.
        self.clock = clock or FakeClock(quality="holdover")
        self.health = Health()
        self.journal = MemoryJournal(clock=self.clock)
        self.csv = MemoryCsv()
        self.store = MemoryGalleryStore()
        self.uplink = FakeUplink(connected=connected)
        self.news: queue.Queue[News] = queue.Queue()
        self.recorder = Recorder(self.journal, self.csv, self.health)
        self.keeper = GalleryKeeper(HUB.unit, self.store, DIMENSIONS, self.clock, self.health)
        self.live = Condition(frames_per_s=4.5, disk_free_bytes=10**9)
        self.epochs: list[str] = []
        self.loop = DeliveryLoop(
            conversation=Conversation(
                UnitFacts(SITE, UNIT, "0.1.0", PACK, session=3),
                self.journal,
                self.clock.new_id,
                lambda: 1.0,
                UnitSurroundings(self.health, self.keeper, self.recorder, lambda: self.live),
            ),
            journal=self.journal,
            recorder=self.recorder,
            keeper=self.keeper,
            uplink=self.uplink,
            news=self.news,
            clock=self.clock,
            health=self.health,
            on_new_epoch=self.epochs.append,
        )
        if connected:
            self.news.put(Connected())

    def step(self, after_s: float = 0.0) -> None:
        self.clock.advance(after_s)
        self.loop.step(timeout_s=0)

    def say(self, channel: str, message: Envelope) -> None:
        """Say something as the hub."""
        self.news.put(Arrived(topics.down(SITE, UNIT, channel).topic, codec.encode(message)))
        self.step()

    def welcome(
        self,
        *,
        ahead_s: float = 0.0,
        limits: Limits | None = None,
        epoch: str | None = None,
        high_water: int = 0,
        answers: Hello | None = None,
    ) -> None:
        """Answer a greeting of the unit, the latest if not told otherwise; it goes out before if it has not."""
        self.step()
        server_time = self.clock.at + timedelta(seconds=ahead_s)
        welcome = Welcome(
            epoch=epoch or self.journal.epoch,
            high_water=high_water,
            server_time=server_time,
            limits=limits or Limits(),
            hello_id=(answers or self.hellos()[-1]).hello_id,
        )
        self.say("welcome", welcome)

    def connect(self) -> None:
        """Come back after the connection was lost."""
        self.uplink.connected = True
        self.news.put(Connected())
        self.step()

    def record(self, count: int) -> None:
        have = len(self.journal.events)
        self.journal.append([seen(event=have + n + 1) for n in range(count)])

    def on(self, channel: str) -> list[Envelope]:
        return self.uplink.on(channel)

    def hellos(self) -> list[Hello]:
        return [message for message in self.on("hello") if isinstance(message, Hello)]

    def batches(self) -> list[EventBatch]:
        """Everything that was sent, live or not, without anchors alone."""
        sent = [sent.message for sent in self.uplink.published if sent.address.channel in ("events", "backlog")]
        batches = [message for message in sent if isinstance(message, EventBatch)]
        return [batch for batch in batches if any(event["kind"] == "seen" for event in batch.events)]

    def live_batches(self) -> list[EventBatch]:
        return [message for message in self.on("events") if isinstance(message, EventBatch)]

    def sent_seqs(self) -> list[int]:
        return [event["seq"] for batch in self.batches() for event in batch.events if event["kind"] == "seen"]

    def waiting(self) -> int:
        """How many sightings wait."""
        queued = self.journal.undelivered(0, None, 10_000, 10**9)
        return sum(one.body["kind"] == "seen" for one in queued)

    def statuses(self) -> list[Status]:
        return [message for message in self.on("status") if isinstance(message, Status)]

    def applied(self) -> list[Applied]:
        return [message for message in self.on("applied") if isinstance(message, Applied)]

    def take(self, batch: EventBatch) -> None:
        """Answer a batch as a hub that has committed it."""
        spans = ranges([event["seq"] for event in batch.events])
        self.say("receipt", Receipt(epoch=batch.epoch, batch_id=batch.batch_id, accepted=spans))

    def problems(self) -> list[str]:
        return [problem.code for problem in self.health.problems()]

    def anchors(self) -> list[Anchor]:
        return [event for event in self.journal.events if isinstance(event, Anchor)]


def test_a_unit_introduces_itself_after_connecting() -> None:
    talk = Talk()
    talk.record(3)
    talk.step()
    (hello,) = talk.hellos()
    assert hello.hello_id
    assert [hello] == [
        Hello(
            epoch=EPOCH,
            boot_id=BOOT,
            last_seq=3,
            delivered_seq=0,
            gallery_revision=0,
            pack_id=PACK,
            software="0.1.0",
            clock="holdover",
            at=talk.clock.at,
            hello_id=hello.hello_id,
            kept_seq=1,
        )
    ]


def test_a_unit_greets_every_ten_seconds_until_it_is_welcomed() -> None:
    talk = Talk()
    for _ in range(31):
        talk.step(after_s=1.0)
    assert len(talk.on("hello")) == 4
    assert talk.problems() == ["hub_silent"]
    talk.welcome()
    assert talk.problems() == []
    for _ in range(30):
        talk.step(after_s=1.0)
    assert len(talk.on("hello")) == 4
    assert talk.problems() == []


def test_records_go_out_only_after_the_welcome_and_within_its_limits() -> None:
    talk = Talk()
    talk.record(5)
    talk.step()
    assert talk.batches() == []
    talk.welcome(limits=Limits(batch_events=2, backlog_in_flight=2))
    assert [[event["seq"] for event in batch.events] for batch in talk.batches()] == [[1, 2], [3, 4]]


def test_a_second_welcome_changes_the_limits_and_sends_nothing_twice() -> None:
    """A greeting that was repeated while the hub was slow has two answers."""
    talk = Talk()
    talk.record(4)
    talk.step()
    talk.step(after_s=10)
    _, later = talk.hellos()
    talk.welcome(limits=Limits(batch_events=1, backlog_in_flight=1))
    assert talk.sent_seqs() == [1]
    talk.welcome(limits=Limits(batch_events=2, backlog_in_flight=2), answers=talk.hellos()[0])
    assert later == talk.hellos()[1]
    assert [[event["seq"] for event in batch.events] for batch in talk.batches()] == [[1], [2, 3]]


def test_a_hub_that_stops_answering_is_greeted_anew_and_reported_until_it_welcomes_us() -> None:
    talk = Talk()
    talk.record(1)
    talk.welcome()
    for _ in range(30):
        talk.step(after_s=1.0)
    assert (len(talk.on("hello")), talk.problems()) == (1, [])
    for _ in range(300):
        talk.step(after_s=1.0)
    assert 30 <= len(talk.on("hello")) - 1 <= 31
    assert talk.problems() == ["hub_silent"]
    assert len(talk.batches()) == 3
    assert talk.waiting()
    talk.welcome()
    assert talk.problems() == []
    assert talk.sent_seqs() == [1, 1, 1, 1]
    talk.take(talk.batches()[-1])
    assert not talk.waiting()


def test_a_receipt_counts_while_the_hub_is_greeted_anew() -> None:
    talk = Talk()
    talk.record(1)
    talk.welcome()
    for _ in range(35):
        talk.step(after_s=1.0)
    talk.take(talk.batches()[0])
    assert not talk.waiting()


def test_a_hub_that_is_busy_for_long_is_not_greeted_anew() -> None:
    talk = Talk()
    talk.record(1)
    talk.welcome()
    for _ in range(10):
        batch = talk.batches()[-1]
        talk.say("receipt", Receipt(epoch=EPOCH, batch_id=batch.batch_id, result="busy", retry_after_s=30))
        talk.step(after_s=50)
    assert len(talk.batches()) == 11
    assert len(talk.on("hello")) == 1
    assert talk.problems() == ["hub_busy"]


def test_a_welcome_for_another_database_file_is_not_ours() -> None:
    talk = Talk()
    talk.record(1)
    talk.welcome(epoch="f" * 16)
    assert talk.batches() == []


def test_a_record_is_delivered_when_its_receipt_is_there_and_not_before() -> None:
    talk = Talk()
    talk.record(3)
    talk.welcome()
    assert talk.waiting()
    talk.take(talk.batches()[0])
    assert not talk.waiting()
    assert not talk.loop.all_delivered
    (anchor,) = talk.live_batches()
    talk.take(anchor)
    assert talk.loop.all_delivered
    assert talk.journal.positions() == (4, 4)
    talk.step(after_s=500)
    assert talk.sent_seqs() == [1, 2, 3]


def test_a_duplicate_counts_as_delivered() -> None:
    talk = Talk()
    talk.record(2)
    talk.welcome()
    receipt = Receipt(epoch=EPOCH, batch_id=talk.batches()[0].batch_id, duplicate=ranges([1, 2]))
    talk.say("receipt", receipt)
    assert not talk.waiting()


def test_a_rejected_record_becomes_a_dead_letter_and_a_problem_and_blocks_nothing() -> None:
    talk = Talk()
    talk.record(3)
    talk.welcome()
    batch = talk.batches()[0]
    rejected = (Rejection(seq=2, code="conflict", detail="x"),)
    talk.say("receipt", Receipt(epoch=EPOCH, batch_id=batch.batch_id, accepted=ranges([1, 3]), rejected=rejected))
    assert not talk.waiting()
    (letter,) = talk.journal.dead_letters()
    assert (letter.epoch, letter.seq, letter.code, letter.detail) == (EPOCH, 2, "conflict", "x")
    assert talk.problems() == ["dead_letters"]
    assert talk.statuses()[-1].dead_letters == 1
    assert talk.statuses()[-1].state == "degraded"


def test_refused_records_are_still_a_problem_after_a_restart_and_none_when_they_are_gone() -> None:
    talk = Talk()
    talk.record(2)
    talk.journal.rejected(EPOCH, [Rejection(seq=1, code="conflict"), Rejection(seq=2, code="invalid")])
    talk.step()
    (status,) = talk.statuses()
    assert [problem.code for problem in status.problems] == ["dead_letters"]
    assert "2 records" in status.problems[0].text
    assert (status.state, status.dead_letters) == ("degraded", 2)
    talk.journal.retry(None)
    talk.welcome(high_water=2)
    talk.step(after_s=31)
    talk.step()
    assert (talk.statuses()[-1].state, talk.statuses()[-1].problems) == ("watching", ())
    assert len(talk.statuses()) == 2


def test_records_that_a_full_disk_cost_are_told_with_their_number() -> None:
    talk = Talk()
    talk.step()
    assert talk.statuses()[-1].problems == ()
    talk.recorder.lost = 7
    talk.welcome()
    talk.step(after_s=31)
    (problem,) = talk.statuses()[-1].problems
    assert problem.code == "events_lost"
    assert problem.text.startswith("7 records")
    assert talk.statuses()[-1].state == "degraded"


def test_the_last_status_of_a_unit_that_stops_tells_of_its_losses_too() -> None:
    talk = Talk()
    talk.step()
    talk.recorder.lost = 1
    talk.loop.goodbye()
    assert talk.statuses()[-1].state == "stopped"
    assert [problem.code for problem in talk.statuses()[-1].problems] == ["events_lost"]


def test_a_broker_that_refuses_messages_is_a_problem_until_it_takes_one_of_that_kind() -> None:
    """One that cuts the connection each time would otherwise show a problem that comes and goes."""
    talk = Talk()
    talk.welcome()
    talk.news.put(Refused("the broker says: Not authorized", "backlog"))
    talk.step()
    (problem,) = talk.statuses()[-1].problems
    assert (problem.code, problem.text) == ("broker_refuses", "the broker says: Not authorized")
    talk.connect()
    talk.welcome()
    talk.news.put(Accepted("status"))
    talk.step(after_s=100)
    assert talk.problems() == ["broker_refuses"]
    talk.news.put(Accepted("backlog"))
    talk.step()
    assert talk.problems() == []


def test_a_broker_that_hinders_the_unit_is_a_problem_while_the_conversation_goes_on() -> None:
    talk = Talk()
    talk.record(1)
    talk.news.put(Hindered("the broker does not let this unit listen"))
    talk.step()
    assert talk.problems() == ["broker_hinders"]
    talk.welcome()
    assert talk.sent_seqs() == [1]
    talk.connect()
    assert talk.problems() == []


def test_an_unanswered_record_is_sent_again() -> None:
    talk = Talk()
    talk.record(1)
    talk.welcome()
    for _ in range(11):
        talk.step(after_s=1.0)
    assert talk.sent_seqs() == [1, 1]


def test_a_connection_that_breaks_in_the_middle_of_sending_loses_nothing() -> None:
    talk = Talk()
    talk.record(6)
    talk.step()
    # The anchor of the welcome goes out first.
    talk.uplink.breaks_after = 2
    talk.welcome(limits=Limits(batch_events=2, backlog_in_flight=3))
    assert talk.sent_seqs() == [1, 2]
    talk.news.put(Disconnected("connection reset"))
    talk.step()
    assert talk.problems() == ["broker_lost"]
    talk.uplink.drain()
    talk.connect()
    talk.welcome()
    assert talk.sent_seqs() == [1, 2, 3, 4, 5, 6]
    talk.take(talk.batches()[0])
    assert not talk.waiting()
    assert talk.problems() == []


def test_a_late_receipt_of_an_earlier_connection_still_counts() -> None:
    talk = Talk()
    talk.record(2)
    talk.welcome()
    (batch,) = talk.batches()
    talk.connect()
    talk.take(batch)
    assert not talk.waiting()


def test_without_a_connection_nothing_is_sent_and_nothing_fails() -> None:
    talk = Talk(connected=False)
    talk.record(2)
    for _ in range(30):
        talk.step(after_s=1.0)
    talk.loop.goodbye()
    assert talk.uplink.published == []
    assert talk.journal.waiting().events == 2


def test_a_busy_hub_is_left_alone_and_told_about() -> None:
    talk = Talk()
    talk.record(1)
    talk.welcome()
    (batch,) = talk.batches()
    talk.say("receipt", Receipt(epoch=EPOCH, batch_id=batch.batch_id, result="busy", retry_after_s=30))
    assert talk.problems() == ["hub_busy"]
    talk.step(after_s=29)
    assert len(talk.batches()) == 1
    talk.step(after_s=20)
    assert len(talk.batches()) == 2
    talk.take(batch)
    assert talk.problems() == []


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        (topics.down(SITE, UNIT, "welcome").topic, b""),
        (topics.down(SITE, UNIT, "head").topic, b""),
        (topics.down(SITE, UNIT, "receipt").topic, b"{}"),
        (topics.down(SITE, UNIT, "part").topic, b"{" * (MAX_MESSAGE_BYTES + 1)),
        (topics.up(SITE, UNIT, "hello").topic, b"{}"),
        (f"rollcall/2/{SITE}/down/{UNIT}/welcome", b"{}"),
        (f"rollcall/1/{SITE}/down/{UNIT}/selfdestruct", b"{}"),
        ("some/other/topic", b"{}"),
    ],
)
def test_messages_that_are_none_are_ignored(topic: str, payload: bytes) -> None:
    talk = Talk()
    talk.record(1)
    talk.step()
    talk.news.put(Arrived(topic, payload))
    talk.step()
    assert talk.journal.waiting().events == 1
    talk.welcome()
    assert talk.sent_seqs() == [1]


def test_messages_that_are_none_are_named_once_for_each_kind_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """A newer hub may say something every second that this unit does not know: that must not fill its log."""
    talk = Talk()
    known = topics.down(SITE, UNIT, "receipt").topic
    for _ in range(50):
        for topic in (known, known.replace("receipt", "weather"), known.replace("receipt", "news"), "elsewhere"):
            talk.news.put(Arrived(topic, b"{}"))
        talk.news.put(Arrived(topics.down(SITE, UNIT, "welcome").topic, b"{}"))
        talk.step()
    lines = [record.getMessage() for record in caplog.records if "ignored" in record.getMessage()]
    assert len(lines) == 3
    assert talk.loop.ignored == {"UnknownTopic": 150, "BadMessage receipt": 50, "BadMessage welcome": 50}
    caplog.set_level("INFO")
    talk.loop.goodbye()
    assert "messages ignored kind=UnknownTopic count=150" in caplog.text


@pytest.mark.parametrize(("site", "unit"), [(SITE, OTHER_UNIT), ("other-school", UNIT)])
def test_messages_for_another_unit_are_ignored(site: str, unit: str) -> None:
    talk = Talk()
    talk.record(1)
    talk.welcome()
    receipt = Receipt(epoch=EPOCH, batch_id=talk.batches()[0].batch_id, accepted=ranges([1]))
    talk.news.put(Arrived(topics.down(site, unit, "receipt").topic, codec.encode(receipt)))
    talk.step()
    assert talk.waiting()


def test_a_status_comes_at_once_every_half_minute_and_with_every_change() -> None:
    talk = Talk()
    talk.step()
    assert len(talk.statuses()) == 1
    for _ in range(29):
        talk.step(after_s=1.0 / 3)
    assert len(talk.statuses()) == 1
    talk.health.problem("camera_lost", "no camera")
    talk.step()
    talk.step()
    assert [status.state for status in talk.statuses()] == ["watching", "degraded"]
    talk.health.fine("camera_lost")
    talk.step()
    assert talk.statuses()[-1].state == "watching"
    talk.welcome()
    before = len(talk.statuses())
    for _ in range(60):
        talk.step(after_s=1.0)
    assert len(talk.statuses()) == before + 2


def test_a_status_tells_the_truth_and_is_retained() -> None:
    talk = Talk()
    talk.record(2)
    talk.step(after_s=20)
    status = talk.statuses()[-1]
    assert (status.session, status.waiting_events, status.oldest_waiting_s) == (3, 2, 20.0)
    assert (status.frames_per_s, status.disk_free_bytes, status.clock) == (4.5, 10**9, "holdover")
    assert (status.boot_id, status.epoch, status.progress_s) == (BOOT, EPOCH, 0.0)
    assert [sent.retain for sent in talk.uplink.published if sent.address.channel == "status"] == [True]


def test_a_unit_that_stops_on_purpose_says_so() -> None:
    talk = Talk()
    talk.step()
    talk.loop.goodbye()
    assert talk.statuses()[-1].state == "stopped"


def test_a_clock_that_ntp_sets_is_written_down_once_and_a_hub_that_agrees_adds_nothing() -> None:
    talk = Talk(clock=FakeClock(quality="synced"))
    for _ in range(3):
        talk.connect()
        talk.welcome(ahead_s=0.2)
    (anchor,) = talk.anchors()
    assert (anchor.source, anchor.utc, anchor.clock) == ("ntp", talk.clock.at, "synced")
    assert talk.problems() == []


def test_an_anchor_is_written_again_after_six_hours() -> None:
    talk = Talk()
    for _ in range(3):
        talk.connect()
        talk.welcome()
        talk.step(after_s=3 * 3600 + 1)
    assert len(talk.anchors()) == 2


def test_a_clock_that_is_wrong_is_written_down_once_and_reported() -> None:
    talk = Talk()
    for _ in range(4):
        talk.connect()
        talk.welcome(ahead_s=3600)
        talk.step(after_s=600)
    (anchor,) = talk.anchors()
    assert anchor.utc - anchor.at == timedelta(hours=1)
    assert talk.problems() == ["clock_wrong"]


def test_a_clock_that_was_never_synchronised_is_anchored_once_though_it_is_right() -> None:
    talk = Talk(clock=FakeClock(quality="unsynced"))
    talk.welcome()
    talk.connect()
    talk.welcome()
    assert len(talk.anchors()) == 1
    assert talk.problems() == []


def test_an_anchor_says_how_long_the_unit_waited_for_the_time_it_was_told() -> None:
    talk = Talk()
    talk.step()
    talk.step(after_s=1.8)
    talk.welcome(ahead_s=3600)
    (anchor,) = talk.anchors()
    # It is half as wrong as the answer was long in coming: the hub spoke somewhere in between.
    assert anchor.error_ms == 1000
    assert anchor.utc - anchor.at == timedelta(hours=1, seconds=0.9)
    talk.connect()
    talk.welcome(ahead_s=60)
    assert [event.error_ms for event in talk.anchors()] == [1000, 100]


def test_a_time_that_may_be_old_is_not_written_down_and_blames_no_clock() -> None:
    """Such as the answer to a greeting that waited at the broker while the hub was away."""
    talk = Talk()
    talk.step()
    talk.step(after_s=1.9)
    talk.welcome(ahead_s=-30)
    assert talk.anchors() == []
    assert talk.problems() == []


def test_a_unit_that_waited_for_its_hub_learns_the_time_too() -> None:
    """After a power cut the unit is up first: its clock is wrong, and its greeting is old when it is read."""
    talk = Talk(clock=FakeClock(quality="unsynced"))
    talk.record(1)
    for _ in range(60):
        talk.step(after_s=1.0)
    before = len(talk.on("hello"))
    talk.welcome(ahead_s=3600, answers=talk.hellos()[0])
    assert talk.sent_seqs() == [1]
    assert talk.anchors() == []
    assert talk.problems() == []
    assert len(talk.on("hello")) == before + 1
    talk.step(after_s=0.2)
    talk.welcome(ahead_s=3600)
    (anchor,) = talk.anchors()
    assert (anchor.error_ms, anchor.utc - anchor.at) == (200, timedelta(hours=1, seconds=0.1))
    assert talk.sent_seqs()[:1] == [1]
    for _ in range(5):
        talk.step(after_s=1.0)
    assert len(talk.on("hello")) == before + 1


def test_a_hub_that_is_always_slow_is_asked_for_the_time_once_more_and_then_left_alone() -> None:
    talk = Talk()
    talk.step()
    for _ in range(5):
        talk.step(after_s=6)
        talk.welcome(ahead_s=3600)
    assert len(talk.on("hello")) == 2
    assert talk.anchors() == []
    assert talk.problems() == []
    talk.connect()
    for _ in range(2):
        talk.step(after_s=6)
        talk.welcome(ahead_s=3600)
    assert len(talk.on("hello")) == 4


def test_a_hub_whose_own_time_changed_is_news() -> None:
    talk = Talk()
    talk.welcome(ahead_s=3600)
    talk.connect()
    talk.welcome(ahead_s=60)
    assert len(talk.anchors()) == 2


def test_a_clock_that_was_set_right_is_no_problem_any_more() -> None:
    talk = Talk()
    talk.welcome(ahead_s=3600)
    talk.clock.set_wall(talk.clock.at + timedelta(hours=1))
    talk.connect()
    talk.welcome()
    assert talk.problems() == []
    assert len(talk.anchors()) == 1


@pytest.mark.parametrize("year", [1, 9999])
def test_a_hub_with_an_impossible_time_does_not_stop_the_unit(year: int) -> None:
    talk = Talk()
    talk.step()
    server_time = talk.clock.at.replace(year=year)
    talk.say("welcome", Welcome(epoch=EPOCH, high_water=0, server_time=server_time))
    assert talk.problems() == ["clock_wrong"]


def test_an_event_held_back_by_a_full_disk_keeps_its_name_when_the_conversation_stores_it() -> None:
    talk = Talk(clock=FakeClock(quality="unsynced"))
    fetch(talk, revision=5)
    talk.journal.trouble.fill(times=1)
    talk.recorder.record([seen(1)], talk.keeper.known.names)
    talk.welcome()
    assert talk.csv.lines == [(uid(1), "0001_Student 1")]


def test_a_full_disk_is_reported_to_the_hub_and_receipts_count_when_there_is_space_again() -> None:
    talk = Talk()
    talk.record(2)
    talk.welcome()
    talk.journal.trouble.fill()
    talk.take(talk.batches()[0])
    assert talk.problems() == ["disk_full"]
    assert "disk_full" in {problem.code for problem in talk.statuses()[-1].problems}
    talk.journal.trouble.heal()
    for _ in range(20):
        talk.step(after_s=1.0)
    talk.take(talk.batches()[-1])
    assert not talk.waiting()


def test_a_gallery_that_finds_no_space_does_not_silence_the_unit() -> None:
    """Records and status must still go out, or nobody learns that the disk is full."""
    talk = Talk()
    talk.record(1)
    source = HUB.gallery(5, {}, without_template=[15])
    talk.say("head", source.head)
    talk.store.stage(source.body.manifest_hash, source.content[source.body.manifest_hash][1])
    talk.store.trouble.fill()
    talk.welcome()
    assert talk.sent_seqs() == [1]
    assert "disk_full" in {problem.code for problem in talk.statuses()[-1].problems}


def test_a_broken_disk_ends_the_loop() -> None:
    talk = Talk()
    talk.record(1)
    talk.welcome()
    talk.journal.trouble.break_down()
    with pytest.raises(StorageFailed):
        talk.take(talk.batches()[0])


def fetch(talk: Talk, revision: int, *numbers: int) -> None:
    """Announce a gallery and answer what the unit asks for."""
    source = HUB.gallery(revision, {number: [face_of(number)] for number in numbers or (1, 2)})
    talk.say("head", source.head)
    answered = 0
    for _ in range(10):
        wants = [message for message in talk.on("want") if isinstance(message, Want)]
        for want in wants[answered:]:
            for part in source.parts(want):
                talk.say("part", part)
        answered = len(wants)


def test_a_gallery_is_fetched_used_and_confirmed() -> None:
    talk = Talk()
    fetch(talk, 5)
    assert [(said.revision, said.students) for said in talk.applied()] == [(5, 2)]
    assert set(talk.keeper.known.gallery.student_ids) == {student(1), student(2)}
    fetch(talk, 6, 2)
    assert talk.applied()[-1].erased == (student(1),)


def test_a_confirmation_that_was_lost_is_given_again_after_the_next_connect() -> None:
    talk = Talk()
    source = HUB.gallery(5, {}, without_template=[15])
    talk.say("head", source.head)
    talk.uplink.breaks_after = 0
    want = next(message for message in talk.on("want") if isinstance(message, Want))
    for part in source.parts(want):
        talk.say("part", part)
    assert talk.applied() == []
    talk.connect()
    talk.say("head", source.head)
    assert [said.revision for said in talk.applied()] == [5]


def test_a_refused_gallery_is_answered_with_the_reason() -> None:
    talk = Talk()
    talk.say("head", Head(body="{}", signature=b"x" * 64))
    assert [(said.revision, said.problem) for said in talk.applied()] == [(0, "bad_signature")]
    assert talk.problems() == ["gallery_refused"]


def test_a_twin_is_reported_and_forgotten_when_it_was_not_seen_for_ten_minutes() -> None:
    """Two units with one name take the connection from each other again and again."""
    talk = Talk()
    talk.step()
    talk.news.put(Disconnected("another client uses this name", twin=True))
    talk.step()
    talk.connect()
    assert talk.problems() == ["twin_unit"]
    talk.welcome()
    talk.step(after_s=599)
    assert talk.problems() == ["twin_unit"]
    talk.step(after_s=2)
    assert talk.problems() == []


def test_a_new_stream_is_begun_and_made_known_where_the_will_names_it() -> None:
    """An old copy of the file was put back: the hub has more of its stream than it holds."""
    talk = Talk()
    talk.record(2)
    talk.welcome(high_water=7)
    assert talk.problems() == ["old_copy"]
    assert talk.epochs == [talk.journal.epoch]
    assert talk.journal.epoch != EPOCH
    talk.welcome()
    assert talk.hellos()[-1].epoch == talk.journal.epoch
    assert {(batch.epoch, event["seq"]) for batch in talk.batches() for event in batch.events} >= {
        (EPOCH, 1),
        (EPOCH, 2),
    }


def test_a_disk_that_makes_room_takes_the_receipt_at_once() -> None:
    talk = Talk()
    talk.record(2)

    class Ballast:
        asked = 0

        def make_room(self, _exc: StorageFull) -> bool:
            self.asked += 1
            talk.journal.trouble.heal()
            return True

        def wrote(self) -> None:
            pass

    ballast = Ballast()
    talk.loop = DeliveryLoop(
        talk.loop.conversation,
        talk.journal,
        talk.recorder,
        talk.keeper,
        talk.uplink,
        talk.news,
        talk.clock,
        talk.health,
        storage=ballast,
    )
    talk.welcome()
    talk.journal.trouble.fill()
    talk.take(talk.batches()[0])
    assert not talk.waiting()
    assert ballast.asked == 1
    assert talk.problems() == []


def test_a_full_disk_keeps_the_unit_from_beginning_a_new_stream_and_it_goes_on_when_there_is_space() -> None:
    talk = Talk()
    talk.record(2)
    talk.step()
    talk.journal.trouble.fill()
    talk.welcome(high_water=7)
    assert talk.journal.epoch == EPOCH
    assert talk.epochs == []
    talk.journal.trouble.heal()
    talk.step(after_s=31)
    assert talk.journal.epoch != EPOCH
    assert talk.epochs == [talk.journal.epoch]


class TestRefusedChannels:
    """A broker whose rules lack something, and which ends the connection over it: the rest must get on."""

    def refuse(self, talk: Talk, channel: str, *, cuts: bool = True) -> None:
        talk.news.put(Refused("the broker refuses a message of this unit", channel))
        if cuts:
            talk.news.put(Disconnected("the broker ended the connection after it had refused a message"))
        talk.step()
        if cuts:
            talk.connect()
            talk.welcome(high_water=talk.journal.positions()[1])

    def ways(self, talk: Talk) -> list[str]:
        """Return on which channel each batch of sightings went."""
        batches = talk.batches()
        return [sent.address.channel for sent in talk.uplink.published if sent.message in batches]

    def messages(self, talk: Talk, channel: str, seconds: int) -> int:
        """Return how many messages go out on a channel within so many seconds."""
        before = len(talk.on(channel))
        for _ in range(seconds):
            talk.step(after_s=1.0)
        return len(talk.on(channel)) - before

    def test_what_happens_now_goes_the_other_way_while_its_channel_is_refused(self) -> None:
        talk = Talk()
        talk.welcome()
        talk.take(talk.live_batches()[-1])
        talk.record(1)
        talk.step()
        assert self.ways(talk) == ["events"]
        self.refuse(talk, "events")
        assert self.ways(talk) == ["events", "backlog"]
        talk.take(talk.batches()[-1])
        talk.record(1)
        talk.step()
        assert self.ways(talk) == ["events", "backlog", "backlog"]
        talk.take(talk.batches()[-1])
        talk.step(after_s=5.0)
        talk.record(1)
        talk.step()
        assert self.ways(talk) == ["events", "backlog", "backlog", "events"]
        assert talk.problems() == ["broker_refuses"]
        talk.news.put(Accepted("events"))
        talk.step()
        assert talk.problems() == []

    def test_when_both_are_refused_the_broker_is_tried_ever_more_rarely_and_once_a_minute_at_least(self) -> None:
        talk = Talk()
        talk.welcome()
        talk.record(1)
        talk.step()
        gaps = []
        for _ in range(14):
            self.refuse(talk, "events" if talk.uplink.published[-1].address.channel == "events" else "backlog")
            before, waited = len(talk.batches()), 0
            while len(talk.batches()) == before and waited < 200:
                talk.step(after_s=1.0)
                waited += 1
            gaps.append(waited)
        assert max(gaps) <= 60
        assert max(gaps[-4:]) >= 25
        talk.take(talk.batches()[-1])
        assert not talk.waiting()

    def test_a_gallery_arrives_while_records_are_refused(self) -> None:
        talk = Talk()
        talk.welcome()
        talk.record(1)
        talk.step()
        self.refuse(talk, "events")
        self.refuse(talk, "backlog")
        source = HUB.gallery(5, {1: [face_of(1)]}, without_template=[15])
        talk.say("head", source.head)
        for _ in range(3):
            for want in [message for message in talk.on("want") if isinstance(message, Want)]:
                for part in source.parts(want):
                    talk.say("part", part)
            talk.step(after_s=1.0)
        assert talk.applied()[-1].revision == 5

    def test_wants_are_held_back_too_and_come_again(self) -> None:
        talk = Talk()
        talk.welcome()
        talk.say("head", HUB.gallery(5, {1: [face_of(1)]}).head)
        assert len(talk.on("want")) == 1
        self.refuse(talk, "want", cuts=False)
        talk.say("head", HUB.gallery(5, {1: [face_of(1)]}).head)
        assert len(talk.on("want")) == 1
        assert self.messages(talk, "want", 4) == 0
        assert self.messages(talk, "want", 60) >= 1

    @pytest.mark.parametrize("cuts", [False, True])
    def test_what_the_hub_should_hear_of_the_gallery_is_said_again_when_the_broker_takes_it(self, cuts: bool) -> None:
        talk = Talk()
        talk.welcome()
        source = HUB.gallery(5, {}, without_template=[15])
        talk.say("head", source.head)
        (want,) = [message for message in talk.on("want") if isinstance(message, Want)]
        for part in source.parts(want):
            talk.say("part", part)
        assert len(talk.applied()) == 1
        self.refuse(talk, "applied", cuts=cuts)
        if cuts:
            talk.say("head", source.head)
        assert self.messages(talk, "applied", 4) == 0
        assert self.messages(talk, "applied", 10) == 1
        assert talk.applied()[-1].revision == 5

    def test_greetings_and_the_status_are_held_back_too(self) -> None:
        talk = Talk()
        talk.step()
        self.refuse(talk, "hello", cuts=False)
        talk.news.put(Connected())
        assert self.messages(talk, "hello", 4) == 0
        assert self.messages(talk, "hello", 2) == 1
        talk.welcome()
        self.refuse(talk, "status", cuts=False)
        talk.news.put(Connected())
        assert self.messages(talk, "status", 4) == 0
        assert self.messages(talk, "status", 3) == 1


def test_the_figures_of_a_status_are_read_once_for_it() -> None:
    """Some of them tell what was since the last reading: a second one would find nothing any more."""
    talk = Talk()
    readings = 0

    def live() -> Condition:
        nonlocal readings
        readings += 1
        return talk.live

    talk.loop.conversation.surroundings = UnitSurroundings(talk.health, talk.keeper, talk.recorder, live)
    talk.welcome()
    for _ in range(100):
        talk.step(after_s=1.0)
    assert readings == len(talk.statuses()) > 3


def test_what_the_hub_refuses_for_its_place_is_moved_to_a_new_stream_and_sent_again() -> None:
    talk = Talk()
    talk.record(3)
    talk.welcome()
    (batch,) = talk.batches()
    taken = (Rejection(seq=2, code="seq_taken"),)
    talk.say("receipt", Receipt(epoch=EPOCH, batch_id=batch.batch_id, accepted=ranges([1, 3]), rejected=taken))
    talk.welcome()
    moved = talk.batches()[-1]
    assert (moved.epoch, moved.events[0]["event_id"]) == (talk.journal.epoch, uid(2))
    assert talk.epochs == [talk.journal.epoch]
    assert talk.journal.dead_letters() == []


def test_a_status_tells_what_the_machine_says_of_itself() -> None:
    talk = Talk()
    talk.live = Condition(
        disk="low", held_events=4, temperature_c=71.5, throttled=("under_voltage",), up_s=12.0, disk_free_bytes=5
    )
    talk.step()
    status = talk.statuses()[-1]
    assert (status.disk, status.held_events, status.temperature_c) == ("low", 4, 71.5)
    assert (status.throttled, status.up_s, status.boot_id) == (("under_voltage",), 12.0, BOOT)


def test_events_put_back_into_the_queue_are_backlog() -> None:
    """A restored hub is sent a month again: what happens now must not wait behind that."""
    talk = Talk()
    talk.record(400)
    talk.welcome()
    for _ in range(20):
        for batch in talk.batches() + talk.live_batches():
            talk.take(batch)
    assert talk.loop.all_delivered
    talk.uplink.drain()
    talk.connect()
    talk.welcome(high_water=0)
    talk.record(1)
    talk.step()
    (live,) = talk.live_batches()
    assert [event["seq"] for event in live.events] == [talk.journal.positions()[0]]
    assert len(talk.batches()) == 1 + 2
