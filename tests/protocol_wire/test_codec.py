"""Bytes to messages: everything that is not a message is refused, by name and without its content."""

import json
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import codec
from protocol.base import MAX_MESSAGE_BYTES, MAX_PART_BYTES, sha256_hex
from protocol.content import Applied, Part
from protocol.delivery import MAX_AUDIT_RANGES, Audit, EventBatch, RangeDigest
from protocol.errors import BadEvent, BadMessage, ProtocolError, TooLarge
from protocol.events import parse_event
from tests.builders import stamp, student, uid
from tests.fakes import EPOCH
from tests.protocol_wire.samples import BATCH, ENVELOPES, EVENTS, address_of

SECRET = "Mallory-Secret"
CHANNELS = [f"{direction}_{channel}" for direction, channel in codec.MODELS]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=15,
)


@pytest.mark.parametrize("name", ENVELOPES)
def test_every_message_survives_the_round_trip(name: str) -> None:
    assert codec.decode(address_of(name), codec.encode(ENVELOPES[name])) == ENVELOPES[name]


@pytest.mark.parametrize("name", ENVELOPES)
def test_fields_of_a_newer_writer_are_ignored_at_every_depth(name: str) -> None:
    message = ENVELOPES[name]
    raw = json.loads(codec.encode(message))
    newer = _with_more(raw) if not isinstance(message, EventBatch) else {**raw, "field_of_next_year": 1}
    newer["minor"] = 7
    assert codec.decode(address_of(name), json.dumps(newer).encode()) == message.model_copy(update={"minor": 7})


