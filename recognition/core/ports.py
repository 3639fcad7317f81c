"""What recognition needs from the outside: a detector and an embedder."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recognition.core.face import Box, ChipGeometry, Face, Image


class FaceDetector(Protocol):
    """Finds faces with five landmarks. One instance belongs to one thread."""

    def detect(self, image: Image) -> list[Face]:
        """Return the faces of `image`, most confident first; an empty list when there is none.

        Any picture of at least 1 x 1 pixel is accepted. Raises nothing for unusual content.
        """
        ...

    def follow(self, image: Image, boxes: Sequence[Box]) -> list[Face | None]:
        """Look only at the places where faces are expected; return the face at each of `boxes`, or None.

        Costs a small part of `detect`. Two boxes may find the same face; a face that is no longer there, or moved by
        more than about half its width, is not found.
        """
        ...


class FaceEmbedder(Protocol):
    """Turns aligned chips into unit vectors. One instance belongs to one thread."""

    @property
    def pack_id(self) -> str:
        """Identifies the models: vectors of different pack ids are never compared."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        ...

    @property
    def geometry(self) -> ChipGeometry:
        """The layout its chips must have."""
        ...

    def embed(self, chips: Sequence[Image]) -> NDArray[np.float32]:
        """Embed `n` chips, each (size_px, size_px, 3) uint8 BGR; return (n, dimensions) float32 rows of unit length.

        Raises ValueError for a chip of another shape or type.
        """
        ...
