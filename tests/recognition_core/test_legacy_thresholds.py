"""The original system's constants are there by name, for its own network, and for nothing else."""

import numpy as np
import pytest

from recognition.core.legacy_thresholds import LEGACY_DISTANCES, legacy_distance, raw_distances


def test_both_constants_have_their_names() -> None:
    assert legacy_distance("duplicate", "facenet") == 3.0
    assert legacy_distance("attendance", "facenet") == 15.0
    assert set(LEGACY_DISTANCES) == {"duplicate", "attendance"}


@pytest.mark.parametrize(
    ("name", "pack"), [("duplicate", "dlib"), ("attendance", "facenet512"), ("present", "facenet")]
)
def test_they_are_given_for_no_other_network_and_under_no_other_name(name: str, pack: str) -> None:
    with pytest.raises(ValueError, match="legacy threshold"):
        legacy_distance(name, pack)


def test_distances_keep_the_length_of_vectors() -> None:
    probes = np.array([[3.0, 4.0], [0.0, 0.0]])
    enrolled = np.array([[3.0, 4.0], [6.0, 8.0], [3.0, 0.0]], dtype=np.float32)
    np.testing.assert_allclose(raw_distances(probes, enrolled), [[0, 5, 4], [5, 10, 3]], atol=1e-6)


def test_distances_agree_with_computing_one_by_one() -> None:
    drawn = np.random.default_rng(5)
    probes, enrolled = drawn.normal(0, 1, (7, 128)), drawn.normal(0, 1, (5, 128))
    expected = [[np.linalg.norm(a - b) for b in enrolled] for a in probes]
    np.testing.assert_allclose(raw_distances(probes, enrolled), expected)
    assert (raw_distances(probes, probes).diagonal() < 1e-6).all()


def test_vectors_that_cannot_be_compared_are_refused() -> None:
    for other in (np.zeros((1, 3)), np.zeros(2), np.full((1, 2), np.nan)):
        with pytest.raises(ValueError, match="compared"):
            raw_distances(np.zeros((1, 2)), other)
