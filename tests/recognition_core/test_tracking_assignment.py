"""Pairs are chosen so that all together are worth the most."""

from itertools import permutations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from recognition.core.assignment import best_pairs

sizes = st.tuples(st.integers(0, 5), st.integers(0, 5))
values = st.one_of(st.integers(-3, 6).map(float), st.floats(-3, 6), st.just(-np.inf))
tables = sizes.flatmap(lambda size: arrays(np.float64, size, elements=values))


def total_of_the_best(worth: NDArray[np.float64]) -> float:
    """Try everything."""
    gain = np.maximum(worth if worth.shape[0] <= worth.shape[1] else worth.T, 0.0)
    orders = permutations(range(gain.shape[1]), gain.shape[0])
    return max(float(sum(gain[row, column] for row, column in enumerate(order))) for order in orders)


@settings(max_examples=200, deadline=None)
@given(tables)
def test_no_other_choice_is_worth_more(worth: NDArray[np.float64]) -> None:
    pairs = best_pairs(worth)
    assert all(worth[pair] > 0 for pair in pairs)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert abs(sum(float(worth[pair]) for pair in pairs) - total_of_the_best(worth)) < 1e-9


def test_the_best_single_pair_gives_way_to_two_good_ones() -> None:
    """Whoever takes the best pair first leaves the others what nobody wants."""
    worth = np.array([[10.0, 9.0], [9.0, -np.inf]])
    assert best_pairs(worth) == [(0, 1), (1, 0)]


def test_a_full_lecture_theatre_is_solved_exactly() -> None:
    """200 faces and as many tracks, each with its own and some neighbours."""
    worth = np.full((200, 200), -np.inf)
    for row in range(200):
        worth[row, max(0, row - 3) : row + 4] = 1.0
        worth[row, row] = 2.0
    assert best_pairs(worth) == [(row, row) for row in range(200)]


def test_a_lecture_theatre_in_which_everybody_moved_one_seat_is_solved_exactly() -> None:
    """Everybody fits the seat beside theirs a little better, down to the first, whose seat is wanted by two."""
    worth = np.full((200, 200), -np.inf)
    for row in range(1, 200):
        worth[row, row - 1], worth[row, row] = 5.02, 5.0
    worth[0, 0] = 10.0
    # 10 + 199 * 5; whoever is moved up leaves one without a seat: 10 + 198 * 5.02 at the most.
    assert best_pairs(worth) == [(row, row) for row in range(200)]
