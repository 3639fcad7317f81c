"""Reports as spreadsheets (XLSX): words stay words, times are dates by the school's clock."""

import io
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

import xlsxwriter  # type: ignore[import-untyped]
from xlsxwriter.worksheet import Worksheet  # type: ignore[import-untyped]

from hub.core.errors import BadInput
from hub.core.report_tables import Cell, Heading, Report, ReportTable, shown

_FORMATS = {
    "text": "@",
    "count": "0",
    "number": "0.0",
    "share": "0.0%",
    "day": "yyyy-mm-dd",
    "clock": "yyyy-mm-dd hh:mm:ss",
}
_MOST_ROWS = 1_048_575
"""Of a sheet, without its heading."""
_LONGEST_CELL = 32_767
_WIDEST, _NARROWEST = 60, 6
_LOOKED_AT = 500
"""Lines by which a column's width is chosen."""


def workbook(report: Report, made_at: datetime) -> bytes:
    """Return a report as a spreadsheet: a sheet for each table, and one that says what the figures mean.

    No cell is a formula or a link, whatever stands in it. Raises BadInput for more lines than a sheet holds.
    """
    content = io.BytesIO()
    safe = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(content, safe) as book:
        book.set_properties({"title": report.title, "created": made_at.astimezone(report.zone).replace(tzinfo=None)})
        bold = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
        formats = {kind: book.add_format({"num_format": form}) for kind, form in _FORMATS.items()}
        for table in sorted(report.tables, key=lambda one: one.key != report.main):
            sheet = book.add_worksheet(_sheet_name(table.title))
            _write(sheet, table, report, bold, formats)
        about = book.add_worksheet("About")
        about.set_column(0, 0, 120)
        for number, line in enumerate(_about(report)):
            about.write_string(number, 0, line)
    return content.getvalue()


def _write(sheet: Worksheet, table: ReportTable, report: Report, bold: Any, formats: dict[str, Any]) -> None:
    if len(table.lines) > _MOST_ROWS:
        raise BadInput(
            f"a spreadsheet holds {_MOST_ROWS} lines, not {len(table.lines)}", hint="take fewer days, or a CSV file"
        )
    sheet.freeze_panes(1, 0)
    for column, heading in enumerate(table.headings):
        sheet.write_string(0, column, heading.text, bold)
        sheet.set_column(column, column, _width(heading, (line[column] for line in table.lines[:_LOOKED_AT]), report))
    for number, line in enumerate(table.lines, 1):
        for column, (heading, cell) in enumerate(zip(table.headings, line, strict=True)):
            _put(sheet, (number, column), cell, report, formats[heading.kind])
    if table.lines:
        sheet.autofilter(0, 0, len(table.lines), len(table.headings) - 1)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)


def _put(sheet: Worksheet, place: tuple[int, int], cell: Cell, report: Report, form: Any) -> None:
    if cell is None:
        return
    if isinstance(cell, datetime):
        # A spreadsheet knows no time zones: what stands there is what the school's clock showed.
        sheet.write_datetime(*place, cell.astimezone(report.zone).replace(tzinfo=None), form)
    elif isinstance(cell, date):
        sheet.write_datetime(*place, cell, form)
    elif isinstance(cell, str):
        sheet.write_string(*place, cell[:_LONGEST_CELL], form)
    else:
        sheet.write_number(*place, cell, form)


def _width(heading: Heading, cells: Iterable[Cell], report: Report) -> int:
    if heading.kind == "clock":
        return len("2026-09-01 08:00:00") + 1
    longest = max((len(shown(cell, heading.kind, report.zone)) for cell in cells), default=0)
    return min(_WIDEST, max(_NARROWEST, len(heading.text) + 3, longest + 1))


def _sheet_name(title: str) -> str:
    return "".join(char for char in title if char not in "[]:*?/\\'")[:31]


def _about(report: Report) -> list[str]:
    days = str(report.first_day) if report.first_day == report.last_day else f"{report.first_day} to {report.last_day}"
    return [report.title, days, f"Times: {report.zone}", *report.definitions]
