"""Who the tracked faces are: good, different moments are embedded, compared and decided, track by track.

Vectors live in the tracks here, in memory, and end with them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from edge.core.frame import NS_PER_S, Frame
from edge.core.known import KnownStudents
from edge.core.looks import TrackState
from edge.core.zone import OUTSIDE_ZONE, Zone
from protocol.events import Stamp
from recognition.core.calibration import ScoreStatistics
from recognition.core.evidence import Decision, Scope, TrackEvidence
from recognition.core.face import ChipGeometry, Face, Image, Vector
from recognition.core.gallery import UNIT_TOLERANCE
from recognition.core.liveness import LivenessCheck, TrackLiveness
from recognition.core.looking import probe_vectors
from recognition.core.ports import FaceDetector, FaceEmbedder
from recognition.core.quality import FaceQuality, QualityLimits, judge, measure
from recognition.core.tracking import TrackedFace

CutChip = Callable[[Image, Face, ChipGeometry], Image]

_FRESH_S = 10.0
"""How long a decision speaks for whoever is in the track's place without another look at the face."""


@dataclass(frozen=True, slots=True)
class Eyes:
    """The parts that look at pixels. One thread."""

    detector: FaceDetector
    embedder: FaceEmbedder
    cut_chip: CutChip
    same_person_floor: float
    statistics: ScoreStatistics | None = None
    liveness: LivenessCheck | None = None
    """Without it a photograph can mark attendance."""


@dataclass(slots=True)
class TrackRecord:
    """What is known of one track."""

    evidence: TrackEvidence
    liveness: TrackLiveness | None
    last_seen: Stamp
    decision: Decision | None = None
    present_id: str | None = None
    """Whom the track's sightings are of, from the look that passed until a later one takes it back."""
    usable: bool = False
    splits: int = 0
    """How often the track passed to somebody else."""
    refusals: tuple[str, ...] = ()
    sampled_at_s: float = float("-inf")

    @property
    def kind(self) -> str:
        """What the track is taken for: a `present` that does not count (any more) is none."""
        if self.present_id is not None:
            return "present"
        kind = self.decision.kind if self.decision else "undecided"
        return "undecided" if kind == "present" else kind

    @property
    def state(self) -> TrackState:
        """The same for whoever watches: a track of which no moment could be compared is unusable."""
        if not self.usable:
            return "unusable"
        kind = self.kind
        return kind if kind in ("present", "review", "unknown") else "undecided"  # type: ignore[return-value]

    def sighting(self, stamp: Stamp) -> Decision | None:
        """Return the decision that makes or prolongs a presence now, None when nobody is certain or it is too old."""
        if self.present_id is None or self.decision is None:
            return None
        return self.decision if stamp.boottime_ns / NS_PER_S - self.sampled_at_s <= _FRESH_S else None


@dataclass(frozen=True, slots=True, eq=False)
class _Shot:
    """A face that is worth embedding."""

    track_id: int
    face: Face
    chip: Image
    quality: FaceQuality


