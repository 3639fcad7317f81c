"""The people a face is compared with: one matrix of fused templates, searched exactly."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from recognition.core.errors import PackMismatch
from recognition.core.face import Vector

UNIT_TOLERANCE = 1e-3
"""How far from 1 a length may be: float16 storage costs about 1e-4; a vector that is no embedding is far off."""

ROWS_AT_ONCE = 32
"""Faces scored per product: 32 x 100,000 float32 scores are 13 MB, so a crowd cannot exhaust a unit's memory."""


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """What is known of one student's face: `members` (m, d) float32 rows of unit length, all from one model pack."""

    student_id: str
    pack_id: str
    members: NDArray[np.float32]

    def __post_init__(self) -> None:
        """Raise ValueError unless the members are finite unit rows that have a common direction."""
        members = unit_rows(self.members, what=f"template of student {self.student_id}")
        if len(members) == 0:
            raise ValueError(f"template of student {self.student_id} has no members")
        if float(np.linalg.norm(members.mean(axis=0, dtype=np.float64))) < UNIT_TOLERANCE:
            raise ValueError(f"the members of the template of student {self.student_id} cancel each other out")
        object.__setattr__(self, "members", members)

    @property
    def fused(self) -> Vector:
        """The centroid of the members, of unit length; independent of their order."""
        return fuse(self.members)


@dataclass(frozen=True, slots=True)
class Match:
    """The closest student and the next one; cosines from -1 to 1. Nobody is None with score -1."""

    student_id: str | None
    score: float
    runner_up_id: str | None
    runner_up_score: float

    @property
    def margin(self) -> float:
        """How much closer the best student is than the next, 0 to 2."""
        return self.score - self.runner_up_score


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """An immutable set of templates of one pack. Make it with `build`; share it between threads freely."""

    pack_id: str
    dimensions: int
    student_ids: tuple[str, ...]
    centroids: NDArray[np.float32]

    @classmethod
    def build(cls, templates: Iterable[Template], pack_id: str, dimensions: int) -> Self:
        """Build from `templates`, each student once.

        Raises PackMismatch for a template of another pack, ValueError for another dimension or a student named twice.
        """
        # Sorted, so that the same people give the same gallery, ties included, in whatever order they arrived.
        ordered = sorted(templates, key=lambda template: template.student_id)
        for template in ordered:
            if template.pack_id != pack_id:
                raise PackMismatch(
                    f"the template of student {template.student_id} was made by pack {template.pack_id}, not {pack_id}",
                    hint="enrol the student again, or install the pack the gallery was made with",
                )
            if template.members.shape[1] != dimensions:
                found = template.members.shape[1]
                raise ValueError(f"template of student {template.student_id} has {found} dimensions, not {dimensions}")
        student_ids = tuple(template.student_id for template in ordered)
        if len(set(student_ids)) != len(student_ids):
            raise ValueError("a student appears twice in the gallery")
        centroids = np.zeros((len(ordered), dimensions), dtype=np.float32)
        for row, template in enumerate(ordered):
            centroids[row] = template.fused
        centroids.setflags(write=False)
        return cls(pack_id, dimensions, student_ids, centroids)

    @property
    def size(self) -> int:
        """Number of students."""
        return len(self.student_ids)

    def match(self, vectors: NDArray[np.float32]) -> list[Match]:
        """Compare `vectors`, (n, dimensions) float32 rows of unit length, with everybody; one Match a row.

        Raises ValueError for another shape, a value that is not finite, or rows that are not of unit length.
        """
        probes = unit_rows(vectors, what="probe")
        if probes.shape[1] != self.dimensions:
            raise ValueError(f"probes have {probes.shape[1]} dimensions, not {self.dimensions}")
        if self.size == 0:
            return [Match(None, -1.0, None, -1.0) for _ in probes]
        found: list[Match] = []
        for start in range(0, len(probes), ROWS_AT_ONCE):
            scores = np.clip(probes[start : start + ROWS_AT_ONCE] @ self.centroids.T, -1.0, 1.0)
            found.extend(self._closest_two(row) for row in scores)
        return found

    def score(self, vector: Vector, student_id: str) -> float:
        """Return the cosine of `vector` (dimensions,) to one student's fused template; KeyError if not listed."""
        try:
            row = self.student_ids.index(student_id)
        except ValueError:
            raise KeyError(student_id) from None
        return float(np.clip(self.centroids[row] @ vector, -1.0, 1.0))

    def _closest_two(self, scores: NDArray[np.float32]) -> Match:
        best = int(scores.argmax())
        best_score = float(scores[best])
        if self.size == 1:
            return Match(self.student_ids[best], best_score, None, -1.0)
        scores[best] = -np.inf
        second = int(scores.argmax())
        return Match(self.student_ids[best], best_score, self.student_ids[second], float(scores[second]))


def fuse(vectors: NDArray[np.float32]) -> Vector:
    """Return the unit vector (d,) float32 in the mean direction of rows (n, d); ValueError when they cancel out."""
    # Summed in float64 and in sorted order: otherwise rounding makes the result depend on the order of arrival.
    ordered = vectors[np.lexsort(vectors.T)].astype(np.float64)
    mean = ordered.mean(axis=0)
    length = float(np.linalg.norm(mean))
    if not length > 0:
        raise ValueError("vectors that cancel out have no common direction")
    fused: Vector = (mean / length).astype(np.float32)
    return fused


def unit_rows(vectors: NDArray[np.float32], *, what: str) -> NDArray[np.float32]:
    """Return a read-only copy of (n, d) rows brought to exact unit length.

    Raises ValueError, naming `what`, for another number of axes, a value that is not finite, or a length far from 1.
    """
    if vectors.ndim != 2 or vectors.shape[1] == 0:
        raise ValueError(f"{what} has shape {vectors.shape}, expected (n, dimensions)")
    exact = vectors.astype(np.float64)
    if not np.isfinite(exact).all():
        raise ValueError(f"{what} holds values that are not finite")
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    if (np.abs(lengths - 1.0) > UNIT_TOLERANCE).any():
        raise ValueError(f"{what} is not of unit length")
    rows: NDArray[np.float32] = (exact / lengths).astype(np.float32)
    rows.setflags(write=False)
    return rows
