"""The published liveness networks, compiled once for a whole run, whichever of its processes needs them first."""

import json
import os
from dataclasses import asdict
from fcntl import LOCK_EX, flock
from pathlib import Path

import pytest

from recognition.build.liveness_pack import LivenessBuilt, LivenessBuiltNetwork, build_liveness

SAID = "published-liveness.json"


def compiled_once(shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[LivenessBuilt, Path]:
    """Return what the builder says of both networks, and the folder with their files, which nobody may change."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # noqa: TID251 (how a process knows that it is one of several)
        root = root.parent
    folder = root / "published-liveness"
    with (root / "published-liveness.lock").open("w") as lock:
        flock(lock, LOCK_EX)
        if not (root / SAID).is_file():
            built = build_liveness(shared_folder / "models", folder, lambda _: None)
            (root / SAID).write_text(json.dumps([asdict(network) for network in built.networks]))
    said = json.loads((root / SAID).read_text())
    return LivenessBuilt(tuple(LivenessBuiltNetwork(**network) for network in said)), folder
