"""Units and hubs of different versions understand each other: reader N with writer N+1, and the other way round.

Units hang in classrooms for years and are updated one after the other, so every mixture happens.
"""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError, create_model

from protocol import codec
from protocol.base import Envelope, Message
from protocol.content import GalleryManifest, ManifestEntry, Part, Want
from protocol.delivery import Hello, Receipt
from protocol.errors import BadEvent, BadMessage
from protocol.events import Anchor, Coverage, Event, Left, event_json, parse_event
from protocol.status import Status
from tests.builders import mark, uid
from tests.fakes import EPOCH
from tests.protocol_wire.samples import CONTENT, ENVELOPES, EVENTS, EVERYTHING, address_of
from tests.protocol_wire.versions import Shape, newer, raw_of

WHOLE: dict[str, Message] = {**ENVELOPES, **CONTENT}
HOW_UNKNOWN_WORDS_ARE_READ = {
    # Shown and stored as they are: nothing is decided by them.
    ("Status", "state"): "as it is",
    ("Status", "disk"): "as it is",
    ("Left", "cause"): "as it is",
    # As the most careful of the known ones.
    ("Hello", "clock"): "unsynced",
    ("Status", "clock"): "unsynced",
    **{(kind, "clock"): "unsynced" for kind in ("Seen", "Left", "Review", "Mark", "Coverage", "Anchor")},
    ("Coverage", "mode"): "sweep",
    ("Anchor", "source"): "welcome",
    ("Receipt", "result"): "busy",
    ("ManifestEntry", "scope"): "wider",
    # Left out, the others are read.
    ("Wanted", "kind"): "left out",
    # Refused: nobody asked for it, or it is a person's word, which is never guessed.
    ("Part", "kind"): "refused",
    ("Mark", "status"): "refused",
}
MODELS = {type(message) for message in EVERYTHING.values()}


@settings(max_examples=100)
@given(st.sampled_from(list(WHOLE)), st.integers(0, 999), st.data())
@pytest.mark.slow
def test_a_newer_writers_fields_are_ignored_at_every_depth(name: str, minor: int, data: st.DataObject) -> None:
    message = WHOLE[name]
    raw = Shape(type(message)).newer(raw_of(name), data.draw)
    update = {}
    if isinstance(message, Envelope):
        raw["minor"], update = minor, {"minor": minor}
    assert type(message).model_validate_json(json.dumps(raw)) == message.model_copy(update=update)


@settings(max_examples=60)
@given(st.sampled_from(list(EVENTS)), st.data())
def test_a_newer_units_fields_are_ignored_in_its_events(name: str, data: st.DataObject) -> None:
    event = EVENTS[name]
    assert parse_event(Shape(type(event)).newer(raw_of(name), data.draw)) == event


@settings(max_examples=100)
@given(st.sampled_from(list(WHOLE)), st.data())
def test_an_older_writer_may_leave_out_everything_that_is_not_required(name: str, data: st.DataObject) -> None:
    message = WHOLE[name]
    older = Shape(type(message)).older(raw_of(name), data.draw)
    if "count" not in older:
        # A part that does not say of how many it is one is the only one.
        older.pop("index", None)
    read_back = type(message).model_validate_json(json.dumps(older))
    _same_where_written(json.loads(read_back.to_bytes()), older)


@settings(max_examples=60)
@given(st.sampled_from(list(EVENTS)), st.data())
def test_an_older_units_events_are_read_without_what_it_did_not_know(name: str, data: st.DataObject) -> None:
    older = Shape(type(EVENTS[name])).older(raw_of(name), data.draw)
    _same_where_written(event_json(parse_event(older)), older)


@pytest.mark.parametrize("name", WHOLE)
def test_a_reader_that_knows_the_required_fields_only_reads_what_is_written_today(name: str) -> None:
    """The oldest reader there can be: every field that is not required came later than it."""
    message = WHOLE[name]
    required = {key: (f.annotation, f) for key, f in type(message).model_fields.items() if f.is_required()}
    oldest: type[Message] = create_model("Oldest", __base__=Message, **required)  # type: ignore[call-overload]
    read_back = oldest.model_validate_json(message.to_bytes())
    assert all(getattr(read_back, key) == getattr(message, key) for key in required)


@pytest.mark.parametrize("name", WHOLE)
def test_a_reader_that_knows_more_reads_what_is_written_today(name: str) -> None:
    message = WHOLE[name]
    next_one: type[Message] = create_model("Next", __base__=type(message), next_field=(Hello | None, None))
    read_back = next_one.model_validate_json(message.to_bytes())
    assert read_back.model_dump(exclude={"next_field"}) == message.model_dump()


def test_of_every_field_with_fixed_words_it_is_decided_how_a_new_word_is_read() -> None:
    """Who adds such a field decides it here, in the model, and in a test below."""
    found = {place for model in MODELS for place in Shape(model).fixed_words()}
    assert found == set(HOW_UNKNOWN_WORDS_ARE_READ)


@pytest.mark.parametrize("field", ["state", "disk"])
def test_a_status_with_a_new_word_is_shown_as_it_is(field: str) -> None:
    status = codec.decode(address_of("up_status"), newer(raw_of("up_status"), **{field: "hibernating"}))
    assert getattr(status, field) == "hibernating"
    assert json.loads(status.to_bytes())[field] == "hibernating"


