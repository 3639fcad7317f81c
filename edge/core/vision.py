"""A frame to events: is it worth looking at, who is in it, who came, who left.

Vectors live in the tracks here, in memory, and end with them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from edge.core.coverage import CoverageBook, Watch
from edge.core.frame import NS_PER_S, Frame
from edge.core.known import KnownStudents
from edge.core.motion import MotionGate
from edge.core.presence import UNNUMBERED, PresenceBook, Sighting
from protocol.events import Candidate, Event, Review, Stamp
from recognition.core.evidence import Decision, TrackEvidence
from recognition.core.face import ChipGeometry, Face, Image
from recognition.core.ports import FaceDetector, FaceEmbedder
from recognition.core.quality import FaceQuality, QualityLimits, judge, measure
from recognition.core.tracking import TrackedFace, Tracker, TrackingLimits

CutChip = Callable[[Image, Face, ChipGeometry], Image]

_LOOK_ALONE = 3
"""With three moments fused a stranger's chance is the stated one, and students are missed least (99 of 100 found)."""

_FRESH_S = 10.0
"""How long a decision speaks for whoever is in the track's place without another look at the face."""

_REPEAT_REVIEW_S = 60.0
"""The same question about the same people is asked once a minute at most."""


@dataclass(frozen=True, slots=True)
class Eyes:
    """The parts that look at pixels. One thread."""

    detector: FaceDetector
    embedder: FaceEmbedder
    cut_chip: CutChip
    same_person_floor: float


@dataclass(slots=True)
class Totals:
    """What was done since the start, for status and summaries."""

    frames: int = 0
    looked_at: int = 0
    faces: int = 0
    embedded: int = 0
    tracks: int = 0
    present: int = 0
    review: int = 0
    unknown: int = 0
    unusable: int = 0


@dataclass(slots=True)
class _Track:
    evidence: TrackEvidence
    last_seen: Stamp
    decision: Decision | None = None
    usable: bool = False
    agreed: bool = False
    """The decision counts: two looks in a row, at different moments, said the same student, or the third one did."""
    looks: int = 0
    sampled_at_s: float = float("-inf")

    def speaks(self, stamp: Stamp) -> bool:
        """Tell whether the decision may make or prolong a presence now."""
        return self.agreed and stamp.boottime_ns / NS_PER_S - self.sampled_at_s <= _FRESH_S


@dataclass(frozen=True, slots=True, eq=False)
class _Shot:
    """A face that is worth embedding."""

    track_id: int
    chip: Image
    quality: FaceQuality


