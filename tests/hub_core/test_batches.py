"""A batch is read as a whole, and whatever is in it comes out as if each event had been read alone."""

import math
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core import batches
from protocol.base import canonical_bytes
from tests.hub_core.builders import START, UNIT, a_batch, a_coverage, a_left, a_message, an_anchor, an_event, an_id

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
ANYTHING = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


@given(st.dictionaries(st.text(), ANYTHING, max_size=8))
@pytest.mark.slow
def test_the_quick_form_of_an_object_is_its_canonical_form(raw: dict[str, Any]) -> None:
    for each in (raw, dict(sorted(raw.items()))):
        try:
            expected = canonical_bytes(each)
        except ValueError:
            # Half characters.
            continue
        assert batches._canonical(each) == expected


@given(st.floats())
def test_every_number_is_written_as_the_unit_wrote_it(number: float) -> None:
    if math.isfinite(number):
        assert batches._canonical({"n": number}) == canonical_bytes({"n": number})


CHANGES = st.sampled_from(
    [
        {},
        {"score": 3},
        {"score": 1e-5},
        {"kind": "dance"},
        {"kind": None},
        {"at": "0001-01-01T00:00:00Z"},
        {"boottime_ns": 2**70},
        {"student_id": "\ud800"},
        {"note": "x" * 61_000},
        {"note": "žluť 😀 ' \\ %s \x07"},
        {"more": {"b": 1, "a": [1.5, None]}},
        {"clock": "guessed"},
    ]
)


@given(st.lists(CHANGES, min_size=1, max_size=6))
def test_a_batch_read_as_a_whole_and_event_by_event_is_the_same(changes: list[dict[str, Any]]) -> None:
    sent = [an_event(seq, **changed) for seq, changed in enumerate(changes, start=1)]
    whole = a_batch(sent)
    with patch.object(batches, "_read_together", return_value=None):
        each = a_batch(sent)
    assert whole == each


def test_every_kind_of_event_is_read_with_whom_it_is_about() -> None:
    sent = [
        an_event(1),
        a_left(2, an_id(7), an_id(8), START),
        a_coverage(3, START, START),
        an_anchor(4, START, 10**9),
    ]
    read = batches.sort_batch(UNIT, a_message(sent), START)
    assert [row.student_id for row in read.rows] == [sent[0]["student_id"], an_id(8), None, None]
    assert [row.body for row in read.rows] == [canonical_bytes(one) for one in sent]
