"""Is this face good enough to become a template or a vote? Measured numbers, limits, and words for a person."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recognition.core.face import Face, Image

LUMA_BGR = np.array([0.114, 0.587, 0.299], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """What is still accepted. Every limit is inclusive; the units are those of `FaceQuality`."""

    min_face_px: float = 60.0
    min_inside: float = 0.72
    min_sharpness: float = 0.006
    min_brightness: float = 35.0
    max_brightness: float = 225.0
    min_contrast: float = 14.0
    max_yaw_ratio: float = 0.34
    min_pitch_ratio: float = 0.25
    max_pitch_ratio: float = 0.85
    max_roll_deg: float = 40.0
    min_evenness: float = 0.35
    min_confidence: float = 0.8


@dataclass(frozen=True, slots=True)
class FaceQuality:
    """What was measured on one face and its chip."""

    face_px: float
    """Width of the detector's box in pixels of the picture."""
    inside: float
    """Share of the box that lies inside the picture, 0 to 1."""
    sharpness: float
    """Energy of fine detail relative to contrast in the middle of the chip; a sharp face has 0.01 to 0.3."""
    brightness: float
    """Mean luma of the chip's middle, 0 to 255."""
    contrast: float
    """Standard deviation of luma in the chip's middle."""
    roll_deg: float
    """Tilt of the line through the eyes, -180 to 180 degrees; 0 is upright."""
    yaw_ratio: float
    """Sideways place of the nose between the eyes in eye distances: 0 in the middle, 0.5 above one eye; signed."""
    pitch_ratio: float
    """Height of the nose between eyes and mouth: about 0.55 looking straight, less looking up, more looking down."""
    evenness: float
    """Contrast around the mouth against contrast around the eyes, the smaller over the larger, 0 to 1: a hint that
    a mask, a hand or hair covers one of them."""
    confidence: float
    """The detector's own, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason against a face: a stable word, the value measured and the limit it missed."""

    reason: str
    value: float
    limit: float


def measure(face: Face, chip: Image, frame_width: int, frame_height: int) -> FaceQuality:
    """Measure `face` in a picture of the given size in pixels, and its aligned `chip` (size, size, 3) uint8 BGR."""
    whole = chip.astype(np.float32) @ LUMA_BGR
    luma = _middle(whole)
    contrast = float(luma.std())
    roll_deg, yaw_ratio, pitch_ratio = _pose(face)
    return FaceQuality(
        face_px=float(face.box.width),
        inside=_inside_fraction(face, frame_width, frame_height),
        sharpness=_sharpness(luma, contrast),
        brightness=float(luma.mean()),
        contrast=contrast,
        roll_deg=roll_deg,
        yaw_ratio=yaw_ratio,
        pitch_ratio=pitch_ratio,
        evenness=_evenness(whole),
        confidence=float(face.confidence),
    )


def judge(quality: FaceQuality, limits: QualityLimits) -> tuple[Refusal, ...]:
    """Return every reason against the face, the one a person can act on first; empty when it is good enough."""
    # Each as what must hold: a number that is none holds nothing.
    checks = (
        ("too_small", quality.face_px, limits.min_face_px, not quality.face_px >= limits.min_face_px),
        ("cut_by_border", quality.inside, limits.min_inside, not quality.inside >= limits.min_inside),
        (
            "turned_away",
            abs(quality.yaw_ratio),
            limits.max_yaw_ratio,
            not abs(quality.yaw_ratio) <= limits.max_yaw_ratio,
        ),
        ("looking_up", quality.pitch_ratio, limits.min_pitch_ratio, not quality.pitch_ratio >= limits.min_pitch_ratio),
        (
            "looking_down",
            quality.pitch_ratio,
            limits.max_pitch_ratio,
            not quality.pitch_ratio <= limits.max_pitch_ratio,
        ),
        ("tilted", abs(quality.roll_deg), limits.max_roll_deg, not abs(quality.roll_deg) <= limits.max_roll_deg),
        ("too_dark", quality.brightness, limits.min_brightness, not quality.brightness >= limits.min_brightness),
        ("too_bright", quality.brightness, limits.max_brightness, not quality.brightness <= limits.max_brightness),
        ("low_contrast", quality.contrast, limits.min_contrast, not quality.contrast >= limits.min_contrast),
        ("blurred", quality.sharpness, limits.min_sharpness, not quality.sharpness >= limits.min_sharpness),
        ("partly_covered", quality.evenness, limits.min_evenness, not quality.evenness >= limits.min_evenness),
        ("low_confidence", quality.confidence, limits.min_confidence, not quality.confidence >= limits.min_confidence),
    )
    return tuple(Refusal(reason, value, limit) for reason, value, limit, refused in checks if refused)


