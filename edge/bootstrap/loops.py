"""The loops that run side by side: pictures, recognition, delivery, the disk, and answers to commands."""

from contextlib import suppress

from edge.adapters.control_socket import ControlServer
from edge.bootstrap.cameras import frame_every_s
from edge.bootstrap.delivery import Line
from edge.bootstrap.disk import Disk
from edge.bootstrap.orders import Orders
from edge.core.errors import StorageFull, UplinkUnavailable
from edge.loops.capture import CaptureLoop
from edge.loops.control import ControlDesk, ControlLoop
from edge.loops.copying import CopyKeeper
from edge.loops.health import Health
from edge.loops.supervisor import Loop
from edge.loops.vision import VisionLoop
from edge.settings import EdgeSettings

_HURRY_S = 2.0
_SILENT_CAMERA_S = 30.0
_STUCK_AFTER_S = 22.0
"""With the service manager's wait, a stuck program is back within half a minute."""
_STILL_STUCK_AFTER_S = 90.0
_COPY_PATIENCE_S = 10.0


def main_loops(
    settings: EdgeSettings, capture: CaptureLoop, watching: VisionLoop, line: Line, orders: Orders
) -> list[Loop]:
    """Return what makes events of pictures and delivers them."""
    delivery, uplink = line.delivery, line.uplink

    def deliver() -> bool:
        line.trial.clear()
        delivery.step()
        _watch_frames(watching, delivery.health, max(_SILENT_CAMERA_S, 3 * frame_every_s(settings)))
        if not uplink.thread_is_alive():
            # Nothing else would notice: it looks connected, and nothing moves.
            raise UplinkUnavailable("the thread that drives the connection to the broker ended")
        return True

    def drain() -> None:
        # What was recorded until the end of a recording still goes out; somebody who asked us to stop is not kept.
        in_haste = orders.hurry.is_set() or orders.reopen.is_set()
        limit_s = min(settings.delivery.drain_s, _HURRY_S) if in_haste else settings.delivery.drain_s
        deadline_s = delivery.clock.monotonic_s() + limit_s
        while not delivery.all_delivered and delivery.clock.monotonic_s() < deadline_s:
            delivery.step(timeout_s=0.2)
        delivery.goodbye()

    ends = settings.camera.kind == "replay" and settings.camera.at_end == "stop"
    return [
        Loop("capture", capture.step, interrupt=capture.close, stuck_after_s=_capture_waits_s(settings)),
        Loop(
            "vision", watching.step, finish=watching.finish, ends_program=ends, stuck_after_s=_picture_takes_s(settings)
        ),
        Loop(
            "delivery",
            deliver,
            finish=drain,
            patience_s=settings.delivery.drain_s + 5.0,
            stuck_after_s=_STUCK_AFTER_S,
            excused=line.trial.is_set,
        ),
    ]


def _picture_takes_s(settings: EdgeSettings) -> float:
    """Return after how long one picture's work is stuck: a still of the seats has many times the pixels."""
    return _STILL_STUCK_AFTER_S if settings.presence.mode == "sweep" else _STUCK_AFTER_S


def _capture_waits_s(settings: EdgeSettings) -> float:
    """Return after how long a camera is stuck: it waits for its own time-outs, and for whoever takes its pictures."""
    camera = settings.camera
    return camera.open_timeout_s + camera.read_timeout_s + 2 * _picture_takes_s(settings)


def _watch_frames(watching: VisionLoop, health: Health, silent_after_s: float) -> None:
    """Report a camera that neither gives pictures nor fails: some drivers wait for ever."""
    silent_s = watching.silent_s()
    if silent_s > silent_after_s:
        text = f"no picture for {silent_s:.0f} s: check the camera; if it is connected, restart the unit"
        health.problem("no_frames", text)
    else:
        health.fine("no_frames")


def side_loops(disk: Disk, copying: CopyKeeper, counter: ControlServer, desk: ControlDesk) -> list[Loop]:
    """Return what goes on beside recognition and delivery: the CSV copy, looking after the disk, and commands."""

    def copy() -> bool:
        copying.look()
        copying.rest()
        return True

    def note() -> None:
        with suppress(StorageFull):
            disk.csv.note()

    def look_after() -> bool:
        disk.storage.look()
        note()
        copying.watch()
        disk.storage.erase_damaged()
        disk.storage.rest()
        return True

    return [
        # Never stuck: a stick that hangs is no reason to end recognition.
        Loop("copy", copy, interrupt=copying.interrupt, finish=copying.finish, patience_s=_COPY_PATIENCE_S),
        Loop("storage", look_after, interrupt=disk.storage.interrupt, finish=note),
        Loop("control", ControlLoop(counter, desk).step, interrupt=counter.interrupt),
    ]
