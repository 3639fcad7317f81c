"""The reports: what a student's, a section's, a room's lines of the register come to, and who was not observed."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from typing import TypeVar

from hub.core.report_counts import DEFINITIONS, RATES, Counts, counted
from hub.core.report_rows import ReportRow, ReportStudent
from hub.core.report_tables import Cell, Heading, Report, ReportTable

Key = TypeVar("Key", bound=Hashable)
_MISSING = ("Absent", "Not seen")
_STUDENT = (Heading("serial_number", "Serial"), Heading("name", "Name"), Heading("section", "Section"))
_PATH = Heading("recorded_by", "By")
_COUNTS = (
    Heading("recorded", "Recorded", "count"),
    Heading("present", "Present", "count"),
    Heading("late", "Late", "count"),
    Heading("absent", "Absent", "count"),
    Heading("excused", "Excused", "count"),
    Heading("not_seen", "Not seen", "count"),
    Heading("not_observed", "Not observed", "count"),
    Heading("attendance_share", "Attendance", "share"),
    Heading("minutes_late", "Min. late", "count"),
    Heading("mean_minutes_late", "Mean min. late", "number", screen=False),
    Heading("by_hand_share", "By hand", "share"),
)
_RUNS = (
    Heading("longest_run_absent", "Absent in a row", "count"),
    Heading("current_run_absent", "Absent in a row now", "count", screen=False),
    Heading("longest_run_attended", "There in a row", "count"),
    Heading("current_run_attended", "There in a row now", "count", screen=False),
)
_OCCASION = (
    Heading("date", "Date", "day"),
    Heading("lesson_start", "Start", "clock"),
    Heading("lesson", "Lesson"),
    Heading("lesson_section", "Of"),
    Heading("room", "Room"),
)
_WORD = (
    Heading("status", "Status"),
    Heading("at", "At", "clock"),
    Heading("minutes_late", "Min. late", "count"),
    Heading("left_early_at", "Left", "clock"),
    Heading("method", "Method"),
    Heading("rule", "Rule", screen=False),
    Heading("why", "Why"),
    Heading("notes", "Notes"),
)
_REASON = (Heading("rule", "Rule", screen=False), Heading("why", "Why"), Heading("lines", "Lines", "count"))


@dataclass(frozen=True, slots=True)
class Span:
    """The days a report is about, both inclusive, and the school's time zone."""

    first: date
    last: date
    zone: tzinfo


def student_report(student: ReportStudent, rows: Sequence[ReportRow], span: Span) -> Report:
    """Return everything on record for one student: in sum, why not observed, and line for line."""
    found = counted(rows)
    total = (*_who(student), student.path, *_cells(found), *_runs(found))
    occasions = [(*_occasion(row), *_word(row)) for row in _by_time(rows)]
    tables = (
        _table("total", "In sum", (*_STUDENT, _PATH, *_COUNTS, *_RUNS), [total]),
        _reasons(rows),
        _table("occasions", "Line by line", (*_OCCASION, *_WORD), occasions),
    )
    title = f"Student {student.serial_number}, {student.name}"
    return _report("student", title, span, tables, rows, main="occasions", definitions=DEFINITIONS)


def section_report(section: str, rows: Sequence[ReportRow], students: Sequence[ReportStudent], span: Span) -> Report:
    """Return a section's lessons by student and by day. `students`: who belongs to it, also those without a line."""
    known = {row.student.student_id: row.student for row in rows} | {one.student_id: one for one in students}
    of_student = _grouped(rows, lambda row: row.student.student_id)
    lines = []
    for student in sorted(known.values(), key=lambda one: one.serial_number):
        found = counted(of_student.get(student.student_id, ()))
        lines.append((*_who(student), student.path, *_cells(found), *_runs(found)))
    tables = (
        _table("students", "By student", (*_STUDENT, _PATH, *_COUNTS, *_RUNS), lines),
        _days(rows),
        _reasons(rows),
        _total(rows),
    )
    return _report("section", f"Section {section}", span, tables, rows, main="students", definitions=DEFINITIONS)


def room_report(room: str, rows: Sequence[ReportRow], span: Span) -> Report:
    """Return what happened in a room, by section, by day and by what the camera could not do."""
    of_section = _grouped(rows, lambda row: row.section or "")
    lines = [(section or None, *_cells(counted(found))) for section, found in sorted(of_section.items())]
    sections = _table("sections", "By section", (Heading("section", "Section"), *_COUNTS), lines)
    tables = (sections, _days(rows), _reasons(rows), _total(rows))
    return _report("room", f"Room {room}", span, tables, rows, main="days", definitions=RATES)


def unobserved_report(rows: Sequence[ReportRow], span: Span, where: str = "") -> Report:
    """Return who was not observed and why, of lines that say Not observed: by reason, by room, by student, and all."""
    of_room = _grouped(rows, lambda row: (row.room or "", row.why))
    of_student = _grouped(rows, lambda row: row.student.student_id)
    rooms = [(room or None, why, len(found)) for (room, why), found in _most_first(of_room)]
    students = [
        (
            *_who(found[0].student),
            found[0].student.path,
            len(found),
            Counter(row.why for row in found).most_common()[0][0],
        )
        for _, found in _most_first(of_student)
    ]
    why = (*_OCCASION, Heading("rule", "Rule", screen=False), Heading("why", "Why"), Heading("notes", "Notes"))
    occasions = [(*_who(row.student), *_occasion(row), row.rule, row.why, row.notes) for row in _by_time(rows)]
    tables = (
        _reasons(rows),
        _table("rooms", "By room", (Heading("room", "Room"), *_REASON[1:]), rooms),
        _table("students", "By student", (*_STUDENT, _PATH, _REASON[2], Heading("mostly", "Mostly because")), students),
        _table("occasions", "Line by line", (*_STUDENT, *why), occasions),
    )
    title = f"Not observed{where}: nobody could tell, which is no absence"
    return _report("unobserved", title, span, tables, rows, main="occasions")


