"""What a build raises beside the pack errors, named by what a person does about it."""

import errno
from pathlib import Path

from recognition.core.errors import RecognitionError

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class BuildStopped(RecognitionError):
    """This machine does not let the build go on: its disk is full or refuses, or another build is at work."""


class DownloadFailed(RecognitionError):
    """A file could not be fetched: try again, or bring it in a folder."""


def is_full(exc: OSError) -> bool:
    """Tell whether a disk refused for want of room."""
    return exc.errno in _NO_ROOM


def stopped_by(exc: OSError, folder: Path) -> BuildStopped:
    """Return the error that says in a sentence why the disk of `folder` refused."""
    if is_full(exc):
        return BuildStopped(
            f"the disk is full, so nothing was changed in {folder}", hint="make room there, or name another folder"
        )
    where = exc.filename or folder
    return BuildStopped(f"{where} cannot be written: {exc.strerror or exc}", hint="nothing was changed")
