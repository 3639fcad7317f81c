"""A unit's real program with scripted eyes: record, delivery, gallery, CSV and MQTT are the real ones.

Beside its record it writes the ids of committed events into a file of its own, and waits until they are on disk: what
is in there was committed, whatever becomes of the database file.
"""

import argparse
import logging
import os
import signal
import sys
import types
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

RUNS = "unit runs"
"""What it logs when it is ready."""

_HEAVY = ("cv2", "ai_edge_litert", "ai_edge_litert.interpreter")


class _NotHere(types.ModuleType):
    """Stands for a library that scripted eyes do not need: a fifth of a second less at each start."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _NotHere(name)


def _without_heavy_libraries() -> None:
    for name in _HEAVY:
        sys.modules.setdefault(name, _NotHere(name))


class Truth:
    """The file of committed event ids. One thread."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, events: Sequence[Any]) -> None:
        """Write down events that are committed: id, kind, and when it was by the boot clock."""
        lines = "".join(f"{event.event_id} {event.kind} {event.boottime_ns}\n" for event in events)
        os.write(self._descriptor, lines.encode())
        os.fsync(self._descriptor)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripted_unit", description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--students", type=int, default=20, help="0: nobody ever comes")
    parser.add_argument("--frames-per-s", type=float, default=8.0)
    parser.add_argument("--crash", default=None, metavar="NAME:K")
    parser.add_argument("--camera-fault", type=Path, default=None)
    parser.add_argument("--hang-after", type=int, default=None, help="the detector never returns from this look")
    parser.add_argument("--bad-callback", action="store_true", help="the first message from the broker raises")
    parser.add_argument("--clock", choices=("synced", "holdover", "unsynced"), default=None, help="how sure it is")
    parser.add_argument("--clock-starts", type=float, default=None, help="seconds since 1970 that the wall clock shows")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the unit until SIGTERM (in a hurry) or SIGUSR1 (deliver first); 1 when it failed."""
    options = _options(arguments)
    _without_heavy_libraries()
    from tests.faults.crash_points import CrashPoint, arm_edge

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    if options.crash:
        arm_edge(CrashPoint.parse(options.crash))
    if options.bad_callback:
        _break_callback()
    if options.clock_starts is not None:
        _shift_clock(options.clock_starts)
    if options.clock:
        _set_quality(options.clock)
    return _run(options)


def _run(options: argparse.Namespace) -> int:
    from edge.bootstrap.orders import Orders, Parts
    from edge.bootstrap.unit import open_unit
    from edge.core.errors import EdgeError
    from edge.settings import load_settings
    from recognition.adapters.pack_files import read_manifest
    from tests.faults.scripted_eyes import Script, ScriptedCamera, scripted_eyes

    log = logging.getLogger("edge")
    orders = Orders()

    def stop(number: int, _frame: types.FrameType | None) -> None:
        if number == signal.SIGTERM:
            orders.hurry.set()
        orders.stop.set()

    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, stop)

    def eyes(settings: Any) -> Any:
        manifest = read_manifest(settings.recognition.pack_dir)
        return scripted_eyes(manifest.pack_id, manifest.embedder.dimensions, options.hang_after)

    def camera(_settings: Any, clock: Any) -> Any:
        script = Script(options.seed, options.students)
        return ScriptedCamera(script, clock, options.frames_per_s, options.camera_fault)

    truth = Truth(options.truth)
    try:
        settings, parts = load_settings(options.config), Parts(open_eyes=eyes, open_camera=camera)
        clean = again = True
        while clean and again:
            with open_unit(settings, orders, truth.note, parts=parts) as unit:
                log.info("%s students=%d", RUNS, unit.delivery.keeper.known.gallery.size)
                clean = unit.run()
            # As the real program: with another model pack it begins again.
            again = orders.take_reopening()
    except EdgeError as exc:
        log.error("cannot run: %s (%s)", exc, exc.hint)  # noqa: TRY400 (as the real program says it)
        return 1
    return 0 if clean else 1


def _break_callback() -> None:
    """Let the handling of the first message from the broker raise what nobody expects."""
    from edge.adapters.mqtt_uplink import MqttUplink

    original = MqttUplink._on_message
    raised: list[bool] = []

    def on_message(self: Any, *arguments: Any) -> None:
        if not raised:
            raised.append(True)
            raise RuntimeError("a fault in a callback")
        original(self, *arguments)

    MqttUplink._on_message = on_message  # type: ignore[method-assign,assignment]


def _shift_clock(starts_s: float) -> None:
    """Let the wall clock show another time, beginning with this one. The boot clock stays what it is."""
    from edge.adapters import clock_system

    shift = datetime.fromtimestamp(starts_s, UTC) - datetime.now(UTC)  # noqa: TID251 (this stands in for the clock)

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Shifted":
            return super().now(tz) + shift

    clock_system.datetime = Shifted  # type: ignore[attr-defined]


def _set_quality(quality: str) -> None:
    """Let the kernel's word on its own clock be another."""
    from edge.adapters.clock_system import SystemClock

    SystemClock.quality = lambda _clock: quality  # type: ignore[method-assign,assignment,return-value]


if __name__ == "__main__":
    sys.exit(main())
