"""Photographs of people held before a virtual camera: simulated attacks, to test the road and to find gross blindness.

A simulation shows flatness, edges, movement, reflections and blur of a sheet or a screen. It has no printer's raster,
no paper, no real optics: figures measured with it say nothing about how often a real photograph passes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.core.face import Box, Image

Treatment = Literal["print", "print_glare", "print_blur", "screen"]
TREATMENTS: tuple[Treatment, ...] = get_args(Treatment)

_WIDTH_PX, _HEIGHT_PX = 1280, 720
_FACE_PX = (110.0, 200.0)
"""How wide the face in the photograph appears."""
_LARGEST_SHARE = 0.92
"""Of the frame's height; a sheet that does not fit comes no nearer."""
_BORDER_SHARE = {"print": 0.05, "print_glare": 0.05, "print_blur": 0.05, "screen": 0.03}
_JPEG_QUALITY = 85


@dataclass(frozen=True, slots=True, eq=False)
class HeldPhotograph:
    """A photograph (height, width, 3) uint8 with the box of its face, and how it is shown; a seed gives one film."""

    photograph: Image
    face: Box
    treatment: Treatment
    seed: int

    def frames(self, count: int, spacing_s: float) -> Iterator[tuple[float, Image]]:
        """Yield `count` times in seconds and frames (720, 1280, 3), the same ones on every call."""
        random = np.random.default_rng(self.seed)
        background = _background(random)
        sheet = _sheet(self.photograph, self.treatment)
        scale = float(random.uniform(*_FACE_PX)) / max(self.face.width, 1.0)
        scale = min(scale, _LARGEST_SHARE * _HEIGHT_PX / sheet.shape[0])
        phases = random.uniform(0, 2 * np.pi, 8)
        for index in range(count):
            at_s = index * spacing_s
            frame = _held(background, sheet, _corners(sheet, scale, at_s, phases), self.treatment)
            yield at_s, _filmed(frame, self.treatment, random)


def _background(random: np.random.Generator) -> NDArray[np.float32]:
    """Return an out-of-focus room: a lit wall with a few large things before it."""
    rows, columns = np.mgrid[0:_HEIGHT_PX, 0:_WIDTH_PX].astype(np.float32)
    colour = random.uniform(90, 190, 3).astype(np.float32)
    light = 0.75 + 0.35 * columns / _WIDTH_PX - 0.2 * rows / _HEIGHT_PX
    picture = np.ascontiguousarray(light[:, :, np.newaxis] * colour)
    for _ in range(6):
        left, top = int(random.integers(0, _WIDTH_PX)), int(random.integers(0, _HEIGHT_PX))
        wide, high = int(random.integers(60, 360)), int(random.integers(80, 400))
        thing = tuple(float(value) for value in random.uniform(20, 220, 3))
        cv2.rectangle(picture, (left, top), (left + wide, top + high), thing, -1)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 9), dtype=np.float32)


def _sheet(photograph: Image, treatment: Treatment) -> NDArray[np.float32]:
    """Return the sheet or screen with its border, float32 0..255, as it would look lit evenly."""
    picture = photograph.astype(np.float32)
    border = max(2, round(_BORDER_SHARE[treatment] * max(photograph.shape[:2])))
    if treatment == "screen":
        # Brighter than paper, a raster of lines, a black frame.
        lines = 1 + 0.06 * np.sin(np.arange(picture.shape[0], dtype=np.float32) * 2.1)
        return _framed(np.clip(picture * lines[:, np.newaxis, np.newaxis] * 1.1, 0, 255), border, 12.0)
    # Ink on paper reaches neither black nor the paper's white.
    return _framed(picture * 0.78 + 32, border, 235.0)


def _framed(picture: NDArray[np.float32], border: int, shade: float) -> NDArray[np.float32]:
    around = ((border, border), (border, border), (0, 0))
    framed: NDArray[np.float32] = np.pad(picture, around, constant_values=shade).astype(np.float32)
    return framed


def _corners(sheet: NDArray[np.float32], scale: float, at_s: float, phases: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return where the sheet's corners are at a time: it wanders, turns and tilts as in somebody's hand."""
    half_height, half_width = sheet.shape[0] * scale / 2, sheet.shape[1] * scale / 2
    wave = [float(np.sin((0.9 + 0.23 * number) * at_s + phase)) for number, phase in enumerate(phases)]
    turn, tilt, nod = 0.10 * wave[2], 0.16 * wave[3], 0.12 * wave[4]
    flat = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=np.float64)
    # A side turned away is farther off: smaller, in proportion to how far it is turned.
    nearness = (1 + tilt * flat[:, 0] + nod * flat[:, 1]) * (1 + 0.08 * wave[5])
    placed = flat * (half_width, half_height) * nearness[:, np.newaxis]
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    centre = np.array([_WIDTH_PX / 2 + 140 * wave[0], _HEIGHT_PX / 2 + 15 * wave[1]])
    turned: NDArray[np.float64] = placed @ rotation + centre
    return turned.astype(np.float32)


def _held(
    background: NDArray[np.float32], sheet: NDArray[np.float32], corners: NDArray[np.float32], treatment: Treatment
) -> NDArray[np.float32]:
    """Lay the sheet over the background, by area where it is shrunk; with glare, a light is mirrored in it."""
    shrink = float(np.linalg.norm(corners[1] - corners[0])) / sheet.shape[1]
    if shrink < 0.5:
        size = (max(2, round(sheet.shape[1] * shrink)), max(2, round(sheet.shape[0] * shrink)))
        sheet = np.asarray(cv2.resize(sheet, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
    height, width = sheet.shape[:2]
    flat = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    matrix = cv2.getPerspectiveTransform(flat, corners)
    frame = (_WIDTH_PX, _HEIGHT_PX)
    cover = cv2.warpPerspective(np.ones((height, width), dtype=np.float32), matrix, frame)[:, :, np.newaxis]
    laid = np.asarray(cv2.warpPerspective(sheet, matrix, frame), dtype=np.float32)
    if treatment == "print_glare":
        laid = laid + _glare(corners)[:, :, np.newaxis]
    shown: NDArray[np.float32] = background * (1 - cover) + laid * cover
    return shown


def _glare(corners: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what a lamp's mirror image adds: a soft bright spot near the upper edge that moves as the sheet tilts."""
    rows, columns = np.mgrid[0:_HEIGHT_PX, 0:_WIDTH_PX].astype(np.float32)
    middle, side = corners.mean(axis=0), float(np.linalg.norm(corners[1] - corners[0]))
    tilt = float(np.linalg.norm(corners[2] - corners[1]) - np.linalg.norm(corners[3] - corners[0])) / side
    right = (columns - middle[0]) / side - 0.15 - 2 * tilt
    down = (rows - middle[1]) / side + 0.2
    return np.asarray(170 * np.exp(-(right**2 / 0.02 + down**2 / 0.05)), dtype=np.float32)


def _filmed(frame: NDArray[np.float32], treatment: Treatment, random: np.random.Generator) -> Image:
    """Return the frame as a plain camera would deliver it: softened, with noise, compressed."""
    frame = np.asarray(cv2.GaussianBlur(frame, (0, 0), 0.7), dtype=np.float32)
    if treatment == "print_blur":
        frame = np.asarray(cv2.blur(frame, (7, 3)), dtype=np.float32)
    noisy = frame + random.normal(0, 3, frame.shape).astype(np.float32)
    pixels = np.clip(noisy, 0, 255).astype(np.uint8)
    _, packed = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), dtype=np.uint8)
