"""One daemon per data folder: two would share a seq, and the hub would see events change."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from edge.core.errors import AnotherDaemon, StorageFailed


class DataFolderLock:
    """Holds `unit.lock` while open; the kernel releases it however the process ends."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "unit.lock"
        self._descriptor = -1

    def __enter__(self) -> Self:
        """Take the lock. Raises AnotherDaemon when it is taken, StorageFailed when the folder cannot be used."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise StorageFailed(
                f"{self._path.parent} cannot be used: {exc.strerror}", hint="check storage.data_dir and its owner"
            ) from exc
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            os.close(self._descriptor)
            raise AnotherDaemon(
                f"a unit already runs on {self._path.parent}", hint="stop it first (systemctl stop rollcall-edge)"
            ) from exc
        except OSError as exc:
            os.close(self._descriptor)
            raise StorageFailed(
                f"{self._path} cannot be locked: {exc.strerror}",
                hint="storage.data_dir must be on a disk of this machine",
            ) from exc
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the lock."""
        os.close(self._descriptor)
