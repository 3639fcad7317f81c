"""Everybody enrolled with one model pack, and whether one more picture may join them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from recognition.core.face import Vector
from recognition.core.gallery import Gallery, Template

MAX_PICTURES = 12
"""Pictures a student may have: more bring nothing, and a template has to fit into one message to a unit."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Scores from which two pictures count as one person: against everybody, and against the student's own."""

    anybody: float
    own: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with a picture. `looks_like` is another student it may show, with the score."""

    outcome: Literal["accepted", "look_alike", "not_like_own"]
    looks_like: str | None = None
    score: float | None = None


class EnrolmentGallery:
    """The gallery of a pack that grows with every picture. One instance belongs to one thread."""

    def __init__(self, templates: Iterable[Template], pack_id: str, dimensions: int) -> None:
        templates = list(templates)
        self._members = {template.student_id: template.members for template in templates}
        self._gallery = Gallery.build(templates, pack_id, dimensions)

    @property
    def size(self) -> int:
        """Number of students with at least one picture."""
        return self._gallery.size

    def pictures_of(self, student_id: str) -> int:
        """How many pictures the student has."""
        return len(self._members.get(student_id, ()))

    def judge(self, student_id: str, vector: Vector, limits: Limits, *, allowed: Iterable[str]) -> Verdict:
        """Decide whether a picture may become one of the student's.

        `allowed` are students of whom a person has said that they merely look alike. The question whom it resembles
        comes first: a picture of somebody else's face is worse than a bad picture of one's own.
        """
        other_id, score = self._closest_other(student_id, vector)
        alike = other_id is not None and score >= limits.anybody
        if alike and other_id not in set(allowed):
            return Verdict("look_alike", other_id, score)
        if student_id in self._members:
            own = self._gallery.score(vector, student_id)
            if own < limits.own:
                return Verdict("not_like_own", score=own)
        return Verdict("accepted", other_id if alike else None, score if alike else None)

    def add(self, student_id: str, vector: Vector) -> None:
        """Take in an accepted picture."""
        row = np.asarray(vector, dtype=np.float32)[np.newaxis]
        known = self._members.get(student_id)
        members = row if known is None else np.concatenate([known, row])
        template = Template(student_id, self._gallery.pack_id, members)
        self._members[student_id] = template.members
        self._replace(student_id, template.fused)

    def _closest_other(self, student_id: str, vector: Vector) -> tuple[str | None, float]:
        match = self._gallery.match(np.asarray(vector, dtype=np.float32)[np.newaxis])[0]
        if match.student_id == student_id:
            return match.runner_up_id, match.runner_up_score
        return match.student_id, match.score

    def _replace(self, student_id: str, fused: Vector) -> None:
        # Gallery.build fuses everybody again: in an import of thousands of pictures that would be most of the work.
        old = self._gallery
        ids, centroids = old.student_ids, old.centroids
        if student_id in ids:
            centroids = centroids.copy()
            centroids[ids.index(student_id)] = fused
        else:
            ids, centroids = (*ids, student_id), np.vstack([centroids, fused])
        centroids.setflags(write=False)
        self._gallery = Gallery(old.pack_id, old.dimensions, ids, centroids)
