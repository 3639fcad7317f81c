"""What a model pack may take of this machine's disk and memory: attendance comes first."""

import shutil
from contextlib import suppress
from pathlib import Path

from edge.core.errors import GalleryRefused

FOLDER_NAME = "packs"
PART = ".part"
_DROPPED = ".dropped"
_SPARE_DISK_BYTES = 64 * 1024 * 1024
"""What stays free beside a pack."""
_SPARE_MEMORY_BYTES = 32 * 1024 * 1024
_MEMORY = Path("/proc/meminfo")


def check_disk(folder: Path, pack_id: str, size: int) -> None:
    """Refuse what would leave the disk too little. Raises GalleryRefused(`pack_no_space`), OSError."""
    free = shutil.disk_usage(folder).free
    if free < size + _SPARE_DISK_BYTES:
        text = f"model pack {pack_id} needs {_mb(size + _SPARE_DISK_BYTES)} of disk, {_mb(free)} are free"
        raise GalleryRefused("pack_no_space", text)


def check_memory(pack_id: str, size: int) -> None:
    """Refuse models of this size where opening them once takes too much. Raises GalleryRefused(`pack_no_memory`)."""
    available = memory_available()
    # They are opened once beside those that run, before they take their place.
    if available is not None and available < size + _SPARE_MEMORY_BYTES:
        text = f"model pack {pack_id} needs {_mb(size + _SPARE_MEMORY_BYTES)} of memory, {_mb(available)} are free"
        raise GalleryRefused("pack_no_memory", text)


def drop_unfinished(data_dir: Path) -> int:
    """Delete what has come of packs on their way: it is fetched again; return how many bytes. Any thread."""
    folder = data_dir / FOLDER_NAME
    # First what a kill left of an earlier time: it would stand in the way of the names.
    freed = sum(_delete(dropped) for dropped in folder.glob(f"*{_DROPPED}"))
    for part in folder.glob(f"*{PART}"):
        dropped = part.with_suffix(_DROPPED)
        with suppress(OSError):
            # One step: whoever puts the pack into its place just now finds all of it, or nothing.
            part.rename(dropped)
            freed += _delete(dropped)
    return freed


def _delete(dropped: Path) -> int:
    with suppress(OSError):
        size = sum(file.stat().st_size for file in dropped.iterdir())
        shutil.rmtree(dropped)
        return size
    return 0


def memory_available() -> int | None:
    """Return the bytes of memory that programs may still take; None where the system does not say."""
    try:
        lines = _MEMORY.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = (line.split() for line in lines if line.startswith("MemAvailable:"))
    return next((int(fields[1]) * 1024 for fields in found), None)


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.0f} MB"
