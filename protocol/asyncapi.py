"""The protocol as an AsyncAPI 3.0 document, for people and programs that want to speak it.

Everything in it comes from the models, the topics and the golden messages. `python -m
tests.protocol_wire.write_asyncapi` writes `protocol/asyncapi.yaml`, and a test compares the two.
"""

import inspect
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from protocol.asyncapi_schemas import CONTENT, EVENTS, ref, schemas
from protocol.base import MAX_BATCH_BYTES, MAX_BATCH_EVENTS, MAX_MESSAGE_BYTES, MAX_PART_BYTES, MINOR, Envelope
from protocol.codec import MODELS
from protocol.topics import MAJOR, ROOT, Direction

Examples = Mapping[str, Mapping[str, Any]]
"""JSON objects by the name of their golden file: `up_hello`, `down_receipt.busy`, `content_manifest`, `event_seen`."""

_ABOUT = f"""\
How the units in the classrooms and the hub of a school talk: attendance goes up, galleries go down.

**Delivery.** A broker may lose everything at any time. A unit repeats what it has no receipt for, and a hub sends a
receipt only after its database has committed; PUBACK means nothing of the kind. Sessions are clean on both sides.
QoS 1 on every channel; `status` and `head` are retained, nothing else is.

**Messages** are JSON objects in UTF-8, at most {MAX_MESSAGE_BYTES:,} bytes; larger ones are refused before they are
parsed. A batch holds at most {MAX_BATCH_EVENTS} events and {MAX_BATCH_BYTES:,} bytes, a part at most
{MAX_PART_BYTES:,} bytes of content. Fields that have no value are left out, never null. Times are UTC and say so.
Bytes are base64 with the URL-safe alphabet (RFC 4648, section 5).

**Newer and older programs.** The major version is a level of the topic; `minor` tells which fields the writer knew.
Later minor versions only add. Readers ignore fields and channels they do not know; an event of a kind they do not know
is rejected alone, by its seq. Where a field takes fixed words, `x-unknown-read-as` says as which of them a reader takes
a word it does not know; a schema with a pattern beside the words shows and stores it as it is. Limits on numbers,
lengths and sizes belong to the major version. `x-rule` is what a reader checks and a schema cannot say.

**Security.** The broker lets a unit write and read only below its own id. What is said of students (manifests,
templates, timetables) is sealed for one unit with AES-256-GCM and named by the SHA-256 of the sealed bytes; heads are
signed by the hub with Ed25519; a unit refuses heads that go back in (generation, revision). Events, receipts and status
are not sealed: they name students by random ids only, except the note of a mark. Their way is as private as the
connection to the broker is."""

_PARAMETERS = {
    "site": {"description": "The school: `[a-z0-9-]{1,36}`.", "examples": ["hill-school"]},
    "unit": {
        "description": "The unit: a UUID in lower case with hyphens.",
        "examples": ["00000000-0000-0000-0000-000000000117"],
    },
}


@dataclass(frozen=True, slots=True)
class _Channel:
    """What cannot be read from the models."""

    summary: str
    answer: str | None = None
    """Key of the channel on which the answer comes."""
    retain: bool = False


_CHANNELS: dict[tuple[Direction, str], _Channel] = {
    ("up", "hello"): _Channel("First word after each connect; repeated until the welcome comes.", "down_welcome"),
    ("up", "events"): _Channel("Batches of what happens now.", "down_receipt"),
    ("up", "backlog"): _Channel("Batches of what waited; a hub takes what happens now first.", "down_receipt"),
    ("up", "status"): _Channel("How the unit is, for people to look at. Also its will.", retain=True),
    ("up", "want"): _Channel("Content that the unit lacks, by hash.", "down_part"),
    ("up", "applied"): _Channel("Which gallery the unit has now, and whom it erased for it."),
    ("up", "audit"): _Channel("Once a day: what the unit holds receipts for.", "down_audit"),
    ("down", "welcome"): _Channel("Answer to a hello."),
    ("down", "receipt"): _Channel("Answer to a batch, after the commit."),
    ("down", "head"): _Channel("Which gallery, timetable and pack the unit should have.", retain=True),
    ("down", "part"): _Channel("A piece of wanted content, or that there is none."),
    ("down", "audit"): _Channel("Answer to an audit: what to send again."),
}


