"""What waits of many units: nobody takes another one's room or turn, and nothing is lost or kept twice."""

from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.fair_queue import Bounds, FairQueue

ROOMY = Bounds(1000, 10**9)


def test_each_has_a_turn_and_keeps_its_own_order() -> None:
    queue: FairQueue[str] = FairQueue(ROOMY, ROOMY)
    for item in ("a1", "a2", "a3", "b1", "c1", "c2"):
        queue.put(item[0], item)
    assert [queue.take()[0] for _ in range(6)] == ["a1", "b1", "c1", "a2", "c2", "a3"]
    with pytest.raises(KeyError):
        queue.take()


def test_one_share_is_bounded_in_number_and_bytes() -> None:
    queue: FairQueue[int] = FairQueue(ROOMY, Bounds(3, 100))
    assert [queue.put("a", number, 10) for number in range(5)] == [True] * 3 + [False] * 2
    assert [queue.put("b", 0, 90), queue.put("b", 1, 20)] == [True, False]
    assert queue.put("c", 0, 5000)
    assert queue.size_bytes == 30 + 90 + 5000


def test_all_shares_together_are_bounded() -> None:
    queue: FairQueue[int] = FairQueue(Bounds(4, 100), ROOMY)
    assert [queue.put(str(number), number) for number in range(6)] == [True] * 4 + [False] * 2
    heavy: FairQueue[int] = FairQueue(Bounds(1000, 100), ROOMY)
    assert [heavy.put(str(number), number, 60) for number in range(3)] == [True, False, False]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 50), st.booleans()), max_size=80))
def test_whatever_happens_the_bounds_hold_and_everything_kept_is_taken_once(
    steps: list[tuple[str, int, bool]],
) -> None:
    queue: FairQueue[tuple[str, int]] = FairQueue(Bounds(12, 300), Bounds(5, 120))
    kept: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for number, (whose, size_bytes, taking) in enumerate(steps):
        if taking and len(queue):
            item, _ = queue.take()
            assert kept[item[0]].pop(0) == item
        elif queue.put(whose, (whose, number), size_bytes):
            kept[whose].append((whose, number))
        assert len(queue) == sum(map(len, kept.values())) <= 12
        assert queue.size_bytes <= 300
        assert max(Counter(len(items) for items in kept.values()), default=0) <= 5
    while len(queue):
        item, _ = queue.take()
        assert kept[item[0]].pop(0) == item
    assert not any(kept.values())
    assert queue.size_bytes == 0
