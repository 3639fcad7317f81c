"""What an import of students would change, decided from the file and from what is on record."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any

from hub.core.csv_reading import Reading, Row, RowProblem, RowsRefused
from hub.core.roster import Student, StudentFields, contradictions

NO_GROUPS: Mapping[str, Collection[str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class StudentChange:
    """A student on record and what the file says instead."""

    before: Student
    after: StudentFields
    corrected: bool = False
    """Section and groups are the same by now, but from an earlier day on than was on record."""

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
    new_groups: tuple[tuple[str, str], ...] = ()
    """(section, group)."""


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
    groups: Mapping[str, Collection[str]] = NO_GROUPS,
) -> StudentPlan:
    """Return what the rows would change; `groups`: those there are, by their section.

    What a column says that the file does not have stays as it is on record. Raises RowsRefused with every row that
    could not be read, repeats another, contradicts itself or the records (unless `update`), takes a username that
    belongs to someone else, is of somebody who was erased, or names an unknown section or group (unless
    `create_sections`).
    """
    known = list(known)
    by_serial = {student.fields.serial_number: student for student in known}
    rows = _completed(reading, by_serial)
    problems = [*reading.problems, *_repeated_serials(rows)]
    problems += _taken_usernames(rows, known)
    problems += _onto_erased(rows, by_serial)
    add: list[StudentFields] = []
    change: list[StudentChange] = []
    new_sections: dict[str, None] = {}
    new_groups = {(row.value.section or "", name): None for row in rows for name in _unknown_groups(row.value, groups)}
    if not create_sections:
        problems += [
            RowProblem(row.line, no_group(row.value.section or "", name))
            for row in rows
            for name in _unknown_groups(row.value, groups)
        ]
    for row in rows:
        problems += [RowProblem(row.line, reason) for reason in contradictions(row.value)]
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
    unchanged = len(rows) - len(add) - len(change)
    return StudentPlan(tuple(add), tuple(change), unchanged, tuple(new_sections), tuple(new_groups))


def no_group(section: str, name: str) -> str:
    """Return the sentence for a group that does not exist."""
    return (
        f"section {section!r} has no group {name!r}: add it with `rollcall-hub section group-add` "
        "or, on import, pass --create-sections"
    )


def _onto_erased(rows: Iterable[Row[StudentFields]], by_serial: Mapping[str, Student]) -> list[RowProblem]:
    erased = {serial for serial, student in by_serial.items() if student.erased}
    return [
        RowProblem(row.line, f"serial number {row.value.serial_number} stands for a student who was erased")
        for row in rows
        if row.value.serial_number in erased
    ]


def _completed(reading: Reading[StudentFields], by_serial: Mapping[str, Student]) -> list[Row[StudentFields]]:
    """Return the rows with what is on record for the columns that the file does not have."""
    rows = []
    for row in reading.rows:
        before = by_serial.get(row.value.serial_number)
        if before is None or not reading.absent:
            rows.append(row)
            continue
        kept: dict[str, Any] = {name: getattr(before.fields, name) for name in reading.absent}
        if row.value.section != before.fields.section:
            # The groups on record are parts of the other section.
            kept.pop("groups", None)
        rows.append(Row(row.line, replace(row.value, **kept)))
    return rows


def _unknown_groups(fields: StudentFields, groups: Mapping[str, Collection[str]]) -> list[str]:
    if fields.section is None:
        return []
    return [name for name in fields.groups if name not in groups.get(fields.section, ())]


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
