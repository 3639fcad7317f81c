"""Students as the original system kept them: who can be taken over, and what of them cannot. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from hub.core.enrolment_names import same_person
from hub.core.errors import BadInput
from hub.core.legacy import LONGEST_ENCODING, MAX_STUDENTS, Problem, SourceRow, cell
from hub.core.roster import Student, StudentFields, cells_of, student_fields

_OPTIONAL = ("username", "email", "phone", "section", "joined_on", "left_on", "groups")


@dataclass(frozen=True, slots=True)
class LegacyStudent:
    """A student there; `source_id` is what rows of attendance call them, "" if nothing does."""

    where: str
    source_id: str
    fields: StudentFields
    encoding: str = ""


@dataclass(frozen=True, slots=True)
class StudentsRead:
    """Who can be taken over, in the order of the source; each serial number once."""

    students: tuple[LegacyStudent, ...]
    serial_of_id: Mapping[str, str]
    """Serial number by the id that attendance names."""
    problems: tuple[Problem, ...]
    repeated: int
    """Rows that say the same as an earlier one."""


def read_students(rows: Iterable[SourceRow]) -> StudentsRead:
    """Return who can be taken over. Whoever has no usable number or name is not; other cells are left out singly.

    Raises BadInput when there are more than a school has.
    """
    found: dict[str, LegacyStudent] = {}
    serial_of_id: dict[str, str] = {}
    usernames: dict[str, str] = {}
    problems: list[Problem] = []
    repeated = 0
    for number, row in enumerate(rows, start=1):
        if number > MAX_STUDENTS:
            raise BadInput(f"there are more than {MAX_STUDENTS} students")
        try:
            student, dropped = _student(row)
        except BadInput as exc:
            problems.append(Problem("student", row.where, str(exc)))
            continue
        serial = student.fields.serial_number
        first = found.get(serial)
        if first is not None:
            if first.fields == student.fields:
                repeated += 1
            else:
                problems.append(_duplicate(first, student))
            if same_person(student.fields.name, first.fields.name):
                serial_of_id.setdefault(student.source_id, serial)
            continue
        problems += dropped
        if student.fields.username in usernames:
            reason = f"username {student.fields.username!r} is that of {usernames[student.fields.username]}: left out"
            problems.append(Problem("cell", row.where, reason))
            student = replace(student, fields=replace(student.fields, username=None))
        if student.fields.username is not None:
            usernames[student.fields.username] = serial
        found[serial] = student
        serial_of_id.setdefault(student.source_id, serial)
    serial_of_id.pop("", None)
    return StudentsRead(tuple(found.values()), serial_of_id, tuple(problems), repeated)


def _student(row: SourceRow) -> tuple[LegacyStudent, list[Problem]]:
    form = {"serial_number": cell(row, "serial_number"), "name": cell(row, "name")}
    fields = student_fields(form)
    dropped = []
    for column in _OPTIONAL:
        try:
            text = cell(row, column)
            if text:
                fields = student_fields({**form, column: text})
                form[column] = text
        except BadInput as exc:
            # Of a row that is good otherwise nobody has to type the rest anew.
            dropped.append(Problem("cell", row.where, f"{column} was left out: {exc}"))
    # A row without an id is called by its number.
    source_id = cell(row, "id") or form["serial_number"]
    # One character more than is read: what is too long is told so where it is read.
    encoding = row.cells.get("face_encoding", "")[: LONGEST_ENCODING + 1]
    return LegacyStudent(row.where, source_id, fields, encoding), dropped


def _duplicate(first: LegacyStudent, second: LegacyStudent) -> Problem:
    if same_person(second.fields.name, first.fields.name):
        reason = f"serial number {first.fields.serial_number} is already at {first.where}, which is used"
    else:
        reason = (
            f"serial number {first.fields.serial_number} is already at {first.where} for {first.fields.name}: "
            f"{second.fields.name} was not taken over"
        )
    return Problem("duplicate", second.where, reason)


def completed(before: Student, found: StudentFields) -> StudentFields:
    """Return a student on record with what the source says instead; what it does not say stays.

    Raises BadInput for what does not go together.
    """
    cells = cells_of(before.fields)
    said = {column: text for column, text in cells_of(found).items() if text}
    if said.get("section", cells["section"]) != cells["section"]:
        cells["groups"] = ""
    return student_fields({**cells, **said})
