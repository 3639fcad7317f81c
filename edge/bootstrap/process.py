"""What this program is, and how much memory it holds."""

import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def software() -> str:
    """Return the version of this program."""
    try:
        return version("rollcall")
    except PackageNotFoundError:
        return "unknown"


def resident_bytes() -> int:
    """Return how much memory this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
