"""From recognition to the overlay video: whatever goes wrong with it ends the video and never the unit."""

from collections.abc import Callable
from typing import Protocol

from edge.core.errors import StorageFailed, StorageFull
from edge.core.looks import Look
from edge.loops.health import Health


class LookSink(Protocol):
    """Where looks go. One thread shows, any closes."""

    def show(self, look: Look) -> None:
        """Take one look. Raises StorageFailed when it can take no more."""
        ...

    def close(self) -> None:
        """Finish what was shown; safe to call twice."""
        ...


class OverlayTap:
    """What `Vision.on_look` calls. The thread of recognition."""

    def __init__(self, sink: LookSink, health: Health, allowed: Callable[[], bool] = lambda: True) -> None:
        self._sink = sink
        self._health = health
        self._allowed = allowed
        """Whether there is space for more than the record."""
        self._over = False

    def __call__(self, look: Look) -> None:
        """Hand a look on; after the first failure report it and hand on nothing more."""
        if self._over:
            return
        try:
            if not self._allowed():
                raise StorageFull("the overlay video ends: space is low", hint="free some space")
            self._sink.show(look)
        except StorageFailed as exc:
            self._over = True
            self._health.failed("overlay", exc)
            self._sink.close()
