"""Puts a pack in its place in one step: it is there whole or not at all, and only one program writes it at a time."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import BinaryIO

from recognition.adapters.pack_files import MANIFEST_NAME
from recognition.build.build_errors import BuildStopped, stopped_by
from recognition.core.errors import PackInvalid


@contextmanager
def replacing(destination: Path) -> Iterator[Path]:
    """Give an empty folder to fill; when the block ends well, it takes the place of the pack in `destination`.

    After any error, also Ctrl-C, what was in `destination` is there unchanged and nothing is left beside it; what a
    killed program left is cleared away by the next one. Raises PackInvalid when `destination` holds something that is
    not a pack, BuildStopped when another program writes there or the disk refuses.
    """
    destination = destination.absolute()
    check_destination(destination)
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with _only_writer(destination):
            _clear_away(destination)
            # A sibling, so that the last step is a rename on the same disk.
            working = Path(tempfile.mkdtemp(prefix=_building(destination), dir=destination.parent))
            try:
                yield working
                working.chmod(0o755)
                _sync_folder(working)
                _replace(destination, working)
            finally:
                shutil.rmtree(working, ignore_errors=True)
    except OSError as exc:
        raise stopped_by(exc, destination) from exc


def check_destination(destination: Path) -> None:
    """Raise PackInvalid, before the long work, when something is at `destination` that is not ours to replace."""
    try:
        is_pack = (destination / MANIFEST_NAME).is_file()
        is_empty = destination.is_dir() and not any(destination.iterdir())
    except OSError as exc:
        raise stopped_by(exc, destination) from exc
    if destination.exists() and not is_pack and not is_empty:
        raise PackInvalid(f"{destination} exists and is not a model pack", hint="name another folder")


def write_file(path: Path, content: bytes) -> None:
    """Write a file and wait until the disk has it: a manifest must not outlive a power cut that its models did not."""
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _building(destination: Path) -> str:
    return f".{destination.name}-building-"


def _old(destination: Path) -> str:
    return f".{destination.name}-old-"


@contextmanager
def _only_writer(destination: Path) -> Iterator[None]:
    path = destination.parent / f".{destination.name}.lock"
    with _locked(path) as stream:
        stream.write(str(os.getpid()).encode())
        stream.flush()
        try:
            yield
        finally:
            # Before the lock is given up: whoever waits for this very file looks again (see `_locked`).
            path.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    while True:
        with path.open("a+b") as stream:
            try:
                flock(stream, LOCK_EX | LOCK_NB)
            except BlockingIOError as exc:
                stream.seek(0)
                who = stream.read(20).decode("ascii", errors="replace") or "unknown"
                raise BuildStopped(
                    f"another program, process {who}, is writing the pack {path.name[1:-5]} in {path.parent}",
                    hint="wait until it has finished",
                ) from exc
            if _is_still(path, stream):
                stream.truncate(0)
                yield stream
                return
            # Its owner deleted it between our opening and our locking it; a third may have made a new one.


def _is_still(path: Path, stream: BinaryIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(stream.fileno()))
    except FileNotFoundError:
        return False


def _clear_away(destination: Path) -> None:
    """Undo what a program that was killed here left behind. Called by the only writer."""
    for left in destination.parent.glob(f"{_old(destination)}*"):
        kept = left / destination.name
        if kept.is_dir() and not destination.exists():
            kept.rename(destination)
        shutil.rmtree(left, ignore_errors=True)
    for left in destination.parent.glob(f"{_building(destination)}*"):
        shutil.rmtree(left, ignore_errors=True)


def _replace(destination: Path, working: Path) -> None:
    if not destination.exists():
        working.rename(destination)
        _sync_folder(destination.parent)
        return
    old = Path(tempfile.mkdtemp(prefix=_old(destination), dir=destination.parent))
    kept = old / destination.name
    try:
        destination.rename(kept)
        working.rename(destination)
        _sync_folder(destination.parent)
    except BaseException:
        if kept.exists() and not destination.exists():
            kept.rename(destination)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
