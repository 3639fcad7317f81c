"""The values that travel between detection, alignment, embedding and matching."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""A picture, shape (height, width, 3), uint8, channels blue-green-red as OpenCV reads them."""

Vector = NDArray[np.float32]
"""An embedding: shape (dimensions,), float32, of unit length."""

Points = NDArray[np.float32]
"""Five landmarks, shape (5, 2), float32 pixels x, y.

Order: image-left eye, image-right eye, nose tip, image-left mouth corner, image-right mouth corner.
"""

LANDMARKS = 5


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels: left, top, width, height (`box_xywh`); may reach outside of the picture."""

    x: float
    y: float
    width: float
    height: float

    @property
    def centre(self) -> tuple[float, float]:
        """Centre x, y in pixels."""
        return self.x + self.width / 2, self.y + self.height / 2

    @property
    def area_px(self) -> float:
        """Area in square pixels; 0 for an empty or inverted box."""
        return max(0.0, self.width) * max(0.0, self.height)

    def iou(self, other: "Box") -> float:
        """Intersection over union with `other`, 0 to 1."""
        left, top = max(self.x, other.x), max(self.y, other.y)
        right = min(self.x + self.width, other.x + other.width)
        bottom = min(self.y + self.height, other.y + other.height)
        shared = max(0.0, right - left) * max(0.0, bottom - top)
        union = self.area_px + other.area_px - shared
        return shared / union if union > 0 else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One detected face: where it is, its five landmarks and the detector's confidence (0 to 1)."""

    box: Box
    landmarks: Points
    confidence: float

    def __post_init__(self) -> None:
        """Refuse landmarks of another shape: they would bend every chip after them."""
        if self.landmarks.shape != (LANDMARKS, 2):
            raise ValueError(f"landmarks have shape {self.landmarks.shape}, expected {(LANDMARKS, 2)}")


@dataclass(frozen=True, slots=True, eq=False)
class ChipGeometry:
    """How a face is laid out in the square that an embedder looks at.

    `landmarks` are the places, in pixels of the chip, to which a detector's five landmarks are brought.
    They belong to the pair of detector and embedder: each detector puts its points slightly elsewhere.
    """

    size_px: int
    landmarks: Points

    def seen(self, view: "View") -> "ChipGeometry":
        """Return the layout of the same face enlarged and moved as `view` says; mirroring is left to the pixels."""
        middle = np.float32(self.size_px / 2)
        moved = (self.landmarks - middle) * np.float32(view.zoom) + middle
        return ChipGeometry(self.size_px, (moved + np.array([view.right_px, view.down_px])).astype(np.float32))


@dataclass(frozen=True, slots=True)
class View:
    """One of the ways an enrolment picture is looked at; the mean over them depends less on how it was cut."""

    zoom: float = 1.0
    right_px: float = 0.0
    down_px: float = 0.0
    mirrored: bool = False
