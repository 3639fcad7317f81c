"""What a track says about who it is: vectors of different moments, fused, compared, and decided again with each one."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from recognition.core.calibration import OperatingPoint, OperatingPoints
from recognition.core.face import Vector
from recognition.core.gallery import Gallery, Match, fuse, unit_rows
from recognition.core.quality import FaceQuality

Kind = Literal["present", "review", "unknown", "undecided"]
LookAlikes = frozenset[frozenset[str]]
"""Pairs of student ids that enrolment found too similar to tell apart by machine."""


@dataclass(frozen=True, slots=True)
class EvidenceLimits:
    """How many moments a decision rests on and how far apart they are."""

    spacing_s: float = 0.5
    """Frames closer together than this make the same errors, so a second one adds nothing."""
    max_samples: int = 5
    """The latest samples that are kept; more than five gain almost nothing."""
    refresh_s: float = 2.0
    """Once full, how often to look again: a track may have passed to another person."""
    closer_by: float = 1.3
    """Once full, a face this much wider than any before is worth a look at the normal spacing."""
    min_present_samples: int = 1
    """Samples before somebody can be called present."""
    min_samples: int = 3
    """Samples before somebody can be called unknown."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Who a track is, as far as its samples say. `reason` is a stable word, empty for a plain `present`."""

    kind: Kind
    student_id: str | None
    score: float
    margin: float
    samples: int
    candidates: tuple[tuple[str, float], ...]
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    at_s: float
    vector: Vector
    face_px: float


class TrackEvidence:
    """The samples of one track. Vectors live here only and go with it. One instance belongs to one thread."""

    def __init__(self, same_person_floor: float, limits: EvidenceLimits | None = None) -> None:
        """Take the cosine under which two moments are not one person (the pack's `same_person_floor`)."""
        self._floor = same_person_floor
        self._limits = limits or EvidenceLimits()
        self._samples: list[_Sample] = []

    @property
    def samples(self) -> int:
        """Number of samples held."""
        return len(self._samples)

    def wants(self, at_s: float, quality: FaceQuality | None = None) -> bool:
        """Say whether an embedding of the face seen at `at_s` (seconds) is worth computing."""
        nearest_s = min((abs(at_s - sample.at_s) for sample in self._samples), default=float("inf"))
        if nearest_s < self._limits.spacing_s:
            return False
        if self.samples < self._limits.max_samples:
            return True
        widest_px = max(sample.face_px for sample in self._samples)
        if quality is not None and quality.face_px >= self._limits.closer_by * widest_px > 0:
            return True
        return nearest_s >= self._limits.refresh_s

    def add(self, vector: Vector, at_s: float, quality: FaceQuality | None = None) -> bool:
        """Keep a unit `vector` (d,) seen at `at_s`; False when it is another person.

        After False nothing was kept: the caller ends this evidence and starts a new one with the same vector, so
        that nobody inherits what was decided about the person before. Raises ValueError for a vector that is not
        finite or not of unit length.
        """
        unit = unit_rows(vector[np.newaxis], what="sample")[0]
        if self._samples and float(self._fused() @ unit) < self._floor:
            return False
        self._samples.append(_Sample(at_s, unit, quality.face_px if quality else 0.0))
        # Kept in order of time, whatever order they came in, and the oldest goes first.
        self._samples.sort(key=lambda sample: sample.at_s)
        del self._samples[: -self._limits.max_samples]
        return True

    def decide(self, gallery: Gallery, points: OperatingPoints, look_alikes: LookAlikes = frozenset()) -> Decision:
        """Decide from all samples held, as if for the first time: an identity is never locked."""
        if not self._samples:
            return Decision("undecided", None, -1.0, 0.0, 0, (), "no_samples")
        fused = self._fused()
        match = gallery.match(fused[np.newaxis])[0]
        point = points.for_samples(self.samples)
        if match.student_id is None or match.score < point.threshold:
            return self._not_found(match)
        rivals = _rivals(match.student_id, gallery, look_alikes)
        if rivals:
            known = ((match.student_id, match.score), *((rival, gallery.score(fused, rival)) for rival in rivals))
            return self._decision("review", match, "known_look_alike", known)
        return self._found(match, point)

    def _found(self, match: Match, point: OperatingPoint) -> Decision:
        if match.margin < point.margin:
            return self._decision("review", match, "look_alike")
        if self.samples < self._limits.min_present_samples:
            return self._decision("undecided", match, "too_few_samples")
        return self._decision("present", match, "")

    def _not_found(self, match: Match) -> Decision:
        if self.samples < self._limits.min_samples:
            return self._decision("undecided", match, "too_few_samples")
        return self._decision("unknown", match, "empty_gallery" if match.student_id is None else "below_threshold")

    def _decision(
        self, kind: Kind, match: Match, reason: str, candidates: tuple[tuple[str, float], ...] | None = None
    ) -> Decision:
        named = kind in ("present", "review")
        return Decision(
            kind=kind,
            student_id=match.student_id if named else None,
            score=match.score,
            margin=match.margin,
            samples=self.samples,
            candidates=_top_two(match) if candidates is None else candidates,
            reason=reason,
        )

    def _fused(self) -> Vector:
        return fuse(np.stack([sample.vector for sample in self._samples]))


def _top_two(match: Match) -> tuple[tuple[str, float], ...]:
    pairs = ((match.student_id, match.score), (match.runner_up_id, match.runner_up_score))
    return tuple((student_id, score) for student_id, score in pairs if student_id is not None)


def _rivals(student_id: str, gallery: Gallery, look_alikes: Iterable[frozenset[str]]) -> list[str]:
    """Return who, listed in the gallery, is known to look like `student_id`."""
    listed = set(gallery.student_ids) if look_alikes else set()
    others = {other for pair in look_alikes if student_id in pair for other in pair if other != student_id}
    return sorted(others & listed)
