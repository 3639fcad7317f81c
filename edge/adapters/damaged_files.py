"""The damaged records that were set aside: what of them is overwritten so that nothing of it stays on the disk."""

import os
from pathlib import Path

from edge.adapters.sqlite_file import SIDE_NAMES

FOLDER_NAME = "damaged"
_STEP_BYTES = 8_000_000
_AT_ONCE_BYTES = 64_000_000
"""Even a slow card writes so much in some seconds: whoever erases has other things to do too."""


def damaged_files(folder: Path) -> list[Path]:
    """Return the files of all damaged records in a data folder, oldest first."""
    return [path for path in sorted((folder / FOLDER_NAME).glob("*/*")) if path.name in SIDE_NAMES]


def erase_damaged(folder: Path) -> tuple[list[Path], str]:
    """Overwrite and delete the damaged files, for somebody's template must leave this disk; the reports stay.

    Of large ones a part at a time. Return those that are still there, and what is wrong with the last of them that
    cannot be overwritten; empty when nothing is wrong.
    """
    trouble, left = "", _AT_ONCE_BYTES
    for path in damaged_files(folder):
        try:
            left -= _erase_from_end(path, left)
        except OSError as exc:
            name = f"{FOLDER_NAME}/{path.parent.name}/{path.name}"
            trouble = f"{name} holds templates that must go and cannot be overwritten ({exc.strerror})"
    return damaged_files(folder), trouble


def erase_file(path: Path) -> None:
    """Overwrite and delete a file. Raises OSError."""
    _erase_from_end(path, path.stat().st_size)


def _erase_from_end(path: Path, most_bytes: int) -> int:
    """Overwrite and cut off up to so much of a file's end, and delete it when nothing is left; return how much."""
    done = 0
    with path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        # What is cut off was overwritten on the disk before: a power cut at any moment leaves nothing readable behind.
        while size and done < most_bytes:
            step = min(size, _STEP_BYTES)
            file.seek(size - step)
            file.write(bytes(step))
            file.flush()
            os.fsync(file.fileno())
            size -= step
            done += step
            file.truncate(size)
    if not size:
        path.unlink()
    return done
