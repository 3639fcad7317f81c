"""Strict reading of a CSV file that a person made: every row that cannot be used is named, or all rows are good."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from hub.core.csv_writing import unguard
from hub.core.errors import BadInput

MAX_CSV_BYTES = 8 * 1024 * 1024
MAX_CSV_ROWS = 50_000
MAX_PROBLEMS_SHOWN = 50

_EXPORT_HINT = 'export it from the spreadsheet as "CSV UTF-8 (comma separated)"'

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Why one row of a file cannot be used; `line` counts from 1 and includes the header."""

    line: int
    reason: str


class RowsRefused(BadInput):
    """Rows of a file cannot be used. The message names all of them, up to `MAX_PROBLEMS_SHOWN`; nothing was changed."""

    def __init__(self, problems: Iterable[RowProblem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        count = len(self.problems)
        shown = [f"line {problem.line}: {problem.reason}" for problem in self.problems[:MAX_PROBLEMS_SHOWN]]
        if count > MAX_PROBLEMS_SHOWN:
            shown.append(f"... and {count - MAX_PROBLEMS_SHOWN} more")
        rows = "1 row cannot be used" if count == 1 else f"{count} rows cannot be used"
        super().__init__(
            f"{rows}; nothing was imported\n" + "\n".join(shown), hint="correct the file and import it again"
        )


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns a file must and may have, in any order."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()

    @property
    def example(self) -> str:
        """The header line to show to a person."""
        return ",".join(self.required + self.optional)


@dataclass(frozen=True, slots=True)
class Row(Generic[T]):
    """What a line of the file says."""

    line: int
    value: T


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """The rows of a file that were understood, and what is wrong with the others."""

    rows: tuple[Row[T], ...]
    problems: tuple[RowProblem, ...] = ()
    absent: tuple[str, ...] = ()
    """The optional columns that the file does not have."""


def read_rows(data: bytes, columns: Columns, meaning: Callable[[Mapping[str, str]], T]) -> Reading[T]:
    """Return what the rows below the header mean; `meaning` gets a mapping from column to text and raises BadInput.

    Missing optional columns are empty. The apostrophe that our own files have before what looks like a formula is
    taken away. Raises BadInput when the file as a whole cannot be read.
    """
    reader = csv.reader(io.StringIO(_text_of(data), newline=""), strict=True)
    try:
        header = _header(next(reader, []), columns)
    except csv.Error as exc:
        raise BadInput(f"the first line is not CSV: {exc}", hint=f"it must be: {columns.example}") from exc
    rows: list[Row[T]] = []
    problems: list[RowProblem] = []
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
            if cells is None:
                break
            if any(cell.strip() for cell in cells):
                rows.append(Row(line, meaning(_named(cells, header, columns))))
        except csv.Error as exc:
            # After broken quotes nobody knows where the next row starts.
            problems.append(RowProblem(line, f"broken quotes ({exc}); what follows was not read"))
            break
        except BadInput as exc:
            problems.append(RowProblem(line, str(exc)))
        if len(rows) + len(problems) > MAX_CSV_ROWS:
            raise BadInput(f"the file has more than {MAX_CSV_ROWS} rows", hint="split it")
    return Reading(tuple(rows), tuple(problems), tuple(name for name in columns.optional if name not in header))


def _named(cells: list[str], header: list[str], columns: Columns) -> Mapping[str, str]:
    if len(cells) != len(header):
        raise BadInput(f"{len(cells)} cells, but the header has {len(header)}")
    return dict.fromkeys(columns.optional, "") | dict(zip(header, map(unguard, cells), strict=True))


def _text_of(data: bytes) -> str:
    if len(data) > MAX_CSV_BYTES:
        raise BadInput(f"the file has {len(data)} bytes; at most {MAX_CSV_BYTES} are read", hint="split the file")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadInput("the file is UTF-16, not UTF-8", hint=_EXPORT_HINT)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise BadInput(f"line {line} is not UTF-8", hint=_EXPORT_HINT) from exc
    if "\0" in text:
        raise BadInput("this is not a text file", hint=_EXPORT_HINT)
    return text


def _header(cells: list[str], columns: Columns) -> list[str]:
    names = [cell.strip().casefold() for cell in cells]
    hint = f"the first line must be: {columns.example}"
    if not any(names):
        raise BadInput("the file has no header line", hint=hint)
    if len(names) == 1 and (";" in names[0] or "\t" in names[0]):
        raise BadInput("the cells are separated by semicolons or tabs, not by commas", hint=_EXPORT_HINT)
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise BadInput(f"the header names a column twice: {_listed(doubled)}", hint=hint)
    if missing := [name for name in columns.required if name not in names]:
        raise BadInput(f"the header lacks {_listed(missing)}", hint=hint)
    if unknown := [name for name in names if name not in columns.required + columns.optional]:
        raise BadInput(f"the header has columns that are not known here: {_listed(unknown)}", hint=hint)
    return names


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name[:40]) for name in names)