def _with_more(value: Any) -> Any:
    if isinstance(value, dict):
        return {**{key: _with_more(inner) for key, inner in value.items()}, "field_of_next_year": {"deep": [1]}}
    return [_with_more(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("channel", CHANNELS)
def test_size_is_checked_before_anything_is_parsed(channel: str) -> None:
    too_large = b"{" * (MAX_MESSAGE_BYTES + 1)
    with pytest.raises(TooLarge):
        codec.decode(address_of(channel), too_large)
    with pytest.raises(BadMessage) as caught:
        codec.decode(address_of(channel), too_large[:-1])
    assert not isinstance(caught.value, TooLarge)


def test_a_message_that_no_broker_would_carry_is_not_encoded() -> None:
    batch = EventBatch(epoch=EPOCH, batch_id=uid(1), events=({"seq": 1, "note": "x" * MAX_MESSAGE_BYTES},))
    with pytest.raises(TooLarge):
        codec.encode(batch)


def test_the_largest_part_and_the_longest_lists_of_erased_students_and_of_audited_ranges_fit() -> None:
    data = bytes(range(256)) * (MAX_PART_BYTES // 256)
    part = Part(kind="template", hash=sha256_hex(data), index=2046, count=2047, data=data)
    applied = Applied(revision=2**40, erased=tuple(student(n) for n in range(2000)), detail="ä" * 200, at=stamp().at)
    digest = RangeDigest(first=2**62 - 2, last=2**62 - 1, count=1000, xor64="f" * 16)
    audit = Audit(epoch=EPOCH, audit_id=uid(1), digests=(digest,) * MAX_AUDIT_RANGES)
    for channel, message in (("down_part", part), ("up_applied", applied), ("up_audit", audit)):
        assert codec.decode(address_of(channel), codec.encode(message)) == message


@settings(max_examples=50)
@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_make_a_reader_fail_in_another_way(payload: bytes) -> None:
    for channel in CHANNELS:
        with suppress(ProtocolError):
            codec.decode(address_of(channel), payload)


@settings(max_examples=60)
@given(st.sampled_from(list(ENVELOPES)), st.data())
def test_no_damage_to_a_real_message_makes_a_reader_fail_in_another_way(name: str, data: st.DataObject) -> None:
    raw = json.loads(codec.encode(ENVELOPES[name]))
    path = data.draw(st.sampled_from(list(_paths(raw))))
    damaged = json.dumps(_replaced(raw, path, data.draw(JSON))).encode()
    with suppress(ProtocolError):
        _read_all(name, damaged)


@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 100_000,
        b'{"events":' + b"[" * 100_000,
        b'{"a":' * 15_000 + b"1" + b"}" * 15_000,
        b"\xff\xfe",
        b'"\\ud800"',
        b"NaN",
        b"1" * 10_000,
        b'{"seq":' + b"9" * 10_000 + b"}",
        b"\x00" * 50,
        b"",
    ],
    ids=lambda payload: repr(payload[:12]),
)
@pytest.mark.parametrize("channel", ["up_events", "down_head", "down_part"])
def test_hostile_json_is_a_bad_message(channel: str, payload: bytes) -> None:
    with pytest.raises(BadMessage):
        codec.decode(address_of(channel), payload)


@pytest.mark.parametrize(
    "value",
    [
        '"\\ud800"',
        "NaN",
        "-Infinity",
        "1e999",
        "9" * 5000,
        "[" * 150 + "]" * 150,
    ],
    ids=["half a character", "NaN", "infinity", "overflow", "5,000 digits", "150 brackets"],
)
def test_an_event_with_hostile_json_is_refused_alone_or_read_without_it(value: str) -> None:
    payload = f'{{"epoch":"{EPOCH}","batch_id":"{uid(1)}","events":[{{"seq":1,"note":{value}}}]}}'.encode()
    with pytest.raises((BadMessage, BadEvent)):
        _read_all("up_events", payload)


@pytest.mark.parametrize("name", ENVELOPES)
def test_errors_about_a_message_never_repeat_its_content(name: str) -> None:
    """They end up in logs; also what a traceback prints below them."""
    raw = json.loads(codec.encode(ENVELOPES[name]))
    for path in _paths(raw):
        for poison in (SECRET, [SECRET], {SECRET: SECRET}, SECRET * 500, {"kind": SECRET}):
            payload = json.dumps(_replaced(raw, path, poison)).encode()
            assert SECRET not in _told(codec.decode, address_of(name), payload), path


@pytest.mark.parametrize("name", EVENTS)
def test_errors_about_an_event_never_repeat_its_content(name: str) -> None:
    raw = json.loads(EVENTS[name].to_bytes())
    refused = 0
    for path in _paths(raw):
        for poison in (SECRET, [SECRET], {SECRET: SECRET}, f"{SECRET}\ud800", SECRET * 500):
            told = _told(parse_event, _replaced(raw, path, poison))
            assert SECRET not in told, path
            refused += bool(told)
    assert refused > 20


@pytest.mark.parametrize("text", [f'{{"{SECRET}', f'"{SECRET}"', f'{{"{SECRET}": {SECRET}}}'])
def test_errors_about_broken_json_never_repeat_it(text: str) -> None:
    with pytest.raises(BadMessage) as caught:
        codec.decode(address_of("up_hello"), text.encode())
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_an_error_names_the_fields_that_are_wrong() -> None:
    raw = json.loads(codec.encode(BATCH))
    del raw["epoch"]
    raw["batch_id"] = 5
    with pytest.raises(BadMessage, match=r"not a events message; wrong or missing: batch_id, epoch"):
        codec.decode(address_of("up_events"), json.dumps(raw).encode())


def _read_all(channel: str, payload: bytes) -> None:
    message = codec.decode(address_of(channel), payload)
    for event in message.events if isinstance(message, EventBatch) else ():
        parse_event(event)


def _told(read: Callable[..., object], *what: object) -> str:
    """Return everything that a log could repeat of a refusal; empty when nothing was refused."""
    try:
        read(*what)
    except ProtocolError as exc:
        return str(exc) + "".join(traceback.format_exception(exc))
    return ""


def _paths(value: Any, before: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield before
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _paths(inner, (*before, key))


def _replaced(value: Any, path: tuple[str | int, ...], new: Any) -> Any:
    if not path:
        return new if isinstance(new, dict) or not isinstance(value, dict) else {**value, "kind": new}
    key, *rest = path
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[key] = new if not rest else _replaced(value[key], tuple(rest), new)
    return copy