@dataclass(slots=True)
class Identities:
    """The tracks of one camera. One thread."""

    eyes: Eyes
    limits: QualityLimits
    zone: Zone = field(default_factory=Zone)
    embedded: int = 0
    begun: int = 0
    tracks: dict[int, TrackRecord] = field(default_factory=dict)

    def learn(self, frame: Frame, fresh: Sequence[TrackedFace], known: KnownStudents) -> list[tuple[int, TrackRecord]]:
        """Embed the faces that are worth it, all in one batch, and decide their tracks again.

        Returns the records of tracks that passed to another person: they are over, and the track began anew.
        """
        shots = [shot for seen in fresh if (shot := self._shot(frame, seen))]
        if not shots:
            return []
        vectors = probe_vectors(self.eyes.embedder, [shot.chip for shot in shots])
        self.embedded += len(shots)
        over, embedded = [], []
        for shot, vector in zip(shots, vectors, strict=True):
            track = self.tracks[shot.track_id]
            if not _is_usable(vector):
                # A fault of the models and of nobody else: the other faces count, and the unit goes on.
                track.refusals = ("low_confidence",)
                continue
            if not track.evidence.add(vector, frame.at_s, shot.quality):
                # Another person: who came before has nothing to say about who is here now.
                over.append((shot.track_id, self.tracks.pop(shot.track_id)))
                track = self._begin_again(shot.track_id, frame.stamp, track)
                track.evidence.add(vector, frame.at_s, shot.quality)
            track.sampled_at_s = frame.at_s
            embedded.append(shot)
        self._check_liveness(frame, embedded)
        for shot in embedded:
            _decide(self.tracks[shot.track_id], known)
        return over

    def decide_again(self, known: KnownStudents, before: KnownStudents) -> None:
        """Hold every track against another gallery: its points and its students are those that count now."""
        for track in self.tracks.values():
            if track.decision is None:
                continue
            was = track.present_id
            _decide(track, known, same_points=_asks_the_same(known, before, was))
            if was is None or track.present_id != was:
                # A new gallery is no new look at anybody: it may take a presence back, and make none.
                track.present_id = None

    def end(self, track_id: int) -> TrackRecord | None:
        """Forget a track; return what was known of it."""
        return self.tracks.pop(track_id, None)

    def _begin(self, track_id: int, stamp: Stamp, looks: int = 0) -> TrackRecord:
        evidence = TrackEvidence(self.eyes.same_person_floor, statistics=self.eyes.statistics, looks=looks)
        liveness = TrackLiveness() if self.eyes.liveness is not None else None
        track = self.tracks[track_id] = TrackRecord(evidence, liveness, stamp)
        self.begun += 1
        return track

    def _begin_again(self, track_id: int, stamp: Stamp, before: TrackRecord) -> TrackRecord:
        """Begin the evidence of whoever took a track over.

        Once that is a person like any other. A track that is split again and again is one face in changing light, and
        must not get a first look, which has the largest share of the error, with every change.
        """
        track = self._begin(track_id, stamp, looks=before.evidence.looks if before.splits else 0)
        track.splits, track.usable = before.splits + 1, True
        return track

    def _shot(self, frame: Frame, seen: TrackedFace) -> _Shot | None:
        track = self.tracks.get(seen.track_id) or self._begin(seen.track_id, frame.stamp)
        track.refusals = ()
        if not track.evidence.may_want(frame.at_s):
            return None
        if not self.zone.holds(seen.face.box, frame.size_px):
            track.refusals = (OUTSIDE_ZONE,)
            return None
        if seen.face.box.width < self.limits.min_face_px:
            track.refusals = ("too_small",)
            return None
        return self._good_shot(frame, seen, track)

    def _good_shot(self, frame: Frame, seen: TrackedFace, track: TrackRecord) -> _Shot | None:
        try:
            chip = self.eyes.cut_chip(frame.image, seen.face, self.eyes.embedder.geometry)
        except ValueError:
            # Landmarks in one point: no face that could be compared, and no reason to stop the unit.
            track.refusals = ("low_confidence",)
            return None
        quality = measure(seen.face, chip, *frame.size_px)
        track.refusals = tuple(refusal.reason for refusal in judge(quality, self.limits))
        if track.refusals:
            return None
        track.usable = True
        return _Shot(seen.track_id, seen.face, chip, quality) if track.evidence.wants(frame.at_s, quality) else None

    def _check_liveness(self, frame: Frame, shots: Sequence[_Shot]) -> None:
        if self.eyes.liveness is None:
            return
        scores = self.eyes.liveness.score(frame.image, [shot.face.box for shot in shots])
        for shot, score in zip(shots, scores, strict=True):
            liveness = self.tracks[shot.track_id].liveness
            if liveness is not None:
                liveness.add(float(score), frame.at_s)


def _decide(track: TrackRecord, known: KnownStudents, *, same_points: bool = True) -> None:
    """Decide with the samples there are. The points grow with the looks, so that all of them together stay in FPIR."""
    extra = known.extra_margins
    room = Scope(known.gallery, known.points, extra)
    wider = Scope(known.wider, known.wider_points, extra) if known.wider and known.wider_points else None
    now = track.evidence.decide(room, known.look_alikes, wider)
    live = track.liveness is None or track.liveness.verdict() == "live"
    if now.kind == "present" and not live:
        # Not before the networks have seen enough, and if they never do, a person is asked.
        now = replace(now, kind="review", reason="liveness")
    may_stay = live and same_points
    if now.kind == "present":
        track.present_id = now.student_id
    elif track.present_id and not (may_stay and track.evidence.still(track.present_id, now, known.points)):
        track.present_id = None
    track.decision = now


def _asks_the_same(known: KnownStudents, before: KnownStudents, student_id: str | None) -> bool:
    """Say whether a student is found by the same score and the same lead as before."""
    if known.points != before.points:
        return False
    return student_id is None or known.extra_margins.get(student_id) == before.extra_margins.get(student_id)


def _is_usable(vector: Vector) -> bool:
    return bool(np.isfinite(vector).all()) and abs(float(np.linalg.norm(vector)) - 1.0) <= UNIT_TOLERANCE
