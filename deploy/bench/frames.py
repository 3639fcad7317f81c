"""The frames everybody is measured on: a stated number of faces, 60 to 110 pixels wide, in front of a wall."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from deploy.bench.groups import read_groups, read_image
from deploy.classroom import draw_room
from deploy.clip import FACES, SAMPLES
from recognition.core.face import Box, Image

SIZES = ((640, 480), (1280, 720), (1920, 1080))
COUNTS = (0, 1, 5, 10, 24)
SMALLEST_PX, LARGEST_PX = 60, 110
SURROUNDINGS = 1.7
"""Width of a cut-out by the width of its face: hair, ears and chin belong to what detectors look for."""
LARGER_FACE_PX = 52
"""Faces of the photographs from this width on are used: smaller ones would be blurred when they are enlarged."""
SEED = 20240902


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A picture and the one face in it that is used."""

    image: Image
    face: Box


@dataclass(frozen=True, slots=True, eq=False)
class BenchFrame:
    """A frame and how many faces are on it."""

    image: Image
    faces: int

    @property
    def size(self) -> str:
        """Width and height, as in `1280x720`."""
        return f"{self.image.shape[1]}x{self.image.shape[0]}"

    @property
    def name(self) -> str:
        """Size and number of faces, for the table."""
        return f"{self.size}, {self.faces} face{'' if self.faces == 1 else 's'}"


def read_portraits(shared: Path) -> list[Portrait]:
    """Return the faces to compose frames of: from the shared photographs of groups, else the project's own samples."""
    groups = [
        Portrait(picture.image, face)
        for picture in read_groups(shared)
        for face in picture.faces
        if face.width >= LARGER_FACE_PX and _is_alone(face, picture.faces)
    ]
    if groups:
        return groups
    # The boxes of the samples are higher than wide; those of the photographs are squares around the same part.
    return [
        Portrait(read_image(SAMPLES / f"{name}.jpg"), Box(box.x, box.centre[1] - box.width / 2, box.width, box.width))
        for name, box in FACES.items()
    ]


def compose(portraits: Sequence[Portrait], size_px: tuple[int, int], faces: int) -> BenchFrame:
    """Return a frame of `size_px` (width, height) with this number of faces; the same arguments, the same frame.

    Raises ValueError when the frame is too small for faces of 60 pixels.
    """
    width, height = size_px
    frame = np.asarray(cv2.resize(draw_room(), size_px, interpolation=cv2.INTER_AREA), dtype=np.float32)
    source = np.random.default_rng([SEED, width, faces])
    columns, rows = _grid(width / height, faces)
    cell_w, cell_h = width // columns, height // rows
    largest_px = min(LARGEST_PX, round(min(cell_w, cell_h) / SURROUNDINGS))
    if largest_px < SMALLEST_PX:
        raise ValueError(f"{faces} faces of {SMALLEST_PX} pixels do not fit {width}x{height}")
    for place in range(faces):
        cutout = _cut_out(portraits[place % len(portraits)], int(source.integers(SMALLEST_PX, largest_px + 1)))
        if place // len(portraits) % 2:
            cutout = np.ascontiguousarray(cutout[:, ::-1])
        left = place % columns * cell_w + int(source.integers(0, cell_w - cutout.shape[1] + 1))
        top = place // columns * cell_h + int(source.integers(0, cell_h - cutout.shape[0] + 1))
        _paint(frame, cutout, left, top)
    # A sensor's noise: without it a wall is flatter than any camera shows it, and detectors are quicker.
    frame += source.normal(0.0, 2.0, frame.shape).astype(np.float32)
    return BenchFrame(np.clip(frame, 0, 255).astype(np.uint8), faces)


def _is_alone(face: Box, faces: Sequence[Box]) -> bool:
    """Tell whether no other face comes with this one when it is cut out."""
    reach = face.width * SURROUNDINGS / 2
    return not any(
        abs(other.centre[0] - face.centre[0]) < reach and abs(other.centre[1] - face.centre[1]) < reach
        for other in faces
        if other is not face
    )


def _grid(aspect: float, faces: int) -> tuple[int, int]:
    """Return columns and rows of cells for `faces`, about as wide as high."""
    columns = max(1, round((faces * aspect) ** 0.5))
    rows = -(-max(1, faces) // columns)
    return columns, rows


def _cut_out(portrait: Portrait, face_px: int) -> NDArray[np.float32]:
    """Return the face with its surroundings, (height, width, 3) float32, scaled so that the face is `face_px` wide."""
    side = round(portrait.face.width * SURROUNDINGS)
    x, y = (round(value - side / 2) for value in portrait.face.centre)
    height, width = portrait.image.shape[:2]
    region = portrait.image[max(0, y) : min(height, y + side), max(0, x) : min(width, x + side)]
    scale = face_px / portrait.face.width
    new = (max(1, int(region.shape[1] * scale)), max(1, int(region.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(region, new, interpolation=how), dtype=np.float32)


def _paint(frame: NDArray[np.float32], cutout: NDArray[np.float32], left: int, top: int) -> None:
    """Set the cut-out into the frame with soft edges: hard ones are edges no camera has seen."""
    height, width = cutout.shape[:2]
    soft = max(2, width // 12)
    cover = np.zeros((height, width), np.float32)
    cover[soft:-soft, soft:-soft] = 1.0
    cover = np.asarray(cv2.GaussianBlur(cover, (0, 0), soft / 2), dtype=np.float32)[:, :, None]
    behind = frame[top : top + height, left : left + width]
    behind += cover * (cutout - behind)
