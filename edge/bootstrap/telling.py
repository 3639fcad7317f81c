"""What the unit says of itself, to commands and to the hub."""

import shutil
from collections.abc import Callable
from typing import Any

from edge.adapters.machine_load import MachineLoad
from edge.adapters.mqtt_uplink import MqttUplink
from edge.bootstrap.disk import Disk
from edge.bootstrap.record import record_status
from edge.core.telling import Condition
from edge.loops.vision import VisionLoop
from edge.settings import EdgeSettings


def unit_status(disk: Disk, uplink: MqttUplink, watching: VisionLoop) -> dict[str, Any]:
    """Return how the unit is, for commands that ask it while it runs. Raises StorageFailed."""
    problems = disk.health.problems()
    return {
        "state": "degraded" if problems else "watching",
        "connected": uplink.connected,
        "frames_per_s": round(watching.rate.value, 2),
        **record_status(disk.journal),
        "held": watching.recorder.held,
        "lost": watching.recorder.lost,
        "disk": disk.storage.disk_state(),
        "problems": [problem.model_dump() for problem in problems],
    }


def live_condition(disk: Disk, settings: EdgeSettings, watching: VisionLoop) -> Callable[[], Condition]:
    """Return what looks up rates, disk, temperature and running time, which is counted from now."""
    machine, started_s = MachineLoad(), disk.clock.monotonic_s()

    def live() -> Condition:
        return Condition(
            frames_per_s=watching.rate.value,
            disk_free_bytes=_disk_free(settings),
            disk=disk.storage.disk_state(),
            held_events=watching.recorder.held,
            temperature_c=machine.read().celsius,
            throttled=machine.throttled(),
            up_s=disk.clock.monotonic_s() - started_s,
        )

    return live


def _disk_free(settings: EdgeSettings) -> int:
    try:
        return shutil.disk_usage(settings.storage.data_dir).free
    except OSError:
        return 0
