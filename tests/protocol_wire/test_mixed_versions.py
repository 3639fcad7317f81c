"""Whole programs of different versions: the hub's and the unit's cores with what a newer or an older one says."""

import json
from dataclasses import replace
from itertools import count

import pytest

from edge.core.actions import Action, Delivered, Moment, Rejected, Send
from edge.core.conversation import Conversation
from edge.core.telling import UnitFacts
from hub.core.batches import sort_batch
from hub.core.fleet import UnitHeard, condition
from hub.core.ingest import Arrival, Heard, Known, Unusable, judge, read
from protocol import codec, topics
from protocol.base import Envelope
from protocol.delivery import EventBatch, Hello, Rejection, SeqRange, Welcome
from protocol.errors import UnknownTopic
from protocol.events import Seen, event_json
from protocol.status import Status
from tests.builders import PACK, SITE, UNIT, one_of_each, stamp, uid
from tests.fakes import EPOCH, MemoryJournal
from tests.protocol_wire.samples import address_of
from tests.protocol_wire.versions import newer, raw_of


def test_an_event_of_a_new_kind_is_rejected_by_its_seq_and_the_others_are_taken() -> None:
    raws = [event_json(event) for event in one_of_each()]
    raws[2] = {"seq": 3, "kind": "hologram", "event_id": uid(3), "angle": 1.5}
    heard = read(
        Arrival(
            topics.up(SITE, UNIT, "events").topic,
            newer({"epoch": EPOCH, "batch_id": uid(1), "events": raws}),
            stamp().at,
        ),
        SITE,
    )
    assert isinstance(heard, Heard)
    assert isinstance(heard.message, EventBatch)
    receipt = judge(sort_batch(UNIT, heard.message, stamp().at), Known()).receipt(high_water=6)
    assert [(rejection.seq, rejection.code) for rejection in receipt.rejected] == [(3, "unsupported_kind")]
    assert [(span.first, span.last) for span in receipt.accepted] == [(1, 2), (4, 6)]


def test_the_body_on_record_keeps_what_a_newer_unit_wrote() -> None:
    """An updated hub can read it again, and the hash is that of what was sent."""
    raw = {**event_json(one_of_each()[0]), "clock": "atomic", "mood_of_the_clock": "calm"}
    batch = sort_batch(UNIT, EventBatch(epoch=EPOCH, batch_id=uid(1), events=(raw,)), stamp().at)
    assert json.loads(batch.rows[0].body) == raw
    assert isinstance(batch.rows[0].event, Seen)


@pytest.mark.parametrize("field", ["state", "disk"])
def test_a_unit_in_a_state_the_hub_does_not_know_is_not_called_well(field: str) -> None:
    raw = {**raw_of("up_status.lost"), "state": "watching"}
    status = Status.model_validate_json(newer(raw, **{field: "hibernating"}))
    heard = UnitHeard(
        status=status,
        status_at=stamp().at,
        spoke_at=stamp().at,
        revoked=False,
        gallery_current=True,
        gallery_problem=None,
    )
    told = condition(heard, stamp(1).at)
    assert told.state == "problem"
    assert "hibernating" in told.text


@pytest.mark.parametrize("direction", ["up", "down"])
def test_an_unknown_channel_is_ignored_by_name(direction: str) -> None:
    topic = f"rollcall/1/{SITE}/{direction}/{UNIT}/hologram"
    with pytest.raises(UnknownTopic):
        topics.parse(topic)
    unusable = read(Arrival(topic, b"{}", stamp().at), SITE)
    assert isinstance(unusable, Unusable)
    assert unusable.code == "foreign_topic"


@pytest.mark.parametrize("version", ["older", "newer"])
def test_a_unit_gets_on_with_a_hub_of_another_version(version: str) -> None:
    """The older one knows neither `hello_id` nor the backlog's limit; the newer one says more of everything."""
    unit, now = _unit_and_its_moment()
    (hello,) = (message for message in _said(unit.tick(now)) if isinstance(message, Hello))
    welcome = {"epoch": hello.epoch, "high_water": 0, "server_time": "2026-03-02T08:00:00Z"}
    if version == "newer":
        welcome |= {
            "hello_id": hello.hello_id,
            "limits": {"batches_in_flight": 1, "colour": "green"},
            "motto": "semper",
        }
    unit.heard(codec.decode(address_of("down_welcome"), json.dumps(welcome).encode()), now)
    (batch,) = (message for message in _said(unit.tick(now)) if isinstance(message, EventBatch))
    assert [event["seq"] for event in batch.events] == [1, 2, 3, 4, 5, 6]
    receipt = {
        "epoch": batch.epoch,
        "batch_id": batch.batch_id,
        "accepted": [{"first": 1, "last": 5}],
        "rejected": [{"seq": 6, "code": "out_of_scope"}],
    }
    actions = unit.heard(codec.decode(address_of("down_receipt"), newer(receipt)), now)
    assert Delivered(batch.epoch, (SeqRange(first=1, last=5),)) in actions
    assert Rejected(batch.epoch, (Rejection(seq=6, code="out_of_scope"),)) in actions


def test_a_unit_sends_again_what_a_receipt_with_a_new_result_is_about() -> None:
    unit, now = _unit_and_its_moment()
    (hello,) = (message for message in _said(unit.tick(now)) if isinstance(message, Hello))
    unit.heard(Welcome(epoch=hello.epoch, high_water=0, server_time=now.stamp.at, hello_id=hello.hello_id), now)
    (batch,) = (message for message in _said(unit.tick(now)) if isinstance(message, EventBatch))
    raw = {
        "epoch": batch.epoch,
        "batch_id": batch.batch_id,
        "result": "postponed",
        "accepted": [{"first": 1, "last": 6}],
    }
    actions = unit.heard(codec.decode(address_of("down_receipt"), newer(raw)), now)
    assert not any(isinstance(action, Delivered | Rejected) for action in actions)
    later = replace(now, monotonic_s=now.monotonic_s + 600.0)
    assert any(isinstance(message, EventBatch) for message in _said(unit.tick(later)))


def _unit_and_its_moment() -> tuple[Conversation, Moment]:
    journal = MemoryJournal()
    journal.append(one_of_each())
    numbers = count(1)
    facts = UnitFacts(SITE, UNIT, software="0.1.0", pack_id=PACK, session=1)
    unit = Conversation(facts, journal, new_id=lambda: uid(next(numbers)), jitter=lambda: 0.5)
    now = Moment(stamp=stamp(), monotonic_s=1_000.0)
    unit.connected(now)
    return unit, now


def _said(actions: list[Action]) -> list[Envelope]:
    return [action.message for action in actions if isinstance(action, Send)]
