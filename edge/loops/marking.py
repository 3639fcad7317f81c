"""Marks that a person at the unit makes: on disk when the answer says so, or refused."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge.core.errors import CommandRefused
from edge.core.marking import mark_made
from edge.core.ports import Clock
from edge.loops.recorder import Recorder
from protocol.content import TimetableLesson


@dataclass(frozen=True, slots=True)
class MarkDesk:
    """Answers requests to mark somebody. One thread at a time."""

    recorder: Recorder
    names: Callable[[], Mapping[str, str]]
    """Returns the display names of the gallery in use by student id."""
    lessons: Callable[[], Sequence[TimetableLesson]]
    clock: Clock

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Mark a student. Raises StorageFull and StorageFailed: nothing is marked then."""
        names, stamp = self.names(), self.clock.stamp()
        try:
            event = mark_made(request, names, self.lessons(), stamp, self.clock.new_id())
        except CommandRefused as exc:
            return {"ok": False, "problem": str(exc), "hint": exc.hint}
        self.recorder.write(event, names)
        return {
            "ok": True,
            "event_id": event.event_id,
            "at": event.at.isoformat(),
            "clock": event.clock,
            "lesson_id": event.lesson_id,
        }
