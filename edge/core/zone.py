"""The part of the picture in which people are recognised: who only passes behind a door's zone is nobody's business."""

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

# The settings hold a zone: whoever reads them must not wait for NumPy.
if TYPE_CHECKING:
    from recognition.core.face import Box

OUTSIDE_ZONE = "outside_zone"
"""Why a face was not compared: the centre of its box lies outside the zone."""

MOST_CORNERS = 32
_LEAST_AREA = 0.001

Corner = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Zone:
    """A polygon in fractions of the picture, 0 to 1 from its left and top; two corners are a rectangle's opposite ones.

    Without corners, the zone is everything, also what lies beyond the picture's border.
    """

    corners: tuple[Corner, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError, in words for a person, for corners that enclose nothing or whose lines cross."""
        corners = tuple((float(x), float(y)) for x, y in self.corners)
        if any(not (isfinite(x) and isfinite(y) and 0 <= x <= 1 and 0 <= y <= 1) for x, y in corners):
            raise ValueError("a corner is two fractions of the picture from 0 to 1: [0.5, 0.5] is its middle")
        if len(corners) == 1 or len(corners) > MOST_CORNERS:
            raise ValueError(f"a zone has two corners (a rectangle) or three to {MOST_CORNERS}, not {len(corners)}")
        if len(corners) == 2:
            (left, top), (right, bottom) = corners
            corners = ((left, top), (right, top), (right, bottom), (left, bottom))
        object.__setattr__(self, "corners", corners)
        if corners and _crosses_itself(corners):
            raise ValueError("the lines between the corners cross: give the corners in their order around the zone")
        if corners and self.share < _LEAST_AREA:
            raise ValueError("the corners enclose nothing")

    @property
    def is_everything(self) -> bool:
        """True when no zone was drawn."""
        return not self.corners

    @property
    def share(self) -> float:
        """How much of the picture the zone covers, 0 to 1."""
        if not self.corners:
            return 1.0
        return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in _sides(self.corners))) / 2

    def contains(self, x: float, y: float) -> bool:
        """Return whether a place, in fractions of the picture, lies in the zone or on its border."""
        if not self.corners:
            return True
        inside = False
        for a, b in _sides(self.corners):
            if _on_side((x, y), a, b):
                return True
            # The side crosses the line to the right of the place: an odd number of those means inside.
            if (a[1] > y) != (b[1] > y) and x < a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]):
                inside = not inside
        return inside

    def holds(self, box_xywh: "Box", size_px: tuple[int, int]) -> bool:
        """Return whether the centre of a box lies in the zone of a picture of `size_px` (width, height)."""
        width_px, height_px = size_px
        if width_px <= 0 or height_px <= 0:
            return self.is_everything
        x_px, y_px = box_xywh.centre
        return self.contains(x_px / width_px, y_px / height_px)


def _sides(corners: tuple[Corner, ...]) -> list[tuple[Corner, Corner]]:
    return list(zip(corners, (*corners[1:], corners[0]), strict=True))


def _turn(a: Corner, b: Corner, c: Corner) -> float:
    """Return twice the signed area of a triangle: 0 when the three places lie on one line."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _on_side(place: Corner, a: Corner, b: Corner) -> bool:
    within = min(a[0], b[0]) <= place[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= place[1] <= max(a[1], b[1])
    return within and abs(_turn(a, b, place)) < 1e-12


def _crosses_itself(corners: tuple[Corner, ...]) -> bool:
    sides = _sides(corners)
    for first, (a, b) in enumerate(sides):
        for second in range(first + 2, len(sides)):
            if first == 0 and second == len(sides) - 1:
                continue  # neighbours: they share a corner
            c, d = sides[second]
            if _turn(a, b, c) * _turn(a, b, d) < 0 and _turn(c, d, a) * _turn(c, d, b) < 0:
                return True
    return False
