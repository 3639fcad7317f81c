"""Door and sweep, in the whole program: who is outside the zone or too small is never compared; stills are rare."""

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.clip import Actor, Script, make_clip
from tests.edge_adapters.pictures import write_video
from tests.edge_cli.units import UnitFolder

LEFT_HALF = [[0.0, 0.0], [0.5, 1.0]]
BASIS = "decided by the board on 2026-09-01"


@pytest.fixture
def ready(unit: UnitFolder, pack_folder: Path) -> UnitFolder:
    unit.changes |= {"recognition.pack_dir": str(pack_folder), "delivery.drain_s": 0}
    return unit


def somebody_passes(unit: UnitFolder, *, face_px: float) -> None:
    """Make a recording of somebody in the right half of the picture."""
    script = Script("01", 8, (Actor("obama3", 1000, 300, face_px),), ())
    make_clip(unit.folder / "clip", scripts=(script,))
    unit.changes["camera.source"] = "clip"


def run(unit: UnitFolder) -> tuple[dict[str, Any], str]:
    program = unit.start("exec $EDGE run --config $CONFIG --json")
    out, err = program.communicate(timeout=60)
    assert program.returncode == 0, err
    summary: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    return summary, err


def test_a_face_in_the_zone_is_compared_and_one_outside_is_followed_and_never_compared(ready: UnitFolder) -> None:
    somebody_passes(ready, face_px=140)
    inside, _log = run(ready)
    ready.changes["presence.zone"] = LEFT_HALF
    outside, _log = run(ready)

    assert inside["faces_embedded"] > 0
    assert outside["faces_embedded"] == 0
    assert outside["tracks"] > 0


def test_at_a_door_a_face_under_100_pixels_is_not_compared_unless_the_school_says_so(ready: UnitFolder) -> None:
    somebody_passes(ready, face_px=76)
    usual, _log = run(ready)
    ready.changes["recognition.min_face_px"] = 60
    lowered, _log = run(ready)

    assert usual["tracks"] > 0
    assert usual["faces_embedded"] == 0
    assert lowered["faces_embedded"] > 0


def test_a_sweep_takes_a_still_now_and_then_and_the_log_says_on_what_it_rests(ready: UnitFolder) -> None:
    write_video(ready.folder / "long.avi", 80, frames_per_s=2)
    ready.changes |= {"camera.source": "long.avi", "presence.mode": "sweep", "presence.sweep_basis": BASIS}
    summary, log = run(ready)

    assert summary["frames"] == 3  # of 40 seconds: at 0, 15 and 30
    assert BASIS in log
