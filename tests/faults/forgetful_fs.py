"""A file system that forgets what was not synced, as a disk does whose power is cut. FUSE, on this machine only.

`tests.faults.forgetful_tree` says what survives. Other faults can be switched on while it runs: no space, read-only, a
failing `fsync`.

It is told what to do through the file `.control` in its root: write a word into it (`cut`, `full`, `readonly`,
`syncfails`, `fine`). Run as a program: `python -m tests.faults.forgetful_fs FOLDER`.
"""

import errno
import stat
import sys
import time
from typing import Any

import mfusepy as fuse

from tests.faults.forgetful_tree import DiskFile, DiskFolder, ForgetfulDisk

CONTROL = "/.control"
WORDS = ("cut", "full", "readonly", "syncfails", "fine")
_BLOCK = 4096


class ForgetfulOperations(fuse.Operations):  # type: ignore[misc]
    """FUSE's questions, answered from a `ForgetfulDisk`. Files go by their handle: a deleted one lives while open."""

    use_ns = True

    def __init__(self, disk: ForgetfulDisk) -> None:
        self._disk = disk
        self._open: dict[int, DiskFile] = {}
        self._next = 1

    def _changing(self) -> None:
        if self._disk.trouble == "full":
            raise OSError(errno.ENOSPC, "no space")
        if self._disk.trouble == "readonly":
            raise OSError(errno.EROFS, "read-only")

    def _file(self, path: str, handle: int | None) -> DiskFile:
        if handle is not None and handle in self._open:
            return self._open[handle]
        return self._disk.file(path)

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        if path == CONTROL:
            return {"st_mode": stat.S_IFREG | 0o600, "st_nlink": 1, "st_size": 0}
        found = self._open[fh] if fh is not None and fh in self._open else self._disk.find(path)
        if isinstance(found, DiskFolder):
            return {"st_mode": found.mode, "st_nlink": 2}
        size = len(found.seen)
        return {
            "st_mode": found.mode, "st_nlink": 1, "st_size": size, "st_blocks": -(-size // 512),
            "st_mtime": found.changed_ns, "st_ctime": found.changed_ns, "st_atime": found.changed_ns,
        }  # fmt: skip

    def readdir(self, path: str, fh: int) -> list[str]:  # noqa: ARG002 (FUSE's signature)
        found = self._disk.find(path)
        names = list(found.seen) if isinstance(found, DiskFolder) else []
        return [".", "..", *names]

    def mkdir(self, path: str, mode: int) -> int:
        self._changing()
        folder, name = self._disk.parent(path)
        folder.seen[name] = DiskFolder(stat.S_IFDIR | (mode & 0o7777))
        return 0

    def rmdir(self, path: str) -> int:
        return self.unlink(path)

    def create(self, path: str, mode: int, fi: Any = None) -> int:  # noqa: ARG002
        self._changing()
        folder, name = self._disk.parent(path)
        made = folder.seen[name] = DiskFile(stat.S_IFREG | (mode & 0o7777))
        return self._handle(made)

    def mknod(self, path: str, mode: int, dev: int) -> int:  # noqa: ARG002 (sockets have no content)
        self._changing()
        folder, name = self._disk.parent(path)
        folder.seen[name] = DiskFile(mode)
        return 0

    def open(self, path: str, flags: int) -> int:  # noqa: ARG002
        if path == CONTROL:
            return 0
        return self._handle(self._disk.file(path))

    def _handle(self, found: DiskFile) -> int:
        handle, self._next = self._next, self._next + 1
        self._open[handle] = found
        return handle

    def release(self, path: str, fh: int) -> int:  # noqa: ARG002
        self._open.pop(fh, None)
        return 0

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return bytes(self._file(path, fh).seen[offset : offset + size])

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        if path == CONTROL:
            self._obey(data.decode().strip())
            return len(data)
        self._changing()
        found = self._file(path, fh)
        if offset > len(found.seen):
            found.seen.extend(bytes(offset - len(found.seen)))
        found.seen[offset : offset + len(data)] = data
        found.changed_ns = time.time_ns()
        return len(data)

    def _obey(self, word: str) -> None:
        if word == "cut":
            self._disk.cut()
        elif word in WORDS:
            self._disk.trouble = word

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        if path == CONTROL:
            return 0
        self._changing()
        found = self._file(path, fh)
        if length < len(found.seen):
            del found.seen[length:]
        else:
            found.seen.extend(bytes(length - len(found.seen)))
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:  # noqa: ARG002
        if self._disk.trouble == "syncfails":
            raise OSError(errno.EIO, "not synced")
        self._disk.sync_file(self._file(path, fh))
        return 0

    def flush(self, path: str, fh: int) -> int:  # noqa: ARG002 (closing a file makes nothing durable)
        return 0

    def opendir(self, path: str) -> int:  # noqa: ARG002
        return 0

    def releasedir(self, path: str, fh: int) -> int:  # noqa: ARG002
        return 0

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:  # noqa: ARG002
        if self._disk.trouble == "syncfails":
            raise OSError(errno.EIO, "not synced")
        found = self._disk.find(path)
        if isinstance(found, DiskFolder):
            self._disk.sync_folder(found)
        return 0

    def rename(self, old: str, new: str) -> int:
        self._changing()
        folder, name = self._disk.parent(old)
        if name not in folder.seen:
            raise FileNotFoundError(errno.ENOENT, old)
        target, new_name = self._disk.parent(new)
        target.seen[new_name] = folder.seen.pop(name)
        return 0

    def unlink(self, path: str) -> int:
        self._changing()
        folder, name = self._disk.parent(path)
        if name not in folder.seen:
            raise FileNotFoundError(errno.ENOENT, path)
        del folder.seen[name]
        return 0

    def chmod(self, path: str, mode: int) -> int:
        found = self._disk.find(path)
        found.mode = stat.S_IFMT(found.mode) | (mode & 0o7777)
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:  # noqa: ARG002
        return 0

    def utimens(self, path: str, times: Any = None) -> int:  # noqa: ARG002
        return 0

    def statfs(self, path: str) -> dict[str, int]:  # noqa: ARG002
        free = 0 if self._disk.trouble == "full" else 1_000_000
        return {"f_bsize": _BLOCK, "f_frsize": _BLOCK, "f_blocks": 2_000_000, "f_bfree": free, "f_bavail": free}


def main() -> None:
    """Serve a forgetful file system in the foreground until it is unmounted."""
    # One thread, and no cache of the kernel's that would keep what a cut has taken.
    fuse.FUSE(
        ForgetfulOperations(ForgetfulDisk()), sys.argv[1], foreground=True, nothreads=True,
        attr_timeout=0, entry_timeout=0, negative_timeout=0, auto_cache=True,
    )  # fmt: skip


if __name__ == "__main__":
    main()
