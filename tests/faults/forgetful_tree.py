"""A disk in memory that forgets what was not synced: what programs see, and what a power cut leaves.

`fsync` of a file makes its content survive, `fsync` of a folder makes its names survive. A file that was created,
written and synced, but whose folder was not, is lost: the strict reading of POSIX.
"""

import errno
import stat
import time
from dataclasses import dataclass, field
from pathlib import PurePosixPath


@dataclass(slots=True, eq=False)
class DiskFile:
    """A file's content as programs see it, and as it is on the disk."""

    mode: int
    seen: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    changed_ns: int = field(default_factory=time.time_ns)


@dataclass(slots=True, eq=False)
class DiskFolder:
    """Which names a folder holds as programs see it, and on the disk."""

    mode: int
    seen: dict[str, "DiskFile | DiskFolder"] = field(default_factory=dict)
    durable: dict[str, "DiskFile | DiskFolder"] = field(default_factory=dict)


class ForgetfulDisk:
    """What is stored, without FUSE: paths to files and folders, and what a power cut leaves. One thread at a time."""

    def __init__(self) -> None:
        self.root = DiskFolder(stat.S_IFDIR | 0o755)
        self.trouble = "fine"
        self.cuts = 0

    def find(self, path: str) -> "DiskFile | DiskFolder":
        """Return what is at a path. Raises FileNotFoundError."""
        here: DiskFile | DiskFolder = self.root
        for name in PurePosixPath(path).parts[1:]:
            if not isinstance(here, DiskFolder) or name not in here.seen:
                raise FileNotFoundError(errno.ENOENT, path)
            here = here.seen[name]
        return here

    def file(self, path: str) -> DiskFile:
        """Return the file at a path. Raises FileNotFoundError, IsADirectoryError."""
        found = self.find(path)
        if isinstance(found, DiskFolder):
            raise IsADirectoryError(errno.EISDIR, path)
        return found

    def parent(self, path: str) -> tuple[DiskFolder, str]:
        """Return the folder that holds a path, and the last name. Raises FileNotFoundError."""
        place = PurePosixPath(path)
        found = self.find(str(place.parent))
        if not isinstance(found, DiskFolder):
            raise FileNotFoundError(errno.ENOENT, path)
        return found, place.name

    def sync_file(self, found: DiskFile) -> None:
        """Make a file's content survive."""
        found.durable = bytes(found.seen)

    def sync_folder(self, folder: DiskFolder) -> None:
        """Make a folder's names survive."""
        folder.durable = dict(folder.seen)

    def cut(self) -> None:
        """Lose everything that was not synced."""
        self.cuts += 1
        _forget(self.root)


def _forget(folder: DiskFolder) -> None:
    folder.seen = dict(folder.durable)
    for found in folder.seen.values():
        if isinstance(found, DiskFolder):
            _forget(found)
        else:
            found.seen = bytearray(found.durable)
            # Another date, so that the kernel reads it anew.
            found.changed_ns = time.time_ns()
