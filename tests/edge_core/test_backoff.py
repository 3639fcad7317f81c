"""Waiting before trying again."""

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.backoff import delay_s


def test_the_wait_doubles_up_to_its_limit() -> None:
    waits = [delay_s(attempt, first_s=1.0, most_s=10.0, jitter=1.0) for attempt in range(1, 7)]
    assert waits == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


@settings(max_examples=50)
@given(st.integers(-5, 10**9), st.floats(0, 1))
def test_the_wait_is_never_shorter_than_half_nor_longer_than_the_limit(attempt: int, jitter: float) -> None:
    assert 0.5 <= delay_s(attempt, first_s=1.0, most_s=10.0, jitter=jitter) <= 10.0