@pytest.mark.parametrize("field", ["state", "disk"])
@pytest.mark.parametrize("wrong", ["", "Two words", "x" * 21, 5, ["watching"], {"watching": 1}])
def test_what_is_no_word_is_damage_and_not_a_newer_status(field: str, wrong: Any) -> None:
    """Twenty characters are what a hub keeps of a state."""
    with pytest.raises(BadMessage):
        codec.decode(address_of("up_status"), newer(raw_of("up_status"), **{field: wrong}))


def test_problems_and_reasons_nobody_knows_yet_are_carried() -> None:
    problem = {"code": "lens_dirty", "text": "clean the lens", "severity": 3}
    status = codec.decode(address_of("up_status"), newer(raw_of("up_status"), problems=[problem], throttled=["tired"]))
    assert isinstance(status, Status)
    assert (status.problems[0].code, status.throttled) == ("lens_dirty", ("tired",))
    applied = codec.decode(address_of("up_applied"), newer(raw_of("up_applied"), problem="eclipse"))
    assert getattr(applied, "problem", None) == "eclipse"


@pytest.mark.parametrize("name", ["up_hello", "up_status"])
def test_a_clock_of_a_new_quality_is_taken_for_one_that_was_never_set(name: str) -> None:
    assert getattr(codec.decode(address_of(name), newer(raw_of(name), clock="atomic")), "clock", None) == "unsynced"


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_of_a_clock_of_a_new_quality_is_taken_with_the_careful_reading(name: str) -> None:
    assert parse_event({**raw_of(name), "clock": "atomic"}) == EVENTS[name].model_copy(update={"clock": "unsynced"})


@pytest.mark.parametrize(
    ("name", "field", "word", "read_as", "kind"),
    [
        ("event_left", "cause", "fire_alarm", "fire_alarm", Left),
        ("event_coverage", "mode", "drone", "sweep", Coverage),
        ("event_anchor", "source", "gps", "welcome", Anchor),
    ],
)
def test_an_event_with_a_new_word_is_taken(name: str, field: str, word: str, read_as: str, kind: type[Event]) -> None:
    event = parse_event({**raw_of(name), field: word})
    assert isinstance(event, kind)
    assert getattr(event, field) == read_as


def test_a_mark_with_a_status_nobody_knows_is_refused_and_never_guessed() -> None:
    """The unit and the hub keep it; an updated hub reads it again."""
    with pytest.raises(BadEvent) as caught:
        parse_event({**event_json(mark()), "status": "left_early"})
    assert caught.value.code == "invalid"


def test_a_receipt_with_a_new_result_says_that_nothing_is_taken() -> None:
    """To send once more costs a duplicate; to believe something that was not said costs events."""
    receipt = codec.decode(address_of("down_receipt"), newer(raw_of("down_receipt"), result="postponed"))
    assert isinstance(receipt, Receipt)
    assert receipt.result == "busy"


def test_a_rejection_with_a_new_code_is_a_rejection() -> None:
    rejected = [{"seq": 4, "code": "out_of_scope", "hint": "ask"}, {"seq": 5, "code": "seq_taken"}]
    receipt = codec.decode(address_of("down_receipt"), newer(raw_of("down_receipt"), rejected=rejected))
    assert isinstance(receipt, Receipt)
    assert [(rejection.seq, rejection.code) for rejection in receipt.rejected] == [
        (4, "out_of_scope"),
        (5, "seq_taken"),
    ]


def test_a_student_of_a_new_scope_is_never_marked_by_the_machine() -> None:
    """`wider`: whoever looks like one of them is for a person to look at; and the rest of the gallery is read."""
    raw = raw_of("content_manifest")
    raw["entries"][1]["scope"] = "visiting_class"
    manifest = GalleryManifest.model_validate_json(json.dumps(raw))
    assert [entry.scope for entry in manifest.entries] == ["room", "wider", "room"]


def test_content_of_a_new_kind_is_left_out_and_the_rest_is_answered() -> None:
    raw = raw_of("up_want")
    want = codec.decode(
        address_of("up_want"),
        newer(raw, items=[{"kind": "hologram", "hash": "ab" * 32, "format": "x"}, *raw["items"]]),
    )
    assert isinstance(want, Want)
    assert [item.kind for item in want.items] == [item["kind"] for item in raw["items"]]


@pytest.mark.parametrize("items", [[{"kind": "hologram", "hash": "ab" * 32}], [{"kind": "Holo!", "hash": "ab" * 32}]])
def test_a_wish_that_holds_nothing_known_is_no_message(items: list[dict[str, str]]) -> None:
    with pytest.raises(BadMessage):
        codec.decode(address_of("up_want"), json.dumps({"items": items}).encode())


def test_a_part_of_a_new_kind_is_refused_because_nobody_asked_for_it() -> None:
    with pytest.raises(BadMessage):
        codec.decode(address_of("down_part"), newer(raw_of("down_part"), kind="hologram"))


def test_a_program_cannot_write_words_that_do_not_exist() -> None:
    """Only readers are tolerant: otherwise a slip of the pen would go out as its fallback."""
    with pytest.raises(ValidationError):
        Receipt(epoch=EPOCH, batch_id=uid(1), result="postponed")
    with pytest.raises(ValidationError):
        ManifestEntry(student_id=uid(1), display_name="1_Ada", scope="visiting_class")
    with pytest.raises(ValidationError):
        Part(kind="hologram", hash="ab" * 32)


def _same_where_written(now: Any, then: Any) -> None:
    if isinstance(then, dict):
        for key, value in then.items():
            _same_where_written(now[key], value)
    elif isinstance(then, list):
        assert len(now) == len(then)
        for one, other in zip(now, then, strict=True):
            _same_where_written(one, other)
    else:
        assert now == then
