"""Reports about the register, to look at or to take away; what is taken away stands in the audit log."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta, tzinfo
from itertools import groupby
from typing import TypeVar

from sqlalchemy import Connection

from hub.adapters import audit_log, register_store, roster_store, timetable_store
from hub.adapters.report_store import Days, RegisterLines
from hub.core import report_codes, reports
from hub.core.errors import BadInput, NotFound
from hub.core.report_codes import CodeLine
from hub.core.report_rows import ReportRow
from hub.core.report_tables import Report
from hub.core.reports import Span
from hub.core.roster_times import day_bounds, day_of
from hub.office.context import Office

LAST_DAYS = 30
LONGEST = timedelta(days=3 * 366)
_NOT_OBSERVED = "Not observed"
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Asked:
    """Which days a report is about, both inclusive, and in which form it is taken away ("": only looked at).

    Without a first day: from the beginning of the term that covers the last one, else 30 days. Without a last: today.
    """

    first: date | None = None
    last: date | None = None
    taken_as: str = ""


@dataclass(frozen=True, slots=True)
class CodesFile:
    """Attendance codes as a file. `without_code`: how many lines of each status the settings have no code for."""

    first: date
    last: date
    content: bytes
    lines: int
    students: int
    without_code: dict[str, int]


def student_report(office: Office, serial_number: str, asked: Asked) -> Report:
    """Return the report of one student. Raises NotFound, BadInput."""

    def work(connection: Connection) -> Report:
        at = _Reading(connection, office, asked)
        student = at.lines.student(serial_number)
        if student is None:
            raise NotFound(
                f"there is no student with serial number {serial_number!r}", hint="rollcall-hub student list shows them"
            )
        rows = list(at.lines.of_student(student.student_id))
        at.taken("student", f"student:{student.student_id}", len(rows))
        return reports.student_report(student, rows, at.span)

    return _run(office, work)


def section_report(office: Office, section: str, asked: Asked) -> Report:
    """Return the report of a section's lessons. Raises NotFound, BadInput."""

    def work(connection: Connection) -> Report:
        at = _Reading(connection, office, asked)
        section_id = section_named(connection, section)
        rows = list(at.lines.of_section(section_id))
        students = at.lines.members(section_id)
        at.taken("section", f"section:{section_id}", len(rows))
        return reports.section_report(section, rows, students, at.span)

    return _run(office, work)


def room_report(office: Office, room: str, asked: Asked) -> Report:
    """Return the report of what happened in a room. Raises NotFound, BadInput."""

    def work(connection: Connection) -> Report:
        at = _Reading(connection, office, asked)
        room_id = _room_named(connection, room)
        rows = list(at.lines.of_room(room_id))
        at.taken("room", f"room:{room_id}", len(rows))
        return reports.room_report(room, rows, at.span)

    return _run(office, work)


def unobserved_report(office: Office, asked: Asked, *, section: str | None = None, room: str | None = None) -> Report:
    """Return who was not observed and why: of the school, of a section's lessons, of a room, or of both.

    Raises NotFound, BadInput.
    """

    def work(connection: Connection) -> Report:
        at = _Reading(connection, office, asked)
        rows = [row for row in _unobserved(at, section, room) if row.status == _NOT_OBSERVED]
        at.taken("unobserved", "register", len(rows))
        where = "".join([f", section {section}" if section else "", f", room {room}" if room else ""])
        return reports.unobserved_report(rows, at.span, where)

    return _run(office, work)


def today_report(office: Office, *, taken_as: str = "") -> Report:
    """Return the school's present day so far."""
    today = day_of(office.clock.now(), office.settings.zone)

    def work(connection: Connection) -> Report:
        at = _Reading(connection, office, Asked(today, today, taken_as))
        rows = list(at.lines.of_school())
        at.taken("today", f"register:{today.isoformat()}", len(rows))
        return reports.today_report(rows, at.span)

    return _run(office, work)


def codes_file(office: Office, asked: Asked, *, section: str | None = None, bom: bool = False) -> CodesFile:
    """Return the attendance codes of some days for the school's information system, by the mapping of the settings.

    Raises NotFound, BadInput.
    """
    codes, zone = office.settings.attendance.codes, office.settings.zone

    def work(connection: Connection) -> CodesFile:
        at = _Reading(connection, office, asked)
        rows = at.lines.of_school()
        if section is not None:
            found = at.lines.of_section(section_named(connection, section))
            rows = iter(sorted(found, key=lambda row: row.day))
        told = _Codes(codes, zone)
        content = report_codes.codes_csv(told.lines(rows), bom=bom)
        at.taken("codes", "register", told.count, "csv")
        return CodesFile(
            at.days.first, at.days.last, content, told.count, len(told.students), dict(told.without.most_common())
        )

    return _run(office, work)


