"""Which face of this frame is which face of the frames before: by where each is expected, with time in seconds.

Tracks are asked where their face should be now (`motion_model`), and the faces found are given to them so that all
fits best together (`assignment`). Who somebody is plays no part: a track that goes over to another person is split by
the evidence.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import hypot, inf, isfinite

import numpy as np

from recognition.core.assignment import best_pairs
from recognition.core.face import Box, Face
from recognition.core.motion_model import Motion, usable

Reach = Callable[[int, Motion], float]
"""How far, in face widths, the face of a track (id, where it is expected) may be from there."""


@dataclass(frozen=True, slots=True)
class TrackingLimits:
    """How far a face may be from where it is expected, how long it may be missed, and what is one face found twice."""

    lost_after_s: float = 1.5
    """A track that was not seen for this long is over."""
    reach: float = 0.6
    """How far, in face widths, a face may be from where it is expected however short the time: jitter, a jerk."""
    speed: float = 8.0
    """What is added to the reach, in face widths a second, since the track was seen: somebody walks by."""
    longest_reach: float = 1.8
    """Where the reach ends: beyond this the neighbour in the next seat would be taken over."""
    leaving_reach: float = 0.3
    """The reach of a track whose face must be outside of the picture by now: who comes in there is somebody else."""
    most_growth: float = 2.0
    """The larger width over the smaller one; above this it is another face."""
    continuing: float = 4.0
    """What continuing a track is worth beside the surprises that it takes, in natural logarithms of likelihood."""
    same_overlap: float = 0.6
    """Two faces of one frame that overlap this much (intersection over union) are one face found twice."""
    new_overlap: float = 0.4
    """As much is enough where one of them would have to begin a track: heads side by side overlap less."""
    new_inside: float = 0.8
    """So is a face of which this share lies inside of another one: it would be hidden if it were real."""


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFace:
    """A face of this frame and the track it belongs to. Track ids are never used again by the same tracker."""

    track_id: int
    face: Face


@dataclass(slots=True)
class _Track:
    seen_at_s: float
    motion: Motion | None
    """None for a box that cannot be reckoned with: nothing continues it."""


class Tracker:
    """Follows faces from frame to frame. One instance belongs to one thread and one camera."""

    def __init__(self, limits: TrackingLimits | None = None) -> None:
        self._limits = limits or TrackingLimits()
        self._tracks: dict[int, _Track] = {}
        self._over: list[int] = []
        self._next_id = 1
        self._latest_s: float | None = None

    def update(
        self,
        faces: Sequence[Face],
        at_s: float,
        *,
        followed: Mapping[int, Face] | None = None,
        weak: Sequence[Face] = (),
        picture_px: tuple[float, float] | None = None,
    ) -> list[TrackedFace]:
        """Give the faces of the frame taken at `at_s` (seconds of a clock that never goes back) to tracks.

        `faces` are what a detector is sure of: each continues a track or begins one. `weak` is what it is not sure of,
        which only continues tracks that got nothing else. `followed` (track id -> face) was found by looking where that
        track's face is expected: the track goes on with it, unless it is out of reach, also found for another track, or
        among `faces`; then it counts as weak, and one of `faces` takes its place.

        `picture_px` (width, height) lets the tracker know when somebody must have gone out of the picture.

        A face that is another one found twice is left out. Returns one TrackedFace for each face used: those of `faces`
        in the order given, then of `followed`, then of `weak`. Raises ValueError when time went back.
        """
        self._advance(at_s)
        followed = dict(sorted((followed or {}).items()))
        found = [*faces, *followed.values(), *weak]
        asked = dict(zip(range(len(faces), len(faces) + len(followed)), followed, strict=True))
        expected = {i: track.motion.ahead(at_s) for i, track in self._tracks.items() if track.motion is not None}
        reach = self._reach(at_s, picture_px)
        sure = self._once_each(found, range(len(faces)), self._is_double)
        owners = self._continued(found, sure, asked, expected, reach)
        owners |= self._paired(found, sure, _without(expected, owners), reach)
        rest = [index for index in range(len(faces), len(found)) if index not in owners]
        rest = self._once_each(found, rest, self._is_one_face, beside={*owners, *sure})
        # What is not sure must be where a face is expected: with a long reach a shadow would do for a hidden face.
        owners |= self._paired(found, rest, _without(expected, owners), lambda *_: self._limits.reach)
        news = [index for index in sure if index not in owners]
        for index in sorted(self._once_each(found, news, self._is_one_face, beside=owners)):
            owners[index] = self._next_id
            self._next_id += 1
        for index, track_id in owners.items():
            self._tracks[track_id] = _Track(at_s, _moved(expected.get(track_id), found[index].box, at_s))
        return [TrackedFace(track_id, found[index]) for index, track_id in sorted(owners.items())]

    def predicted(self, at_s: float) -> dict[int, Box]:
        """Return where the face of each live track is expected at `at_s` (seconds), by track id; nothing is changed.

        Raises ValueError when time went back.
        """
        self._check_time(at_s)
        return {
            track_id: track.motion.ahead(at_s).box
            for track_id, track in self._tracks.items()
            if track.motion is not None and not self._is_lost(track, at_s)
        }

    def ended(self, at_s: float) -> list[int]:
        """Return, once each, the tracks that were not seen for `lost_after_s`, oldest first."""
        self._advance(at_s)
        over, self._over = self._over, []
        return over

    def end_all(self) -> list[int]:
        """End every track (another scene, another camera, a new clock) and return those not yet reported."""
        over = self._over + sorted(self._tracks)
        self._tracks.clear()
        self._over = []
        self._latest_s = None
        return over

    def _check_time(self, at_s: float) -> None:
        if not isfinite(at_s) or (self._latest_s is not None and at_s < self._latest_s):
            raise ValueError(f"time went back from {self._latest_s} s to {at_s} s")

    def _is_lost(self, track: _Track, at_s: float) -> bool:
        return at_s - track.seen_at_s >= self._limits.lost_after_s

    def _advance(self, at_s: float) -> None:
        self._check_time(at_s)
        self._latest_s = at_s
        # Ended before matching, or a face that appears later in the same place would inherit another one's evidence.
        lost = [track_id for track_id, track in self._tracks.items() if self._is_lost(track, at_s)]
        for track_id in lost:
            del self._tracks[track_id]
        self._over.extend(lost)

    def _reach(self, at_s: float, picture_px: tuple[float, float] | None) -> Reach:
        limits = self._limits

        def reach(track_id: int, motion: Motion) -> float:
            if picture_px and not (0 <= motion.x <= picture_px[0] and 0 <= motion.y <= picture_px[1]):
                return limits.leaving_reach
            missed_s = at_s - self._tracks[track_id].seen_at_s
            return min(limits.reach + limits.speed * missed_s, limits.longest_reach)

        return reach

    def _continued(
        self,
        found: Sequence[Face],
        sure: Iterable[int],
        asked: Mapping[int, int],
        expected: Mapping[int, Motion],
        reach: Reach,
    ) -> dict[int, int]:
        """Return which of the faces that were looked for (index -> track id) are their tracks' beyond doubt."""
        kept = {}
        others = [*sure, *asked]
        for index, track_id in asked.items():
            box, motion = found[index].box, expected.get(track_id)
            if motion is None or self._distance(motion, box) > reach(track_id, motion):
                continue
            if not any(self._is_one_face(box, found[other].box) for other in others if other != index):
                kept[index] = track_id
        return kept

    def _paired(
        self,
        found: Sequence[Face],
        indices: Iterable[int],
        expected: Mapping[int, Motion],
        reach: Reach,
    ) -> dict[int, int]:
        """Give faces to tracks so that all together fits best; face index -> track id."""
        # In an order of their own: how a detector lists its faces must not settle anything.
        rows = sorted((i for i in indices if usable(found[i].box)), key=lambda i: _place(found[i].box))
        if not rows or not expected:
            return {}
        columns = sorted(expected, key=lambda i: (_place(expected[i].box), i))
        worth = np.full((len(rows), len(columns)), -np.inf)
        for column, track_id in enumerate(columns):
            motion = expected[track_id]
            furthest = reach(track_id, motion)
            for row, index in enumerate(rows):
                if self._distance(motion, found[index].box) <= furthest:
                    worth[row, column] = self._limits.continuing - motion.surprise(found[index].box)
        return {rows[row]: columns[column] for row, column in best_pairs(worth)}

    def _distance(self, motion: Motion, box: Box) -> float:
        """Return how far `box` is from where a face is expected, in widths of both; inf when it cannot be that face."""
        if not usable(box):
            return inf
        widths = sorted((motion.width, box.width))
        if widths[1] / widths[0] > self._limits.most_growth:
            return inf
        x, y = box.centre
        # Measured in widths of both faces together: absolute pixels would favour faces far from the camera.
        return hypot(x - motion.x, y - motion.y) / ((widths[0] + widths[1]) / 2)

    def _is_double(self, one: Box, other: Box) -> bool:
        return one.iou(other) >= self._limits.same_overlap

    def _is_one_face(self, one: Box, other: Box) -> bool:
        overlap = one.iou(other)
        shared = overlap / (1 + overlap) * (one.area_px + other.area_px)
        smaller = min(one.area_px, other.area_px)
        return overlap >= self._limits.new_overlap or shared >= self._limits.new_inside * smaller > 0

    def _once_each(
        self,
        found: Sequence[Face],
        indices: Iterable[int],
        same: Callable[[Box, Box], bool],
        beside: Iterable[int] = (),
    ) -> list[int]:
        """Return `indices` without faces that are the `same` as one `beside` them or as a surer one among them."""
        kept = list(beside)
        given = len(kept)
        for index in sorted(indices, key=lambda i: (-found[i].confidence, -found[i].box.area_px, _place(found[i].box))):
            if not any(same(found[index].box, found[other].box) for other in kept):
                kept.append(index)
        return kept[given:]


def _place(box: Box) -> tuple[float, float, float, float]:
    return box.x, box.y, box.width, box.height


def _without(expected: Mapping[int, Motion], owners: Mapping[int, int]) -> dict[int, Motion]:
    """Return the tracks that have no face yet."""
    taken = set(owners.values())
    return {track_id: motion for track_id, motion in expected.items() if track_id not in taken}


def _moved(expected: Motion | None, box: Box, at_s: float) -> Motion | None:
    if not usable(box):
        return None
    return expected.corrected(box) if expected else Motion.begin(box, at_s)
