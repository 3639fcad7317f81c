"""The camera, and how often it is asked for a picture."""

from pathlib import Path

from edge.adapters.camera_opencv import CameraRequest, OpenCvCamera
from edge.adapters.camera_picamera2 import PiCamera
from edge.adapters.camera_replay import ReplayCamera
from edge.adapters.machine_load import MachineLoad
from edge.core.pace import Pace, PaceLimits
from edge.core.ports import Camera, Clock
from edge.core.sweep import SweepSchedule
from edge.loops.capture import Rhythm, Stills
from edge.loops.health import Health
from edge.loops.mailbox import Mailbox
from edge.loops.pace import Pacer
from edge.settings import EdgeSettings

_RECORDINGS_MOST_PER_S = 60.0
"""At its own pace, a recording is thinned out only where the machine cannot follow."""


def open_camera(settings: EdgeSettings, clock: Clock) -> Camera:
    """Return the camera that the settings name. Raises CameraLost for a recording that is not there."""
    wanted, stills = settings.camera, settings.presence.mode == "sweep"
    if wanted.kind == "replay":
        return ReplayCamera(
            Path(wanted.source),
            clock,
            fast=wanted.replay_pace == "fast",
            again=wanted.at_end == "again",
            still_every_s=settings.presence.sweep_every_s if stills else None,
        )
    request = CameraRequest(
        source=wanted.source,
        width_px=settings.picture_width_px,
        height_px=settings.picture_height_px,
        frames_per_s=wanted.frames_per_s,
        open_timeout_s=wanted.open_timeout_s,
        read_timeout_s=wanted.read_timeout_s,
        stills=stills,
    )
    return PiCamera(request, clock) if wanted.kind == "picamera2" else OpenCvCamera(request, clock)


def rhythm_of(settings: EdgeSettings, mailbox: Mailbox, clock: Clock, health: Health) -> Rhythm:
    """Return when pictures are taken: as stills, or as often as camera and machine can follow."""
    replay = settings.camera.kind == "replay"
    if settings.presence.mode == "sweep":
        # A recording knows itself when its next still is due.
        return Rhythm() if replay else Rhythm(Stills(SweepSchedule(settings.presence.sweep_every_s), clock))
    most_per_s = _RECORDINGS_MOST_PER_S if replay else settings.camera.frames_per_s
    return Rhythm(pacer=Pacer(Pace(PaceLimits(most_per_s)), mailbox, MachineLoad(), clock, health))


def frame_every_s(settings: EdgeSettings) -> float:
    """Return how far apart pictures are when all goes well, or as far apart as heat and load may bring them."""
    if settings.presence.mode == "sweep":
        return settings.presence.sweep_every_s
    least_per_s = min(PaceLimits(settings.camera.frames_per_s).least_per_s, settings.camera.frames_per_s)
    return 1 / least_per_s
