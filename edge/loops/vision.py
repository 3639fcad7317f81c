"""Mailbox to record: one frame at a time through the pipeline, and what it found onto disk."""

from collections.abc import Callable
from dataclasses import dataclass, field

from edge.core.frame import NS_PER_S
from edge.core.known import KnownStudents
from edge.core.ports import Clock, Journal
from edge.core.presence import closing_event
from edge.core.vision import Vision
from edge.loops.mailbox import Mailbox
from edge.loops.recorder import Recorder
from protocol.events import Event, Stamp

_REMEMBER_EVERY_S = 5.0
_TAKE_TIMEOUT_S = 0.5
_RATE_OVER_S = 10.0


@dataclass(slots=True)
class _Rate:
    """Frames a second over the last ten seconds or so."""

    value: float = 0.0
    _since_s: float | None = None
    _frames: int = 0

    def tick(self, now_s: float, frames: int = 1) -> None:
        if self._since_s is None:
            self._since_s = now_s
        self._frames += frames
        if now_s - self._since_s >= _RATE_OVER_S:
            self.value = self._frames / (now_s - self._since_s)
            self._since_s, self._frames = now_s, 0


@dataclass(slots=True)
class VisionLoop:
    """Takes frames and records what happened. One thread calls `step` and then `finish`."""

    mailbox: Mailbox
    vision: Vision
    recorder: Recorder
    journal: Journal
    clock: Clock
    known: Callable[[], KnownStudents]
    """Returns the gallery to use now; it may change between two frames."""
    time_passes: bool = True
    """False for a recording played fast: its time is not the machine's."""
    on_events: Callable[[list[Event]], None] = lambda _events: None
    rate: _Rate = field(default_factory=_Rate)
    _last: Stamp | None = None
    _fed_at_s: float | None = None
    _used: KnownStudents | None = None
    _remembered_ns: int = 0

    def recover(self) -> None:
        """Close the presence intervals that a killed program left open, at the moment last remembered."""
        left_open = self.journal.open_intervals()
        self._record([closing_event(interval, "restart", self.clock.new_id()) for interval in left_open])

    def step(self) -> bool:
        """Look at one frame, if there is one; return False when no more will come."""
        if self._fed_at_s is None:
            self._fed_at_s = self.clock.monotonic_s()
        frame = self.mailbox.take(_TAKE_TIMEOUT_S)
        if frame is None:
            # Nothing seen is still time that passes: students leave while the camera is lost.
            self._pass_time()
            self.rate.tick(self.clock.monotonic_s(), frames=0)
            return not self.mailbox.finished
        self._fed_at_s = self.clock.monotonic_s()
        known = self.known()
        events = self._forget_the_removed(known)
        if self._last and frame.stamp.boottime_ns < self._last.boottime_ns:
            # A recording begins again: nothing that is open can go on in a time that went back.
            events += self.vision.finish(self._last, known)
            self._remembered_ns = 0
        self._last = frame.stamp
        self._record([*events, *self.vision.process(frame, known)])
        self.rate.tick(self.clock.monotonic_s())
        self._remember(frame.stamp)
        return True

    def silent_s(self) -> float:
        """Return for how long no frame has come; 0 before the loop runs and after the last frame. Any thread."""
        if self._fed_at_s is None or self.mailbox.finished:
            return 0.0
        return self.clock.monotonic_s() - self._fed_at_s

    def finish(self) -> None:
        """Close what is open and record it."""
        stamp = self._last or self.clock.stamp()
        # What a full disk refused until now, too: nobody comes later.
        self._record(self.vision.finish(stamp, self.known()), at_once=True)

    def _record(self, events: list[Event], *, at_once: bool = False) -> None:
        stored = self.recorder.record(events, self.known().names, at_once=at_once)
        if stored:
            self.on_events(stored)

    def _pass_time(self) -> None:
        if self._last is None or not self.time_passes:
            return
        now = self.clock.stamp()
        if now.boottime_ns - self._last.boottime_ns > NS_PER_S:
            self._record(self.vision.book.tick(now, self.known().lessons))

    def _forget_the_removed(self, known: KnownStudents) -> list[Event]:
        if known is self._used:
            return []
        self._used = known
        present = [interval.student_id for interval in self.vision.book.open_intervals()]
        return self.vision.book.forget([student_id for student_id in present if not known.recognises(student_id)])

    def _remember(self, stamp: Stamp) -> None:
        if stamp.boottime_ns - self._remembered_ns < _REMEMBER_EVERY_S * NS_PER_S:
            return
        self._remembered_ns = stamp.boottime_ns
        intervals = self.vision.book.open_intervals()
        if intervals:
            self.recorder.remember(intervals)
