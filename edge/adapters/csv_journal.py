"""The attendance as daily CSV files: a copy a person can read without us. SQLite stays the record.

Columns `date,time,name` come first, as in the system this one follows; the rest says where a line comes from.
"""

import csv
import errno
import io
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from edge.core.errors import StorageFailed, StorageFull
from protocol.events import Event, Mark, Seen

HEADER = ("date", "time", "name", "event_id", "lesson", "method", "score", "clock")
# The wide forms too: spreadsheets for East Asia read them as the narrow ones.
_FORMULA_STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_LINE_BREAKS_AND_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def guarded(cell: str) -> str:
    """Return the cell in one line, and so that no spreadsheet takes it for a formula: with an apostrophe where needed.

    A line break in a name would begin a line of its own, for some readers even inside quotes.
    """
    line = _LINE_BREAKS_AND_CONTROLS.sub(" ", cell).strip()
    return f"'{line}" if line.startswith(_FORMULA_STARTS) else line


def csv_row(event: Event, names: Mapping[str, str], zone: ZoneInfo, *, with_names: bool) -> tuple[str, ...] | None:
    """Return the line for an event, None for one that marks nobody. Without names: the serial number."""
    if not isinstance(event, Seen | Mark):
        return None
    local = event.at.astimezone(zone)
    # Somebody who has left the gallery meanwhile has no name here any more.
    name = names.get(event.student_id, event.student_id)
    if not with_names:
        name = name.split("_", 1)[0]
    seen = isinstance(event, Seen)
    return (
        local.strftime("%Y-%m-%d"),
        local.strftime("%H:%M:%S"),
        guarded(name),
        event.event_id,
        event.lesson_id or "",
        "Face Recognition" if seen else "Manual",
        f"{event.score:.4f}" if isinstance(event, Seen) else "",
        event.clock,
    )


class CsvJournal:
    """Appends lines to `attendance-YYYY-MM-DD.csv` in a folder only we may read. One thread."""

    def __init__(self, folder: Path, time_zone: str, *, with_names: bool) -> None:
        self._folder = folder
        self._zone = ZoneInfo(time_zone)
        self._with_names = with_names

    def append(self, events: Iterable[Event], names: Mapping[str, str]) -> None:
        """Write the lines of these events and wait until they are on disk.

        Raises StorageFull or StorageFailed; the events are safe in SQLite all the same.
        """
        by_day: dict[str, list[tuple[str, ...]]] = {}
        for event in events:
            row = csv_row(event, names, self._zone, with_names=self._with_names)
            if row:
                by_day.setdefault(row[0], []).append(row)
        for day, rows in by_day.items():
            self._write(self._folder / f"attendance-{day}.csv", rows)

    def path_of(self, moment: datetime) -> Path:
        """Return the file of a moment's day."""
        return self._folder / f"attendance-{moment.astimezone(self._zone):%Y-%m-%d}.csv"

    def _write(self, path: Path, rows: list[tuple[str, ...]]) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                _append(descriptor, rows)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as exc:
            error = StorageFull if exc.errno in (errno.ENOSPC, errno.EDQUOT) else StorageFailed
            raise error(f"{path.name} cannot be written: {exc.strerror}", hint="check the disk") from exc


def _append(descriptor: int, rows: list[tuple[str, ...]]) -> None:
    """Write all lines or none; after a line that a power cut tore, begin a new one."""
    size = os.fstat(descriptor).st_size
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if size == 0:
        writer.writerow(HEADER)
    elif os.pread(descriptor, 1, size - 1) != b"\n":
        text.write("\n")
    writer.writerows(rows)
    rest = memoryview(text.getvalue().encode())
    try:
        while rest:
            # A disk that fills up takes a part, and fails only at the next write.
            rest = rest[os.write(descriptor, rest) :]
    except OSError:
        with suppress(OSError):
            os.ftruncate(descriptor, size)
        raise
