"""Rows read out of a damaged database file and its log, page by page and without SQLite.

SQLite reaches a row from the root down and gives up where a page on the way is damaged; every row below it would be
lost with it. Here each page that holds rows is read by itself. Nothing found is believed: whoever asks checks each row
by its own hash. The format is SQLite's, version 3 (sqlite.org/fileformat2.html).
"""

import errno
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from edge.adapters.sqlite_wal import FRAME_HEADER_BYTES, WAL_HEADER_BYTES, read_header

Value = int | float | str | bytes | None

_PAGE_BYTES = 4096
"""What this SQLite has always made; used where the file's own word for it is gone."""
_ROWS_PAGE = 13
_FIRST_PAGE_HEADER = 100
_MOST_COLUMNS = 64
_INTEGER_BYTES = (0, 1, 2, 3, 4, 6, 8)


@dataclass(frozen=True, slots=True)
class Cell:
    """Where a row is: a page image, and the row's place in it."""

    in_log: bool
    page_at: int
    """Bytes from the beginning of the file or of the log."""
    is_first: bool
    """Whether it is an image of page 1."""
    pointer: int


@dataclass(frozen=True, slots=True)
class FoundRow:
    """A row as it was found; its table is not known."""

    cell: Cell
    number: int
    values: tuple[Value, ...]
    newest: bool
    """Whether its page was not written again later."""


class Unreadable(Exception):
    """These bytes are no row."""


@dataclass(frozen=True, slots=True)
class _Image:
    in_log: bool
    at: int


