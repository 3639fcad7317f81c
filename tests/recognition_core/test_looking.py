"""A face alone is looked at twice, a crowd once, and either way a vector is of unit length."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from recognition.core.face import ChipGeometry, Image
from recognition.core.looking import MIRRORED_UP_TO, probe_vectors

GEOMETRY = ChipGeometry(4, np.zeros((5, 2), dtype=np.float32))


class Sums:
    """`FaceEmbedder`: the vector is the direction of (left half, right half, 1)."""

    pack_id = "sums"
    dimensions = 3
    geometry = GEOMETRY

    def __init__(self) -> None:
        self.batches: list[int] = []

    def embed(self, chips: Sequence[Image]) -> NDArray[np.float32]:
        self.batches.append(len(chips))
        rows = [(chip[:, :2].sum(), chip[:, 2:].sum(), 1.0) for chip in chips]
        vectors = np.array(rows, dtype=np.float32).reshape(len(chips), 3)
        unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit


def chip(seed: int) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (4, 4, 3)).astype(np.uint8)


def test_a_face_alone_and_its_mirror_image_have_one_vector() -> None:
    face = chip(1)
    plain, mirrored = (probe_vectors(Sums(), [side]) for side in (face, np.ascontiguousarray(face[:, ::-1])))
    assert np.allclose(plain, mirrored, atol=1e-6)
    assert plain[0, 0] == pytest.approx(plain[0, 1], abs=1e-6)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7])
def test_all_are_embedded_in_one_batch_and_twice_only_when_they_are_few(count: int) -> None:
    embedder = Sums()
    vectors = probe_vectors(embedder, [chip(n) for n in range(count)])
    assert vectors.shape == (count, 3)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
    assert embedder.batches == [2 * count if 0 < count <= MIRRORED_UP_TO else count]


def test_in_a_crowd_each_face_is_looked_at_as_it_is() -> None:
    chips = [chip(n) for n in range(3)]
    assert np.array_equal(probe_vectors(Sums(), chips), Sums().embed(chips))
