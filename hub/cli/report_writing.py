"""Where a report goes, and in which form: a table on the screen, or a file."""

from pathlib import Path
from typing import Literal

import typer

from hub.adapters import csv_files, spreadsheets
from hub.cli import console, naming
from hub.cli.console import Column
from hub.core.report_tables import Report, ReportTable, as_csv, as_json, json_bytes, shown
from hub.core.roster_times import school_day
from hub.office import reports
from hub.office.context import Office
from hub.office.reports import Asked

Format = Literal["table", "csv", "xlsx", "json"]
_FORMS: dict[str, Format] = {".csv": "csv", ".xlsx": "xlsx", ".json": "json"}
_MOST_SHOWN = 200


class Out:
    """Where a report goes, and in which form."""

    def __init__(
        self,
        ctx: typer.Context,
        form: Format | None,
        output: Path | None,
        table: str | None,
        *,
        bom: bool,
        as_json: bool,
    ) -> None:
        self._form = _form(form, output, as_json=as_json)
        self._file = output
        self._table, self._bom, self._told = table, bom, as_json
        if self._form == "xlsx" and output is None:
            raise typer.BadParameter("a spreadsheet needs a file: -o report.xlsx", param_hint="--format")
        if self._form == "table" and output not in {None, csv_files.STREAM}:
            raise typer.BadParameter("name a form: --format csv, xlsx or json", param_hint="-o")
        if table is not None and self._form != "csv":
            raise typer.BadParameter("only a CSV file holds one table; the other forms hold all", param_hint="--table")
        self.office: Office = console.office(ctx)

    @property
    def taken_as(self) -> str:
        """The form in which the report is taken away; "" for the screen."""
        return "" if self._form == "table" else self._form

    def asked(self, since: str | None, until: str | None) -> Asked:
        """Return which days are meant. Raises BadInput."""
        return asked_days(since, until, self.taken_as)

    def write(self, report: Report) -> None:
        """Write the report, and say if rows it is made of are about to change. Raises BadInput."""
        waiting = reports.waiting(self.office, report.first_day, report.last_day)
        if self._form == "table":
            _show(report)
        elif self._form == "json" and self._file in {None, csv_files.STREAM}:
            console.emit_json({**as_json(report), "waiting": waiting})
        else:
            content = self._content(report)
            file = self._file or csv_files.STREAM
            csv_files.write_file(file, content)
            if file != csv_files.STREAM:
                self._say_written(report, file, waiting)
        if not self._told:
            naming.say_waiting(waiting)

    def _say_written(self, report: Report, file: Path, waiting: int) -> None:
        if self._told:
            days = {"from": report.first_day, "until": report.last_day}
            told = {"file": file, "format": self._form, "report": report.name, **days, "lines": report.rows}
            console.emit_json({**told, "waiting": waiting})
        else:
            console.say(f"Wrote {report.title}, {_days(report)}, from {report.rows} lines of the register, to {file}.")

    def _content(self, report: Report) -> bytes:
        if self._form == "xlsx":
            return spreadsheets.workbook(report, self.office.clock.now())
        if self._form == "json":
            return json_bytes(report)
        return as_csv(_chosen(report, self._table), report.zone, bom=self._bom)


def _form(form: Format | None, output: Path | None, *, as_json: bool) -> Format:
    # With --json a file keeps the form of its name; what was written is then told as JSON.
    if as_json and output in {None, csv_files.STREAM}:
        if form not in {None, "json"}:
            raise typer.BadParameter(f"--json and --format {form} exclude each other without a file: -o FILE")
        return "json"
    if form is not None:
        return form
    return "table" if output is None else _FORMS.get(output.suffix.lower(), "table")


def asked_days(since: str | None, until: str | None, taken_as: str) -> Asked:
    """Return which days are meant. Raises BadInput."""
    return Asked(school_day(since) if since else None, school_day(until) if until else None, taken_as)


def _chosen(report: Report, key: str | None) -> ReportTable:
    table = report.table(key or report.main)
    if table is None:
        names = ", ".join(one.key for one in report.tables)
        raise typer.BadParameter(f"this report has the tables {names}", param_hint="--table")
    return table


def _days(report: Report) -> str:
    return str(report.first_day) if report.first_day == report.last_day else f"{report.first_day} to {report.last_day}"


def _show(report: Report) -> None:
    console.say(f"{report.title}, {_days(report)} ({report.zone})")
    if not report.rows:
        console.say("Nothing is on record for these days.")
    for table in report.tables:
        if not table.lines or (table.key == "total" and not report.rows):
            continue
        console.say(f"\n{table.title}")
        columns = [
            Column(str(number), heading.text, right=heading.kind in {"count", "number", "share"})
            for number, heading in enumerate(table.headings)
            if heading.screen
        ]
        rows = [
            {str(number): shown(cell, table.headings[number].kind, report.zone) for number, cell in enumerate(line)}
            for line in table.lines[:_MOST_SHOWN]
        ]
        console.emit(rows, columns, as_json=False)
        if len(table.lines) > _MOST_SHOWN:
            console.note(f"{len(table.lines) - _MOST_SHOWN} more lines: -o FILE writes all of them")
    for sentence in report.definitions:
        console.note(sentence)
