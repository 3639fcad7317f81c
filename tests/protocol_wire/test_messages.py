"""What messages promise by themselves: limits, times, ranges, one body for one event."""

import json
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from protocol import codec
from protocol.base import MAX_BATCH_EVENTS, canonical_bytes, sha256_hex
from protocol.content import GalleryManifest, Part, TemplateBlob, Want, Wanted
from protocol.delivery import EventBatch, Limits, Receipt, SeqRange, Welcome, ranges
from protocol.errors import BadEvent, BadMessage
from protocol.events import EVENT_KINDS, Event, Mark, Seen, event_json, event_sha256, parse_event
from protocol.status import Problem, Status
from tests.builders import PACK, UNIT, mark, one_of_each, seen, stamp, student, uid
from tests.fakes import EPOCH
from tests.protocol_wire.samples import BATCH, BLOB, EVENTS, GALLERY, address_of

SEQS = st.lists(st.integers(1, 60) | st.integers(2**61, 2**61 + 20), max_size=40)
SEEN = st.builds(
    Seen,
    at=st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 (made aware)
    boot_id=st.uuids().map(str),
    boottime_ns=st.integers(0, 2**62),
    clock=st.sampled_from(["synced", "holdover", "unsynced"]),
    event_id=st.uuids().map(str),
    seq=st.integers(1, 2**62 - 1),
    student_id=st.uuids().map(str),
    lesson_id=st.none() | st.uuids().map(str),
    score=st.floats(-1, 1),
    margin=st.floats(-1, 2),
    samples=st.integers(1, 1000),
    gallery_revision=st.integers(0, 2**40),
    pack_id=st.just(PACK),
)
MARK = st.builds(
    Mark,
    at=st.just(stamp().at),
    boot_id=st.just(uid(1)),
    boottime_ns=st.just(1),
    clock=st.just("synced"),
    event_id=st.uuids().map(str),
    seq=st.integers(1, 2**62 - 1),
    student_id=st.uuids().map(str),
    status=st.sampled_from(["present", "late", "excused", "absent"]),
    by=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=100),
    note=st.text(st.characters(exclude_categories=["Cs"]), max_size=500),
)


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_survives_the_round_trip(name: str) -> None:
    event = EVENTS[name]
    assert parse_event(json.loads(event.to_bytes())) == event


@settings(max_examples=50)
@given(st.one_of(SEEN, MARK))
def test_an_event_has_one_body_and_one_hash_on_its_whole_way(event: Event) -> None:
    """Disk, batch, wire and hub: the same event never looks like another one under the same id."""
    raw = event_json(event)
    stored = json.loads(canonical_bytes(raw))
    batch = EventBatch(epoch=EPOCH, batch_id=uid(1), events=(stored,))
    arrived = codec.decode(address_of("up_events"), codec.encode(batch))
    assert isinstance(arrived, EventBatch)
    assert event_sha256(arrived.events[0]) == event_sha256(raw)
    assert parse_event(arrived.events[0]) == event


def test_the_hash_does_not_depend_on_the_order_of_fields() -> None:
    raw = event_json(seen())
    assert event_sha256(dict(reversed(raw.items()))) == event_sha256(raw)


