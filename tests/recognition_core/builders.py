"""Made-up faces and vectors: the same for the same arguments, near what detectors and embedders really give."""

import numpy as np
from numpy.typing import NDArray

from recognition.core.calibration import OperatingPoint, OperatingPoints
from recognition.core.face import Box, ChipGeometry, Face, Image, Points, Vector
from recognition.core.gallery import Template

DIMENSIONS = 64
PACK = "test-1-000000000000"

CHIP_POINTS: Points = np.array([[48, 46], [101, 46], [74, 78], [51, 105], [97, 105]], dtype=np.float32)
GEOMETRY = ChipGeometry(150, CHIP_POINTS)


def a_face(x: float = 100, y: float = 100, width: float = 80, confidence: float = 0.99) -> Face:
    """A frontal face whose box is `width` x 1.25 `width`."""
    points = (CHIP_POINTS - 30) / 90 * width + np.array([x, y])
    return Face(Box(x, y, width, width * 1.25), points.astype(np.float32), confidence)


def a_chip(seed: int = 0, mean: float = 128, spread: float = 40) -> Image:
    """A chip full of fine detail, of about the given mean and standard deviation."""
    noise = np.random.default_rng(seed).normal(mean, spread, (150, 150, 1))
    return np.repeat(np.clip(noise, 0, 255).astype(np.uint8), 3, axis=2)


def person(number: int) -> Vector:
    """The direction of a made-up person: people are nearly at right angles to each other."""
    return unit(np.random.default_rng(number).normal(size=DIMENSIONS))


def moment(number: int, seed: int, noise: float = 0.05) -> Vector:
    """One picture of a made-up person."""
    return unit(person(number) + np.random.default_rng(1000 + seed).normal(size=DIMENSIONS) * noise)


def unit(vector: NDArray[np.floating]) -> Vector:
    exact = vector.astype(np.float64)
    result: Vector = (exact / np.linalg.norm(exact)).astype(np.float32)
    return result


def template(number: int, members: int = 3) -> Template:
    return Template(f"s{number}", PACK, np.stack([moment(number, seed) for seed in range(members)]))


def points(threshold: float = 0.8, margin: float = 0.05) -> OperatingPoints:
    return OperatingPoints(10, 0.01, ((1, OperatingPoint(threshold, margin)),))
