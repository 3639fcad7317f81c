"""Mounts the forgetful file system for a fault, and tells it what to do."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.environment import PROJECT, program_environment
from deploy.own_process import wait_until
from tests.faults.bench_unit import BenchUnit
from tests.faults.catalogue import CannotRun

_SETUP = "run `make faults`, which sets it up, as root"


class MountedDisk:
    """A forgetful file system at `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def tell(self, word: str) -> None:
        """Say `cut`, `full`, `readonly`, `syncfails` or `fine`."""
        descriptor = os.open(self.folder / ".control", os.O_WRONLY)
        try:
            os.write(descriptor, word.encode())
        finally:
            os.close(descriptor)

    @contextmanager
    def read_only(self, data_dir: Path) -> Iterator[None]:
        """Refuse every change, and let the place look mounted read-only, as after an error of the disk."""
        self.tell("readonly")
        for how in (["--bind", str(data_dir), str(data_dir)], ["-o", "remount,bind,ro", str(data_dir)]):
            subprocess.run(["mount", *how], check=True, capture_output=True)
        try:
            yield
        finally:
            subprocess.run(["umount", "--lazy", str(data_dir)], check=False, capture_output=True)
            self.tell("fine")

    def mount(self) -> None:
        """Begin to serve. Raises CannotRun."""
        if not Path("/dev/fuse").exists() or importlib.util.find_spec("mfusepy") is None:
            raise CannotRun(f"power loss needs /dev/fuse and mfusepy, and one is not here: {_SETUP}")
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder.parent / "disk.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.forgetful_fs", str(self.folder)],
                cwd=PROJECT,
                env=program_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        process = self._process
        wait_until(lambda: os.path.ismount(self.folder) or process.poll() is not None, 10)
        if not os.path.ismount(self.folder):
            self.unmount()
            words = (self.folder.parent / "disk.log").read_text(errors="replace")[-200:]
            raise CannotRun(f"a file system of our own cannot be mounted here ({words.strip()}): {_SETUP}")

    def unmount(self) -> None:
        """End it, with everything in it."""
        subprocess.run(["umount", "--lazy", str(self.folder)], check=False, capture_output=True)
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@contextmanager
def forgetful(folder: Path) -> Iterator[MountedDisk]:
    """Give a forgetful disk mounted at `folder`. Raises CannotRun where that is not possible."""
    disk = MountedDisk(folder)
    disk.mount()
    try:
        yield disk
    finally:
        disk.unmount()


@contextmanager
def unit_on_forgetful_disk(unit: BenchUnit) -> Iterator[MountedDisk]:
    """Let a unit keep its data on a forgetful disk. Raises CannotRun."""
    with forgetful(unit.folder / "disk") as disk:
        data_dir = unit.folder / "disk" / "data"
        # As an installed unit finds it: the folder was made and synced long before.
        data_dir.mkdir(mode=0o700)
        root = os.open(disk.folder, os.O_RDONLY)
        os.fsync(root)
        os.close(root)
        move_data(unit, data_dir)
        try:
            yield disk
        finally:
            unit.program.kill()


def move_data(unit: BenchUnit, data_dir: Path) -> None:
    """Let a unit that has not run yet keep its data elsewhere."""
    unit.data_dir = data_dir
    unit.set(storage__data_dir=data_dir)
