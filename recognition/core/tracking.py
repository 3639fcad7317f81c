"""Which face of this frame is which face of the frames before: overlap and distance, with time in seconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, isfinite

from recognition.core.face import Box, Face


@dataclass(frozen=True, slots=True)
class TrackingLimits:
    """How far a face may move between two frames and how long it may be missed."""

    lost_after_s: float = 1.5
    """A track that was not seen for this long is over."""
    reach: float = 0.6
    """How far, in face widths, a centre may jump however short the time: the detector's own jitter."""
    speed: float = 3.0
    """What is added to the reach, in face widths a second: a brisk walk past a camera."""
    longest_reach: float = 1.8
    """Where the reach ends: beyond this the neighbour in the next seat would be taken over."""
    most_growth: float = 2.0
    """The larger width over the smaller one; above this it is another face."""


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFace:
    """A face of this frame and the track it belongs to. Track ids are never used again by the same tracker."""

    track_id: int
    face: Face


@dataclass(slots=True)
class _Track:
    box: Box
    seen_at_s: float


class Tracker:
    """Follows faces from frame to frame. One instance belongs to one thread and one camera."""

    def __init__(self, limits: TrackingLimits | None = None) -> None:
        self._limits = limits or TrackingLimits()
        self._tracks: dict[int, _Track] = {}
        self._over: list[int] = []
        self._next_id = 1
        self._latest_s: float | None = None

    def update(self, faces: Sequence[Face], at_s: float) -> list[TrackedFace]:
        """Assign the faces of the frame taken at `at_s` (seconds of a clock that never goes back) to tracks.

        Returns one TrackedFace per face, in the order given. Raises ValueError when time went back.
        """
        self._advance(at_s)
        owner = self._assign(faces, at_s)
        tracked = []
        for index, face in enumerate(faces):
            track_id = owner.get(index)
            if track_id is None:
                track_id = self._next_id
                self._next_id += 1
            self._tracks[track_id] = _Track(face.box, at_s)
            tracked.append(TrackedFace(track_id, face))
        return tracked

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

    def _advance(self, at_s: float) -> None:
        if not isfinite(at_s) or (self._latest_s is not None and at_s < self._latest_s):
            raise ValueError(f"time went back from {self._latest_s} s to {at_s} s")
        self._latest_s = at_s
        # Ended before matching, or a face that appears later in the same place would inherit another one's evidence.
        lost = [i for i, track in self._tracks.items() if at_s - track.seen_at_s >= self._limits.lost_after_s]
        for track_id in lost:
            del self._tracks[track_id]
        self._over.extend(lost)

    def _assign(self, faces: Sequence[Face], at_s: float) -> dict[int, int]:
        """Pair faces with tracks, best pair first; face index -> track id."""
        pairs = []
        for index, face in enumerate(faces):
            for track_id, track in self._tracks.items():
                cost = self._cost(track, face.box, at_s)
                if cost is not None:
                    pairs.append((cost, track_id, index))
        owner: dict[int, int] = {}
        taken: set[int] = set()
        for _, track_id, index in sorted(pairs):
            if index not in owner and track_id not in taken:
                owner[index] = track_id
                taken.add(track_id)
        return owner

    def _cost(self, track: _Track, box: Box, at_s: float) -> float | None:
        """Return what it costs to say that `box` continues `track` (lower is better), or None when it cannot."""
        widths = sorted((track.box.width, box.width))
        if widths[0] <= 0 or widths[1] / widths[0] > self._limits.most_growth:
            return None
        (x0, y0), (x1, y1) = track.box.centre, box.centre
        # Measured in widths of both faces together: absolute pixels would favour faces far from the camera.
        distance = hypot(x1 - x0, y1 - y0) / ((widths[0] + widths[1]) / 2)
        reach = min(self._limits.reach + self._limits.speed * (at_s - track.seen_at_s), self._limits.longest_reach)
        if distance > reach:
            return None
        return distance - track.box.iou(box)
