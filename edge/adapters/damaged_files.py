"""The damaged records that were set aside: what of them is overwritten so that nothing of it stays on the disk."""

import os
from pathlib import Path

from edge.adapters.sqlite_file import SIDE_NAMES

FOLDER_NAME = "damaged"
_STEP_BYTES = 8_000_000
"""Even a slow card writes so much in some seconds: what is recorded meanwhile has to wait for that."""


def damaged_files(folder: Path) -> list[Path]:
    """Return the files of all damaged records in a data folder."""
    return [path for path in sorted((folder / FOLDER_NAME).glob("*/*")) if path.name in SIDE_NAMES]


class DamagedFiles:
    """Those of one data folder, to be erased once somebody's template must leave this disk; their reports stay.

    One thread erases, any looks.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._in_vain: dict[Path, str] = {}
        """What could not be overwritten, and why: a failing card is not written to all the time."""

    def left(self) -> str:
        """Return what is still there, for a person; empty when nothing is."""
        files = damaged_files(self._folder)
        for path in files:
            if reason := self._in_vain.get(path):
                name = path.relative_to(self._folder)
                return (
                    f"{name} holds templates that must go and cannot be overwritten ({reason}): "
                    "delete it by hand, replace the card"
                )
        return "damaged files are being erased" if files else ""

    def erase_some(self) -> bool:
        """Overwrite and cut off a part of one file; return False when there is nothing more to do at once."""
        for path in damaged_files(self._folder):
            if path in self._in_vain:
                continue
            try:
                _erase_end(path)
            except FileNotFoundError:
                # Somebody did it by hand just now.
                continue
            except OSError as exc:
                self._in_vain[path] = exc.strerror or str(exc)
                continue
            return True
        return False

    def try_again(self) -> None:
        """Also what could not be overwritten before."""
        self._in_vain.clear()


def erase_file(path: Path) -> None:
    """Overwrite and delete a file. Raises OSError."""
    while not _erase_end(path):
        pass


def _erase_end(path: Path) -> bool:
    """Overwrite and cut off the end of a file, and delete it when nothing is left; return whether it is gone."""
    with path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        if size:
            # What is cut off was overwritten on the disk before: a power cut at any moment leaves nothing readable.
            step = min(size, _STEP_BYTES)
            file.seek(size - step)
            file.write(bytes(step))
            file.flush()
            os.fsync(file.fileno())
            size -= step
            file.truncate(size)
    if not size:
        path.unlink()
    return not size