_WORDS = {
    "too_small": "the face is {value:.0f} pixels wide; at least {limit:.0f} are needed: come closer",
    "cut_by_border": "only {value:.0%} of the face is in the picture; {limit:.0%} is needed: move to the middle",
    "turned_away": "the face is turned to the side: look at the camera",
    "looking_up": "the face is turned up: look at the camera",
    "looking_down": "the face is turned down: look at the camera",
    "tilted": "the head is tilted by {value:.0f} degrees; at most {limit:.0f} are accepted: hold it upright",
    "too_dark": "the face is too dark ({value:.0f} of 255; at least {limit:.0f}): turn to the light",
    "too_bright": "the face is too bright ({value:.0f} of 255; at most {limit:.0f}): move out of the glare",
    "low_contrast": "the face has too little contrast ({value:.0f}; at least {limit:.0f}): find even light",
    "blurred": "the face is blurred: hold still, or focus the camera",
    "partly_covered": "part of the face seems to be covered: take off what hides eyes or mouth, if that is possible",
    "low_confidence": "this may not be a face ({value:.2f}; at least {limit:.2f}): show the whole face",
}

REASONS = tuple(_WORDS)
"""Every word that `Refusal.reason` can be."""


def describe(refusal: Refusal) -> str:
    """Return a plain sentence that says what is wrong and what to do; KeyError for a word that is not a reason."""
    return _WORDS[refusal.reason].format(value=refusal.value, limit=refusal.limit)


def _middle(luma: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut away the outer quarter: hair and background say nothing about the face's focus or light."""
    height, width = luma.shape
    return luma[height // 4 : height - height // 4, width // 4 : width - width // 4]


def _sharpness(luma: NDArray[np.float32], contrast: float) -> float:
    """Variance of the Laplacian over variance of luma: dividing makes a dim face comparable to a bright one."""
    if contrast < 1.0 or min(luma.shape) < 3:
        return 0.0
    neighbours = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:]
    return float((neighbours - 4 * luma[1:-1, 1:-1]).var()) / contrast**2


def _evenness(luma: NDArray[np.float32]) -> float:
    """Compare the bands of the eyes and of the mouth in an aligned chip; 1 for a chip without any contrast."""
    height, width = luma.shape
    columns = slice(width // 4, width - width // 4)
    eyes = float(luma[height // 5 : height * 9 // 20, columns].std())
    mouth = float(luma[height * 11 // 20 : height * 17 // 20, columns].std())
    larger = max(eyes, mouth)
    return min(eyes, mouth) / larger if larger >= 1.0 else 1.0


def _pose(face: Face) -> tuple[float, float, float]:
    """Return roll in degrees, yaw ratio and pitch ratio."""
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks.astype(np.float64)
    axis = right_eye - left_eye
    distance = float(np.hypot(axis[0], axis[1]))
    if distance < 1e-6:
        # Both eyes in one point is a profile or a broken detection: turned away as far as it goes.
        return 0.0, 1.0, 0.5
    along = float((nose - left_eye) @ axis) / distance**2
    down = np.array([-axis[1], axis[0]]) / distance
    eyes, mouth = (left_eye + right_eye) / 2, (left_mouth + right_mouth) / 2
    length = float((mouth - eyes) @ down)
    # A mouth that is not under the eyes has no nose between: as far down as it goes.
    pitch_ratio = float((nose - eyes) @ down) / length if length > 0.1 * distance else 1.0
    return float(np.degrees(np.arctan2(axis[1], axis[0]))), along - 0.5, pitch_ratio


def _inside_fraction(face: Face, frame_width: int, frame_height: int) -> float:
    box = face.box
    if box.area_px <= 0:
        return 0.0
    width = min(box.x + box.width, frame_width) - max(box.x, 0.0)
    height = min(box.y + box.height, frame_height) - max(box.y, 0.0)
    return float(max(0.0, width) * max(0.0, height) / box.area_px)
