"""The bytes on the wire do not change unnoticed, and what was ever written stays readable."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from protocol import codec, sealing
from protocol.base import Message, sha256_hex
from protocol.content import GalleryManifest, Head, HeadBody, Part
from protocol.delivery import EventBatch
from protocol.events import event_sha256, parse_event
from tests.builders import UNIT
from tests.protocol_wire.samples import ENVELOPES, EVERYTHING, HUB, address_of
from tests.protocol_wire.write_golden import (
    CURRENT,
    GOLDEN,
    MESSAGES,
    SCHEMAS,
    SUMS,
    frozen_folders,
    golden_bytes,
    present_schemas,
    read_golden,
    sums_of,
    write,
)

FROZEN = {
    "1.0": "2bd3c0691c3300669c5b1de1a305946428654fef8ac2fbe7d95c1d4198a61f1a",
    "1.1": "00636fba617f03f5b77be42879183d3edee7488a4716edcd81751c18ed313978",
}
"""SHA-256 of each version's SHA256SUMS. A line here is never changed; a new version adds one."""

EVENT_SEEN_1_0 = "99691e60aac9f55e63d26a3fd7dbec6788d020455b33aa31eee5127eec931c23"

FROZEN_FILES = sorted(GOLDEN.glob(f"*/{MESSAGES}"))


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def test_the_frozen_versions_are_all_there() -> None:
    assert {folder.name: sha256_hex((folder / SUMS).read_bytes()) for folder in frozen_folders()} == FROZEN


@pytest.mark.parametrize("version", FROZEN)
def test_no_frozen_file_was_changed_added_or_deleted(version: str) -> None:
    """Who needs another message raises the minor version: golden/README.md."""
    assert sums_of(GOLDEN / version) == (GOLDEN / version / SUMS).read_text(encoding="ascii")


def test_a_frozen_version_cannot_be_written_again(tmp_path: Path) -> None:
    write(tmp_path)
    before = sums_of(tmp_path)
    with pytest.raises(FileExistsError, match="raise MINOR"):
        write(tmp_path)
    assert sums_of(tmp_path) == before == (tmp_path / SUMS).read_text(encoding="ascii")


@pytest.mark.parametrize("path", FROZEN_FILES, ids=name_of)
def test_what_any_version_wrote_is_read_today_with_everything_it_says(path: Path) -> None:
    """No field that was written is lost: what is written again holds all of it."""
    again = json.loads(read_golden(path).to_bytes())
    assert _holds(again, json.loads(path.read_bytes()))


@pytest.mark.parametrize("path", [path for path in FROZEN_FILES if path.stem.startswith(("up_", "down_"))], ids=name_of)
def test_what_any_version_sent_is_decoded_on_its_topic(path: Path) -> None:
    message = codec.decode(address_of(path.name.removesuffix(".json")), path.read_bytes())
    for event in message.events if isinstance(message, EventBatch) else ():
        parse_event(event)


@pytest.mark.parametrize("version", FROZEN)
def test_what_any_version_sealed_and_signed_can_be_opened_and_checked(version: str) -> None:
    """Head, hash, seal and signature of one gallery, as a hub of that version made them."""
    folder = GOLDEN / version
    head, part = read_golden(folder / "down_head.json"), read_golden(folder / "down_part.json")
    assert isinstance(head, Head)
    assert isinstance(part, Part)
    sealing.check_signature(HUB.unit.hub_public_key, head.body.encode(), head.signature)
    assert sha256_hex(part.data) == HeadBody.model_validate_json(head.body).manifest_hash
    manifest = GalleryManifest.model_validate_json(
        sealing.unseal(HUB.data_key, part.data, *sealing.manifest_context(UNIT))
    )
    assert manifest == read_golden(folder / "content_manifest.json")


def test_the_hash_of_an_event_is_the_same_in_every_version() -> None:
    """Hubs compare it with what they stored years ago, and audits with what units have."""
    assert event_sha256(json.loads((GOLDEN / "1.0" / "event_seen.json").read_bytes())) == EVENT_SEEN_1_0


@pytest.mark.parametrize("name", EVERYTHING)
def test_a_message_is_written_byte_for_byte_as_its_golden_file_says(name: str) -> None:
    """After a change that is meant: golden/README.md."""
    assert golden_bytes(name) == (CURRENT / f"{name}.json").read_bytes()


def test_there_is_no_golden_file_without_a_message() -> None:
    assert {path.name.removesuffix(".json") for path in CURRENT.glob(MESSAGES)} == set(EVERYTHING)


