"""Messages as a newer or an older program would write them, made mechanically from the models' schemas."""

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from protocol.base import Message
from tests.protocol_wire.samples import EVERYTHING

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=12)
NEW_VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NEW_FIELDS = st.dictionaries(st.text("abcdefgh_", min_size=1, max_size=8).map("next_".__add__), NEW_VALUES, max_size=3)


def raw_of(name: str) -> dict[str, Any]:
    """Return a sample as the JSON object that travels."""
    raw: dict[str, Any] = json.loads(EVERYTHING[name].to_bytes())
    return raw


def newer(raw: dict[str, Any], **fields: Any) -> bytes:
    """Return the message with other or more fields, as a program of a later version would write it."""
    return json.dumps({**raw, **fields, "field_of_next_year": {"deep": [1]}, "minor": 9}).encode()


class Shape:
    """The schema of a model, walked along a message."""

    def __init__(self, model: type[Message]) -> None:
        self._schema = model.model_json_schema()
        self._defs: dict[str, Any] = self._schema.get("$defs", {})

    def newer(self, raw: dict[str, Any], draw: Any) -> dict[str, Any]:
        """Return the message with fields nobody knows yet in every object that a model describes."""

        def more(value: dict[str, Any], _: dict[str, Any]) -> dict[str, Any]:
            return {**value, **draw(NEW_FIELDS)}

        changed: dict[str, Any] = self._walk(raw, self._schema, more)
        return changed

    def older(self, raw: dict[str, Any], draw: Any) -> dict[str, Any]:
        """Return the message without some of the fields that its model does not require, at every depth."""

        def less(value: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
            optional = sorted(set(value) - set(schema.get("required", ())) - {"kind"})
            gone = draw(st.sets(st.sampled_from(optional))) if optional else set()
            return {key: inner for key, inner in value.items() if key not in gone}

        changed: dict[str, Any] = self._walk(raw, self._schema, less)
        return changed

    def fixed_words(self) -> Iterator[tuple[str, str]]:
        """Yield (model, field) for every field that takes one of a few words."""
        for schema in (self._schema, *self._defs.values()):
            for name, field in schema.get("properties", {}).items():
                if any("enum" in branch for branch in (field, *field.get("anyOf", ()))):
                    yield schema["title"], name

    def _walk(self, value: Any, schema: dict[str, Any], change: Any) -> Any:
        if not isinstance(value, dict | list):
            return value
        schema = self._resolved(value, schema)
        if isinstance(value, dict) and "properties" in schema:
            inner = {key: self._walk(held, schema["properties"].get(key, {}), change) for key, held in value.items()}
            return change(inner, schema)
        if isinstance(value, list):
            return [self._walk(held, schema.get("items", {}), change) for held in value]
        return value

    def _resolved(self, value: Any, schema: dict[str, Any]) -> dict[str, Any]:
        for branch in schema.get("anyOf", (schema,)):
            found = self._defs[branch["$ref"].rpartition("/")[2]] if "$ref" in branch else branch
            if found.get("type") == ("object" if isinstance(value, dict) else "array"):
                return dict(found)
        return {}
