"""The attendance as daily CSV files: a copy a person can read without us. SQLite stays the record.

Columns `date,time,name` come first, as in the system this one follows; the rest says where a line comes from.
"""

import csv
import errno
import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from zoneinfo import ZoneInfo

from edge.adapters.disk_files import sync_folder
from edge.core.errors import StorageFailed, StorageFull, StorageReadOnly
from protocol.events import Event, Mark, Seen

_ID = 3
"""Which column holds the event's id."""
_LONGEST_LINE_BYTES = 64 * 1024
_EVENT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
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
    """Appends lines to `attendance-YYYY-MM-DD.csv` in a folder only we may read. One thread at a time."""

    def __init__(self, folder: Path, time_zone: str, *, with_names: bool) -> None:
        self._folder = folder
        self._zone = ZoneInfo(time_zone)
        self._with_names = with_names

    def append(self, events: Iterable[Event], names: Mapping[str, str]) -> None:
        """Write the lines of these events and wait until they are on disk.

        Raises StorageFull or StorageFailed; the events are safe in SQLite all the same.
        """
        for day, rows in self._by_day(events, names).items():
            self._write(self.file_of(day), rows)

    def add_lacking(self, events: Iterable[Event], names: Mapping[str, str], there: dict[str, set[str]]) -> None:
        """Write those lines of these events that their day files do not have. Raises as `append`.

        `there` keeps which events had a line in the days of the last call: with it, a day file is read once for many
        calls. To be emptied when a call failed, or somebody else wrote.
        """
        by_day = self._by_day(events, names)
        for day in there.keys() - by_day.keys():
            del there[day]
        for day, rows in by_day.items():
            path = self.file_of(day)
            if day not in there:
                there[day] = {row[_ID] for row in self._read(path)}
            lacking = [row for row in rows if row[_ID] not in there[day]]
            if lacking:
                self._drop_torn_line(path, lacking)
                self._write(path, lacking)

    def rebuild(self, day: str, events: Iterable[Event], names: Mapping[str, str]) -> int:
        """Write a day's file anew from everything the record has of it; return how many lines it has.

        A name that the gallery does not know any more stays as the old file has it, and so do lines of events that the
        record no longer has. The old file is there until the new one is on disk; where there is nothing to write, none
        is made.
        """
        path = self.file_of(day)
        old = {row[_ID]: row for row in self._read(path)}
        events = list(events)
        lines: dict[str, tuple[str, ...]] = {}
        for row, event in zip(self._rows(events, names), events, strict=True):
            if row and row[0] == day:
                before = old.get(row[_ID])
                known = not isinstance(event, Seen | Mark) or event.student_id in names
                lines[row[_ID]] = (
                    row if known or not before or not self._with_names else (*row[:2], before[2], *row[3:])
                )
        kept = [row for key, row in old.items() if key not in lines]
        if not lines and not kept:
            return 0
        self._replace(path, sorted([*lines.values(), *kept], key=lambda row: row[1]))
        return len(lines) + len(kept)

    def _rows(self, events: Iterable[Event], names: Mapping[str, str]) -> list[tuple[str, ...] | None]:
        return [csv_row(event, names, self._zone, with_names=self._with_names) for event in events]

    def _by_day(self, events: Iterable[Event], names: Mapping[str, str]) -> dict[str, list[tuple[str, ...]]]:
        by_day: dict[str, list[tuple[str, ...]]] = {}
        for row in self._rows(events, names):
            if row:
                by_day.setdefault(row[0], []).append(row)
        return by_day

    @property
    def zone(self) -> ZoneInfo:
        """Where the days begin and end."""
        return self._zone

    def file_of(self, day: str) -> Path:
        """Return the file of a day, written as 2026-09-01."""
        return self._folder / f"attendance-{day}.csv"

    def _write(self, path: Path, rows: list[tuple[str, ...]]) -> None:
        with _explained(path):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                _append(descriptor, rows)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _read(self, path: Path) -> list[tuple[str, ...]]:
        """Return the whole lines of a day file that are ours; one that a power cut tore is none."""
        with _explained(path):
            if not path.exists():
                return []
            # Whatever a person's program made of the file: what cannot be read is no line of ours.
            text = path.read_text(encoding="utf-8-sig", errors="replace")
        # Line by line: we never write one that goes on in the next.
        whole = text.replace("\0", "").split("\n")[:-1]
        rows = (_cells(line.rstrip("\r")) for line in whole)
        return [row for row in rows if len(row) == len(HEADER) and _EVENT_ID.fullmatch(row[_ID])]

    def _drop_torn_line(self, path: Path, lacking: list[tuple[str, ...]]) -> None:
        """Cut off a last line that is the beginning of one that is about to be written again."""
        with _explained(path):
            if not path.exists():
                return
            size = path.stat().st_size
            with path.open("rb") as file:
                file.seek(max(0, size - _LONGEST_LINE_BYTES))
                torn = file.read().rpartition(b"\n")[2]
            if torn and any(_lines([row]).encode().startswith(torn) for row in lacking):
                os.truncate(path, size - len(torn))

    def _replace(self, path: Path, rows: list[tuple[str, ...]]) -> None:
        partial = path.with_name(f".{path.name}.part")
        with _explained(path):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                partial.unlink(missing_ok=True)
                descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as out:
                    out.write(_lines([HEADER, *rows]))
                    out.flush()
                    # Without it, a power cut after the renaming leaves an empty file.
                    os.fsync(out.fileno())
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
            sync_folder(self._folder)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        error: type[StorageFailed] = StorageFailed
        hint = "check storage.csv_dir: is it a folder of the unit's user, and is its disk in its place?"
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            error, hint = StorageFull, "free some space on its disk"
        if exc.errno == errno.EROFS:
            error, hint = StorageReadOnly, "its disk can only be read now: is it worn out, or mounted so?"
        # The system says of a file in the folder's place that it exists.
        no_folder = isinstance(exc, FileExistsError | NotADirectoryError)
        why = f"{path.parent} is no folder" if no_folder else exc.strerror
        raise error(f"{path} cannot be written: {why}", hint=hint) from exc


def _cells(line: str) -> tuple[str, ...]:
    try:
        return tuple(next(csv.reader([line]), ()))
    except csv.Error:
        return ()


def _lines(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _append(descriptor: int, rows: list[tuple[str, ...]]) -> None:
    """Write all lines or none; after a line that a power cut tore, begin a new one."""
    size = os.fstat(descriptor).st_size
    text = _lines(rows)
    if size == 0:
        text = _lines([HEADER]) + text
    elif os.pread(descriptor, 1, size - 1) != b"\n":
        text = f"\n{text}"
    rest = memoryview(text.encode())
    try:
        while rest:
            # A disk that fills up takes a part, and fails only at the next write.
            rest = rest[os.write(descriptor, rest) :]
    except OSError:
        with suppress(OSError):
            os.ftruncate(descriptor, size)
        raise