class PageReader:
    """Reads a database file and its log, whatever became of them, leaving out what the disk cannot read.

    Raises OSError for files that cannot be opened.
    """

    def __init__(self, database: Path) -> None:
        log = database.with_name(f"{database.name}-wal")
        self._files = [os.open(path, os.O_RDONLY | os.O_CLOEXEC) if path.exists() else -1 for path in (database, log)]
        self._sizes = [os.fstat(file).st_size if file >= 0 else 0 for file in self._files]
        self._unreadable: set[_Image] = set()
        self._page_bytes = self._guess_page_bytes()
        self._newest: dict[int, _Image] = {}
        self._images: list[tuple[int, _Image]] = []
        """Page numbers and images, oldest first."""
        self._find_images()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the files."""
        for file in self._files:
            if file >= 0:
                os.close(file)

    @property
    def unreadable(self) -> int:
        """How many places the disk could not read."""
        return len(self._unreadable)

    def _bytes(self, image: _Image, start: int, count: int) -> bytes:
        file = self._files[image.in_log]
        try:
            return os.pread(file, count, image.at + start) if file >= 0 else b""
        except OSError as exc:
            if exc.errno != errno.EIO:
                raise
            self._unreadable.add(image)
            return b""

    def _guess_page_bytes(self) -> int:
        said = int.from_bytes(self._bytes(_Image(False, 16), 0, 2), "big")
        return said if said in (512, 1024, 2048, 4096, 8192, 16384, 32768) else _PAGE_BYTES

    def _find_images(self) -> None:
        in_file = [
            (number, _Image(False, (number - 1) * self._page_bytes))
            for number in range(1, self._sizes[0] // self._page_bytes + 1)
        ]
        before, now = self._log_images()
        # What is left in the log from the last time round is older than the file.
        self._images = [*before, *in_file, *now]
        self._newest = dict([*in_file, *now])

    def _log_images(self) -> tuple[list[tuple[int, _Image]], list[tuple[int, _Image]]]:
        """Return the images in the log: those of an earlier round, and those of the present one."""
        header = read_header(self._bytes(_Image(True, 0), 0, WAL_HEADER_BYTES))
        step = FRAME_HEADER_BYTES + self._page_bytes
        salts = header.salts if header else None
        rounds: tuple[list[tuple[int, _Image]], list[tuple[int, _Image]]] = [], []
        for at in range(WAL_HEADER_BYTES, self._sizes[1] - step + 1, step):
            head = self._bytes(_Image(True, at), 0, 16)
            if len(head) < 16:
                continue
            number, _pages, one, two = struct.unpack(">4I", head)
            # Without a header, the log is what its first frame says.
            salts = salts or (one, two)
            rounds[(one, two) == salts].append((number, _Image(True, at + FRAME_HEADER_BYTES)))
        return rounds

    def rows(self) -> Iterator[FoundRow]:
        """Yield every row of every table, older versions of a page before newer ones."""
        for number, image in self._images:
            newest = self._newest.get(number) == image
            page = self._bytes(image, 0, self._page_bytes)
            for cell in self._cells(image, page, is_first=number == 1):
                with suppress(Unreadable):
                    yield self._row(cell, page, newest=newest)

    def again(self, cell: Cell) -> FoundRow | None:
        """Return a row that was found before."""
        page = self._bytes(_Image(cell.in_log, cell.page_at), 0, self._page_bytes)
        try:
            return self._row(cell, page, newest=True)
        except Unreadable:
            return None

    def _cells(self, image: _Image, page: bytes, *, is_first: bool) -> list[Cell]:
        start = _FIRST_PAGE_HEADER if is_first else 0
        if len(page) < self._page_bytes or page[start] != _ROWS_PAGE:
            return []
        count = int.from_bytes(page[start + 3 : start + 5], "big")
        pointers = page[start + 8 : start + 8 + 2 * min(count, self._page_bytes // 4)]
        found = struct.unpack(f">{len(pointers) // 2}H", pointers[: len(pointers) // 2 * 2])
        return [Cell(image.in_log, image.at, is_first, pointer) for pointer in found if 8 <= pointer < self._page_bytes]

    def _row(self, cell: Cell, page: bytes, *, newest: bool) -> FoundRow:
        size, at = _varint(page, cell.pointer)
        number, at = _varint(page, at)
        payload = self._payload(page, at, size)
        return FoundRow(cell, number, _values(payload), newest)

    def _payload(self, page: bytes, at: int, size: int) -> bytes:
        usable = self._page_bytes
        if not 0 < size <= sum(self._sizes):
            raise Unreadable
        if size <= usable - 35:
            return page[at : at + size]
        least = (usable - 12) * 32 // 255 - 23
        here = least + (size - least) % (usable - 4)
        here = here if here <= usable - 35 else least
        parts = [page[at : at + here]]
        following = int.from_bytes(page[at + here : at + here + 4], "big")
        left = size - here
        while left > 0:
            image = self._newest.get(following)
            raw = self._bytes(image, 0, usable) if image else b""
            if len(raw) < usable:
                raise Unreadable
            parts.append(raw[4 : 4 + left])
            left -= usable - 4
            following = int.from_bytes(raw[:4], "big")
        return b"".join(parts)


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """Return the number of one to nine bytes that begins here, and where it ends."""
    value = 0
    for byte in raw[at : at + 8]:
        at += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at
    if at >= len(raw):
        raise Unreadable
    value = value << 8 | raw[at]
    return value - 2**64 if value >= 2**63 else value, at + 1


def _values(payload: bytes) -> tuple[Value, ...]:
    end, at = _varint(payload, 0)
    if not at <= end <= len(payload):
        raise Unreadable
    kinds: list[int] = []
    while at < end:
        # Most need one byte; this runs for each value of each row.
        kind = payload[at]
        at += 1
        if kind >= 0x80:
            kind, at = _varint(payload, at - 1)
        kinds.append(kind)
    if at != end or len(kinds) > _MOST_COLUMNS:
        raise Unreadable
    values: list[Value] = []
    for kind in kinds:
        following = at + ((kind - 12) >> 1 if kind >= 12 else _size_of(kind))
        if following > len(payload):
            raise Unreadable
        values.append(_value(kind, payload[at:following]))
        at = following
    if at != len(payload):
        raise Unreadable
    return tuple(values)


def _size_of(kind: int) -> int:
    if 0 <= kind <= 6:
        return _INTEGER_BYTES[kind]
    if kind in (7, 8, 9):
        return 8 if kind == 7 else 0
    raise Unreadable


def _value(kind: int, raw: bytes) -> Value:
    if kind >= 12:
        return _text(raw) if kind % 2 else raw
    if kind == 0:
        return None
    if kind <= 6:
        return int.from_bytes(raw, "big", signed=True)
    if kind == 7:
        return float(struct.unpack(">d", raw)[0])
    return kind - 8


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Unreadable from None
