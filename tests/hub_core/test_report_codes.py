"""Attendance codes: the most exact key that fits counts."""

from dataclasses import replace
from datetime import timedelta

import pytest

from hub.core.report_codes import code_line, code_of, codes_csv
from hub.core.report_rows import ReportRow
from hub.settings import AttendanceSettings
from tests.hub_core.test_reports import ADA, EIGHT, ZONE, a_row, a_row_of_a_day

CODES = {
    "Present": "/",
    "Late": "L",
    "Late:30": "U",
    "Late:5": "L5",
    "Late:bus": "B",
    "Excused": "C",
    "Excused:medical": "M",
}


def late(minutes: float, reason: str = "") -> ReportRow:
    return a_row("Late", at=EIGHT + timedelta(minutes=minutes), reason=reason)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (a_row(), "/"),
        (late(4.9), "L"),
        (late(5), "L5"),
        (late(29.9), "L5"),
        (late(30), "U"),
        (late(0), "L"),
        (late(45, "bus"), "B"),
        (late(45, "fog"), "U"),
        (a_row("Excused", reason="medical"), "M"),
        (a_row("Excused", reason="trip"), "C"),
        (a_row("Not seen"), None),
    ],
)
def test_the_most_exact_key_counts(row: ReportRow, code: str | None) -> None:
    assert code_of(CODES, row) == code


def test_every_status_has_a_code_by_default_and_a_code_is_written_as_it_is() -> None:
    codes = AttendanceSettings().codes
    assert {code_of(codes, a_row(one)) for one in ("Not seen", "Not observed")} == {"-"}
    evil = a_row("Not seen", student=replace(ADA, serial_number="=1"))
    lines = [code_line(codes, row, ZONE) for row in (evil, a_row_of_a_day())]
    text = codes_csv([line for line in lines if line]).decode()
    assert text == "serial_number,date,lesson_start,code\r\n'=1,2026-09-01,08:00,-\r\n1,2026-09-01,AM,/\r\n"


def test_nothing_is_told_of_a_number_that_stands_for_nobody() -> None:
    assert code_line(CODES, a_row(student=replace(ADA, erased=True)), ZONE) is None