@pytest.mark.parametrize("name", EVERYTHING)
def test_every_message_comes_back_from_its_golden_file_unchanged(name: str) -> None:
    assert read_golden(CURRENT / f"{name}.json") == EVERYTHING[name]


def test_there_is_a_golden_message_of_every_channel_and_both_directions() -> None:
    addresses = [address_of(name) for name in ENVELOPES]
    assert {(address.direction, address.channel) for address in addresses} == set(codec.MODELS)


@pytest.mark.parametrize("version", FROZEN)
def test_later_models_only_add_to_what_a_version_said(version: str) -> None:
    """Otherwise a program of that version could not read what is written today, or could not be read."""
    changed = _no_longer(_schemas_of(version), _present_schemas())
    # The version itself, which rises with every addition.
    assert [place for place in changed if not place.endswith("/properties/minor/default")] == []


@pytest.mark.parametrize("version", FROZEN)
def test_nothing_is_required_today_that_a_version_could_leave_out(version: str) -> None:
    now = _present_schemas()
    for name, then in _schemas_of(version).items():
        assert set(now[name].get("required", ())) <= set(then.get("required", ())), name


@pytest.mark.parametrize("version", FROZEN)
def test_what_a_version_requires_is_written_today(version: str) -> None:
    models = {model.__name__: model for model in _models()}
    for name, then in _schemas_of(version).items():
        for field in then.get("required", ()) if name in models else ():
            told = models[name].model_fields[field]
            assert told.is_required() or told.default is not None, (name, field)


def test_the_comparison_of_models_finds_what_is_more_than_an_addition() -> None:
    """Otherwise the tests before this one might pass for want of looking."""
    then = {
        "A": {
            "type": "object",
            "properties": {"size": {"type": "integer", "maximum": 9}, "word": {"enum": ["a", "b"], "type": "string"}},
        }
    }
    fields = then["A"]["properties"]
    assert isinstance(fields, dict)
    added = {**fields, "more": {}, "word": {"enum": ["a", "b", "c"], "type": "string", "description": "?"}}
    assert _no_longer(then, {"A": {"type": "object", "properties": added}, "B": {}}) == []
    for changed, place in (
        ({"size": fields["size"]}, "A/properties/word"),
        ({**fields, "size": {"type": "integer", "maximum": 8}}, "A/properties/size/maximum"),
        ({**fields, "size": {"type": "integer", "maximum": 9, "minimum": 1}}, "A/properties/size/minimum"),
        ({**fields, "word": {"enum": ["a"], "type": "string"}}, "A/properties/word/enum"),
    ):
        assert _no_longer(then, {"A": {"type": "object", "properties": changed}}) == [place]
    assert _no_longer(then, {}) == ["A"]


@cache
def _present_schemas() -> dict[str, Any]:
    return present_schemas()


def _schemas_of(version: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((GOLDEN / version / SCHEMAS).read_bytes())
    return found


def _models() -> Iterator[type[Message]]:
    waiting: list[type[Message]] = [Message]
    while waiting:
        model = waiting.pop()
        waiting += model.__subclasses__()
        yield model


_SAYS_NOTHING = {"description", "examples", "x-rule", "required"}
"""Required fields have tests of their own, in both directions."""
_GROWS = {"enum", "oneOf", "anyOf"}


def _no_longer(then: Any, now: Any, place: str = "", *, may_grow: bool = True) -> list[str]:
    """Return where `now` says something else than `then`, or nothing; new models, fields and words are no change."""
    if isinstance(then, dict) and isinstance(now, dict):
        found = []
        for key in sorted((set(then) if may_grow else set(then) | set(now)) - _SAYS_NOTHING):
            inner = f"{place}/{key}".strip("/")
            if key not in now or key not in then:
                found.append(inner)
            elif key in _GROWS:
                found += [] if all(one in now[key] for one in then[key]) else [inner]
            else:
                # Below a name of a model or of a field: every limit that is added is a change.
                found += _no_longer(then[key], now[key], inner, may_grow=key == "properties")
        return found
    return [] if then == now else [place]


def _holds(now: object, then: object) -> bool:
    if isinstance(then, dict):
        return isinstance(now, dict) and all(key in now and _holds(now[key], value) for key, value in then.items())
    if isinstance(then, list):
        return isinstance(now, list) and len(now) == len(then) and all(map(_holds, now, then))
    return now == then
