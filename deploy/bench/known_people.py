"""A gallery of a thousand for measuring: made-up templates, and the people of the sample portraits among them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from deploy.bench.groups import read_image
from deploy.clip import SAMPLES
from edge.core.known import KnownStudents
from recognition.adapters.analysis import Engine
from recognition.adapters.chips_opencv import cut_chip
from recognition.core.gallery import Gallery, Template
from recognition.core.looking import probe_vectors

SIZE = 1000
FPIR = 0.01
SEED = 20240903
PORTRAITS: Mapping[str, tuple[str, ...]] = {"obama": ("obama", "obama2"), "biden": ("biden",)}
"""Who is enrolled, from which samples; the third person of the samples stays a stranger."""


def templates_for(engine: Engine, size: int = SIZE) -> list[Template]:
    """Return templates of `size` people; the first are those of the sample portraits. Raises ValueError."""
    pack_id, dimensions = engine.embedder.pack_id, engine.embedder.dimensions
    real = [_members(engine, names) for names in PORTRAITS.values()]
    drawn = np.random.default_rng(SEED).standard_normal((size - len(real), 1, dimensions)).astype(np.float32)
    drawn /= np.linalg.norm(drawn, axis=2, keepdims=True)
    return [Template(student_id(number), pack_id, members) for number, members in enumerate([*real, *drawn])]


def people_for(engine: Engine, size: int = SIZE) -> KnownStudents:
    """Return the gallery with the pack's own operating points for its size."""
    gallery = Gallery.build(templates_for(engine, size), engine.embedder.pack_id, engine.embedder.dimensions)
    return KnownStudents(gallery, engine.pack.operating_points(size, FPIR), revision=1)


def student_id(number: int) -> str:
    """Return the id of somebody of the gallery."""
    return str(UUID(int=0x5000 + number))


def _members(engine: Engine, names: Sequence[str]) -> NDArray[np.float32]:
    return np.concatenate([_vector(engine, SAMPLES / f"{name}.jpg") for name in names])


def _vector(engine: Engine, path: Path) -> NDArray[np.float32]:
    image = read_image(path)
    faces = engine.detector.detect(image)
    if not faces:
        raise ValueError(f"no face is found in {path.name}; the model pack is not usable")
    largest = max(faces, key=lambda face: face.box.area_px)
    return probe_vectors(engine.embedder, [cut_chip(image, largest, engine.embedder.geometry)])
