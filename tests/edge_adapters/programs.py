"""Python programs of their own, for what only another process shows: kills, full disks, a second instance."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.environment import PROJECT

TIMEOUT_S = 60.0


def start(code: str, *arguments: object) -> "subprocess.Popen[str]":
    """Start a program; its output can be read line by line."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(program: "subprocess.Popen[str]") -> str:
    """Wait for a program to end well and return what it printed."""
    output, errors = program.communicate(timeout=TIMEOUT_S)
    assert program.returncode == 0, errors
    return output


def on_a_small_disk(code: str, place: Path, size_kb: int) -> str:
    """Run a program with an empty file system of this size at `place`, which nobody else sees; return its output.

    Skips the test where one may not be mounted.
    """
    place.mkdir(parents=True, exist_ok=True)
    unshare = shutil.which("unshare")
    mount = f'mount -t tmpfs -o size={size_kb}k,mode=700 none "$0" && exec "$@"'
    inside = [str(unshare), "--mount", "sh", "-c", mount, str(place)]
    allowed = unshare and subprocess.run([*inside, "true"], capture_output=True, check=False).returncode == 0
    if not allowed:
        pytest.skip("a small file system cannot be mounted here (needs root)")
    done = subprocess.run(
        [*inside, sys.executable, "-c", code, str(place)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
