"""The unit's process: no TensorFlow in it, and no threads of BLAS that fight the models' for the cores."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.environment import PROJECT
from tests.edge_cli.units import UnitFolder

HEAVY = ("tensorflow", "keras", "tf_keras", "deepface", "mtcnn", "dlib", "matplotlib", "av")
THEN_TELL = """
import json, sys
import edge.cli
sys.argv = ["rollcall-edge", *{arguments!r}]
try:
    edge.cli.main()
except SystemExit as end:
    print("ended with", end.code, file=sys.stderr)
import cv2
loaded = sorted({{name.partition(".")[0] for name in sys.modules}})
print("\\n" + json.dumps({{"loaded": loaded, "opencv_threads": cv2.getNumThreads()}}))
"""
COUNT_THREADS = """
import os
{first}
import numpy
a = numpy.ones((400, 400), numpy.float32)
a @ a
print(len(os.listdir("/proc/self/task")))
"""


def python(code: str, folder: Path) -> str:
    kept = {name: value for name, value in os.environ.items() if "THREADS" not in name}  # noqa: TID251 (a child's)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=kept | {"PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def process_after(unit: UnitFolder, *arguments: str) -> dict[str, Any]:
    """Run a command of the unit in a process of its own; return what is loaded in it at its end."""
    out = python(THEN_TELL.format(arguments=list(arguments)), unit.folder)
    told: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    return told


@pytest.mark.parametrize("command", ["run", "check", "bench"])
def test_nothing_heavy_is_loaded_and_opencv_keeps_to_one_thread(
    unit: UnitFolder, pack_folder: Path, command: str
) -> None:
    unit.changes |= {"recognition.pack_dir": str(pack_folder), "delivery.drain_s": 0}
    told = process_after(unit, command, "--config", str(unit.config), "--json")

    assert "ai_edge_litert" in told["loaded"], "the models were opened"
    assert [name for name in HEAVY if name in told["loaded"]] == []
    assert told["opencv_threads"] == 1


@pytest.mark.skipif(os.cpu_count() == 1, reason="with one core BLAS has one thread anyway")
def test_blas_has_one_thread_because_the_program_says_so_before_numpy_is_loaded(tmp_path: Path) -> None:
    assert int(python(COUNT_THREADS.format(first="import edge.cli"), tmp_path)) == 1
    # Otherwise this test could not fail: left alone, BLAS takes a thread for each core.
    assert int(python(COUNT_THREADS.format(first=""), tmp_path)) > 1


def test_importing_the_commands_does_not_load_numpy_before_the_threads_are_set(tmp_path: Path) -> None:
    loaded = python("import sys, edge.cli; print('numpy' in sys.modules)", tmp_path)

    assert loaded.strip() == "False"


INTERRUPTED = """
import sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "edge.cli.commands":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupting())
import edge.cli
try:
    edge.cli.main()
except SystemExit as exc:
    print(exc.code)
"""


def test_ctrl_c_while_the_program_is_still_being_loaded_is_no_fault_of_it(tmp_path: Path) -> None:
    assert python(INTERRUPTED, tmp_path).strip() == "130"
