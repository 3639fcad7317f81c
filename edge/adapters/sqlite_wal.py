"""Did the write-ahead log lose commits? SQLite itself reads it up to the first bad frame and says nothing.

What is after a bad frame may be the rest of one commit that a power cut tore: that one never returned. More than one
commit after it, or fewer frames than the index beside the log had counted, means that something is gone which had been
promised.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

FRAME_HEADER_BYTES = 24
WAL_HEADER_BYTES = 32
_MAGIC = (0x377F0682, 0x377F0683)
_INDEX_HEADER = struct.Struct("=IIIBBHII2I2I2I")
_WORDS = struct.Struct(">8I")


@dataclass(frozen=True, slots=True)
class WalHeader:
    """The beginning of a log that is one."""

    page_bytes: int
    salts: tuple[int, int]


def read_header(raw: bytes) -> WalHeader | None:
    """Return what the first 32 bytes say, None when they are not a log's."""
    if len(raw) < WAL_HEADER_BYTES:
        return None
    words = _WORDS.unpack(raw[:WAL_HEADER_BYTES])
    if words[0] not in _MAGIC:
        return None
    order = ">" if words[0] & 1 else "<"
    one = two = 0
    for first, second in struct.iter_unpack(f"{order}2I", raw[:24]):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    if (one, two) != words[6:8]:
        return None
    return WalHeader(words[2], (words[4], words[5]))


def _index_frames(path: Path) -> tuple[int, tuple[int, int]] | None:
    """Return how many frames the index beside the log has counted, and of which log; None when it cannot be read."""
    try:
        with path.open("rb") as file:
            raw = file.read(2 * _INDEX_HEADER.size)
    except OSError:
        return None
    half = _INDEX_HEADER.size
    # Written twice, so that a reader sees when it is half way through.
    if len(raw) < 2 * half or raw[:half] != raw[half:]:
        return None
    fields = _INDEX_HEADER.unpack(raw[:half])
    if not fields[3]:
        return None
    salts = struct.unpack(">2I", raw[32:40])
    return int(fields[6]), (salts[0], salts[1])


class WalBefore:
    """The log as it lies there before SQLite opens it."""

    def __init__(self, database: Path) -> None:
        self._index = database.with_name(f"{database.name}-shm")
        log = database.with_name(f"{database.name}-wal")
        self._bytes = log.stat().st_size if log.exists() else 0
        self.headless = self._bytes > 0 and (not database.exists() or database.stat().st_size == 0)
        """There is a log without its file."""
        self._header: WalHeader | None = None
        self._commits: list[int] = []
        """Numbers of the frames that end a commit, counted from 1."""
        self._counted = _index_frames(self._index)
        if self._bytes:
            self._read(log)

    def _read(self, log: Path) -> None:
        with log.open("rb") as file:
            self._header = read_header(file.read(WAL_HEADER_BYTES))
            if self._header is None:
                return
            step = FRAME_HEADER_BYTES + self._header.page_bytes
            for number in range(1, (self._bytes - WAL_HEADER_BYTES) // step + 1):
                file.seek(WAL_HEADER_BYTES + (number - 1) * step)
                _page, pages_after, *salts = struct.unpack(">4I", file.read(16))
                if tuple(salts) != self._header.salts:
                    # Left over from the last time round.
                    break
                if pages_after:
                    self._commits.append(number)

    def lost(self) -> str:
        """Return what of the log SQLite did not read though it had been committed; empty when nothing.

        To be asked after SQLite has read it.
        """
        if not self._bytes:
            return ""
        if self._header is None:
            return "its log has no beginning" if self._bytes > WAL_HEADER_BYTES + FRAME_HEADER_BYTES else ""
        now = _index_frames(self._index)
        read = now[0] if now and now[1] == self._header.salts else 0
        if self._counted and self._counted[1] == self._header.salts and self._counted[0] > read:
            return f"its log had {self._counted[0]} pages, {read} can be read"
        torn = [number for number in self._commits if number > read]
        return f"{len(torn)} commits in its log cannot be read" if len(torn) > 1 else ""
