"""protocol/asyncapi.yaml says what the models say: made from them, whole, and no message differs from it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from pydantic import ValidationError

from protocol import codec, topics
from protocol.asyncapi import document
from protocol.asyncapi_schemas import CONTENT, RULES
from protocol.base import MAX_PART_BYTES, Message
from protocol.content import Head, Part
from protocol.delivery import EventBatch
from protocol.errors import BadEvent
from protocol.events import EVENT_KINDS, Event, parse_event
from protocol.topics import Direction
from tests.protocol_wire.samples import CONTENT_MODELS, EVERYTHING, HASH
from tests.protocol_wire.write_asyncapi import ASYNCAPI, asyncapi_text, examples

DOCUMENT: dict[str, Any] = json.loads(json.dumps(document(examples())))
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
SIDES: list[tuple[Direction, str, str]] = [("up", "unit", "hub"), ("down", "hub", "unit")]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(-1e9, 1e9) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def schema_accepts(message: Message, raw: Any) -> bool:
    reference = {"$ref": f"#/components/schemas/{type(message).__name__}"}
    validator = Draft7Validator({"allOf": [reference], "components": DOCUMENT["components"]})
    return bool(validator.is_valid(raw))


def reader_accepts(message: Message, raw: Any) -> bool:
    try:
        if isinstance(message, Event):
            parse_event(raw)
        read = type(message).model_validate_json(json.dumps(raw))
        for event in read.events if isinstance(read, EventBatch) else ():
            if event.get("kind") in EVENT_KINDS:
                parse_event(event)
    except (ValidationError, BadEvent):
        return False
    return True


def raw_of(name: str) -> Any:
    return json.loads(EVERYTHING[name].to_bytes())


def resolve(reference: str) -> Any:
    found: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    for inner in value if isinstance(value, list) else ():
        yield from references(inner)


def places(value: Any, before: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*before, key)
        yield from places(inner, (*before, key))


def replaced(value: Any, place: tuple[str | int, ...], new: Any) -> Any:
    changed = json.loads(json.dumps(value))
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = new
    return changed


def test_the_file_is_the_one_that_the_models_give() -> None:
    """After a change that is meant: `python -m tests.protocol_wire.write_asyncapi`."""
    assert ASYNCAPI.read_text(encoding="utf-8") == asyncapi_text()


def test_every_reference_leads_somewhere() -> None:
    found = set(references(DOCUMENT))
    assert len(found) > 50
    for reference in found:
        assert resolve(reference)


def test_every_channel_is_there_with_its_topic_and_its_message() -> None:
    wanted = {("up", name) for name in topics.UP_CHANNELS} | {("down", name) for name in topics.DOWN_CHANNELS}
    assert set(DOCUMENT["channels"]) == {f"{direction}_{channel}" for direction, channel in wanted}
    for (direction, channel), model in codec.MODELS.items():
        told = DOCUMENT["channels"][f"{direction}_{channel}"]
        filled = told["address"].format(site="hill-school", unit="00000000-0000-0000-0000-000000000117")
        assert topics.parse(filled) == topics.Address("hill-school", direction, filled.split("/")[4], channel)
        assert [resolve(message["$ref"])["name"] for message in told["messages"].values()] == [model.__name__]


@pytest.mark.parametrize(("direction", "sender", "reader"), SIDES)
def test_each_side_finds_what_it_sends_and_what_it_receives(direction: str, sender: str, reader: str) -> None:
    channels = {channel for way, channel in codec.MODELS if way == direction}
    for who, action, word in ((sender, "send", "sends"), (reader, "receive", "receives")):
        for channel in channels:
            operation = DOCUMENT["operations"][f"{who}_{word}_{channel}"]
            assert operation["action"] == action
            assert operation["channel"] == {"$ref": f"#/channels/{direction}_{channel}"}
            assert operation["bindings"]["mqtt"]["qos"] == 1
            assert operation["bindings"]["mqtt"]["retain"] == (channel in ("status", "head"))
    assert len(DOCUMENT["operations"]) == 2 * len(codec.MODELS)


def test_questions_name_the_channel_of_their_answer() -> None:
    answers = {
        name.removeprefix("unit_sends_"): operation["reply"]["channel"]["$ref"].removeprefix("#/channels/")
        for name, operation in DOCUMENT["operations"].items()
        if "reply" in operation and name.startswith("unit_sends_")
    }
    assert answers == {
        "hello": "down_welcome",
        "events": "down_receipt",
        "backlog": "down_receipt",
        "want": "down_part",
        "audit": "down_audit",
    }


def test_every_golden_message_is_shown_once() -> None:
    shown = [
        example["name"] for message in DOCUMENT["components"]["messages"].values() for example in message["examples"]
    ]
    assert sorted(shown) == sorted(name for name in EVERYTHING if name.startswith(("up_", "down_")))
    inside = [example for schema in SCHEMAS.values() for example in schema.get("examples", ())]
    assert sorted(map(json.dumps, inside)) == sorted(
        json.dumps(raw_of(name)) for name in EVERYTHING if name.startswith(("content_", "event_"))
    )
    assert CONTENT == CONTENT_MODELS


def test_every_rule_that_a_schema_cannot_say_is_told() -> None:
    models = {type(message) for message in EVERYTHING.values()} | set(RULES)
    checked = {model for model in models if model.__pydantic_decorators__.model_validators}
    assert checked == set(RULES)
    assert all(SCHEMAS[model.__name__]["x-rule"] for model in checked)


def test_what_stands_below_a_field_in_the_source_explains_it_in_the_document() -> None:
    assert SCHEMAS["Status"]["properties"]["session"]["description"].startswith("Counts the starts")
    assert SCHEMAS["Coverage"]["properties"]["boottime_ns"]["description"].startswith("CLOCK_BOOTTIME")
    assert "\n\n" in SCHEMAS["Welcome"]["properties"]["high_water"]["description"]
    assert all(schema["description"] for schema in SCHEMAS.values())


def test_a_reader_learns_how_words_it_does_not_know_are_read() -> None:
    assert SCHEMAS["Coverage"]["properties"]["mode"]["x-unknown-read-as"] == "sweep"
    assert SCHEMAS["Status"]["properties"]["clock"]["x-unknown-read-as"] == "unsynced"
    assert len(SCHEMAS["Status"]["properties"]["state"]["anyOf"]) == 2


@pytest.mark.parametrize("name", EVERYTHING)
def test_every_golden_message_is_valid(name: str) -> None:
    assert schema_accepts(EVERYTHING[name], raw_of(name))


def test_the_largest_part_is_valid_although_base64_is_longer_than_bytes() -> None:
    for size in (0, 1, 2, MAX_PART_BYTES):
        part = Part(kind="manifest", hash=HASH, data=b"\xff" * size)
        assert schema_accepts(part, json.loads(part.to_bytes()))
    raw = {**raw_of("down_part"), "data": "A" * (-(-MAX_PART_BYTES // 3) * 4 + 4)}
    assert not schema_accepts(part, raw)
    assert not schema_accepts(EVERYTHING["down_head"], {**raw_of("down_head"), "signature": "AAAA"})
    assert isinstance(EVERYTHING["down_head"], Head)


@pytest.mark.parametrize("name", EVERYTHING)
def test_a_message_that_lacks_a_field_or_holds_a_wrong_one_is_refused_by_schema_and_reader(name: str) -> None:
    message, raw = EVERYTHING[name], raw_of(name)
    schema = SCHEMAS[type(message).__name__]
    damaged = [{key: value for key, value in raw.items() if key != gone} for gone in schema["required"]]
    damaged += [{**raw, key: [["not a value"]]} for key in raw]
    assert len(damaged) > len(raw)
    for one in damaged:
        assert not schema_accepts(message, one)
        assert not reader_accepts(message, one)


@settings(max_examples=200)
@given(st.sampled_from(list(EVERYTHING)), st.data())
def test_what_the_document_allows_is_what_readers_take(name: str, data: st.DataObject) -> None:
    """Otherwise somebody who keeps to the document would be refused. The rules in `x-rule` are the exception."""
    message, raw = EVERYTHING[name], raw_of(name)
    place = data.draw(st.sampled_from(list(places(raw))))
    damaged = replaced(raw, place, data.draw(ANYTHING))
    if schema_accepts(message, damaged) and not _breaks_a_rule(message, damaged):
        assert reader_accepts(message, damaged)


def _breaks_a_rule(message: Message, raw: Any) -> bool:
    """Tell whether a reader refuses for a reason that only `x-rule` can say: all its errors are the models' own."""
    try:
        type(message).model_validate_json(json.dumps(raw))
    except ValidationError as exc:
        return all(error["type"] == "value_error" for error in exc.errors())
    return False