def test_the_hash_of_an_event_is_pinned() -> None:
    """Hubs compare it with what they stored years ago."""
    assert (
        canonical_bytes({"b": 1, "a": {"d": "ä", "c": [0.5, None]}}) == '{"a":{"c":[0.5,null],"d":"ä"},"b":1}'.encode()
    )
    assert event_sha256({"seq": 1}) == sha256_hex(b'{"seq":1}')


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_json_does_not_have_has_no_canonical_form(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_bytes({"a": value})


def test_an_event_of_a_newer_unit_is_refused_by_its_kind() -> None:
    with pytest.raises(BadEvent) as caught:
        parse_event({**event_json(seen()), "kind": "hologram"})
    assert caught.value.code == "unsupported_kind"


@pytest.mark.parametrize("kind", [None, 5, ["seen"], {"kind": "seen"}, True])
def test_an_event_without_a_readable_kind_is_invalid(kind: Any) -> None:
    with pytest.raises(BadEvent) as caught:
        parse_event({**event_json(seen()), "kind": kind})
    assert caught.value.code == "invalid"


@pytest.mark.parametrize("name", EVENTS)
def test_fields_of_a_newer_unit_are_ignored_in_an_event(name: str) -> None:
    event = EVENTS[name]
    assert parse_event({**json.loads(event.to_bytes()), "field_of_next_year": {"deep": 1}}) == event


def test_one_bad_event_does_not_spoil_a_batch() -> None:
    raws = [event_json(event) for event in one_of_each()]
    raws[2] = {"seq": 3, "kind": "review"}
    raws[4] = {**raws[4], "kind": "hologram"}
    payload = json.dumps({"epoch": EPOCH, "batch_id": uid(1), "events": raws}).encode()
    batch = codec.decode(address_of("up_events"), payload)
    assert isinstance(batch, EventBatch)
    outcome: list[str] = []
    for raw in batch.events:
        try:
            outcome.append(parse_event(raw).kind)
        except BadEvent as exc:
            outcome.append(exc.code)
    assert outcome == ["seen", "left", "invalid", "mark", "unsupported_kind", "anchor"]


@pytest.mark.parametrize("seq", [None, 0, -1, 2**62, True, "1", 1.5, [1]])
def test_an_event_that_could_not_be_answered_by_seq_makes_a_batch_unusable(seq: Any) -> None:
    payload = json.dumps({"epoch": EPOCH, "batch_id": uid(1), "events": [{"seq": seq}]}).encode()
    with pytest.raises(BadMessage):
        codec.decode(address_of("up_events"), payload)


@pytest.mark.parametrize("count", [0, MAX_BATCH_EVENTS + 1])
def test_a_batch_has_one_to_a_hundred_events(count: int) -> None:
    with pytest.raises(ValidationError):
        EventBatch(epoch=EPOCH, batch_id=uid(1), events=tuple({"seq": n + 1} for n in range(count)))


@pytest.mark.parametrize("hours", [-5, 1, 5.5])
def test_local_time_is_refused_so_that_nobody_takes_it_for_utc(hours: float) -> None:
    local = stamp().at.astimezone(timezone(timedelta(hours=hours)))
    with pytest.raises(BadEvent):
        parse_event({**event_json(seen()), "at": local.isoformat()})


@pytest.mark.parametrize("text", ["2026-03-02T08:00:00", "2026-03-02", "08:00", "now", ""])
def test_a_time_without_its_offset_is_refused(text: str) -> None:
    with pytest.raises(BadEvent):
        parse_event({**event_json(seen()), "at": text})


@pytest.mark.parametrize("text", ["2026-03-02T08:00:00Z", "2026-03-02T08:00:00+00:00", "2026-03-02T08:00:00.000000Z"])
def test_every_way_to_write_utc_is_read_as_the_same_moment(text: str) -> None:
    assert parse_event({**event_json(seen()), "at": text}).at == stamp().at


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("student_id", student(1).upper().replace("0", "A")),
        ("student_id", student(1) + "\n"),
        ("student_id", student(1).replace("-", "")),
        ("event_id", "1"),
        ("pack_id", "../secret"),
        ("pack_id", ""),
        ("score", 1.01),
        ("score", "high"),
        ("samples", 0),
        ("boottime_ns", -1),
        ("clock", "Roughly!"),
        ("seq", 0),
        ("seq", 2**62),
        ("lesson_id", "lesson 1"),
    ],
)
def test_a_value_outside_of_its_limits_makes_an_event_invalid(field: str, value: Any) -> None:
    with pytest.raises(BadEvent) as caught:
        parse_event({**event_json(seen()), field: value})
    assert caught.value.code == "invalid"
    assert field in str(caught.value)


