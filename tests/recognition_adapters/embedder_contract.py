"""The promises of the port FaceEmbedder as one function: each embedder's tests call it."""

import numpy as np
import pytest

from recognition.core.ports import FaceEmbedder


def check_contract(embedder: FaceEmbedder) -> None:
    """Unit rows in order, the same for the same chip; nothing for nothing; other shapes and types refused."""
    size_px = embedder.geometry.size_px
    chips = list(np.random.default_rng(5).integers(0, 256, (3, size_px, size_px, 3)).astype(np.uint8))
    vectors = embedder.embed(chips)
    assert vectors.shape == (3, embedder.dimensions)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    np.testing.assert_array_equal(vectors, embedder.embed(chips))
    np.testing.assert_allclose(embedder.embed(chips[::-1]), vectors[::-1], atol=1e-4)
    assert embedder.embed([]).shape == (0, embedder.dimensions)
    assert embedder.pack_id
    for wrong in (
        np.zeros((size_px, size_px - 1, 3), dtype=np.uint8),
        np.zeros((size_px, size_px), dtype=np.uint8),
        np.zeros((size_px, size_px, 3), dtype=np.float32),
    ):
        with pytest.raises(ValueError, match="chip"):
            embedder.embed([wrong])  # type: ignore[list-item]
    black = embedder.embed([np.zeros((size_px, size_px, 3), dtype=np.uint8)])
    assert np.isfinite(black).all()
