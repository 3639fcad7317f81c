"""A frame to events: where to look, who is in it, who came, who left."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from edge.core.coverage import CoverageBook, Watch
from edge.core.frame import NS_PER_S, Frame
from edge.core.identities import Eyes, Identities, TrackRecord
from edge.core.known import KnownStudents
from edge.core.looks import Look, TrackView
from edge.core.presence import UNNUMBERED, PresenceBook, Sighting
from edge.core.sight import Glance, Sight
from edge.core.zone import Zone
from protocol.events import Candidate, Event, Review, Stamp
from recognition.core.evidence import Decision
from recognition.core.quality import QualityLimits
from recognition.core.tracking import Tracker, TrackingLimits

_REPEAT_REVIEW_S = 60.0
"""The same question about the same people is asked once a minute at most."""


@dataclass(slots=True)
class Totals:
    """What was done since the start, for status and summaries."""

    frames: int = 0
    looked_at: int = 0
    searched: int = 0
    faces: int = 0
    embedded: int = 0
    tracks: int = 0
    present: int = 0
    review: int = 0
    unknown: int = 0
    unusable: int = 0


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
    zone: Zone = field(default_factory=Zone)
    on_look: Callable[[Look], None] | None = None
    """Told of every frame what was made of it; for a picture of the unit at work."""
    totals: Totals = field(default_factory=Totals)
    _sight: Sight = field(init=False)
    _identities: Identities = field(init=False)
    _scene: int | None = None
    _asked: dict[frozenset[str], float] = field(default_factory=dict)
    _known: KnownStudents | None = None

    def __post_init__(self) -> None:
        """Begin without tracks."""
        self._sight = Sight(self.eyes.detector, Tracker(self.tracking), self.limits.min_confidence)
        self._identities = Identities(self.eyes, self.limits, self.zone)

    def process(self, frame: Frame, known: KnownStudents) -> list[Event]:
        """Look at one frame; return what happened.

        Raises ValueError when the frame's boot clock went back (another boot, a restarted recording): call `cut`.
        """
        self.totals.frames += 1
        if known is not self._known:
            if self._known is not None:
                self._identities.decide_again(known, self._known)
            self._known = known
        events: list[Event] = []
        if frame.scene != self._scene:
            events += self.cut(frame.stamp, known)
            self._scene = frame.scene
        glance = self._sight.look(frame.image, frame.at_s)
        self._count(glance)
        for _, record in self._identities.learn(frame, glance.fresh, known):
            events += self._over(record, frame.stamp, known)
        events += self._sightings(frame.stamp, glance, known)
        for track_id in self._sight.tracker.ended(frame.at_s):
            events += self._end_track(track_id, frame.stamp, known)
        events += self.book.tick(frame.stamp, known.lessons)
        watch = Watch(self.mode, known.revision, self.eyes.embedder.pack_id, known.gallery.size)
        covered = self.coverage.frame(frame.stamp, watch)
        self._show(frame, glance)
        return [*events, covered] if covered else events

    def cut(self, stamp: Stamp, known: KnownStudents) -> list[Event]:
        """End every track: what follows has nothing to do with what was before."""
        return [event for track_id in self._sight.forget() for event in self._end_track(track_id, stamp, known)]

    def finish(self, stamp: Stamp, known: KnownStudents) -> list[Event]:
        """Close everything that is open: the program stops or the recording is over."""
        events = [*self.cut(stamp, known), *self.book.close_all("stop")]
        covered = self.coverage.finish()
        return [*events, covered] if covered else events

    def _count(self, glance: Glance) -> None:
        fresh = len(glance.fresh)
        self.totals.looked_at += glance.searched or not glance.plan.still
        self.totals.searched += glance.searched
        self.totals.faces += fresh

    def _sightings(self, stamp: Stamp, glance: Glance, known: KnownStudents) -> list[Event]:
        self.totals.embedded, self.totals.tracks = self._identities.embedded, self._identities.begun
        events: list[Event] = []
        for seen in glance.tracked:
            track = self._identities.tracks.get(seen.track_id)
            if track is None:
                continue
            track.last_seen = stamp
            decision = track.sighting(stamp)
            if decision is None or track.present_id is None or not known.recognises(track.present_id):
                # Nobody certain; or erased, withdrawn or moved to another room since the decision was made.
                continue
            who = Sighting(
                student_id=track.present_id,
                score=decision.score,
                margin=decision.margin,
                samples=decision.samples,
                gallery_revision=known.revision,
                pack_id=self.eyes.embedder.pack_id,
            )
            events += self.book.sighting(who, stamp, known.lessons)
        return events

    def _end_track(self, track_id: int, stamp: Stamp, known: KnownStudents) -> list[Event]:
        record = self._identities.end(track_id)
        return self._over(record, stamp, known) if record else []

    def _over(self, record: TrackRecord, stamp: Stamp, known: KnownStudents) -> list[Event]:
        kind = record.kind
        # Too few samples for "unknown" still means: somebody was there and was not named.
        unknown = record.usable and kind in ("unknown", "undecided")
        self.coverage.ended_track(unknown=unknown, unusable=not record.usable)
        self.totals.unknown += unknown
        self.totals.unusable += not record.usable
        self.totals.present += kind == "present"
        self.totals.review += kind == "review"
        if record.decision is None or kind != "review":
            return []
        return self._ask(record.decision, record.last_seen, stamp, known)

    def _ask(self, decision: Decision, last_seen: Stamp, stamp: Stamp, known: KnownStudents) -> list[Event]:
        listed = [
            (who, score)
            for who, score in decision.candidates
            if known.recognises(who) or known.recognises_elsewhere(who)
        ]
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

    def _show(self, frame: Frame, glance: Glance) -> None:
        if self.on_look is None:
            return
        views = []
        for seen in glance.tracked:
            record = self._identities.tracks.get(seen.track_id)
            if record is None:
                continue
            how = glance.found_by[seen.track_id]
            views.append(
                TrackView(
                    track_id=seen.track_id,
                    box_xywh=seen.face.box,
                    state=record.state,
                    student_id=record.present_id,
                    samples=record.evidence.samples,
                    refusals=record.refusals if how != "still" else (),
                    found_by=how,
                )
            )
        regions = (glance.plan.region,) if glance.plan.region is not None else ()
        kind = "search" if glance.searched else "still" if glance.plan.still else "follow"
        self.on_look(Look(frame.stamp, frame.image, tuple(views), regions, kind))
