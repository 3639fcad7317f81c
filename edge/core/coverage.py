"""What the unit watched, and what it saw and could not name: the ground for Not seen and Not observed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from edge.core.frame import NS_PER_S
from edge.core.presence import UNNUMBERED
from protocol.events import Coverage, Stamp


@dataclass(frozen=True, slots=True)
class Watch:
    """With what the unit is watching; a change starts a new coverage event."""

    mode: Literal["door", "sweep"]
    gallery_revision: int
    pack_id: str
    students: int


@dataclass(slots=True)
class _Counts:
    tracks: int = 0
    unknown_faces: int = 0
    unusable_faces: int = 0
    watched_ns: int = 0


@dataclass(slots=True)
class CoverageBook:
    """Adds frames up to coverage events, one each `every_s` and one at each change. One thread."""

    new_id: Callable[[], str]
    every_s: float = 60.0
    longest_gap_s: float = 5.0
    """Frames further apart leave a hole: in between, the unit was not watching."""
    _watch: Watch | None = None
    _first: Stamp | None = None
    _last: Stamp | None = None
    _counts: _Counts = field(default_factory=_Counts)

    def frame(self, stamp: Stamp, watch: Watch) -> Coverage | None:
        """Count one frame; return the coverage event it completes."""
        done = None
        if self._first is not None and (watch != self._watch or self._age_s(stamp) >= self.every_s):
            self._count_gap(stamp)
            done = self.finish()
        else:
            self._count_gap(stamp)
        if self._first is None:
            self._first, self._watch = stamp, watch
        self._last = stamp
        return done

    def ended_track(self, *, unknown: bool, unusable: bool) -> None:
        """Count a track that is over."""
        self._counts.tracks += 1
        self._counts.unknown_faces += unknown
        self._counts.unusable_faces += unusable

    def finish(self) -> Coverage | None:
        """Return what was watched since the last coverage event, or None when nothing was."""
        if self._first is None or self._last is None or self._watch is None:
            return None
        counts, first, last, watch = self._counts, self._first, self._last, self._watch
        self._first, self._counts = None, _Counts()
        span_s = (last.boottime_ns - first.boottime_ns) / NS_PER_S
        return Coverage(
            **last.model_dump(),
            event_id=self.new_id(),
            seq=UNNUMBERED,
            # By the boot clock: the wall clock may have been set in between.
            since=last.at - timedelta(seconds=span_s),
            watched_s=counts.watched_ns / NS_PER_S,
            mode=watch.mode,
            gallery_revision=watch.gallery_revision,
            pack_id=watch.pack_id,
            students=watch.students,
            tracks=counts.tracks,
            unknown_faces=counts.unknown_faces,
            unusable_faces=counts.unusable_faces,
        )

    def _age_s(self, stamp: Stamp) -> float:
        return (stamp.boottime_ns - self._first.boottime_ns) / NS_PER_S if self._first else 0.0

    def _count_gap(self, stamp: Stamp) -> None:
        if self._last is None or self._first is None:
            return
        gap_ns = stamp.boottime_ns - self._last.boottime_ns
        if 0 < gap_ns <= self.longest_gap_s * NS_PER_S:
            self._counts.watched_ns += gap_ns
            # The gap to the frame that completes an event still belongs to that event.
            self._last = stamp
