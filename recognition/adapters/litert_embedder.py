"""The pack's embedder, run by LiteRT."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recognition.adapters.litert_models import LitertModel, in_batches
from recognition.adapters.pack_files import Pack
from recognition.core.errors import PackInvalid
from recognition.core.face import ChipGeometry, Image

BATCH_SIZES = (1,)
"""Each size holds its own copy of the weights, 30 MB. Four at once save 7 % of the time of each, which is not worth it:
one face keeps two threads busy."""


class LiteRtEmbedder:
    """A FaceEmbedder over a compiled model. One instance belongs to one thread."""

    def __init__(self, pack: Pack, variant: str = "f32", threads: int = 2, detector: str = "mtcnn") -> None:
        """Open a variant of the pack for chips cut by the landmarks of `detector`.

        Raises PackMissing for a variant the pack does not have, PackInvalid for a model that cannot run.
        """
        self._pack = pack
        self._geometry = pack.geometry(detector)
        self._model = LitertModel(pack.embedder_file(variant), threads=threads, most_shapes=len(BATCH_SIZES))
        size_px = self._geometry.size_px
        if self._model.input_shape[1:] != (size_px, size_px, 3):
            raise PackInvalid(f"the embedder takes {self._model.input_shape}, but the manifest says {size_px} pixels")

    @property
    def pack_id(self) -> str:
        """See FaceEmbedder."""
        return self._pack.pack_id

    @property
    def dimensions(self) -> int:
        """See FaceEmbedder."""
        return self._pack.dimensions

    @property
    def geometry(self) -> ChipGeometry:
        """See FaceEmbedder."""
        return self._geometry

    def embed(self, chips: Sequence[Image]) -> NDArray[np.float32]:
        """See FaceEmbedder."""
        check_chips(chips, self._geometry.size_px)
        if not chips:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        return to_unit(self._run(np.stack(chips).astype(np.float32)))

    def _run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        outputs = np.empty((len(inputs), self.dimensions), dtype=np.float32)
        for start, stop in in_batches(len(inputs), BATCH_SIZES):
            (vectors,) = self._model.run(inputs[start:stop])
            if vectors.shape != (stop - start, self.dimensions):
                raise PackInvalid(f"the embedder returns {vectors.shape}, but the manifest says {self.dimensions}")
            outputs[start:stop] = vectors
        return outputs


def check_chips(chips: Sequence[Image], size_px: int) -> None:
    """Raise ValueError unless every chip is (size_px, size_px, 3) uint8."""
    for chip in chips:
        if chip.shape != (size_px, size_px, 3) or chip.dtype != np.uint8:
            raise ValueError(f"a chip is {chip.dtype} {chip.shape}, expected uint8 {(size_px, size_px, 3)}")


def to_unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows (n, d) brought to unit length; a row of zeros, which no picture gives, becomes the first axis.

    A row that is not finite becomes NaN throughout, which every gallery refuses: no fault of a model may look like a
    face that others can resemble.
    """
    finite = np.asarray(np.isfinite(vectors).all(axis=1))
    # In float64: the squares of large float32 values have no place in float32.
    exact = np.where(finite[:, np.newaxis], vectors, 0).astype(np.float64)
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    safe = np.where(lengths > 0, exact, np.eye(1, vectors.shape[1]))
    rows: NDArray[np.float32] = (safe / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    rows[~finite] = np.nan
    return rows
