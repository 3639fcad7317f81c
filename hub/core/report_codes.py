"""Attendance codes as the school's information system wants them.

A mapping's keys are a status ("Late"), a status with the least minutes late ("Late:30": by 30 minutes or more) or with
the reason of a mark ("Excused:medical"). The most exact key that fits counts: the reason, then the most minutes, then
the status. A line for which there is no key has no code.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from hub.core.csv_writing import guard
from hub.core.report_rows import ReportRow

HEADER = ("serial_number", "date", "lesson_start", "code")


@dataclass(frozen=True, slots=True)
class CodeLine:
    """What the school's information system is told of one student and lesson.

    `start`: the lesson's, by the school's clock; of a part of a day its name, of a whole day empty.
    """

    serial_number: str
    day: date
    start: str
    code: str


def code_of(codes: Mapping[str, str], row: ReportRow) -> str | None:
    """Return the code of a line of the register; None if the mapping has none for it."""
    if row.reason and (exact := codes.get(f"{row.status}:{row.reason}")) is not None:
        return exact
    late_by = row.late_by
    if late_by is not None:
        reached = [least for least in _late_steps(codes) if timedelta(minutes=least) <= late_by]
        if reached:
            return _late_steps(codes)[max(reached)]
    return codes.get(row.status)


def code_line(codes: Mapping[str, str], row: ReportRow, zone: tzinfo) -> CodeLine | None:
    """Return the line of a row of the register; None if it has no code, or stands for nobody any more."""
    code = code_of(codes, row)
    if code is None or row.student.erased:
        return None
    return CodeLine(row.student.serial_number, row.day, start_said(row.start, row.part, zone), code)


def start_said(start: datetime | None, part: str, zone: tzinfo) -> str:
    """Return when an occasion starts by the school's clock, or what its part of the day is called."""
    return f"{start.astimezone(zone):%H:%M}" if start is not None else part


def codes_csv(lines: Iterable[CodeLine], *, bom: bool = False) -> bytes:
    """Return the lines as a CSV file. Serial numbers are guarded; a code stays what the settings say, such as "-"."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(HEADER)
    writer.writerows((guard(line.serial_number), line.day.isoformat(), line.start, line.code) for line in lines)
    return (("\ufeff" if bom else "") + text.getvalue()).encode()


def _late_steps(codes: Mapping[str, str]) -> dict[int, str]:
    steps = {}
    for key, code in codes.items():
        status, _, least = key.partition(":")
        if status == "Late" and least.isascii() and least.isdigit():
            steps[int(least)] = code
    return steps
