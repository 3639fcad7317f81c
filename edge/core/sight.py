"""A frame to tracked faces, with as little looking as possible."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from edge.core.attention import Attention, Plan
from edge.core.looks import FoundBy
from recognition.core.face import Box, Face, Image
from recognition.core.ports import FaceDetector
from recognition.core.tracking import TrackedFace, Tracker

_BORDER_PX = 2.0
_SAME = 0.3
"""Overlap from which a detection is the face that was expected there: it need not be followed as well."""


@dataclass(frozen=True, slots=True, eq=False)
class Glance:
    """The faces in a frame and how each was found."""

    tracked: tuple[TrackedFace, ...]
    found_by: dict[int, FoundBy]
    plan: Plan
    searched: bool

    @property
    def fresh(self) -> tuple[TrackedFace, ...]:
        """The faces that were looked at in this frame: of the others the picture says nothing new."""
        return tuple(seen for seen in self.tracked if self.found_by[seen.track_id] != "still")


@dataclass(slots=True)
class Sight:
    """Attention, detector and tracker together. One thread."""

    detector: FaceDetector
    tracker: Tracker
    sure_from: float
    """Confidence from which a detection may begin a track; a weaker one can only continue one."""
    attention: Attention = field(default_factory=Attention)
    _visible: dict[int, Face] = field(default_factory=dict)
    """The faces of the frame before, by track."""

    def look(self, image: Image, at_s: float) -> Glance:
        """Find the faces of the frame taken at `at_s` (seconds). Raises ValueError when time went back."""
        size_px = (float(image.shape[1]), float(image.shape[0]))
        expected = {i: box for i, box in self.tracker.predicted(at_s).items() if i in self._visible}
        plan = self.attention.plan(image, at_s, expected)
        found = self._search(image, plan, expected)
        searched = plan.search != "nowhere"
        followed, missed = self._follow(image, plan, expected, found)
        if missed and plan.search != "everywhere":
            # It moved faster than expected, and a track that is not found again soon is broken.
            if self.attention.may_search_again(at_s):
                found, searched = self.detector.detect(image), True
                self.attention.searched(at_s)
            else:
                self.attention.missed()
        still = {i: face for i, face in self._visible.items() if i not in plan.moved}
        tracked = self.tracker.update(
            [face for face in found if face.confidence >= self.sure_from],
            at_s,
            followed={**still, **followed},
            weak=[face for face in found if face.confidence < self.sure_from],
            picture_px=size_px,
        )
        self._visible = {seen.track_id: seen.face for seen in tracked}
        return Glance(tuple(tracked), _found_by(tracked, followed.values(), still.values()), plan, searched)

    def forget(self) -> list[int]:
        """End every track and begin anew, for another scene; return the tracks not yet reported as ended."""
        self.attention = Attention(self.attention.motion, self.attention.limits)
        self._visible = {}
        return self.tracker.end_all()

    def _search(self, image: Image, plan: Plan, expected: Mapping[int, Box]) -> list[Face]:
        if plan.search == "nowhere":
            return []
        if plan.region is None:
            return self.detector.detect(image)
        left, top = int(plan.region.x), int(plan.region.y)
        right, bottom = left + int(plan.region.width), top + int(plan.region.height)
        found = [_moved(face, left, top) for face in self.detector.detect(image[top:bottom, left:right])]
        # A known face that the part cuts through is followed whole instead.
        height, width = image.shape[:2]
        inner = (left > 0, top > 0, right < width, bottom < height)
        cut = [_is_cut(face.box, plan.region, inner) for face in found]
        return [
            face
            for face, is_cut in zip(found, cut, strict=True)
            if not (is_cut and any(face.box.iou(box) > 0 for box in expected.values()))
        ]

    def _follow(
        self, image: Image, plan: Plan, expected: dict[int, Box], found: list[Face]
    ) -> tuple[dict[int, Face], list[int]]:
        """Look for the faces that moved and were not found by the search; return those found, and those missed."""
        wanted = [i for i in sorted(plan.moved) if i in expected and all(f.box.iou(expected[i]) < _SAME for f in found)]
        answers = self.detector.follow(image, [expected[i] for i in wanted])
        pairs = list(zip(wanted, answers, strict=True))
        return {i: face for i, face in pairs if face is not None}, [i for i, face in pairs if face is None]


def _found_by(tracked: Iterable[TrackedFace], followed: Iterable[Face], still: Iterable[Face]) -> dict[int, FoundBy]:
    how: dict[int, FoundBy] = {id(face): "still" for face in still}
    how.update({id(face): "follow" for face in followed})
    return {seen.track_id: how.get(id(seen.face), "search") for seen in tracked}


def _is_cut(box: Box, region: Box, inner: tuple[bool, bool, bool, bool]) -> bool:
    """Tell whether a box reaches a border of the region (left, top, right, bottom) that is none of the picture's."""
    reaches = (
        box.x <= region.x + _BORDER_PX,
        box.y <= region.y + _BORDER_PX,
        box.x + box.width >= region.x + region.width - _BORDER_PX,
        box.y + box.height >= region.y + region.height - _BORDER_PX,
    )
    return any(is_inner and reached for is_inner, reached in zip(inner, reaches, strict=True))


def _moved(face: Face, right: int, down: int) -> Face:
    box = face.box
    landmarks = (face.landmarks + np.array([right, down], dtype=np.float32)).astype(np.float32)
    return Face(Box(box.x + right, box.y + down, box.width, box.height), landmarks, face.confidence)
