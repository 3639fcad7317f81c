"""Made-up people: unit vectors around a direction of their own."""

import numpy as np
from numpy.typing import NDArray

from recognition.core.face import Vector
from recognition.evaluation.material import Material

DIMENSIONS = 16


def vectors_of(generator: np.random.Generator, pictures: int, noise: float) -> list[Vector | None]:
    """One person's pictures."""
    direction = generator.normal(size=DIMENSIONS)
    return [unit(direction + noise * generator.normal(size=DIMENSIONS)) for _ in range(pictures)]


def unit(vector: NDArray[np.float64]) -> Vector:
    found: Vector = (vector / np.linalg.norm(vector)).astype(np.float32)
    return found


def material(people: int = 12, strangers: int = 20, noise: float = 0.5, seed: int = 1) -> Material:
    """People with three pictures to enrol and three to look for, and strangers with one picture."""
    generator = np.random.default_rng(seed)
    everybody = [vectors_of(generator, 6, noise) for _ in range(people)]
    others = [vectors_of(generator, 1, noise) for _ in range(strangers)]
    return Material(
        DIMENSIONS,
        enrolled=tuple(pictures[:3] for pictures in everybody),
        probes=(*(pictures[3:] for pictures in everybody), *others),
        anything=(*everybody, *others),
    )
