"""What an import of students would change, decided from the file and from what is on record."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields

from hub.core.csv_reading import Reading, Row, RowProblem, RowsRefused
from hub.core.roster import Student, StudentFields


@dataclass(frozen=True, slots=True)
class StudentChange:
    """A student on record and what the file says instead."""

    before: Student
    after: StudentFields

    @property
    def changed(self) -> tuple[str, ...]:
        """The names of the fields that differ."""
        return changed_fields(self.before.fields, self.after)


@dataclass(frozen=True, slots=True)
class StudentPlan:
    """What has to be done so that the records say what the file says."""

    add: tuple[StudentFields, ...]
    change: tuple[StudentChange, ...]
    unchanged: int
    new_sections: tuple[str, ...]


def changed_fields(before: StudentFields, after: StudentFields) -> tuple[str, ...]:
    """Return the names of the fields in which two students differ."""
    return tuple(
        field.name for field in fields(StudentFields) if getattr(before, field.name) != getattr(after, field.name)
    )


def plan_students(
    reading: Reading[StudentFields],
    known: Iterable[Student],
    sections: Collection[str],
    *,
    update: bool,
    create_sections: bool,
) -> StudentPlan:
    """Return what the rows would change.

    Raises RowsRefused with every row that could not be read, repeats another, contradicts the records (unless
    `update`), takes a username that belongs to someone else, or names an unknown section (unless `create_sections`).
    """
    rows, known = reading.rows, list(known)
    by_serial = {student.fields.serial_number: student for student in known}
    problems = [*reading.problems, *_repeated_serials(rows)]
    problems += _taken_usernames(rows, known)
    add: list[StudentFields] = []
    change: list[StudentChange] = []
    new_sections: dict[str, None] = {}
    for row in rows:
        section = row.value.section
        if section is not None and section not in sections:
            if not create_sections:
                problems.append(RowProblem(row.line, _no_section(section)))
            new_sections[section] = None
        before = by_serial.get(row.value.serial_number)
        if before is None:
            add.append(row.value)
        elif differing := changed_fields(before.fields, row.value):
            if not update:
                problems.append(RowProblem(row.line, _contradiction(before, differing)))
            change.append(StudentChange(before, row.value))
    if problems:
        raise RowsRefused(problems)
    return StudentPlan(tuple(add), tuple(change), len(rows) - len(add) - len(change), tuple(new_sections))


def _no_section(section: str) -> str:
    return f"there is no section {section!r}: add it with `rollcall-hub section add` or pass --create-sections"


def _contradiction(before: Student, differing: Sequence[str]) -> str:
    serial, name = before.fields.serial_number, before.fields.name
    return (
        f"serial number {serial} is on record as {name} with another {', '.join(differing)}: pass --update to change it"
    )


def _repeated_serials(rows: Iterable[Row[StudentFields]]) -> list[RowProblem]:
    first: dict[str, int] = {}
    problems: list[RowProblem] = []
    for row in rows:
        line = first.setdefault(row.value.serial_number, row.line)
        if line != row.line:
            problems.append(RowProblem(row.line, f"serial number {row.value.serial_number} is already on line {line}"))
    return problems


def _taken_usernames(rows: Sequence[Row[StudentFields]], known: Iterable[Student]) -> list[RowProblem]:
    # Students in the file give up the username they have, so that two may swap theirs.
    in_file = {row.value.serial_number for row in rows}
    owner = {
        student.fields.username: f"belongs to serial number {student.fields.serial_number}"
        for student in known
        if student.fields.username is not None and student.fields.serial_number not in in_file
    }
    problems: list[RowProblem] = []
    for row in rows:
        username = row.value.username
        if username is None:
            continue
        if username in owner:
            problems.append(RowProblem(row.line, f"username {username!r} {owner[username]}"))
        else:
            owner[username] = f"is already on line {row.line}"
    return problems
