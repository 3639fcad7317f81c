"""Cuts the square an embedder looks at out of a picture."""

import cv2
import numpy as np

from recognition.core.alignment import scale_of, similarity
from recognition.core.face import ChipGeometry, Face, Image

SHRINK_FROM = 0.5
"""Chip pixels per picture pixel under which one bilinear step skips pixels and shows patterns."""


def cut_chip(image: Image, face: Face, geometry: ChipGeometry) -> Image:
    """Return the aligned chip, (size_px, size_px, 3) uint8 BGR; black where it reaches outside of the picture.

    Raises ValueError for degenerate landmarks.
    """
    matrix = similarity(face.landmarks, geometry)
    scale = scale_of(matrix)
    if scale < SHRINK_FROM:
        image, matrix = _shrunk(image, matrix, scale, geometry.size_px)
    size = (geometry.size_px, geometry.size_px)
    return np.asarray(cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR), dtype=np.uint8)


def _shrunk(image: Image, matrix: np.ndarray, scale: float, size_px: int) -> tuple[Image, np.ndarray]:
    """Reduce the region under the chip by averaging, to about the chip's own scale, and follow with the matrix."""
    inverse = cv2.invertAffineTransform(matrix)
    corners = np.array([[0, 0, 1], [size_px, 0, 1], [0, size_px, 1], [size_px, size_px, 1]], dtype=np.float64)
    reached = corners @ inverse.T
    height, width = image.shape[:2]
    left, top = np.clip(np.floor(reached.min(axis=0)) - 4, 0, (width - 1, height - 1)).astype(int)
    right, bottom = np.clip(np.ceil(reached.max(axis=0)) + 4, (left + 1, top + 1), (width, height)).astype(int)
    region = image[top:bottom, left:right]
    new_width, new_height = max(1, round(region.shape[1] * scale)), max(1, round(region.shape[0] * scale))
    small = np.asarray(cv2.resize(region, (new_width, new_height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    # Pixel centres, not corners, keep their places: x_small = (x - left + 0.5) * factor - 0.5.
    factor_x, factor_y = new_width / region.shape[1], new_height / region.shape[0]
    back = np.array(
        [[1 / factor_x, 0, left - 0.5 + 0.5 / factor_x], [0, 1 / factor_y, top - 0.5 + 0.5 / factor_y], [0, 0, 1]]
    )
    return small, matrix @ back
