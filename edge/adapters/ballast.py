"""An empty file that keeps some space for the moment in which the disk is full."""

import errno
import logging
import os
from pathlib import Path

from edge.core.errors import StorageFailed

log = logging.getLogger(__name__)

BALLAST_NAME = "ballast"
_TAKES_NOTHING = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_CANNOT_RESERVE = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
"""A file system that knows no reserved space: the unit runs without, and its free space is watched all the same."""


class Ballast:
    """A file of reserved space in the data folder. `size` 0: none. One thread at a time."""

    def __init__(self, folder: Path, size: int) -> None:
        self._path = folder / BALLAST_NAME
        self._size = size
        self.impossible = False
        """The file system turned out to know no reserved space."""

    @property
    def size(self) -> int:
        """How much it is meant to reserve."""
        return self._size

    @property
    def held(self) -> bool:
        """Whether the space is reserved."""
        try:
            return self._path.stat().st_blocks * 512 >= self._size
        except OSError:
            return self._size == 0

    def hold(self) -> bool:
        """Reserve the space; return False when there is none. Raises StorageFailed when the disk fails otherwise."""
        if self.held:
            return True
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                # Really taken, unlike a file with a hole in it. Where the file system cannot, the C library writes into
                # every block, for which it has to read as well.
                os.posix_fallocate(descriptor, 0, self._size)
                os.ftruncate(descriptor, self._size)
            finally:
                os.close(descriptor)
        except OSError as exc:
            if exc.errno not in (*_TAKES_NOTHING, *_CANNOT_RESERVE):
                raise StorageFailed(f"{self._path} cannot be made: {exc.strerror}", hint="check the disk") from exc
            # Half a reserve would only be in the way.
            self.release()
            if exc.errno in _CANNOT_RESERVE and not self.impossible:
                self.impossible = True
                log.warning("no space can be reserved on this file system: the unit runs without storage.ballast_mb")
            return False
        return True

    def release(self) -> bool:
        """Give the space back; return whether there was any."""
        try:
            there = self._path.stat().st_blocks > 0
            self._path.unlink()
        except FileNotFoundError:
            return False
        except OSError as exc:
            if exc.errno in _TAKES_NOTHING:
                return False
            raise StorageFailed(f"{self._path} cannot be deleted: {exc.strerror}", hint="check the disk") from exc
        return there
