"""The marks of people as a CSV file that needs no program of ours: a copy. The database stays the record.

Columns `date,time,name` come first, as in the system this one follows; the rest says what was marked, and by whom.
"""

import csv
import fcntl
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, tzinfo
from glob import escape
from pathlib import Path

from hub.adapters.csv_files import write_file
from hub.core.csv_writing import guard
from hub.core.errors import BadInput

HEADER = ("date", "time", "name", "mark_id", "lesson", "method", "status", "reason", "marked_by")
_LINE_BREAKS_AND_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_FOLDER_MODE, _FILE_MODE = 0o700, 0o600


@dataclass(frozen=True, slots=True)
class CsvMark:
    """A line: `name` is `<serial number>_<name>`, `status` the register's word, or that the mark was taken back."""

    student_id: str
    """Not written; whose name it is."""
    at: datetime
    name: str
    mark_id: str
    lesson: str
    method: str
    status: str
    reason: str
    marked_by: str

    def cells(self, zone: tzinfo) -> tuple[str, ...]:
        """Return the cells by the school's clock, each in one line and harmless in a spreadsheet."""
        local = self.at.astimezone(zone)
        said = (self.name, self.mark_id, self.lesson, self.method, self.status, self.reason, self.marked_by)
        return f"{local:%Y-%m-%d}", f"{local:%H:%M:%S}", *(_one_line(cell) for cell in said)


class AttendanceCsv:
    """Appends to one file, and writes it anew; several processes may do so at once.

    What is written is read (`lines`) only while no other process writes: a name that was erased is then gone from the
    record, or from the file that an erasure writes anew after it. Nobody who holds a lock of the database may call.
    """

    def __init__(self, path: Path, zone: tzinfo) -> None:
        self.path = path
        self._zone = zone
        self._beside = path.with_name(f".{path.name}.lock")

    def append(self, lines: Callable[[], Iterable[CsvMark]]) -> None:
        """Write these lines, all or none, and wait until they are on disk. Raises BadInput, and what `lines` raises."""
        with self._alone():
            rows = [one.cells(self._zone) for one in lines()]
            if not rows:
                return
            try:
                descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _FILE_MODE)
                try:
                    _append(descriptor, rows)
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
            except OSError as exc:
                raise self._unwritable(exc) from exc

    def rebuild(self, lines: Callable[[], Iterable[CsvMark]], *, if_there: bool = False) -> int:
        """Write the file anew; the old one is there until the new one is on disk. Return how many lines it has.

        `if_there`: a file that nobody has made stays unmade. Raises as `append`.
        """
        if if_there and not (self.path.exists() or self._beside.exists()):
            return 0  # nobody writes: whoever begins now reads the names of now
        with self._alone():
            self._drop_scratch()
            if if_there and not self.path.exists():
                return 0
            rows = [one.cells(self._zone) for one in lines()]
            write_file(self.path, _lines([HEADER, *rows]).encode())
            return len(rows)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold a file beside ours that whoever writes holds: ours is another one after each rebuild."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=_FOLDER_MODE)
            descriptor = os.open(self._beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        except OSError as exc:
            raise self._unwritable(exc) from exc
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _drop_scratch(self) -> None:
        """Delete what somebody left who was ended while they wrote the file anew: it has the names of then."""
        try:
            for left in self.path.parent.glob(f".{escape(self.path.name)}.{'[0-9a-f]' * 8}"):
                left.unlink(missing_ok=True)
        except OSError as exc:
            raise self._unwritable(exc) from exc

    def _unwritable(self, exc: OSError) -> BadInput:
        # The system says of a file in the folder's place that it exists.
        no_folder = isinstance(exc, FileExistsError | NotADirectoryError)
        why = f"{self.path.parent} is no folder" if no_folder else exc.strerror
        return BadInput(
            f"{self.path} cannot be written: {why}",
            hint="the marks are on record; repair attendance.csv_file or its disk, then: "
            "rollcall-hub register csv-rebuild",
        )


def _one_line(cell: str) -> str:
    return guard(_LINE_BREAKS_AND_CONTROLS.sub(" ", cell).strip())


def _lines(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _append(descriptor: int, rows: Sequence[Sequence[str]]) -> None:
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
