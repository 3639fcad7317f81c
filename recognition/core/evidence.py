"""What a track says about who it is: vectors of different moments, fused, compared, and decided again with each one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from recognition.core.calibration import OperatingPoint, OperatingPoints, ScoreStatistics
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
    pose_spacing_s: float = 0.2
    """Unless the head has turned in between: then this much is enough."""
    turned_by: float = 0.15
    """What counts as turned: change of `FaceQuality.yaw_ratio` or `pitch_ratio` against every moment nearby in time."""
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


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """Whom a face is compared with, and how like them it must be."""

    gallery: Gallery
    points: OperatingPoints
    extra_margins: Mapping[str, float] = field(default_factory=dict)
    """By student: how much further than the point's margin they must lead, after people rejected sightings of them."""

    def leads(self, match: Match, point: OperatingPoint) -> bool:
        """Say whether the closest student leads the next one by as much as is asked for them."""
        extra = 0.0 if match.student_id is None else self.extra_margins.get(match.student_id, 0.0)
        return match.margin >= point.margin + extra


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
    log_likelihood: float | None = None
    """ln of how much better the score fits the closest student than a stranger; None where a pack has no statistics."""


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    at_s: float
    vector: Vector
    face_px: float
    pose: tuple[float, float] | None


class TrackEvidence:
    """The samples of one track. Vectors live here only and go with it. One instance belongs to one thread."""

    def __init__(
        self,
        same_person_floor: float,
        limits: EvidenceLimits | None = None,
        statistics: ScoreStatistics | None = None,
        looks: int = 0,
    ) -> None:
        """Take the cosine under which two moments are not one person (the pack's `same_person_floor`).

        `looks` are those that the track has had already, before it was split once more: they are counted on.
        """
        self._floor = same_person_floor
        self._limits = limits or EvidenceLimits()
        self._statistics = statistics
        self._samples: list[_Sample] = []
        self._looks = looks

    @property
    def samples(self) -> int:
        """Number of samples held."""
        return len(self._samples)

    @property
    def looks(self) -> int:
        """Number of samples ever taken: each was a stranger's chance to pass, and later ones must ask for more."""
        return self._looks

    def wants(self, at_s: float, quality: FaceQuality | None = None) -> bool:
        """Say whether an embedding of the face seen at `at_s` (seconds) is worth computing."""
        nearest_s = min((abs(at_s - sample.at_s) for sample in self._samples), default=float("inf"))
        if nearest_s < self._spacing_s(at_s, quality):
            return False
        if self.samples < self._limits.max_samples:
            return True
        widest_px = max(sample.face_px for sample in self._samples)
        if quality is not None and quality.face_px >= self._limits.closer_by * widest_px > 0:
            return True
        return nearest_s >= self._limits.refresh_s

    def may_want(self, at_s: float) -> bool:
        """Say whether `wants` could agree at `at_s`, whatever the face looks like: if not, it need not be measured."""
        nearest_s = min((abs(at_s - sample.at_s) for sample in self._samples), default=float("inf"))
        return nearest_s >= min(self._limits.spacing_s, self._limits.pose_spacing_s)

    def add(self, vector: Vector, at_s: float, quality: FaceQuality | None = None) -> bool:
        """Keep a unit `vector` (d,) seen at `at_s`; False when it is another person.

        After False nothing was kept: the caller ends this evidence and starts a new one with the same vector, so
        that nobody inherits what was decided about the person before. Raises ValueError for a vector that is not
        finite or not of unit length.
        """
        unit = unit_rows(vector[np.newaxis], what="sample")[0]
        if self._samples and float(self._fused() @ unit) < self._floor:
            return False
        self._samples.append(_Sample(at_s, unit, quality.face_px if quality else 0.0, _pose(quality)))
        self._looks += 1
        # Kept in order of time, whatever order they came in, and the oldest goes first.
        self._samples.sort(key=lambda sample: sample.at_s)
        del self._samples[: -self._limits.max_samples]
        return True

    def decide(self, room: Scope, look_alikes: LookAlikes = frozenset(), wider: Scope | None = None) -> Decision:
        """Decide from all samples held, as if for the first time: an identity is never locked.

        Whoever is not found among the students of the `room` is looked for in the `wider` scope, which can only lead to
        a question ("wrong_room"): there are more people in it, and they are not expected here.
        """
        if not self._samples:
            return Decision("undecided", None, -1.0, 0.0, 0, (), "no_samples")
        fused = self._fused()
        match = room.gallery.match(fused[np.newaxis])[0]
        point = room.points.for_samples(self._looks)
        if match.student_id is None or match.score < point.threshold:
            return self._elsewhere(fused, wider) or self._not_found(match)
        rivals = _rivals(match.student_id, room.gallery, look_alikes)
        if rivals:
            scores = ((rival, room.gallery.score(fused, rival)) for rival in rivals)
            return self._decision("review", match, "known_look_alike", ((match.student_id, match.score), *scores))
        return self._found(match, leads=room.leads(match, point))

    def still(self, student_id: str, decision: Decision, points: OperatingPoints) -> bool:
        """Say whether somebody who was found before may go on being seen after `decision` was made by `points`.

        A later look asks for more than an earlier one, because it is one more chance for a stranger; the student who
        passed has no need of another chance. They stay while they are the closest and would pass a first look.
        """
        if decision.kind == "present":
            return decision.student_id == student_id
        closest = decision.candidates[0][0] if decision.candidates else None
        passes = decision.score >= points.for_samples(1).threshold
        return decision.kind in ("undecided", "unknown") and closest == student_id and passes

    def _elsewhere(self, fused: Vector, wider: Scope | None) -> Decision | None:
        if wider is None:
            return None
        match = wider.gallery.match(fused[np.newaxis])[0]
        point = wider.points.for_samples(self._looks)
        if match.student_id is None or match.score < point.threshold or not wider.leads(match, point):
            return None
        return self._decision("review", match, "wrong_room")

    def _found(self, match: Match, *, leads: bool) -> Decision:
        if not leads:
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
        known = self._statistics is not None and match.student_id is not None
        return Decision(
            kind=kind,
            student_id=match.student_id if named else None,
            score=match.score,
            margin=match.margin,
            samples=self.samples,
            candidates=_top_two(match) if candidates is None else candidates,
            reason=reason,
            log_likelihood=self._statistics.log_likelihood_ratio(match.score, self.samples)
            if known and self._statistics
            else None,
        )

    def _spacing_s(self, at_s: float, quality: FaceQuality | None) -> float:
        """Return how far from every other sample one at `at_s` must be: less when the head has turned since."""
        pose = _pose(quality)
        near = [sample for sample in self._samples if abs(at_s - sample.at_s) < self._limits.spacing_s]
        turned = pose is not None and all(
            sample.pose is not None
            and max(abs(a - b) for a, b in zip(pose, sample.pose, strict=True)) >= self._limits.turned_by
            for sample in near
        )
        return min(self._limits.pose_spacing_s, self._limits.spacing_s) if turned else self._limits.spacing_s

    def _fused(self) -> Vector:
        return fuse(np.stack([sample.vector for sample in self._samples]))


def _pose(quality: FaceQuality | None) -> tuple[float, float] | None:
    return (quality.yaw_ratio, quality.pitch_ratio) if quality is not None else None


def _top_two(match: Match) -> tuple[tuple[str, float], ...]:
    pairs = ((match.student_id, match.score), (match.runner_up_id, match.runner_up_score))
    return tuple((student_id, score) for student_id, score in pairs if student_id is not None)


def _rivals(student_id: str, gallery: Gallery, look_alikes: Iterable[frozenset[str]]) -> list[str]:
    """Return who, listed in the gallery, is known to look like `student_id`."""
    listed = set(gallery.student_ids) if look_alikes else set()
    others = {other for pair in look_alikes if student_id in pair for other in pair if other != student_id}
    return sorted(others & listed)
