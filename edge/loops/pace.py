"""Holds the camera to the pace that the machine can bear, and says when heat is the reason."""

import logging
from typing import Protocol

from edge.core.pace import MachineState, Pace
from edge.core.ports import Camera, Clock
from edge.loops.health import Health
from edge.loops.mailbox import Mailbox

log = logging.getLogger(__name__)

_EVERY_S = 2.0


class Thermometer(Protocol):
    """What the machine says of itself. One thread."""

    def read(self) -> MachineState:
        """Return how the machine is now; what it does not say is None or False. Raises nothing."""
        ...


class Pacer:
    """Looks every two seconds. The thread of the camera calls `step`."""

    def __init__(self, pace: Pace, mailbox: Mailbox, machine: Thermometer, clock: Clock, health: Health) -> None:
        self._pace = pace
        self._mailbox = mailbox
        self._machine = machine
        self._clock = clock
        self._health = health
        self._rate = pace.limits.most_per_s
        self._looked_at_s = float("-inf")

    def step(self, camera: Camera) -> None:
        """Tell the camera when the pace changes; between two looks this costs nothing."""
        now_s = self._clock.monotonic_s()
        if now_s - self._looked_at_s < _EVERY_S:
            return
        self._looked_at_s = now_s
        verdict = self._pace.decide(now_s, self._mailbox.cost_s(), self._machine.read())
        if verdict.too_warm:
            text = f"{verdict.reason}: {verdict.frames_per_s:.1f} pictures a second instead of "
            self._health.problem("too_warm", f"{text}{self._pace.limits.most_per_s:g}; give the unit air")
        else:
            self._health.fine("too_warm")
        if verdict.frames_per_s != self._rate:
            self._rate = verdict.frames_per_s
            camera.pace(verdict.frames_per_s)
            # Heat is logged as a problem; that a crowd costs more is nothing an operator must know.
            log.debug("pace frames_per_s=%.1f reason=%r", verdict.frames_per_s, verdict.reason)
