"""An enrolment picture, looked at in several ways: the mean is steadier than any single look."""

from collections.abc import Sequence

import numpy as np

from recognition.adapters.chips_opencv import cut_chip
from recognition.core.face import Face, Image, Vector, View
from recognition.core.gallery import fuse
from recognition.core.ports import FaceEmbedder


def enrolment_vector(image: Image, face: Face, embedder: FaceEmbedder, views: Sequence[View]) -> Vector:
    """Return the unit vector (dimensions,) of `face` in `image` (height, width, 3) uint8 BGR, the mean over `views`.

    Only templates are made this way. On people who play no part in any test it finds with one plain look at the probe
    what averaging on both sides finds, and enrolment has time for ten looks that a unit does not have.
    Raises ValueError for degenerate landmarks.
    """
    chips = [_looked_at(image, face, embedder, view) for view in views]
    return fuse(embedder.embed(chips))


def _looked_at(image: Image, face: Face, embedder: FaceEmbedder, view: View) -> Image:
    chip = cut_chip(image, face, embedder.geometry.seen(view))
    return np.ascontiguousarray(chip[:, ::-1]) if view.mirrored else chip