@pytest.mark.parametrize("text", ["nan", "inf"])
def test_an_event_never_holds_what_is_not_a_number(text: str) -> None:
    with pytest.raises(ValidationError):
        Seen.model_validate({**seen().model_dump(), "score": float(text)})


@settings(max_examples=50)
@given(SEQS)
def test_ranges_hold_exactly_the_seqs_in_the_fewest_pieces(seqs: list[int]) -> None:
    spans = ranges(seqs)
    assert {seq for span in spans for seq in range(span.first, span.last + 1)} == set(seqs)
    assert all(before.last + 1 < after.first for before, after in pairwise(spans))


def test_a_range_runs_forward() -> None:
    assert SeqRange(first=5, last=5).last == 5
    with pytest.raises(ValidationError):
        SeqRange(first=5, last=4)


def test_a_hub_that_states_no_limits_allows_the_usual_ones() -> None:
    welcome = Welcome(epoch=EPOCH, high_water=0, server_time=stamp().at)
    assert (welcome.limits.batch_events, welcome.limits.batches_in_flight) == (100, 8)


@pytest.mark.parametrize("wrong", [{"batch_events": 0}, {"batch_events": 101}, {"batches_in_flight": 0}])
def test_limits_under_which_nothing_could_be_sent_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        Limits.model_validate(wrong)


@pytest.mark.parametrize("seconds", [-1, 3601, float("inf"), float("nan")])
def test_a_unit_cannot_be_told_to_wait_forever(seconds: float) -> None:
    with pytest.raises(ValidationError):
        Receipt(epoch=EPOCH, batch_id=uid(1), result="busy", retry_after_s=seconds)


def test_a_part_lies_within_its_count() -> None:
    with pytest.raises(ValidationError):
        Part(kind="manifest", hash="ab" * 32, index=3, count=3)


@pytest.mark.parametrize("name", ["../manifest", "AB" * 32, "ab" * 31, "ab" * 32 + "\n"])
def test_content_is_named_by_a_hash_and_nothing_else(name: str) -> None:
    with pytest.raises(ValidationError):
        Wanted(kind="manifest", hash=name)


@pytest.mark.parametrize("count", [0, 65])
def test_a_unit_asks_for_one_to_sixty_four_pieces_at_once(count: int) -> None:
    with pytest.raises(ValidationError):
        Want(items=(Wanted(kind="template", hash="ab" * 32),) * count)


def test_a_gallery_lists_each_student_once() -> None:
    entry = GALLERY.manifest.entries[0]
    with pytest.raises(ValidationError):
        GalleryManifest(unit_id=UNIT, revision=1, pack_id=PACK, entries=(entry, entry))


@pytest.mark.parametrize(("dimensions", "count"), [(16, 1), (32, 2), (0, 0), (4097, 1), (16, 65)])
def test_a_template_has_the_size_it_states(dimensions: int, count: int) -> None:
    with pytest.raises(ValidationError):
        TemplateBlob(student_id=student(1), pack_id=PACK, dimensions=dimensions, count=count, vectors=BLOB.vectors)


def test_messages_cannot_be_changed_after_they_were_made() -> None:
    with pytest.raises(ValidationError):
        BATCH.epoch = "0" * 16  # type: ignore[misc]


def test_a_status_lists_twenty_problems_at_most() -> None:
    problem = Problem(code="camera_lost", text="x")
    with pytest.raises(ValidationError):
        Status(state="watching", session=1, epoch=EPOCH, problems=(problem,) * 21)


def test_only_a_mark_carries_a_status() -> None:
    """Present, Late, Absent are the hub's to decide."""
    assert [event.kind for event in one_of_each() if "status" in event_json(event)] == ["mark"]
    assert {event.kind for event in one_of_each()} == set(EVENT_KINDS)
    assert parse_event(event_json(mark())) == mark()
