"""The original system as a folder: its tables as CSV files, `attendance.csv`, `known_faces/`. Reading and writing."""

import csv
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from hub.adapters.csv_files import write_file
from hub.core.csv_writing import guard, unguard
from hub.core.errors import BadInput
from hub.core.legacy import ATTENDANCE, MAX_ATTENDANCE, STUDENTS, SourceRow

STUDENTS_FILE = "students.csv"
TABLE_FILE = "attendance_table.csv"
LINES_FILE = "attendance.csv"
FACES_FOLDER = "known_faces"
_FILES = {STUDENTS: STUDENTS_FILE, f"{ATTENDANCE}_table": TABLE_FILE, ATTENDANCE: LINES_FILE}
_LONGEST_LINE = 1_000_000
_FOLDER_MODE, _FILE_MODE = 0o700, 0o600


class LegacyFolder:
    """A `Source` over CSV files. One thread."""

    def __init__(self, folder: Path) -> None:
        """Raise BadInput when there is no such folder, or nothing in it that is known."""
        self.folder = folder
        if not folder.is_dir():
            raise BadInput(f"{folder} is not a folder" if folder.exists() else f"there is no folder {folder}")
        if not self.tables() and self.faces() is None:
            raise BadInput(
                f"{folder} has nothing of the original system",
                hint=f"it may hold {STUDENTS_FILE}, {LINES_FILE}, {TABLE_FILE} and {FACES_FOLDER}/",
            )

    def tables(self) -> Sequence[str]:
        """See Source. What says more of attendance comes first."""
        return [table for table, name in _FILES.items() if (self.folder / name).is_file()]

    def faces(self) -> Path | None:
        """Return the folder with portraits, if there is one."""
        folder = self.folder / FACES_FOLDER
        return folder if folder.is_dir() else None

    def columns(self, table: str) -> Sequence[str]:
        """See Source."""
        with self._open(table) as file:
            return self._header(csv.reader(_lines(file), strict=True), table)

    def rows(self, table: str, columns: Mapping[str, str]) -> Iterator[SourceRow]:
        """See Source."""
        name = _FILES[table]
        with self._open(table) as file:
            reader = csv.reader(_lines(file), strict=True)
            header = self._header(reader, table)
            places = {wanted: header.index(column) for wanted, column in columns.items()}
            try:
                for number, cells in enumerate(reader, start=1):
                    if number > MAX_ATTENDANCE:
                        raise BadInput(f"{name} has more than {MAX_ATTENDANCE} rows", hint="split it")
                    where = f"{name} line {reader.line_num}"
                    if any(cells):
                        yield SourceRow(
                            where,
                            {
                                wanted: unguard(cells[place]) if place < len(cells) else ""
                                for wanted, place in places.items()
                            },
                        )
            except (csv.Error, UnicodeDecodeError, OSError) as exc:
                raise BadInput(f"{name} cannot be read after line {reader.line_num}: {_why(exc)}") from exc

    def _open(self, table: str) -> TextIO:
        path = self.folder / _FILES[table]
        try:
            return path.open(encoding="utf-8-sig", newline="")
        except OSError as exc:
            raise BadInput(f"{path} cannot be read: {exc.strerror}") from exc

    def _header(self, reader: Iterator[list[str]], table: str) -> list[str]:
        try:
            header = next(reader, [])
        except (csv.Error, UnicodeDecodeError, OSError) as exc:
            raise BadInput(f"the first line of {_FILES[table]} cannot be read: {_why(exc)}") from exc
        if not any(cell.strip() for cell in header):
            raise BadInput(f"{_FILES[table]} has no header line")
        return [unguard(cell) for cell in header]


def _lines(file: TextIO) -> Iterator[str]:
    """Yield the lines, none longer than memory bears. Raises BadInput."""
    while line := file.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise BadInput(f"{Path(file.name).name} has a line of more than {_LONGEST_LINE} characters")
        if "\0" in line:
            raise BadInput(f"{Path(file.name).name} is no text file")
        yield line


def _why(exc: Exception) -> str:
    if isinstance(exc, UnicodeDecodeError):
        return "it is not UTF-8"
    return str(exc.strerror) if isinstance(exc, OSError) else str(exc)


class LegacyOutput:
    """A folder that is being written: beside the place it goes to, until `finish`. Nothing is left when it fails."""

    def __init__(self, folder: Path, *, force: bool) -> None:
        """Raise BadInput when the folder holds something and `force` is not given, or cannot be made."""
        self.folder = folder
        self._force = force
        try:
            if folder.exists() and not folder.is_dir():
                raise BadInput(f"{folder} is a file, not a folder")
            if not force and folder.is_dir() and any(folder.iterdir()):
                raise BadInput(f"{folder} is not empty", hint="name another folder, or replace its files with --force")
            folder.parent.mkdir(parents=True, exist_ok=True)
            self._scratch = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
            self._scratch.mkdir(mode=_FOLDER_MODE)
        except OSError as exc:
            raise BadInput(f"{folder} cannot be made: {exc.strerror}") from exc

    def table(self, name: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> int:
        """Write a CSV file, every cell harmless in a spreadsheet; return how many rows it has. Raises BadInput."""
        written = 0
        path = self._scratch / name
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\r\n")
                writer.writerow(header)
                for row in rows:
                    writer.writerow([guard(cell) for cell in row])
                    written += 1
                file.flush()
                os.fsync(file.fileno())
        except OSError as exc:
            raise BadInput(f"{self.folder / name} cannot be written: {exc.strerror}") from exc
        return written

    def picture(self, name: str, content: bytes) -> None:
        """Write a portrait. Raises BadInput."""
        faces = self._scratch / FACES_FOLDER
        try:
            faces.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        except OSError as exc:
            raise BadInput(f"{self.folder / FACES_FOLDER} cannot be made: {exc.strerror}") from exc
        write_file(faces / name, content)

    def finish(self) -> None:
        """Put everything in its place. Files of other names that lie there stay. Raises BadInput."""
        try:
            if not self.folder.exists():
                self._scratch.replace(self.folder)
                return
            self.folder.chmod(_FOLDER_MODE)
            for path in sorted(self._scratch.rglob("*")):
                target = self.folder / path.relative_to(self._scratch)
                if path.is_dir():
                    target.mkdir(mode=_FOLDER_MODE, exist_ok=True)
                else:
                    path.replace(target)
            shutil.rmtree(self._scratch)
        except OSError as exc:
            raise BadInput(f"{self.folder} cannot be written: {exc.strerror}") from exc

    def drop(self) -> None:
        """Remove what was not finished."""
        shutil.rmtree(self._scratch, ignore_errors=True)
