"""YAML that every reader understands alike: what could be taken for something else stands in quotes."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.plain_yaml import to_yaml

AMBIGUOUS = [
    *("true", "No", "on", "NULL", "y", "1", "1.0", "-1", "1e5", "0x1f", "2026-03-02", "12:30:45", "~", ".", "="),
    *("#x", "[a]", "{a}", "*a", "&a", "!a", "a,b", "'a'", '"a"', "%a", "@a", "`a`", "|", ">", "?"),
    *("", " ", "a ", " a", "a  b", "a: b", "a #b", "- a"),
    *("ä", "\t", "a\tb", "\x00", "\x85", "\u2028", "\ufeff", "\x7f", "🙂"),
]


@pytest.mark.parametrize(
    "text", ["manifest", "the hub", "A student is listed once.", "float32", "up_hello", "$ref", "a/b"]
)
def test_plain_words_stand_as_they_are(text: str) -> None:
    assert to_yaml({"key": text}) == f"key: {text}\n"


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_everything_else_stands_in_quotes(text: str) -> None:
    line = to_yaml({"key": text})
    assert line.startswith('key: "')
    assert line.count("\n") == 1
    assert json.loads(line.removeprefix("key: ")) == text


def test_objects_and_lists_are_indented() -> None:
    value = {
        "object": {"inner": 1, "empty": {}, "nothing": []},
        "list": [{"a": 1, "b": [True, None]}, [[1], [2]], "x"],
        "numbers": [1, -2.5, 2**62],
    }
    assert to_yaml(value) == (
        "object:\n"
        "  inner: 1\n"
        "  empty: {}\n"
        "  nothing: []\n"
        "list:\n"
        "  - a: 1\n"
        "    b: [true, null]\n"
        "  -\n"
        "    - [1]\n"
        "    - [2]\n"
        "  - x\n"
        "numbers: [1, -2.5, 4611686018427387904]\n"
    )


def test_text_of_several_lines_is_a_block() -> None:
    assert to_yaml({"a": {"text": "one\n\n  two: # 3\nthree"}}) == (
        "a:\n  text: |-\n    one\n\n      two: # 3\n    three\n"
    )


@pytest.mark.parametrize("text", ["a\n", "\na", " a\nb", "a\n\tb", "a\r\nb"])
def test_text_that_a_block_would_change_stands_in_quotes(text: str) -> None:
    assert to_yaml({"a": text}) == f"a: {json.dumps(text)}\n"


@pytest.mark.parametrize(
    ("number", "written"), [(1e-05, "0.000010"), (1e16, "10000000000000000.000000"), (0.25, "0.25")]
)
def test_numbers_have_no_exponent_where_that_changes_nothing(number: float, written: str) -> None:
    """Older readers take 1e-05 for text."""
    assert to_yaml({"a": number}) == f"a: {written}\n"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1e-300])
def test_what_json_or_an_older_reader_lacks_is_refused(number: float) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (json's own words)
        to_yaml({"a": number})


@settings(max_examples=100)
@given(st.dictionaries(st.text(max_size=10), st.text(max_size=60), min_size=1, max_size=4))
def test_no_text_breaks_out_of_its_line_or_block(value: dict[str, str]) -> None:
    lines = to_yaml({"outer": value, "end": 1}).splitlines()
    assert lines[0] == "outer:"
    assert lines[-1] == "end: 1"
    assert all(line.startswith("  ") or not line for line in lines[1:-1])
