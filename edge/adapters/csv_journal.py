"""The attendance as daily CSV files: a copy a person can read without us. SQLite stays the record.

Columns `date,time,name` come first, as in the system this one follows; the rest says where a line comes from.
"""

import csv
import io
import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from edge.core.errors import StorageFailed, StorageFull
from protocol.events import Event, Mark, Seen

HEADER = ("date", "time", "name", "event_id", "lesson", "method", "score", "clock")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def guarded(cell: str) -> str:
    """Return the cell so that no spreadsheet takes it for a formula: with an apostrophe before it where needed."""
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell


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
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                text = io.StringIO()
                writer = csv.writer(text, lineterminator="\n")
                if os.fstat(descriptor).st_size == 0:
                    writer.writerow(HEADER)
                writer.writerows(rows)
                # One write: a line is there whole or not at all, as far as the file system allows.
                os.write(descriptor, text.getvalue().encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as exc:
            error = StorageFull if exc.errno == 28 else StorageFailed  # ENOSPC
            raise error(f"{path.name} cannot be written: {exc.strerror}", hint="check the disk") from exc
