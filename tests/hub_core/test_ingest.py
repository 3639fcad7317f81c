"""Understanding and judging what units send, without a database or a broker."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.ingest import (
    Arrival,
    EpochHeard,
    Heard,
    Known,
    OnRecord,
    Unusable,
    advance,
    busy,
    busy_unread,
    clone_suspected,
    judge,
    limits,
    read,
    supersedes,
)
from protocol.codec import encode
from protocol.delivery import Receipt, SeqRange
from protocol.status import Status
from protocol.topics import UP_CHANNELS, up
from tests.hub_core.builders import EPOCH, START, UNIT, a_batch, a_message, an_event, an_id

SITE = "test-site"
EVENTS = up(SITE, UNIT, "events").topic


def test_a_message_is_read_with_its_sender() -> None:
    heard = read(Arrival(EVENTS, encode(a_message([an_event(1)])), START), SITE)
    assert isinstance(heard, Heard)
    assert heard.unit_id == UNIT


@pytest.mark.parametrize(
    ("topic", "payload", "code"),
    [
        (EVENTS, b"", "invalid"),
        (EVENTS, b"\xff\xfe", "invalid"),
        (EVENTS, b"{}", "invalid"),
        (EVENTS, b"[" * 50_000, "invalid"),
        (EVENTS, b"x" * 200_000, "too_large"),
        (EVENTS.replace("/1/", "/2/"), b"{}", "wrong_version"),
        (EVENTS.replace(SITE, "other-site"), b"{}", "foreign_topic"),
        (EVENTS.replace("/up/", "/down/").replace("events", "receipt"), b"{}", "foreign_topic"),
        ("rollcall", b"{}", "foreign_topic"),
        ("", b"{}", "foreign_topic"),
    ],
)
def test_what_cannot_be_read_is_named_and_never_raises(topic: str, payload: bytes, code: str) -> None:
    found = read(Arrival(topic, payload, START), SITE)
    assert isinstance(found, Unusable)
    assert found.code == code


@given(st.binary(max_size=300), st.sampled_from(["hello", "events", "status", "want", "applied"]))
def test_no_bytes_crash_the_reader(payload: bytes, channel: str) -> None:
    assert isinstance(read(Arrival(up(SITE, UNIT, channel).topic, payload, START), SITE), Heard | Unusable)


def test_the_reason_never_quotes_the_message() -> None:
    payload = encode(a_message([an_event(1)])).replace(b'"seq":1', b'"seq":"Ada Lovelace"')
    found = read(Arrival(EVENTS, payload, START), SITE)
    assert isinstance(found, Unusable)
    assert "Ada" not in found.detail


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"kind": "dance"}, "unsupported_kind"),
        ({"kind": None}, "invalid"),
        ({"score": 3}, "invalid"),
        ({"score": float("nan")}, "invalid"),
        ({"at": "2026-09-01T08:00:00+02:00"}, "invalid"),
        ({"at": "0001-01-01T00:00:00Z"}, "invalid"),
        ({"at": "9999-12-31T23:59:59Z"}, "invalid"),
        ({"boottime_ns": 2**70}, "invalid"),
        ({"student_id": "\ud800"}, "invalid"),
        ({"note": "x" * 61_000}, "too_large"),
    ],
)
def test_an_event_that_can_never_be_taken_is_refused_and_the_others_are_not(changed: dict[str, Any], code: str) -> None:
    batch = a_batch([an_event(1), an_event(2, **changed), an_event(3)])
    assert [(one.seq, one.code) for one in batch.refused] == [(2, code)]
    assert [row.event.seq for row in batch.rows] == [1, 3]


def test_fields_of_a_newer_unit_are_kept_and_change_nothing() -> None:
    batch = a_batch([an_event(1, wings=2)])
    assert b'"wings":2' in batch.rows[0].body
    assert batch.refused == ()


def test_a_seq_that_came_twice_in_a_batch_is_accepted_once_and_not_buried() -> None:
    verdict = judge(a_batch([an_event(1), an_event(1), an_event(1, score=0.1)]), Known())
    receipt = verdict.receipt(1)
    assert (len(verdict.new), verdict.duplicate, len(verdict.refused)) == (1, [1], 1)
    assert receipt.accepted == (SeqRange(first=1, last=1),)
    assert (receipt.duplicate, receipt.rejected) == ((), ())


def test_busy_takes_nothing() -> None:
    receipt = busy(a_batch([an_event(1)]), 5.0)
    assert (receipt.result, receipt.accepted, receipt.retry_after_s) == ("busy", (), 5.0)


def test_an_event_at_a_place_that_another_one_has_is_neither_taken_nor_buried() -> None:
    known = Known([OnRecord(an_id(1), (UNIT, EPOCH, 1), "0" * 64)])
    verdict = judge(a_batch([an_event(1), an_event(2)]), known)
    assert (verdict.misplaced, verdict.refused, verdict.conflicts) == ([1], [], 0)
    receipt = verdict.receipt(2)
    assert [(one.seq, one.code) for one in receipt.rejected] == [(1, "seq_taken")]
    assert receipt.accepted == (SeqRange(first=2, last=2),)


def test_of_two_events_at_one_new_place_the_first_is_taken_and_its_seq_is_not_refused() -> None:
    verdict = judge(a_batch([an_event(1), an_event(1, event_id=an_id(9))]), Known())
    assert (verdict.misplaced, len(verdict.new)) == ([1], 1)
    assert verdict.receipt(1).rejected == ()


def on_record_elsewhere(**changed: Any) -> Known:
    """The same event in another stream, in which its unit numbered it anew."""
    [row] = a_batch([an_event(7, **({"event_id": an_id(1)} | changed))], epoch="00000000000000bb").rows
    return Known([OnRecord(row.event.event_id, row.place, row.sha256), OnRecord(an_id(2), (UNIT, EPOCH, 1), "0" * 64)])


@pytest.mark.parametrize("seq", [1, 5])
def test_a_late_copy_of_an_event_that_its_unit_has_numbered_anew_is_no_contradiction(seq: int) -> None:
    known = on_record_elsewhere()
    verdict = judge(a_batch([an_event(7, event_id=an_id(1)) | {"seq": seq}]), known)
    assert (verdict.new, verdict.duplicate, verdict.misplaced) == ([], [], [])
    assert (verdict.conflicts, verdict.moved, verdict.settled) == (0, 1, {seq})
    assert [(one.seq, one.code) for one in verdict.receipt(0).rejected] == [(seq, "moved")]


@pytest.mark.parametrize("other", [{"score": 0.1}, {"at": START + timedelta(seconds=1)}])
def test_an_id_that_is_on_record_elsewhere_with_another_content_is_a_contradiction(other: dict[str, Any]) -> None:
    verdict = judge(a_batch([an_event(7, event_id=an_id(1), **other) | {"seq": 5}]), on_record_elsewhere())
    assert (verdict.conflicts, verdict.moved) == (1, 0)


def test_an_id_at_two_places_of_one_stream_or_of_two_units_is_a_contradiction() -> None:
    known = on_record_elsewhere()
    batches = [
        a_batch([an_event(7, event_id=an_id(1)) | {"seq": 8}], epoch="00000000000000bb"),
        a_batch([an_event(7, event_id=an_id(1)) | {"seq": 5}], unit_id=an_id(404)),
    ]
    assert [judge(batch, known).conflicts for batch in batches] == [1, 1]


@pytest.mark.parametrize("channel", ["events", "backlog"])
def test_a_batch_of_which_only_the_beginning_is_at_hand_can_be_answered(channel: str) -> None:
    message = a_message([an_event(seq) for seq in range(1, 50)])
    cut = Arrival(up(SITE, UNIT, channel).topic, encode(message)[:400], START)
    answer = busy_unread(cut, SITE, 5.0)
    assert answer is not None
    unit_id, receipt = answer
    assert unit_id == UNIT
    assert (receipt.epoch, receipt.batch_id, receipt.result) == (EPOCH, message.batch_id, "busy")
    assert receipt.retry_after_s == 5.0


@given(st.binary(max_size=500), st.sampled_from([*UP_CHANNELS, "nothing"]))
def test_no_beginning_of_a_message_crashes_the_one_who_answers_it(payload: bytes, channel: str) -> None:
    topic = EVENTS.replace("events", channel)
    assert busy_unread(Arrival(topic, payload, START), SITE, 5.0) is None


def test_what_an_event_says_is_never_taken_for_the_batch_it_is_in() -> None:
    inner = b'{"events":[{"batch_id":"' + an_id(1).encode() + b'","epoch":"' + EPOCH.encode() + b'"}]}'
    assert busy_unread(Arrival(EVENTS, inner, START), SITE, 5.0) is None


def test_the_more_units_speak_the_less_each_may_have_under_way_of_what_waited() -> None:
    windows = [limits(units, 0.0).backlog_in_flight for units in (0, 1, 100, 1000, 100_000)]
    assert windows == sorted(windows, reverse=True)
    assert (windows[0], windows[-1]) == (8, 1)
    assert limits(40, 0.9).backlog_in_flight < limits(40, 0.0).backlog_in_flight


def _seqs(receipt: Receipt) -> list[int]:
    told = [seq for one in (*receipt.accepted, *receipt.duplicate) for seq in range(one.first, one.last + 1)]
    return sorted(told + [one.seq for one in receipt.rejected])


@given(st.lists(st.lists(st.integers(1, 20), min_size=1, max_size=12), max_size=8), st.sets(st.integers(1, 20)))
def test_every_event_is_new_once_and_every_seq_of_a_batch_is_answered_once(
    batches: list[list[int]], poison: set[int]
) -> None:
    record: dict[int, OnRecord] = {}
    settled: set[int] = set()
    high_water = 0
    for number, seqs in enumerate(batches):
        events = [an_event(seq, **({"score": 5} if seq in poison else {})) for seq in seqs]
        verdict = judge(a_batch(events, number=number), Known(record.values()))
        for row in verdict.new:
            assert row.event.seq not in record
            record[row.event.seq] = OnRecord(row.event.event_id, row.place, row.sha256)
        settled |= verdict.settled
        high_water = advance(high_water, settled)
        assert _seqs(verdict.receipt(high_water)) == sorted(set(seqs))
    sent = {seq for seqs in batches for seq in seqs}
    assert set(record) == sent - poison
    assert all(seq in sent for seq in range(1, high_water + 1))
    assert high_water + 1 not in sent


def heard(epoch: str, boot: int, first_s: float, last_s: float) -> EpochHeard:
    return EpochHeard(epoch, an_id(boot), START + timedelta(seconds=first_s), START + timedelta(seconds=last_s))


@pytest.mark.parametrize(
    ("other", "suspected"),
    [
        (heard("b", 2, 10, 95), True),
        (heard("b", 1, 10, 95), False),
        (heard("b", 2, 80, 95), False),
        (heard("b", 2, -100, 95), False),
        (heard("b", 2, -800, -700), False),
    ],
    ids=["both alive", "same boot", "card just replaced", "the other is the older one", "the other is long silent"],
)
def test_an_older_stream_that_speaks_beside_a_newer_one_is_a_copied_card(other: EpochHeard, suspected: bool) -> None:
    mine = heard("a", 1, 0, 100)
    assert clone_suspected(mine, [other], START + timedelta(seconds=100)) is suspected


def a_status(state: str, session: int, epoch: str = EPOCH) -> Status:
    return Status.model_validate({"state": state, "session": session, "epoch": epoch})


@pytest.mark.parametrize(
    ("new", "old", "replaces"),
    [
        (a_status("watching", 1), None, True),
        (a_status("watching", 2), a_status("lost", 1), True),
        (a_status("lost", 1), a_status("watching", 2), False),
        (a_status("lost", 2), a_status("watching", 2), True),
        (a_status("lost", 9, "00000000000000bb"), a_status("watching", 2), False),
        (a_status("watching", 1, "00000000000000bb"), a_status("watching", 9), True),
    ],
)
def test_a_status_replaces_an_older_one_only(new: Status, old: Status | None, replaces: bool) -> None:
    assert supersedes(new, old) is replaces
