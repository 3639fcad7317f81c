"""The arithmetic between the networks."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recognition.adapters.litert_models import in_batches
from recognition.adapters.mtcnn_boxes import MOST_PROPOSALS, corrected, proposals, squared, without_doubles


def boxes(*rows: tuple[float, float, float, float, float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32).reshape(-1, 5)


def test_of_two_boxes_on_one_face_the_better_one_stays() -> None:
    both = boxes((0, 0, 10, 10, 0.8), (1, 0, 11, 10, 0.9), (50, 50, 60, 60, 0.7))
    assert without_doubles(both, 0.5).tolist() == [1, 2]


def test_a_box_inside_another_is_a_double_only_when_the_smaller_one_counts() -> None:
    nested = boxes((0, 0, 100, 100, 0.9), (40, 40, 60, 60, 0.8))
    assert len(without_doubles(nested, 0.7)) == 2
    assert without_doubles(nested, 0.7, over_smaller=True).tolist() == [0]


def test_no_boxes_are_no_problem() -> None:
    none = boxes()
    assert len(without_doubles(none, 0.5)) == 0
    assert squared(none).shape == (0, 5)
    assert corrected(none, np.zeros((0, 4), np.float32), np.zeros(0, np.float32)).shape == (0, 5)


def test_a_cell_of_the_map_is_twelve_pixels_every_two_divided_by_the_scale() -> None:
    scores = np.zeros((4, 5), dtype=np.float32)
    scores[2, 3] = 0.9
    found = proposals(np.zeros((4, 5, 4), dtype=np.float32), scores, scale=0.5, threshold=0.6)
    np.testing.assert_allclose(found, [[12, 8, 36, 32, 0.9]], rtol=1e-6)


def test_foliage_cannot_flood_the_detector() -> None:
    scores = np.random.default_rng(0).uniform(0.7, 1, (200, 200)).astype(np.float32)
    found = proposals(np.zeros((200, 200, 4), dtype=np.float32), scores, scale=1.0, threshold=0.6)
    assert len(found) == MOST_PROPOSALS
    assert found[:, 4].min() >= np.sort(scores.ravel())[-MOST_PROPOSALS]


def test_squares_keep_their_centre() -> None:
    (square,) = squared(boxes((10, 20, 30, 80, 0.9)))
    np.testing.assert_allclose(square, [-10, 20, 50, 80, 0.9])


@given(st.integers(0, 500))
def test_batches_cover_everything_once_in_the_sizes_given(count: int) -> None:
    plan = in_batches(count, (1, 2, 4, 8))
    covered = [index for start, stop in plan for index in range(start, stop)]
    assert covered == list(range(count))
    assert {stop - start for start, stop in plan} <= {1, 2, 4, 8}
