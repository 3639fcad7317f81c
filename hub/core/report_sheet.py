"""The printed register: the students of a section by the lessons of a week, laid out on pages."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from hub.core.report_codes import code_of
from hub.core.report_rows import ReportRow, ReportStudent

LINES_A_PAGE = 32
COLUMNS_A_PAGE = 36
SHORT = {"Present": "P", "Late": "L", "Absent": "A", "Excused": "E", "Not seen": "ns", "Not observed": "no"}
"""For statuses to which the school gave no code."""
_NOT_OBSERVED = "Not observed"


@dataclass(frozen=True, slots=True)
class SheetColumn:
    """A lesson, or a part of a day without lessons (`start` None). `over`: whoever has no line was not observed."""

    key: str
    day: date
    start: datetime | None
    title: str
    over: bool


@dataclass(frozen=True, slots=True)
class SheetLine:
    """A student and a code for each column; empty where the student is not expected, or the lesson is not over."""

    number: int
    student: ReportStudent
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SheetPage:
    """Some days of one week and some of the students."""

    columns: tuple[SheetColumn, ...]
    lines: tuple[SheetLine, ...]


@dataclass(frozen=True, slots=True)
class RegisterSheet:
    """A section's register on pages; `legend`: what each code that stands on them means."""

    section: str
    pages: tuple[SheetPage, ...]
    legend: tuple[tuple[str, str], ...]
    students: tuple[ReportStudent, ...]


@dataclass(frozen=True, slots=True)
class SheetFacts:
    """What a printed register is made of: its columns, the lines on record, and who is expected in which column."""

    columns: Sequence[SheetColumn]
    rows: Sequence[ReportRow]
    expected: Collection[tuple[str, str]]
    students: Mapping[str, ReportStudent]


def register_sheet(section: str, facts: SheetFacts, codes: Mapping[str, str]) -> RegisterSheet:
    """Return the printed register of a section: week by week, students by serial number."""
    written = {(row.student.student_id, row.occasion): _code(codes, row) for row in facts.rows}
    blank = codes.get(_NOT_OBSERVED, SHORT[_NOT_OBSERVED])
    for student_id, key in facts.expected:
        if any(column.key == key and column.over for column in facts.columns):
            written.setdefault((student_id, key), blank)
    columns = sorted(facts.columns, key=_by_time)
    shown = {column.key for column in columns}
    here = {place[0] for place in (*written, *facts.expected) if place[1] in shown}
    students = sorted((facts.students[one] for one in here), key=lambda one: one.serial_number)
    pages = [page for part in _parts(columns) for page in _pages(part, students, written)]
    used = {code for page in pages for line in page.lines for code in line.codes if code}
    return RegisterSheet(section, tuple(pages), tuple(_legend(codes, used)), tuple(students))


def _by_time(column: SheetColumn) -> tuple[date, bool, float, str, str]:
    return column.day, column.start is None, column.start.timestamp() if column.start else 0.0, column.title, column.key


def _code(codes: Mapping[str, str], row: ReportRow) -> str:
    return code_of(codes, row) or SHORT.get(row.status, "?")


def _parts(columns: Sequence[SheetColumn]) -> Iterator[list[SheetColumn]]:
    """Yield the columns of each page: of one week, whole days as long as they fit."""
    for _, week in groupby(columns, key=lambda one: one.day - timedelta(days=one.day.weekday())):
        part: list[SheetColumn] = []
        for _, of_day in groupby(week, key=lambda one: one.day):
            day = list(of_day)
            if part and len(part) + len(day) > COLUMNS_A_PAGE:
                yield part
                part = []
            while len(day) > COLUMNS_A_PAGE:
                yield day[:COLUMNS_A_PAGE]
                day = day[COLUMNS_A_PAGE:]
            part += day
        yield part


def _pages(
    columns: Sequence[SheetColumn], students: Sequence[ReportStudent], written: Mapping[tuple[str, str], str]
) -> Iterator[SheetPage]:
    for start in range(0, len(students), LINES_A_PAGE):
        part = students[start : start + LINES_A_PAGE]
        lines = (
            SheetLine(number, one, tuple(written.get((one.student_id, column.key), "") for column in columns))
            for number, one in enumerate(part, start + 1)
        )
        yield SheetPage(tuple(columns), tuple(lines))


def _legend(codes: Mapping[str, str], used: Collection[str]) -> Iterator[tuple[str, str]]:
    meanings: dict[str, list[str]] = {}
    for key, code in (*codes.items(), *((status, short) for status, short in SHORT.items() if status not in codes)):
        if code in used and (":" not in key or codes.get(key.partition(":")[0]) != code):
            meanings.setdefault(code, []).append(_meaning(key))
    yield from ((code, " or ".join(found)) for code, found in meanings.items())


def _meaning(key: str) -> str:
    status, _, more = key.partition(":")
    if not more:
        return status
    return f"{status} by {more} min or more" if more.isdigit() else f"{status} ({more})"
