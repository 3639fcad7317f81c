"""The printed register of a section."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection

from hub.adapters import lesson_finding, printed_fonts
from hub.adapters.printed_register import Imprint, letters_of, pdf_of, texts_of
from hub.adapters.report_store import Days, RegisterLines
from hub.core.errors import BadInput, NotFound
from hub.core.register_marks import LessonFound
from hub.core.report_letters import UNSHAPED, script_of
from hub.core.report_rows import ReportRow
from hub.core.report_sheet import RegisterSheet, SheetColumn, SheetFacts, register_sheet
from hub.core.roster_times import day_of
from hub.office.context import Office
from hub.office.reports import Asked, days_asked, note_taken, section_named

LONGEST = timedelta(days=366)
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class PrintedRegister:
    """A printed register. `unprintable`: serial numbers of names that have letters no font has, `letter_by_letter`:
    of names in scripts whose letters should be joined and are not.
    """

    content: bytes
    first: date
    last: date
    pages: int
    students: int
    unprintable: tuple[str, ...]
    letter_by_letter: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Print:
    """How to print: with which font besides those of this machine, and whether missing letters may stay out."""

    font: Path | None = None
    font_anyway: bool = False
    compressed: bool = True


def days_to_print(office: Office, first: date | None, last: date | None) -> Asked:
    """Return the days that are meant: without a first day from Monday of the week of the last (or of today), without a
    last one six days more.
    """
    if first is None:
        first = last or day_of(office.clock.now(), office.settings.zone)
        first -= timedelta(days=first.weekday())
    return Asked(first, last or first + timedelta(days=6), "pdf")


def print_register(office: Office, section: str, asked: Asked, how: Print | None = None) -> PrintedRegister:
    """Return the register of a section as a PDF, week by week, and write in the audit log that it was printed.

    Raises NotFound for an unknown section or one with nothing on these days; BadInput for days that cannot be and,
    unless `font_anyway`, for names whose letters no font of this machine has.
    """
    how = how or Print()
    now = office.clock.now()

    def read(connection: Connection) -> tuple[Days, str, RegisterSheet]:
        days = days_asked(connection, office, asked)
        if days.last - days.first > LONGEST:
            raise BadInput(f"from {days.first} to {days.last} is more than a year", hint="print it in parts")
        section_id = section_named(connection, section)
        facts = _facts(connection, section_id, days, office, now)
        return days, section_id, register_sheet(section, facts, office.settings.attendance.codes)

    days, section_id, sheet = office.database.run(read, isolation="REPEATABLE READ")
    if not sheet.pages:
        raise NotFound(
            f"section {section} has no register from {days.first} to {days.last}",
            hint="rollcall-hub lesson list shows the timetable",
        )
    printed = _printed(office, sheet, days, how, now)
    lines = sum(len(page.lines) for page in sheet.pages)
    office.database.run(
        lambda connection: note_taken(connection, office, ("register", "pdf", f"section:{section_id}"), days, lines)
    )
    return printed


def _facts(connection: Connection, section_id: str, days: Days, office: Office, now: datetime) -> SheetFacts:
    lines = RegisterLines(connection, days, now)
    rows = list(lines.of_section(section_id))
    lessons = lesson_finding.beginning(connection, days.begin, days.end, section_id=section_id)
    expected = {
        (student_id, f"lesson:{lesson_id}")
        for lesson_id, found in lesson_finding.expected(connection, lesson_finding.ids_of(lessons)).items()
        for student_id in found
    }
    known = {row.student.student_id: row.student for row in rows}
    others = lines.students({one for one, _ in expected} - known.keys())
    known |= {one.student_id: one for one in others}
    return SheetFacts(_columns(lessons, rows, office, now), rows, expected, known)


def _columns(
    lessons: Iterable[LessonFound], rows: Iterable[ReportRow], office: Office, now: datetime
) -> list[SheetColumn]:
    zone = office.settings.zone
    columns = {
        f"lesson:{one.lesson_id}": SheetColumn(
            f"lesson:{one.lesson_id}",
            day_of(one.starts_at, zone),
            one.starts_at,
            " ".join(part for part in (one.label or "Lesson", one.group) if part),
            one.ends_at <= now,
        )
        for one in lessons
    }
    for row in rows:
        if row.start is None:
            columns.setdefault(row.occasion, SheetColumn(row.occasion, row.day, None, row.title, over=False))
    return list(columns.values())


def _printed(office: Office, sheet: RegisterSheet, days: Days, how: Print, now: datetime) -> PrintedRegister:
    imprint = Imprint(office.settings.site, days.first, days.last, office.settings.zone, now, office.actor)
    headings = letters_of(*texts_of(sheet, imprint))
    names = {one.serial_number: letters_of(one.name, one.serial_number) for one in sheet.students}
    fonts = printed_fonts.find(headings.union(*names.values()), how.font, printed_fonts.FOLDERS)
    unprintable = tuple(serial for serial, letters in names.items() if letters & fonts.missing)
    if fonts.missing and not how.font_anyway:
        raise _no_font(unprintable, fonts.missing)
    unjoined = (serial for serial, letters in names.items() if {script_of(char) for char in letters} & UNSHAPED)
    return PrintedRegister(
        content=pdf_of(sheet, imprint, fonts, compressed=how.compressed),
        first=days.first,
        last=days.last,
        pages=len(sheet.pages),
        students=len(sheet.students),
        unprintable=unprintable,
        letter_by_letter=tuple(unjoined),
    )


def _no_font(serial_numbers: Sequence[str], missing: frozenset[str]) -> BadInput:
    shown = ", ".join(serial_numbers[:_SHOWN]) + (" and others" if len(serial_numbers) > _SHOWN else "")
    whose = f"the names of the students with serial numbers {shown}" if serial_numbers else "a heading"
    packages = " ".join(printed_fonts.packages_for(missing))
    return BadInput(
        f"no font of this machine has all letters of {whose}",
        hint=f"install one: sudo apt install {packages}; or name one with --font, or print without them: --font-anyway",
    )