def waiting(office: Office, first: date, last: date) -> int:
    """Return of how many students of the school rows of these days wait to be derived again: reports will change."""
    return office.database.run(lambda connection: register_store.waiting(connection, first, last))


def section_named(connection: Connection, name: str) -> str:
    """Return the id of a section. Raises NotFound."""
    found = roster_store.section_ids(connection).get(name)
    if found is None:
        raise NotFound(f"there is no section {name!r}", hint="rollcall-hub section list shows them")
    return found


def days_asked(connection: Connection, office: Office, asked: Asked) -> Days:
    """Return which days are meant. Raises BadInput."""
    last = asked.last or max(day_of(office.clock.now(), office.settings.zone), asked.first or date.min)
    first = asked.first or _first_day(connection, last)
    if last < first:
        raise BadInput(f"{last} is before {first}", hint="--from is the first day, --until the last")
    if last - first > LONGEST:
        raise BadInput(f"from {first} to {last} are more than three years", hint="take them away in parts")
    zone = office.settings.zone
    return Days(first, last, day_bounds(first, zone)[0], day_bounds(last, zone)[1])


class _Codes:
    """Codes of lines that come day by day: those of one day are held, and what they come to."""

    def __init__(self, codes: Mapping[str, str], zone: tzinfo) -> None:
        self._codes, self._zone = codes, zone
        self.count = 0
        self.students: set[str] = set()
        self.without: Counter[str] = Counter()

    def lines(self, rows: Iterable[ReportRow]) -> Iterator[CodeLine]:
        """Yield the lines by day, start and serial number."""
        for _, of_day in groupby(rows, key=lambda row: row.day):
            found = [line for row in of_day if (line := self._line(row))]
            self.count += len(found)
            self.students.update(line.serial_number for line in found)
            yield from sorted(found, key=lambda line: (line.start, line.serial_number))

    def _line(self, row: ReportRow) -> CodeLine | None:
        line = report_codes.code_line(self._codes, row, self._zone)
        if line is None and not row.student.erased:
            self.without[row.status] += 1
        return line


class _Reading:
    """A report that is being read: the days, their lines, and what is noted of it."""

    def __init__(self, connection: Connection, office: Office, asked: Asked) -> None:
        self._office = office
        self._asked = asked
        self.connection = connection
        self.days: Days = days_asked(connection, office, asked)
        self.lines = RegisterLines(connection, self.days, office.clock.now())
        self.span = Span(self.days.first, self.days.last, office.settings.zone)

    def taken(self, report: str, subject: str, lines: int, taken_as: str = "") -> None:
        """Write in the audit log that a report was taken away; of one that is only looked at, nothing."""
        if form := self._asked.taken_as or taken_as:
            note_taken(self.connection, self._office, (report, form, subject), self.days, lines)


def note_taken(connection: Connection, office: Office, what: tuple[str, str, str], days: Days, lines: int) -> None:
    """Write in the audit log that a report was taken away: which, in which form, and about what."""
    report, form, subject = what
    audit_log.record(
        connection,
        at=office.clock.now(),
        actor=office.actor,
        action="report.export",
        subject=subject,
        detail={
            "report": report,
            "format": form,
            "from": days.first.isoformat(),
            "until": days.last.isoformat(),
            "lines": lines,
        },
    )


def _unobserved(at: _Reading, section: str | None, room: str | None) -> Iterable[ReportRow]:
    connection = at.connection
    if room is not None:
        rows = at.lines.of_room(_room_named(connection, room))
        if section is None:
            return rows
        section_named(connection, section)
        return (row for row in rows if row.section == section)
    if section is not None:
        return at.lines.of_section(section_named(connection, section))
    return at.lines.of_school(status=_NOT_OBSERVED)


def _room_named(connection: Connection, name: str) -> str:
    found = roster_store.room_ids(connection).get(name)
    if found is None:
        raise NotFound(f"there is no room {name!r}", hint="rollcall-hub room list shows them")
    return found


def _first_day(connection: Connection, last: date) -> date:
    covering = [term for term in timetable_store.all_terms(connection) if term.first_day <= last <= term.last_day]
    return max((term.first_day for term in covering), default=last - timedelta(days=LAST_DAYS - 1))


def _run(office: Office, work: Callable[[Connection], Result]) -> Result:
    # One snapshot: what stands beside each other is of one moment.
    return office.database.run(work, isolation="REPEATABLE READ")