def document(examples: Examples) -> dict[str, Any]:
    """Return the document, with these messages as examples. Raises KeyError for a channel nobody described here."""
    models = list(dict.fromkeys(MODELS.values()))
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Rollcall: units and hub",
            "version": f"{MAJOR}.{MINOR}",
            "description": "\n\n".join(textwrap.fill(paragraph, 118) for paragraph in _ABOUT.split("\n\n")),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"broker": _broker()},
        "channels": {_key(*place): _channel(*place) for place in MODELS},
        "operations": dict(operation for place in MODELS for operation in _operations(*place)),
        "components": {
            "messages": {model.__name__: _message(model, examples) for model in models},
            "parameters": _PARAMETERS,
            "securitySchemes": {
                "password": {
                    "type": "userPassword",
                    "description": "One user for each unit; its name is the unit's id.",
                }
            },
            "schemas": _with_examples(schemas(models), examples),
        },
    }


def _key(direction: Direction, channel: str) -> str:
    return f"{direction}_{channel}"


def _broker() -> dict[str, Any]:
    return {
        "host": "{broker}",
        "protocol": "mqtt",
        "protocolVersion": "5.0",
        "description": "Any MQTT 5 broker or cluster. Hub processes share what goes up through `$share`.",
        "variables": {"broker": {"description": "Name and port of the school's broker."}},
        "security": [{"$ref": "#/components/securitySchemes/password"}],
        "bindings": {
            "mqtt": {
                "cleanSession": True,
                "lastWill": {
                    "topic": _address("up", "status"),
                    "qos": 1,
                    "retain": True,
                    "message": "A status with the state `lost`.",
                },
                "bindingVersion": "0.2.0",
            }
        },
    }


def _address(direction: Direction, channel: str) -> str:
    return f"{ROOT}/{MAJOR}/{{site}}/{direction}/{{unit}}/{channel}"


def _channel(direction: Direction, channel: str) -> dict[str, Any]:
    model = MODELS[direction, channel].__name__
    return {
        "address": _address(direction, channel),
        "summary": _CHANNELS[direction, channel].summary,
        "parameters": {name: {"$ref": f"#/components/parameters/{name}"} for name in _PARAMETERS},
        "messages": {model: {"$ref": f"#/components/messages/{model}"}},
    }


def _operations(direction: Direction, channel: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what one side sends and the other receives on a channel."""
    sender, reader = ("unit", "hub") if direction == "up" else ("hub", "unit")
    facts = _CHANNELS[direction, channel]
    for who, action, word in ((sender, "send", "sends"), (reader, "receive", "receives")):
        operation: dict[str, Any] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{_key(direction, channel)}"},
            "tags": [{"name": who}],
            "bindings": {"mqtt": {"qos": 1, "retain": facts.retain, "bindingVersion": "0.2.0"}},
        }
        if facts.answer:
            operation["reply"] = {"channel": {"$ref": f"#/channels/{facts.answer}"}}
        yield f"{who}_{word}_{channel}", operation


def _message(model: type[Envelope], examples: Examples) -> dict[str, Any]:
    places = [_key(*place) for place, spoken in MODELS.items() if spoken is model]
    text = " ".join((inspect.getdoc(model) or "").partition("\n\n")[0].split())
    shown = [name for name in sorted(examples) if name.partition(".")[0] in places]
    return {
        "name": model.__name__,
        "contentType": "application/json",
        "summary": text,
        "x-max-bytes": MAX_MESSAGE_BYTES,
        "payload": ref(model.__name__),
        "examples": [{"name": name, "payload": examples[name]} for name in shown],
    }


def _with_examples(found: dict[str, dict[str, Any]], examples: Examples) -> dict[str, dict[str, Any]]:
    shown: dict[str, Sequence[str]] = {model.__name__: (f"event_{model.__name__.lower()}",) for model in EVENTS}
    for name, model in CONTENT.items():
        shown[model.__name__] = [key for key in sorted(examples) if key.partition(".")[0] == f"content_{name}"]
    for model_name, names in shown.items():
        found[model_name]["examples"] = [examples[name] for name in names]
    return found
