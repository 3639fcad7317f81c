"""The original system's way of deciding, for comparison: Euclidean distance of FaceNet's raw vectors, two constants."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recognition.adapters.chips_opencv import cut_chip
from recognition.adapters.litert_models import LitertModel
from recognition.adapters.pack_files import Pack
from recognition.core.face import ChipGeometry, Face, Image, Vector
from recognition.evaluation.material import Material

PACK = "facenet"
DISTANCES = (("duplicate", 3.0), ("attendance", 15.0))
"""Its two constants: below the first a registration is refused, below the second a student is marked present."""


@dataclass(frozen=True, slots=True)
class OriginalRow:
    """One of its constants in the gallery of everybody: the closest picture decides, within `distance`."""

    name: str
    distance: float
    tpir: float
    fpir: float
    mated_searches: int
    non_mated_searches: int


class RawVectors:
    """A Reference whose vectors keep their length, as the original compares them. One instance, one thread."""

    name = "the original system"

    def __init__(self, pack: Pack, geometry: ChipGeometry, threads: int = 2) -> None:
        """Open the pack's most exact embedder. Raises PackError."""
        self._geometry = geometry
        self._pack_id = pack.pack_id
        self._model = LitertModel(pack.embedder_file("f32"), threads=threads, most_shapes=1)

    @property
    def key(self) -> str:
        """See Reference."""
        return f"{self._pack_id}:raw"

    def vector(self, image: Image, face: Face) -> Vector | None:
        """See Reference; not of unit length."""
        try:
            chip = cut_chip(image, face, self._geometry)
        except ValueError:
            return None
        (rows,) = self._model.run(chip[np.newaxis].astype(np.float32))
        vector: Vector = np.asarray(rows[0], dtype=np.float32)
        return vector


def is_applicable(pack_name: str) -> bool:
    """Tell whether the constants mean anything: they are distances of this one model."""
    return pack_name == PACK


def original_rows(material: Material) -> list[OriginalRow]:
    """Return the rows for raw vectors: every enrolment picture is compared, and the closest one decides."""
    known = [(number, vector) for number, person in enumerate(material.enrolled) for vector in person]
    owners = np.array([number for number, vector in known if vector is not None], dtype=np.int64)
    references = [vector for _, vector in known if vector is not None]
    people = len(material.enrolled)
    probes = [(n, v) for n, person in enumerate(material.probes[:people]) for v in person]
    others = [(n, v) for n, person in enumerate(material.anything) for v in person if v is not None]
    found = [_closest(vector, references, owners, None) for _, vector in probes]
    passed = [_closest(vector, references, owners, number) for number, vector in others]
    rows = []
    for name, distance in DISTANCES:
        hits = [who == number and at <= distance for (number, _), (who, at) in zip(probes, found, strict=True)]
        wrong = [at <= distance for _, at in passed]
        rows.append(OriginalRow(name, distance, _share(hits), _share(wrong), len(hits), len(wrong)))
    return rows


def _closest(
    vector: Vector | None, references: Sequence[Vector], owners: NDArray[np.int64], left_out: int | None
) -> tuple[int, float]:
    if vector is None:
        return -1, float("inf")
    distances = np.linalg.norm(np.stack(references) - vector, axis=1)
    if left_out is not None:
        distances = np.where(owners == left_out, np.inf, distances)
    best = int(distances.argmin())
    return int(owners[best]), float(distances[best])


def _share(outcomes: Sequence[bool]) -> float:
    return sum(outcomes) / len(outcomes) if outcomes else 0.0
