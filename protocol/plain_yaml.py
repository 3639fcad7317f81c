"""JSON values as YAML that people can read: block style, one way to write each value, no dependency."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_/$][A-Za-z0-9_./$-]*(?: [A-Za-z0-9_./$-]+)*")
_MEANS_SOMETHING_ELSE = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
_WIDEST = 100


def to_yaml(value: Mapping[str, Any]) -> str:
    """Return the object as YAML 1.2 that YAML 1.1 readers understand alike. Raises ValueError for what JSON lacks."""
    return "".join(line + "\n" for line in _object(value, ""))


def _object(value: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, inner in value.items():
        yield from _entry(f"{indent}{_text(key)}:", inner, indent)


def _list(value: Sequence[Any], indent: str) -> Iterator[str]:
    for inner in value:
        if isinstance(inner, Mapping) and inner:
            first, *rest = _object(inner, indent + "  ")
            yield f"{indent}- {first[len(indent) + 2 :]}"
            yield from rest
        else:
            yield from _entry(f"{indent}-", inner, indent)


def _entry(start: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        yield start
        yield from _object(value, indent + "  ")
    elif isinstance(value, list | tuple) and value and not _short(value):
        yield start
        yield from _list(value, indent + "  ")
    elif isinstance(value, str) and "\n" in value and _fits_a_block(value):
        yield f"{start} |-"
        yield from ((f"{indent}  {line}" if line else "") for line in value.split("\n"))
    else:
        yield f"{start} {_flow(value)}"


def _short(value: Sequence[Any]) -> bool:
    return all(not isinstance(inner, Mapping | list | tuple) for inner in value) and len(_flow(value)) <= _WIDEST


def _fits_a_block(text: str) -> bool:
    # A block ends without a line end here, and its first line tells the indent.
    return text == text.strip() and all(character.isprintable() or character == "\n" for character in text)


def _flow(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(inner) for inner in value) + "]"
    return _number(value) if isinstance(value, float) else json.dumps(value, allow_nan=False)


def _number(value: float) -> str:
    text = json.dumps(value, allow_nan=False)
    if "e" not in text:
        return text
    # YAML 1.1 reads an exponent without a point and a sign as text.
    if float(f"{value:f}") != value:
        raise ValueError(f"{text} has no plain form")
    return f"{value:f}"


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _MEANS_SOMETHING_ELSE:
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())
