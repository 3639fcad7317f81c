"""What the system's errors about files mean for a unit, and waiting until a folder's names are on disk."""

import errno
import os
from pathlib import Path

from edge.core.errors import StorageFailed, StorageFull, StorageReadOnly


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def disk_full(path: Path) -> StorageFull:
    """Return the error for a disk without space."""
    return StorageFull(f"the disk that holds {path.name} is full", hint="free some space; recognition goes on")


def disk_error(exc: OSError, path: Path) -> StorageFailed:
    """Return the unit's error for one of the system's about a file or folder."""
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(path)
    if exc.errno == errno.EROFS:
        return StorageReadOnly(
            f"the disk that holds {path.name} can only be read now",
            hint="it may be failing: look at the kernel's log, replace it; recognition goes on, records are held",
        )
    return StorageFailed(f"{path} cannot be used: {exc.strerror}", hint="check the disk and the folder's owner")
