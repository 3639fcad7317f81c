"""Everybody enrolled with one model pack, and whether a picture shows one of them."""

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
    """Whether a picture may be somebody else's. `looks_like` is another student it may show, with the score."""

    outcome: Literal["accepted", "look_alike"]
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

    def members_of(self, student_id: str) -> list[Vector]:
        """Return the vectors of the student's pictures in the order in which they were added."""
        return list(self._members.get(student_id, ()))

    def judge(self, student_id: str, vector: Vector, limits: Limits, *, allowed: Iterable[str]) -> Verdict:
        """Say whether a picture of one student shows another one.

        `allowed` are students of whom a person has said that they merely look alike. This question comes before the
        one whether it is like the student's own pictures (`hub.core.enrolment_outliers`): a picture of somebody
        else's face is worse than a bad picture of one's own.
        """
        scores = np.clip(self._gallery.centroids @ np.asarray(vector, dtype=np.float32), -1.0, 1.0)
        like = [row for row in np.flatnonzero(scores >= limits.anybody) if self._gallery.student_ids[row] != student_id]
        if not like:
            return Verdict("accepted")
        like.sort(key=lambda row: -scores[row])
        known = set(allowed)
        # A twin who is allowed must not hide that somebody else has this face too.
        strange = [row for row in like if self._gallery.student_ids[row] not in known]
        closest = int((strange or like)[0])
        outcome: Literal["accepted", "look_alike"] = "look_alike" if strange else "accepted"
        return Verdict(outcome, self._gallery.student_ids[closest], float(scores[closest]))

    def add(self, student_id: str, vector: Vector) -> None:
        """Take in an accepted picture."""
        row = np.asarray(vector, dtype=np.float32)[np.newaxis]
        known = self._members.get(student_id)
        members = row if known is None else np.concatenate([known, row])
        template = Template(student_id, self._gallery.pack_id, members)
        self._members[student_id] = template.members
        self._replace(student_id, template.fused)

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