def today_report(rows: Sequence[ReportRow], span: Span) -> Report:
    """Return the school's day so far: by section, and whom to ask about."""
    of_section = _grouped(rows, lambda row: row.section or "")
    lines = [
        (section or None, len({row.student.student_id for row in found}), *_cells(counted(found)))
        for section, found in sorted(of_section.items())
    ]
    heading = (Heading("section", "Section"), Heading("students", "Students", "count"), *_COUNTS)
    tables = (_table("sections", "By section", heading, lines), _to_ask(rows), _reasons(rows), _total(rows))
    definitions = (*RATES, "A lesson that has not ended counts only whom a camera saw or a person marked.")
    return _report("today", f"The school on {span.first}", span, tables, rows, main="missing", definitions=definitions)


def _to_ask(rows: Sequence[ReportRow]) -> ReportTable:
    """Whoever was Absent or Not seen and, of what anybody knows, was nowhere after that."""
    lines = []
    of_student = _grouped(rows, lambda row: row.student.student_id)
    for found in of_student.values():
        ordered = [row for row in _by_time(found) if row.status != "Not observed"]
        missing = [row for row in ordered if row.status in _MISSING]
        if ordered and ordered[-1].status in _MISSING:
            there = sum(row.status in {"Present", "Late"} for row in ordered)
            absent = sum(row.status == "Absent" for row in missing)
            who = missing[0].student
            lines.append((*_who(who), missing[0].start, absent, len(missing) - absent, there))
    lines.sort(key=lambda line: (str(line[2] or ""), str(line[0])))
    headings = (
        *_STUDENT,
        Heading("first_missed", "First missed", "clock"),
        Heading("absent", "Absent", "count"),
        Heading("not_seen", "Not seen", "count"),
        Heading("there", "There", "count"),
    )
    return _table("missing", "Missing at last", headings, lines)


def _days(rows: Iterable[ReportRow]) -> ReportTable:
    of_day = _grouped(rows, lambda row: row.day)
    lines = [(day, *_cells(counted(found))) for day, found in sorted(of_day.items())]
    return _table("days", "By day", (Heading("date", "Date", "day"), *_COUNTS), lines)


def _reasons(rows: Iterable[ReportRow]) -> ReportTable:
    found = _grouped((row for row in rows if row.status == "Not observed"), lambda row: (row.rule, row.why))
    lines = [(rule, why, len(theirs)) for (rule, why), theirs in _most_first(found)]
    return _table("reasons", "Not observed, because", _REASON, lines)


def _total(rows: Sequence[ReportRow]) -> ReportTable:
    return _table("total", "In sum", _COUNTS, [_cells(counted(rows))])


def _who(student: ReportStudent) -> tuple[Cell, ...]:
    return student.serial_number, student.name, student.section


def _occasion(row: ReportRow) -> tuple[Cell, ...]:
    return row.day, row.start, row.title, row.section, row.room


def _word(row: ReportRow) -> tuple[Cell, ...]:
    return row.status, row.came_at, row.minutes_late, row.left_early_at, row.method, row.rule, row.why, row.notes


def _cells(found: Counts) -> tuple[Cell, ...]:
    return (
        found.recorded,
        *found.of.values(),
        found.rate,
        found.minutes_late,
        found.mean_minutes_late,
        found.by_hand,
    )


def _runs(found: Counts) -> tuple[Cell, ...]:
    absent, attended = found.absent_run, found.attended_run
    return absent.longest, absent.current, attended.longest, attended.current


def _by_time(rows: Iterable[ReportRow]) -> list[ReportRow]:
    return sorted(rows, key=lambda row: (row.order, row.student.serial_number))


def _grouped(rows: Iterable[ReportRow], key: Callable[[ReportRow], Key]) -> dict[Key, list[ReportRow]]:
    found: defaultdict[Key, list[ReportRow]] = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return dict(found)


def _most_first(found: Mapping[Key, list[ReportRow]]) -> list[tuple[Key, list[ReportRow]]]:
    return sorted(found.items(), key=lambda one: (-len(one[1]), str(one[0])))


def _table(key: str, title: str, headings: tuple[Heading, ...], lines: Sequence[tuple[Cell, ...]]) -> ReportTable:
    return ReportTable(key, title, headings, tuple(lines))


def _report(  # noqa: PLR0913 (each is a part of a report)
    name: str,
    title: str,
    span: Span,
    tables: tuple[ReportTable, ...],
    rows: Sequence[ReportRow],
    *,
    main: str,
    definitions: tuple[str, ...] = (),
) -> Report:
    return Report(name, title, span.first, span.last, span.zone, tables, main, len(rows), definitions)
