"""What whoever starts the unit gives it: orders, who is told what it does, and in tests other parts."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from edge.adapters.control_socket import ControlServer
from edge.bootstrap.cameras import open_camera
from edge.bootstrap.eyes import open_eyes
from edge.core.identities import Eyes
from edge.core.ports import Camera, Clock
from edge.loops.overlay import LookSink
from edge.settings import EdgeSettings
from protocol.events import Event


@dataclass(frozen=True, slots=True)
class Orders:
    """How the program is told to end: `stop` now; with `hurry`, without waiting long for the hub.

    With `reopen`, to begin again at once: gallery and model pack on disk are new ones.
    """

    stop: threading.Event = field(default_factory=threading.Event)
    hurry: threading.Event = field(default_factory=threading.Event)
    reopen: threading.Event = field(default_factory=threading.Event)

    def begin_anew(self) -> None:
        """Ask for an end and a new beginning."""
        self.reopen.set()
        self.stop.set()

    def take_reopening(self) -> bool:
        """Return whether the program should begin again, and make that possible. Nobody who wants it ended waits."""
        wanted = self.reopen.is_set()
        self.reopen.clear()
        if wanted and not self.hurry.is_set():
            self.stop.clear()
        # A signal that came in between has set both.
        return wanted and not self.hurry.is_set()


@dataclass(frozen=True, slots=True)
class Watchers:
    """Who is told what the unit does."""

    on_events: Callable[[list[Event]], None]
    overlay: LookSink | None
    counter: ControlServer
    """Where commands ask."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a test program may replace: the models and the camera. Everything else is always the real thing."""

    open_eyes: Callable[[EdgeSettings], Eyes] = open_eyes
    open_camera: Callable[[EdgeSettings, Clock], Camera] = open_camera
