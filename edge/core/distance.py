"""From metres to pixels: how wide a face is in the picture, for people who know rooms and not resolutions.

A pinhole camera: at distance d it sees a strip 2 d tan(lens / 2) wide, and the picture's width is spread over it. True
in the middle of the picture and for lenses that do not bend lines; a fisheye lens shows faces at its border smaller.
"""

from math import floor, radians, tan

FACE_M = 0.14
"""Width of an adult's face from cheek to cheek, about what a detector's box is wide; a child's is a tenth less."""

CHILDS_SHARE = 0.9
"""What is looked for is this much smaller than an adult's face would be: the farthest student may be a child."""

NO_AUTOMATIC_MARK_PX = 60
"""Under this width a face is never marked by a machine, whatever the settings say."""


def face_width_px(distance_m: float, picture_width_px: int, lens_deg: float) -> float:
    """Return how wide a face is, in pixels, at a distance from a camera with this horizontal angle of view."""
    return picture_width_px * FACE_M / (2 * distance_m * tan(radians(lens_deg) / 2))


def farthest_m(face_px: float, picture_width_px: int, lens_deg: float) -> float:
    """Return at which distance a face is `face_px` wide: up to there it is at least as wide."""
    return picture_width_px * FACE_M / (2 * face_px * tan(radians(lens_deg) / 2))


def smallest_face_px(farthest_student_m: float, picture_width_px: int, lens_deg: float) -> int:
    """Return how small a face the detector must find so that nobody up to that distance is missed."""
    return floor(CHILDS_SHARE * face_width_px(farthest_student_m, picture_width_px, lens_deg))


def in_words(picture_width_px: int, lens_deg: float, least_px: float) -> str:
    """Return what this camera can do, as `check` says it; `least_px` is the least width of an automatic mark."""
    near, far = (round(face_width_px(metres, picture_width_px, lens_deg)) for metres in (2.0, 4.0))
    reach_m = floor(farthest_m(least_px, picture_width_px, lens_deg) * 10) / 10
    return (
        f"with this camera a face is {near} px wide at 2 m, {far} px at 4 m; "
        f"automatic marks need {least_px:.0f} px: up to {reach_m:.1f} m"
    )
