"""What the office knows of its students: all of one, and the list as a file."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from hub.adapters import group_store, membership, roster_store
from hub.adapters.roster_store import StudentLine
from hub.core.belonging import SINCE_EVER, Belonging, GroupBelonging
from hub.core.csv_writing import csv_bytes
from hub.core.roster import STUDENT_COLUMNS, cells_of
from hub.office.context import Office
from hub.office.students import find_present, list_students


@dataclass(frozen=True, slots=True)
class Stretch:
    """A student was in a section or group from `since` (None: always) until before `until` (None: still)."""

    name: str
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class StudentDetail:
    """Everything the office keeps of a student."""

    line: StudentLine
    sections: tuple[Stretch, ...]
    groups: tuple[Stretch, ...]


@dataclass(frozen=True, slots=True)
class StudentFile:
    """A list of students as a CSV file."""

    content: bytes
    students: int


def show_student(office: Office, serial_number: str) -> StudentDetail:
    """Return everything the office keeps of a student. Raises NotFound, Conflict for one who was erased."""
    now = office.clock.now()

    def work(connection: Connection) -> StudentDetail:
        student_id = find_present(connection, serial_number).student_id
        line = roster_store.list_students(connection, now, student_id=student_id)[0]
        places = membership.places(connection, [student_id])[student_id]
        sections = {known: name for name, known in roster_store.section_ids(connection).items()}
        groups = {known: f"{section} {name}" for (section, name), known in group_store.group_ids(connection).items()}
        return StudentDetail(
            line,
            tuple(_stretch(sections[row.section_id], row) for row in places.sections),
            tuple(_stretch(groups[row.group_id], row) for row in places.groups),
        )

    return office.database.run(work)


def export_students(office: Office, *, section: str | None = None, bom: bool = True) -> StudentFile:
    """Return the students as a file that `import_students` reads and finds nothing to change in.

    With `bom` spreadsheets read names of any script right; the import reads both. Raises NotFound for an unknown
    section.
    """
    columns = (*STUDENT_COLUMNS.required, *STUDENT_COLUMNS.optional)
    lines = list_students(office, section=section)
    rows = [cells_of(line.student.fields) for line in lines]
    content = csv_bytes(columns, ([row[column] for column in columns] for row in rows), bom=bom)
    return StudentFile(content, len(rows))


def _stretch(name: str, row: Belonging | GroupBelonging) -> Stretch:
    return Stretch(name, None if row.since == SINCE_EVER else row.since, row.until)
