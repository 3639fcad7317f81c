"""The models as schemas of an AsyncAPI document: what a well-behaved writer sends, with every field explained."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

from pydantic.json_schema import models_json_schema

from protocol.base import Message
from protocol.content import GalleryManifest, HeadBody, PackList, Part, TemplateBlob, Timetable
from protocol.delivery import EventBatch, RangeDigest, SeqRange
from protocol.events import EVENT_KINDS, Anchor, Coverage, Left, Mark, Review, Seen

REF = "#/components/schemas/{model}"
EVENTS: tuple[type[Message], ...] = (Seen, Left, Review, Mark, Coverage, Anchor)
CONTENT: dict[str, type[Message]] = {
    "head_body": HeadBody,
    "manifest": GalleryManifest,
    "template": TemplateBlob,
    "timetable": Timetable,
    "pack": PackList,
}
"""What travels inside of other messages, by the name its examples have."""

RULES: dict[type[Message], str] = {
    EventBatch: "Every event has a usable seq, because without one it could not be answered.",
    SeqRange: "`last` is not below `first`.",
    RangeDigest: "`last` is not below `first`.",
    Part: "`index` is below `count`.",
    GalleryManifest: "A student is listed once.",
    TemplateBlob: "`vectors` has `count` x `dimensions` x 4 bytes.",
    PackList: "A file is listed once.",
}
"""What a reader checks and a schema cannot say, by the model that checks it."""

_UTC = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)$"
_BASE64 = "^([A-Za-z0-9_-]{4})*([A-Za-z0-9_-][AQgw]==|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048]=)?$"
"""With padding; the last characters are those that leave no bits over."""

_JSON_TEXT = {"contentMediaType": "application/json"}
_Schema = dict[str, Any]


def ref(name: str) -> _Schema:
    """Return the reference to a schema of the document."""
    return {"$ref": REF.format(model=name)}


def schemas(models: Iterable[type[Message]]) -> dict[str, _Schema]:
    """Return the schema of each model, of everything that travels inside of them, and of what they are made of."""
    wanted = [*models, *CONTENT.values(), *EVENTS]
    _, generated = models_json_schema([(model, "validation") for model in wanted], ref_template=REF)
    by_name = {model.__name__: model for model in _all_models(wanted)}
    found = {name: _of_model(schema, by_name[name]) for name, schema in generated["$defs"].items()}
    for model in EVENTS:
        # Readers choose the model by it, so it is never left out.
        found[model.__name__]["required"].append("kind")
    found["Event"] = {
        "description": "An event of a unit's stream.",
        "discriminator": "kind",
        "oneOf": [ref(model.__name__) for model in EVENTS],
    }
    found["NewerEvent"] = {
        "description": "An event of a kind that came later: it is rejected alone, by its seq, as `unsupported_kind`.",
        "type": "object",
        "required": ["seq", "kind"],
        "properties": {
            "seq": found["Seen"]["properties"]["seq"],
            "kind": {"type": "string", "not": {"enum": list(EVENT_KINDS)}},
        },
    }
    _explain_what_is_inside(found)
    return dict(sorted(found.items()))


def _explain_what_is_inside(found: dict[str, _Schema]) -> None:
    events = found["EventBatch"]["properties"]["events"]
    events["items"] = {"anyOf": [ref("Event"), ref("NewerEvent")]}
    found["Head"]["properties"]["body"] |= _JSON_TEXT | {"x-content": ref("HeadBody")}
    found["Part"]["properties"]["data"] |= {
        "contentMediaType": "application/octet-stream",
        "x-content": {
            "manifest": {"sealed": True, "schema": ref("GalleryManifest")},
            "template": {"sealed": True, "schema": ref("TemplateBlob")},
            "timetable": {"sealed": True, "schema": ref("Timetable")},
            "pack": {"sealed": False, "schema": ref("PackList")},
            "pack_file": {"sealed": False, "description": "The bytes of the file."},
        },
    }


def _all_models(models: Iterable[type[Message]]) -> set[type[Message]]:
    found = set(models)
    waiting = [Message]
    while waiting:
        inner = waiting.pop()
        waiting += inner.__subclasses__()
        found.add(inner)
    return found


def _of_model(schema: _Schema, model: type[Message]) -> _Schema:
    texts = _field_texts(model)
    properties = {name: _of_field(field, texts.get(name)) for name, field in schema["properties"].items()}
    told: _Schema = {"type": "object", "description": _paragraphs(inspect.getdoc(model) or "")}
    if model in RULES:
        told["x-rule"] = RULES[model]
    return told | {"required": list(schema.get("required", [])), "properties": properties}


def _of_field(field: _Schema, text: str | None) -> _Schema:
    field = _changed(field, _simpler)
    if "$ref" in field and (text or len(field) > 1):
        # Draft 7 ignores everything that stands beside a reference.
        field = {"allOf": [{"$ref": field.pop("$ref")}], **field}
    return ({"description": text} if text else {}) | field


def _changed(schema: Any, change: Callable[[_Schema], _Schema]) -> Any:
    if isinstance(schema, dict):
        return change({key: _changed(inner, change) for key, inner in schema.items()})
    return [_changed(inner, change) for inner in schema] if isinstance(schema, list) else schema


def _simpler(schema: _Schema) -> _Schema:
    """Return the schema in draft 7, without what only repeats the name, and without null: it is never written."""
    schema = {key: inner for key, inner in schema.items() if key != "title" and (key, inner) != ("default", None)}
    branches = [branch for branch in schema.get("anyOf", ()) if branch != {"type": "null"}]
    if len(branches) == 1:
        del schema["anyOf"]
        schema = branches[0] | schema
    elif branches:
        schema["anyOf"] = branches
    if "prefixItems" in schema:
        schema["items"] = schema.pop("prefixItems")
    if schema.get("format") == "date-time":
        schema["pattern"] = _UTC
    if schema.get("format") == "base64url":
        schema = _as_base64(schema)
    return dict(sorted(schema.items(), key=lambda item: item[0] != "type"))


def _as_base64(schema: _Schema) -> _Schema:
    # The models count bytes; a schema counts characters. Four characters for each three bytes begun.
    for limit in ("minLength", "maxLength"):
        if limit in schema:
            schema[limit] = -(-schema[limit] // 3) * 4
    return schema | {"pattern": _BASE64, "contentEncoding": "base64url"}


def _field_texts(model: type[Message]) -> dict[str, str]:
    """Return what stands below each field in the source, as text without line breaks inside of paragraphs."""
    texts: dict[str, str] = {}
    for cls in reversed(model.__mro__):
        if not issubclass(cls, Message):
            continue
        definition = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
        assert isinstance(definition, ast.ClassDef)  # noqa: S101 (what the source of a class is)
        for field, below in pairwise(definition.body):
            text = below.value if isinstance(below, ast.Expr) else None
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Constant) and isinstance(text.value, str):
                texts[ast.unparse(field.target)] = _paragraphs(inspect.cleandoc(text.value))
    return texts


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
