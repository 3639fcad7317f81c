"""Where the pixels of a face go in its chip: the similarity that brings its landmarks to the chip's."""

import numpy as np
from numpy.typing import NDArray

from recognition.core.face import LANDMARKS, ChipGeometry, Points

SMALLEST_SPREAD_PX = 0.5


def similarity(points: Points, geometry: ChipGeometry) -> NDArray[np.float64]:
    """Return the 2 x 3 float64 matrix (rotation, one scale, shift) that best maps `points` to the chip.

    Least squares over the five landmarks, never a reflection. Apply it as `cv2.warpAffine` does: chip = A @ (x, y, 1).
    Raises ValueError when the points are not finite, coincide, or have no direction in common with the chip's.
    """
    if points.shape != (LANDMARKS, 2):
        raise ValueError(f"landmarks have shape {points.shape}, expected {(LANDMARKS, 2)}")
    # In the plane a similarity without reflection is one complex factor and one complex shift,
    # and least squares for them has a closed form: no decomposition, no sign to correct.
    source = _as_complex(points)
    target = _as_complex(geometry.landmarks)
    source_centre, target_centre = source.mean(), target.mean()
    centred = source - source_centre
    spread = float(np.sum(np.abs(centred) ** 2))
    if not np.isfinite(spread) or spread < SMALLEST_SPREAD_PX**2:
        raise ValueError("the landmarks are not finite or fall into one point")
    factor = np.sum(np.conj(centred) * (target - target_centre)) / spread
    if abs(factor) < 1e-6:
        raise ValueError("the landmarks have no direction in common with the chip's")
    shift = target_centre - factor * source_centre
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])


def scale_of(matrix: NDArray[np.float64]) -> float:
    """Return how many chip pixels one picture pixel becomes under a `similarity`."""
    return float(np.hypot(matrix[0, 0], matrix[1, 0]))


def _as_complex(points: Points) -> NDArray[np.complex128]:
    exact = points.astype(np.float64)
    return exact[:, 0] + 1j * exact[:, 1]
