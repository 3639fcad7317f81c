"""The unit's process: nothing in it that it does not need, and no threads that fight the models' for the cores."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.environment import PROJECT
from tests.edge_adapters.pieces import seen
from tests.edge_cli.units import UnitFolder

HEAVY = ("tensorflow", "keras", "tf_keras", "deepface", "mtcnn", "dlib", "matplotlib", "av")
EYES_AND_LINE = ("numpy", "cv2", "ai_edge_litert", "recognition.adapters", "edge.loops.vision", "paho")
"""What sees, and what speaks to the hub: seconds of a small machine, which a look at the record must not cost."""
READING = (
    "--help",
    "--version",
    "run --help",
    "events --json --config CONFIG",
    "events --config CONFIG",
    "export - --format csv --config CONFIG",
    "status --config CONFIG",
    "dead-letters list --config CONFIG",
    "dead-letters retry --all --config CONFIG",
    "csv rebuild --config CONFIG",
    "mark S7 --status late --config CONFIG",
    "mark --list --config CONFIG",
    "zone 0.1,0.1 0.9,0.9 --config CONFIG",
)
READ_IN_TURN = """
import json, sys
import edge.cli
told = []
for line in {lines!r}:
    sys.argv = ["rollcall-edge", *line]
    ended = None
    try:
        edge.cli.main()
    except SystemExit as end:
        ended = end.code
    told.append([ended, [name for name in {unwanted!r} if name in sys.modules]])
print("\\n" + json.dumps(told))
"""
ONE_RUN_EACH = """
import edge.adapters.machine_bench as bench
bench._A_FIGURE_S, bench._LEAST_RUNS = 0.0, 1
"""
THEN_TELL = """
import json, sys
import edge.cli
{first}
sys.argv = ["rollcall-edge", *{arguments!r}]
try:
    edge.cli.main()
except SystemExit as end:
    print("ended with", end.code, file=sys.stderr)
cv2 = sys.modules.get("cv2")
threads = cv2 and cv2.getNumThreads()
print("\\n" + json.dumps({{"loaded": sorted(sys.modules), "opencv_threads": threads}}))
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


def process_after(unit: UnitFolder, *arguments: str, first: str = "") -> dict[str, Any]:
    """Run a command of the unit in a process of its own; return what is loaded in it at its end."""
    out = python(THEN_TELL.format(arguments=list(arguments), first=first), unit.folder)
    told: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    return told


@pytest.mark.parametrize("command", ["run", "check", "bench"])
def test_nothing_heavy_is_loaded_and_opencv_keeps_to_one_thread(
    unit: UnitFolder, pack_folder: Path, command: str
) -> None:
    unit.changes |= {"recognition.pack_dir": str(pack_folder), "delivery.drain_s": 0}
    # How often something is measured does not change what is loaded for it.
    first = ONE_RUN_EACH if command == "bench" else ""
    told = process_after(unit, command, "--config", str(unit.config), "--json", first=first)

    assert "ai_edge_litert" in told["loaded"], "the models were opened"
    assert [name for name in HEAVY if name in told["loaded"]] == []
    assert told["opencv_threads"] == 1


def test_who_only_reads_waits_neither_for_cameras_and_models_nor_for_the_connection(unit: UnitFolder) -> None:
    unit.record(seen(0))
    unit.give_gallery()
    lines = [line.replace("CONFIG", str(unit.config)).split() for line in READING]
    out = python(READ_IN_TURN.format(lines=lines, unwanted=EYES_AND_LINE), unit.folder)
    told = json.loads(out.strip().splitlines()[-1])

    assert told == [[0, []] for _line in READING], list(zip(READING, told, strict=True))


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
        if name == "{module}":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupting())
import edge.cli
sys.argv = ["rollcall-edge", "run"]
try:
    edge.cli.main()
except SystemExit as exc:
    print(exc.code)
"""


@pytest.mark.parametrize("module", ["edge.cli.commands", "edge.bootstrap.unit", "edge.settings"])
def test_ctrl_c_while_the_program_is_still_being_loaded_is_no_fault_of_it(tmp_path: Path, module: str) -> None:
    assert python(INTERRUPTED.format(module=module), tmp_path).strip() == "130"