@dataclass(slots=True)
class Vision:
    """The road of a frame, one step after the other. One thread.

    Events it returns have no seq yet; the journal numbers them when it stores them.
    """

    eyes: Eyes
    book: PresenceBook
    coverage: CoverageBook
    new_id: Callable[[], str]
    limits: QualityLimits = field(default_factory=QualityLimits)
    mode: Literal["door", "sweep"] = "door"
    tracking: TrackingLimits = field(default_factory=TrackingLimits)
    totals: Totals = field(default_factory=Totals)
    _gate: MotionGate = field(default_factory=MotionGate)
    _tracker: Tracker = field(init=False)
    _tracks: dict[int, _Track] = field(default_factory=dict)
    _faces: list[Face] = field(default_factory=list)
    _scene: int | None = None
    _asked: dict[frozenset[str], float] = field(default_factory=dict)
    _known: KnownStudents | None = None

    def __post_init__(self) -> None:
        """Begin without tracks."""
        self._tracker = Tracker(self.tracking)

    def process(self, frame: Frame, known: KnownStudents) -> list[Event]:
        """Look at one frame; return what happened.

        Raises ValueError when the frame's boot clock went back (another boot, a restarted recording): call `cut`.
        """
        self.totals.frames += 1
        if known is not self._known:
            self._known = known
            self._decide_again(known)
        events: list[Event] = []
        if frame.scene != self._scene:
            events += self.cut(frame.stamp, known)
            self._scene = frame.scene
        looking = self._gate.worth_looking(frame.image, frame.at_s)
        if looking:
            self.totals.looked_at += 1
            self._faces = self.eyes.detector.detect(frame.image)
            self.totals.faces += len(self._faces)
        # Where nothing moved, the faces are where they were: they are still seen, without being looked for again.
        tracked = self._tracker.update(self._faces, frame.at_s)
        if looking:
            events += self._learn(frame, tracked, known)
        events += self._sightings(frame.stamp, tracked, known)
        for track_id in self._tracker.ended(frame.at_s):
            events += self._end_track(track_id, frame.stamp, known)
        events += self.book.tick(frame.stamp, known.lessons)
        watch = Watch(self.mode, known.revision, self.eyes.embedder.pack_id, known.gallery.size)
        covered = self.coverage.frame(frame.stamp, watch)
        return [*events, covered] if covered else events

    def cut(self, stamp: Stamp, known: KnownStudents) -> list[Event]:
        """End every track: what follows has nothing to do with what was before."""
        self._gate, self._faces = MotionGate(), []
        return [event for track_id in self._tracker.end_all() for event in self._end_track(track_id, stamp, known)]

    def finish(self, stamp: Stamp, known: KnownStudents) -> list[Event]:
        """Close everything that is open: the program stops or the recording is over."""
        events = [*self.cut(stamp, known), *self.book.close_all("stop")]
        covered = self.coverage.finish()
        return [*events, covered] if covered else events

    def _learn(self, frame: Frame, tracked: Sequence[TrackedFace], known: KnownStudents) -> list[Event]:
        """Embed the faces that are worth it, all in one batch, and decide their tracks again."""
        events: list[Event] = []
        shots = [shot for seen in tracked if (shot := self._shot(frame, seen))]
        if not shots:
            return events
        vectors = self.eyes.embedder.embed([shot.chip for shot in shots])
        self.totals.embedded += len(shots)
        for shot, vector in zip(shots, vectors, strict=True):
            track = self._tracks[shot.track_id]
            if not track.evidence.add(vector, frame.at_s, shot.quality):
                # Another person: who came before has nothing to say about who is here now.
                events += self._end_track(shot.track_id, frame.stamp, known)
                track = self._begin_track(shot.track_id, frame.stamp)
                track.usable = True
                track.evidence.add(vector, frame.at_s, shot.quality)
            self._decide(track, known, frame.at_s)
        return events

    def _decide(self, track: _Track, known: KnownStudents, at_s: float) -> None:
        """Decide with the newest sample, and whether that counts.

        Points are set for one decision a track; every further look is another chance for a stranger. So one look stands
        alone, the one with three moments fused; before and after it, present counts when two looks in a row agree.
        """
        before, now = track.decision, track.evidence.decide(known.gallery, known.points, known.look_alikes)
        same = before is not None and (before.kind, before.student_id) == (now.kind, now.student_id)
        track.looks += 1
        track.agreed = now.kind == "present" and (same or track.looks == _LOOK_ALONE)
        track.decision, track.sampled_at_s = now, at_s

    def _decide_again(self, known: KnownStudents) -> None:
        """Hold every track against another gallery: its points and its students are those that count now."""
        for track in self._tracks.values():
            if track.decision is None:
                continue
            before, now = track.decision, track.evidence.decide(known.gallery, known.points, known.look_alikes)
            track.agreed = track.agreed and (now.kind, now.student_id) == (before.kind, before.student_id)
            track.decision = now

    def _begin_track(self, track_id: int, stamp: Stamp) -> _Track:
        track = self._tracks[track_id] = _Track(TrackEvidence(self.eyes.same_person_floor), stamp)
        self.totals.tracks += 1
        return track

    def _shot(self, frame: Frame, seen: TrackedFace) -> _Shot | None:
        track = self._tracks.get(seen.track_id) or self._begin_track(seen.track_id, frame.stamp)
        if not track.evidence.wants(frame.at_s) or seen.face.box.width < self.limits.min_face_px:
            return None
        try:
            chip = self.eyes.cut_chip(frame.image, seen.face, self.eyes.embedder.geometry)
        except ValueError:
            # Landmarks in one point: no face that could be compared, and no reason to stop the unit.
            return None
        quality = measure(seen.face, chip, *frame.size_px)
        if judge(quality, self.limits):
            return None
        track.usable = True
        return _Shot(seen.track_id, chip, quality)

    def _sightings(self, stamp: Stamp, tracked: Sequence[TrackedFace], known: KnownStudents) -> list[Event]:
        events: list[Event] = []
        for seen in tracked:
            track = self._tracks.get(seen.track_id)
            if track is None:
                continue
            track.last_seen = stamp
            decision = track.decision
            if decision is None or decision.student_id is None or not track.speaks(stamp):
                continue
            if not known.recognises(decision.student_id):
                # Erased, withdrawn or moved to another room since the decision was made.
                continue
            who = Sighting(
                student_id=decision.student_id,
                score=decision.score,
                margin=decision.margin,
                samples=decision.samples,
                gallery_revision=known.revision,
                pack_id=self.eyes.embedder.pack_id,
            )
            events += self.book.sighting(who, stamp, known.lessons)
        return events

    def _end_track(self, track_id: int, stamp: Stamp, known: KnownStudents) -> list[Event]:
        track = self._tracks.pop(track_id, None)
        if track is None:
            return []
        kind = track.decision.kind if track.decision else "undecided"
        if kind == "present" and not track.agreed:
            kind = "undecided"
        # Too few samples for "unknown" still means: somebody was there and was not named.
        unknown = track.usable and kind in ("unknown", "undecided")
        self.coverage.ended_track(unknown=unknown, unusable=not track.usable)
        self.totals.unknown += unknown
        self.totals.unusable += not track.usable
        self.totals.present += kind == "present"
        self.totals.review += kind == "review"
        if track.decision is None or kind != "review":
            return []
        return self._ask(track.decision, track.last_seen, stamp, known)

    def _ask(self, decision: Decision, last_seen: Stamp, stamp: Stamp, known: KnownStudents) -> list[Event]:
        listed = [(who, score) for who, score in decision.candidates if known.recognises(who)]
        candidates = tuple(Candidate(student_id=who, score=score) for who, score in listed[:5])
        key = frozenset(candidate.student_id for candidate in candidates)
        now_s = stamp.boottime_ns / NS_PER_S
        self._asked = {k: at_s for k, at_s in self._asked.items() if 0 <= now_s - at_s < _REPEAT_REVIEW_S}
        if not candidates or key in self._asked:
            return []
        self._asked[key] = now_s
        return [
            Review(
                # When somebody was there: the track may have ended long after, with the camera's next frame.
                **last_seen.model_dump(),
                event_id=self.new_id(),
                seq=UNNUMBERED,
                candidates=candidates,
                reason=decision.reason,
                samples=decision.samples,
                gallery_revision=known.revision,
                pack_id=self.eyes.embedder.pack_id,
            )
        ]
