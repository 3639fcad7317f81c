"""A report as tables of plain values, and how it is written: in UTC for scripts, by the school's clock for people."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from typing import Literal

from hub.core.csv_writing import csv_bytes
from hub.core.roster_times import local_iso

Cell = str | int | float | date | datetime | None
Kind = Literal["text", "count", "number", "share", "day", "clock"]
"""`share`: between 0 and 1, read as per cent; `clock`: a moment of which people read the time of day."""
_HUNDRED = 100


@dataclass(frozen=True, slots=True)
class Heading:
    """A column: what scripts call it, with its unit, and what people read."""

    key: str
    text: str
    kind: Kind = "text"
    screen: bool = True
    """Whether it also stands on the screen, which is narrow."""


@dataclass(frozen=True, slots=True)
class ReportTable:
    """A table of a report; every line has a cell for each heading."""

    key: str
    title: str
    headings: tuple[Heading, ...]
    lines: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """A report about some days, first and last inclusive. `main` names the table that goes into a CSV file."""

    name: str
    title: str
    first_day: date
    last_day: date
    zone: tzinfo
    tables: tuple[ReportTable, ...]
    main: str
    rows: int
    """Lines of the register it is made of."""
    definitions: tuple[str, ...] = ()

    def table(self, key: str) -> ReportTable | None:
        """Return the table with a key."""
        return next((table for table in self.tables if table.key == key), None)


def shown(cell: Cell, kind: Kind, zone: tzinfo) -> str:
    """Return a cell as people read it on a screen."""
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return f"{cell.astimezone(zone):%H:%M}" if kind == "clock" else f"{cell.astimezone(zone):%Y-%m-%d %H:%M}"
    if isinstance(cell, float):
        return f"{cell * _HUNDRED:.1f} %" if kind == "share" else f"{cell:.1f}"
    return str(cell)


def as_csv(table: ReportTable, zone: tzinfo, *, bom: bool = False) -> bytes:
    """Return a table as a CSV file: the names of scripts, the school's time with its offset, shares as numbers."""
    lines = (tuple(_written(cell, zone) for cell in line) for line in table.lines)
    return csv_bytes([heading.key for heading in table.headings], lines, bom=bom)


def json_bytes(report: Report) -> bytes:
    """Return a report as a JSON file."""
    return (json.dumps(as_json(report), ensure_ascii=False, indent=2) + "\n").encode()


def as_json(report: Report) -> dict[str, object]:
    """Return a report for scripts: plain values, moments in UTC with a Z, the definitions beside the figures."""
    return {
        "report": report.name,
        "title": report.title,
        "from": report.first_day.isoformat(),
        "until": report.last_day.isoformat(),
        "time_zone": str(report.zone),
        "definitions": list(report.definitions),
        **{table.key: [_named(table.headings, line) for line in table.lines] for table in report.tables},
    }


def _named(headings: Sequence[Heading], line: Sequence[Cell]) -> dict[str, str | int | float | None]:
    return {heading.key: _plain(cell) for heading, cell in zip(headings, line, strict=True)}


def _plain(cell: Cell) -> str | int | float | None:
    if isinstance(cell, datetime):
        return cell.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return cell.isoformat() if isinstance(cell, date) else cell


def _written(cell: Cell, zone: tzinfo) -> str:
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return local_iso(cell, zone)
    return f"{cell:.4f}" if isinstance(cell, float) else str(cell)
