"""What lines of the register come to, and in which words and forms people and scripts read it."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core import reports
from hub.core.report_counts import STATUSES, Runs, counted
from hub.core.report_rows import BY_HAND, ReportRow, ReportStudent, reason_of
from hub.core.report_tables import Report, as_csv, as_json, shown
from hub.core.reports import Span

ZONE = ZoneInfo("Europe/Berlin")
DAY = date(2026, 9, 1)
EIGHT = datetime(2026, 9, 1, 6, tzinfo=UTC)
"""08:00 in Berlin."""
ADA = ReportStudent("ada", "1", "Ada", "7b")
BOB = ReportStudent("bob", "002", "Bob", "7b", consent=False)
SPAN = Span(DAY, DAY + timedelta(days=6), ZONE)


def a_row(status: str = "Present", hours: int = 0, **more: Any) -> ReportRow:
    start = EIGHT + timedelta(hours=hours)
    row = ReportRow(
        student=ADA,
        occasion=f"lesson:{hours}",
        day=start.astimezone(ZONE).date(),
        status=status,
        method="Face Recognition",
        rule="seen",
        at=start,
        start=start,
        label="Maths",
        section="7b",
        room="12",
    )
    return replace(row, **more)


def a_row_of_a_day(status: str = "Present") -> ReportRow:
    return a_row(status, occasion="day:2026-09-01:AM", start=None, label="")


def rows_of(*statuses: str) -> list[ReportRow]:
    return [a_row(status, hours) for hours, status in enumerate(statuses)]


def named(report: Report, key: str) -> list[dict[str, Any]]:
    found: Any = as_json(report)[key]
    return list(found)


def test_attendance_is_a_share_of_what_somebody_knows() -> None:
    found = counted(rows_of("Present", "Late", "Absent", "Excused", "Not seen", "Not observed", "Not observed"))
    assert found.recorded == 7
    assert found.rate == 0.5
    assert (found.of["Not seen"], found.of["Not observed"]) == (1, 2)


def test_where_nobody_knows_anything_there_is_no_rate() -> None:
    assert counted(rows_of("Not seen", "Not observed")).rate is None
    assert counted([]).by_hand is None


@given(st.lists(st.sampled_from(STATUSES), max_size=12))
def test_what_nobody_knows_changes_neither_the_rate_nor_the_runs(statuses: list[str]) -> None:
    all_of_them = counted(rows_of(*statuses))
    certain = counted([row for row in rows_of(*statuses) if row.status not in {"Not seen", "Not observed"}])
    assert (all_of_them.rate, all_of_them.absent_run, all_of_them.attended_run) == (
        certain.rate,
        certain.absent_run,
        certain.attended_run,
    )


@pytest.mark.parametrize(
    ("statuses", "absent", "attended"),
    [
        (["Absent", "Not observed", "Absent", "Present", "Late"], Runs(2, 0), Runs(2, 2)),
        (["Present", "Excused", "Late", "Absent"], Runs(1, 1), Runs(1, 0)),
        (["Absent", "Absent", "Excused", "Absent"], Runs(2, 1), Runs(0, 0)),
        ([], Runs(0, 0), Runs(0, 0)),
    ],
)
def test_runs_end_with_anything_else_that_somebody_knows(statuses: list[str], absent: Runs, attended: Runs) -> None:
    found = counted(list(reversed(rows_of(*statuses))))
    assert (found.absent_run, found.attended_run) == (absent, attended)


def test_minutes_late_are_those_from_the_start_where_anybody_knows() -> None:
    late = a_row("Late", at=EIGHT + timedelta(minutes=12, seconds=59))
    later = a_row("Late", 1, at=EIGHT + timedelta(hours=1, minutes=30, seconds=1))
    unsaid = a_row("Late", 2)
    of_a_day = a_row_of_a_day("Late")
    assert [row.minutes_late for row in (late, later, unsaid, of_a_day, a_row())] == [12, 30, None, None, None]
    found = counted([late, later, unsaid, of_a_day])
    assert (found.minutes_late, found.late_known, found.mean_minutes_late) == (43, 2, 21.5)


def test_by_hand_is_what_a_person_marked_and_not_what_closing_a_lesson_made() -> None:
    marked = a_row("Present", method="Manual", rule="mark")
    closed = a_row("Absent", 1, method="Manual", rule="closed")
    taken_over = a_row("Present", 2, rule="mark")
    assert counted([marked, closed, taken_over, a_row(hours=3)]).by_hand == 0.25


def test_whoever_is_marked_by_hand_counts_like_anybody_and_nobody_is_blamed() -> None:
    by_hand = [a_row("Present", student=BOB, method="Manual", rule="mark")]
    unmarked = a_row("Not observed", 1, student=BOB, rule="not_able")
    report = reports.section_report("7b", [*by_hand, unmarked, a_row()], [ADA, BOB], SPAN)
    first, second = named(report, "students")
    assert (first["serial_number"], first["recorded_by"], first["attendance_share"]) == ("002", "by hand", 1.0)
    assert (second["serial_number"], second["recorded_by"], second["attendance_share"]) == ("1", "camera", 1.0)
    assert named(report, "reasons") == [{"rule": "not_able", "why": BY_HAND, "lines": 1}]


def test_a_section_names_its_students_without_a_line_and_its_guests() -> None:
    guest = ReportStudent("eve", "3", "Eve", "8a")
    report = reports.section_report("7b", [a_row(student=guest)], [ADA], SPAN)
    students = named(report, "students")
    assert [(one["serial_number"], one["section"], one["recorded"]) for one in students] == [
        ("1", "7b", 0),
        ("3", "8a", 1),
    ]
    assert [one["date"] for one in named(report, "days")] == ["2026-09-01"]


def test_a_student_is_told_line_for_line_in_order_of_time() -> None:
    seen = a_row("Late", 1, at=EIGHT + timedelta(hours=1, minutes=15), rule="seen_late", notes="bus")
    report = reports.student_report(ADA, [a_row("Absent", 2), seen, a_row_of_a_day()], SPAN)
    first, second, third = named(report, "occasions")
    assert third["at"] is None
    assert (first["lesson"], first["lesson_start"]) == ("AM", None)
    assert second["minutes_late"] == 15
    assert second["why"] == "first seen after the time allowed"
    assert second["at"] == "2026-09-01T07:15:00Z"
    assert report.definitions


def test_who_was_not_observed_is_grouped_by_reason_room_and_student() -> None:
    unwatched = [a_row("Not observed", hours, rule="not_watched") for hours in range(3)]
    held = a_row("Not observed", 3, rule="held", room="13", student=BOB)
    report = reports.unobserved_report([held, *unwatched], SPAN)
    assert [(one["why"], one["lines"]) for one in named(report, "reasons")] == [
        ("too little of the lesson was watched", 3),
        ("so few were seen that a person has to look at the lesson", 1),
    ]
    assert [(one["room"], one["lines"]) for one in named(report, "rooms")] == [("12", 3), ("13", 1)]
    assert [(one["serial_number"], one["lines"]) for one in named(report, "students")] == [("1", 3), ("002", 1)]
    assert len(named(report, "occasions")) == 4


def test_today_asks_about_whoever_was_missing_at_last() -> None:
    came_back = [a_row("Absent", 0, student=BOB), a_row("Present", 1, student=BOB)]
    gone = [a_row("Present", 0), a_row("Not seen", 1), a_row("Not observed", 2)]
    report = reports.today_report([*came_back, *gone], SPAN)
    (missing,) = named(report, "missing")
    assert (missing["serial_number"], missing["first_missed"]) == ("1", "2026-09-01T07:00:00Z")
    assert (missing["absent"], missing["not_seen"], missing["there"]) == (0, 1, 1)
    assert named(report, "sections")[0]["students"] == 2


def test_a_room_counts_by_section_and_by_day() -> None:
    report = reports.room_report("12", [a_row(), a_row("Absent", 1, section="8a"), a_row(hours=24)], SPAN)
    assert [(one["section"], one["present"], one["absent"]) for one in named(report, "sections")] == [
        ("7b", 2, 0),
        ("8a", 0, 1),
    ]
    assert [(one["date"], one["recorded"]) for one in named(report, "days")] == [("2026-09-01", 2), ("2026-09-02", 1)]


def test_people_read_the_schools_clock_and_per_cent_also_when_the_clocks_change() -> None:
    winter = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)  # 02:30 for the second time
    assert shown(winter, "clock", ZONE) == "02:30"
    assert shown(winter, "text", ZONE) == "2026-10-25 02:30"
    assert (shown(0.975, "share", ZONE), shown(12.25, "number", ZONE), shown(None, "count", ZONE)) == (
        "97.5 %",
        "12.2",
        "",
    )


def test_a_csv_file_is_harmless_and_has_the_names_of_scripts() -> None:
    evil = replace(ADA, name="=HYPERLINK()", serial_number="007")
    report = reports.section_report("7b", [a_row(student=evil)], [evil], SPAN)
    table = report.table("students")
    assert table is not None
    header, line = as_csv(table, ZONE, bom=True).decode("utf-8-sig").splitlines()
    assert header.startswith("serial_number,name,section,recorded_by,recorded,")
    assert line.startswith("007,'=HYPERLINK(),7b,camera,1,1,0,0,0,0,0,1.0000,")
    occasions = reports.student_report(ADA, [a_row()], SPAN).table("occasions")
    assert occasions is not None
    assert "2026-09-01,2026-09-01T08:00:00+02:00,Maths" in as_csv(occasions, ZONE).decode()


@pytest.mark.parametrize(
    ("notes", "status", "marked", "reason"),
    [
        ("medical: dentist", "Excused", ("excused", "medical"), "medical"),
        ("medical", "Excused", ("excused", "medical"), "medical"),
        ("medicals", "Excused", ("excused", "medical"), ""),
        ("medical", "Present", ("excused", "medical"), ""),
        ("medical", "Excused", None, ""),
    ],
)
def test_a_reason_is_that_of_the_mark_that_stands(
    notes: str, status: str, marked: tuple[str, str] | None, reason: str
) -> None:
    assert reason_of(notes, status, marked) == reason
