"""UUID version 7: the layout of RFC 9562 and its order."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.identifiers import uuid7

TIMES = st.integers(0, 2**48 - 1)
RANDOM = st.binary(min_size=10, max_size=10)


def test_the_example_of_the_standard_comes_out() -> None:
    """RFC 9562, appendix A.6: rand_a 0xCC3, rand_b 0x18C4DC0C0C07398F."""
    value = 0xCC3 << 64 | 0x18C4DC0C0C07398F
    assert str(uuid7(0x017F22E279B0, value.to_bytes(10))) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


@settings(max_examples=50)
@given(TIMES, RANDOM)
def test_time_version_variant_and_randomness_stand_where_the_standard_puts_them(ms: int, noise: bytes) -> None:
    made = uuid7(ms, noise)
    random_bits = int.from_bytes(noise)
    assert made.version == 7
    assert made.variant == "specified in RFC 4122"
    assert made.int >> 80 == ms
    assert made.int >> 64 & 0xFFF == random_bits >> 64 & 0xFFF
    assert made.int & (1 << 62) - 1 == random_bits & (1 << 62) - 1


@settings(max_examples=50)
@given(TIMES, TIMES, RANDOM, RANDOM)
def test_a_later_identifier_sorts_after_an_earlier_one(one: int, other: int, noise: bytes, more: bytes) -> None:
    if one != other:
        assert (uuid7(one, noise) < uuid7(other, more)) == (one < other)
        assert (str(uuid7(one, noise)) < str(uuid7(other, more))) == (one < other)


def test_a_clock_before_1970_costs_the_order_only() -> None:
    assert uuid7(-5, b"x" * 10) == uuid7(0, b"x" * 10)


@pytest.mark.parametrize("count", [0, 9, 11, 16])
def test_too_few_or_too_many_random_bytes_are_a_mistake_of_the_caller(count: int) -> None:
    with pytest.raises(ValueError, match="10 random bytes"):
        uuid7(0, b"x" * count)
