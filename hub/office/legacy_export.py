"""Writing students, register and kept portraits as the original system had them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from sqlalchemy import Connection

from hub.adapters import audit_log, consent_store, legacy_register, photo_store
from hub.adapters.legacy_files import LINES_FILE, STUDENTS_FILE, TABLE_FILE, LegacyOutput
from hub.core.errors import BadInput, StoreRefused
from hub.core.legacy_export import (
    CAME,
    KNOWN_THERE,
    LINES_HEADER,
    STUDENTS_HEADER,
    TABLE_HEADER,
    Numbered,
    Said,
    picture_name,
)
from hub.office.context import Office
from hub.office.students import list_students

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class LegacyExported:
    """What was written."""

    folder: Path
    students: int
    table_rows: int
    lines: int
    statuses: Mapping[str, int]
    """Rows of the table by the register's word; those the original does not know have an empty status there."""
    left_out: int
    """Rows of students who were erased."""
    pictures: int
    pictures_unreadable: int

    @property
    def without_status(self) -> dict[str, int]:
        """How many rows have an empty status, by what they are here."""
        return {status: count for status, count in self.statuses.items() if status not in KNOWN_THERE}


@dataclass(slots=True)
class _Writing:
    statuses: dict[str, int] = field(default_factory=dict)
    left_out: int = 0
    unreadable: int = 0


def export_legacy(
    office: Office,
    folder: Path,
    *,
    first: date | None = None,
    last: date | None = None,
    force: bool = False,
    progress: Progress = lambda _done: None,
) -> LegacyExported:
    """Write `students.csv`, the register as `attendance_table.csv` and `attendance.csv`, and `known_faces/`.

    Portraits only of whom a consent says that pictures are kept. The folder is the owner's alone; a new one is there
    completely or not at all, of one that is there files of these names are replaced.

    Raises BadInput for a folder that is not empty (unless `force`), for days the wrong way round and for a disk that
    is full; StoreUnavailable, StoreRefused.
    """
    if first is not None and last is not None and last < first:
        raise BadInput(f"{last} is before {first}: nothing is between them")
    students = {
        line.student.student_id: Numbered(number, line.student)
        for number, line in enumerate(
            sorted(list_students(office), key=lambda line: line.student.fields.serial_number), start=1
        )
    }
    output = LegacyOutput(folder, force=force)
    try:
        # One moment for both files, however long they take.
        with office.database.transaction("REPEATABLE READ") as connection:
            told = _write(connection, office, output, students, (first, last), progress)
        office.database.run(lambda connection: _record(connection, office, told, first, last))
        output.finish()
    finally:
        output.drop()
    return told


def _write(
    connection: Connection,
    office: Office,
    output: LegacyOutput,
    students: Mapping[str, Numbered],
    days: tuple[date | None, date | None],
    progress: Progress,
) -> LegacyExported:
    zone, writing = office.settings.zone, _Writing()

    def register() -> Iterator[tuple[Numbered, Said]]:
        for line in legacy_register.lines(connection, *days):
            if (student := students.get(line.student_id)) is not None:
                yield student, Said(line.timestamp, line.status, line.method, line.notes, line.lesson)

    def table() -> Iterator[list[str]]:
        for number, (student, said) in enumerate(register(), start=1):
            writing.statuses[said.status] = writing.statuses.get(said.status, 0) + 1
            yield said.table_cells(number, student, zone)
            progress(1)

    count = output.table(STUDENTS_FILE, STUDENTS_HEADER, (student.cells() for student in students.values()))
    rows = output.table(TABLE_FILE, TABLE_HEADER, table())
    came = (said.line_cells(student, zone) for student, said in register() if said.status in CAME)
    lines = output.table(LINES_FILE, LINES_HEADER, came)
    pictures = _pictures(connection, office, output, students, writing)
    left_out = legacy_register.count(connection, *days) - rows
    return LegacyExported(output.folder, count, rows, lines, writing.statuses, left_out, pictures, writing.unreadable)


def _pictures(
    connection: Connection,
    office: Office,
    output: LegacyOutput,
    students: Mapping[str, Numbered],
    writing: _Writing,
) -> int:
    agreed = consent_store.students_with(connection, office.clock.now(), scope="photos")
    written = 0
    for student_id in sorted(agreed & set(students)):
        if not photo_store.count(connection, student_id):
            continue
        try:
            for number, photo in enumerate(photo_store.load(connection, office.keys.ring(), student_id), start=1):
                output.picture(picture_name(students[student_id], number, photo.content), photo.content)
                written += 1
        except StoreRefused:
            # One that was altered must not keep everybody else's from being written.
            writing.unreadable += 1
    return written


def _record(
    connection: Connection, office: Office, told: LegacyExported, first: date | None, last: date | None
) -> None:
    audit_log.record(
        connection,
        at=office.clock.now(),
        actor=office.actor,
        action="export.legacy",
        subject="register",
        detail={
            "students": told.students,
            "rows": told.table_rows,
            "pictures": told.pictures,
            "from": first.isoformat() if first else None,
            "until": last.isoformat() if last else None,
        },
    )
