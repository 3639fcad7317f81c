"""How wide a face is in a picture at which distance: an ideal lens without distortion, the face in its middle."""

from dataclasses import dataclass
from math import radians, tan

FACE_WIDTH_M = 0.14
FIELD_OF_VIEW_DEG = 66.0
FRAME_WIDTHS_PX = (1280, 1920, 4608)


@dataclass(frozen=True, slots=True)
class Reach:
    """How far away, in metres, a face is still `face_px` wide, by width of the picture in pixels."""

    face_px: int
    distance_m: tuple[tuple[int, float], ...]


def distance_m(face_px: float, frame_px: int, field_of_view_deg: float = FIELD_OF_VIEW_DEG) -> float:
    """Return the distance at which a face of FACE_WIDTH_M is `face_px` wide in a picture `frame_px` wide."""
    if face_px <= 0 or frame_px <= 0 or not 0 < field_of_view_deg < 180:
        raise ValueError("widths must be positive and the field of view between 0 and 180 degrees")
    focal_px = frame_px / 2 / tan(radians(field_of_view_deg / 2))
    return FACE_WIDTH_M * focal_px / face_px


def reach(face_px: int) -> Reach:
    """Return the distances for the usual widths of pictures."""
    return Reach(face_px, tuple((frame_px, distance_m(face_px, frame_px)) for frame_px in FRAME_WIDTHS_PX))
