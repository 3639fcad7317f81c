"""Importing pictures that a CSV file lists: whose each is, and where it lies. Safe to interrupt and to run again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from hub.adapters import consent_store, roster_store
from hub.adapters.csv_files import read_bounded
from hub.core.csv_reading import MAX_CSV_BYTES, Columns, Reading, RowProblem, RowsRefused, read_rows
from hub.core.enrolment_names import PICTURE_ENDINGS, is_picture
from hub.core.errors import BadInput
from hub.core.roster import Student, checked_serial
from hub.core.roster_consent import checked_reference
from hub.office.context import Office
from hub.office.enrolment import Enroller, PictureOutcome, Request
from hub.office.enrolment_standing import lack_of_consent
from hub.office.students import add_command

LIST_COLUMNS = Columns(("serial_number", "path"), ("consent_reference",))


@dataclass(frozen=True, slots=True)
class ListedPicture:
    """A row: a picture, whose it is, and where the consent's paper lies if the row says so."""

    serial_number: str
    picture: Path
    consent_reference: str | None


def read_list(office: Office, file: Path) -> list[ListedPicture]:
    """Return the rows of a file, all of which can be used; paths are relative to the file. No picture is opened.

    Raises BadInput when the file cannot be read, RowsRefused with every row that cannot be used: no such file, an
    unknown student, no consent, a picture or a row named twice.
    """

    def meaning(cells: Mapping[str, str]) -> ListedPicture:
        serial = checked_serial(cells["serial_number"])
        picture = _picture(file.parent, cells["path"].strip())
        return ListedPicture(serial, picture, checked_reference(cells["consent_reference"]) or None)

    reading = read_rows(read_bounded(file, MAX_CSV_BYTES), LIST_COLUMNS, meaning)
    problems = [*reading.problems, *_named_twice(reading)]
    problems += office.database.run(lambda connection: _not_ready(connection, office, reading))
    if problems:
        raise RowsRefused(problems)
    return [row.value for row in reading.rows]


def import_list(
    enroller: Enroller, listed: list[ListedPicture], *, allow_look_alike: bool = False
) -> Iterator[PictureOutcome]:
    """Enrol each picture; yield what became of it, student by student. As `enrolment_folder.import_portraits`."""
    by_student: dict[str, list[Request]] = {}
    for row in listed:
        by_student.setdefault(row.serial_number, []).append(
            Request(
                row.picture,
                row.serial_number,
                consent_reference=row.consent_reference,
                allow_look_alike=allow_look_alike,
                source="list",
            )
        )
    for requests in by_student.values():
        yield from enroller.enrol_together(requests)


def _picture(folder: Path, path: str) -> Path:
    if not path:
        raise BadInput("the path is empty")
    picture = folder / path
    if not is_picture(picture.name):
        raise BadInput(f"{path}: the name of a picture ends in {', '.join(PICTURE_ENDINGS)}")
    try:
        there = picture.is_file()
    except (OSError, ValueError) as exc:
        raise BadInput(f"{path} cannot be read") from exc
    if not there:
        raise BadInput(f"there is no file {path}" + ("" if Path(path).is_absolute() else f" in {folder}"))
    return picture


def _named_twice(reading: Reading[ListedPicture]) -> list[RowProblem]:
    first: dict[Path, int] = {}
    problems = []
    for row in reading.rows:
        if (line := first.setdefault(row.value.picture, row.line)) != row.line:
            problems.append(RowProblem(row.line, f"{row.value.picture.name} is already on line {line}"))
    return problems


def _not_ready(connection: Connection, office: Office, reading: Reading[ListedPicture]) -> list[RowProblem]:
    known = roster_store.find_students(connection, [row.value.serial_number for row in reading.rows])
    agreed = consent_store.students_with(connection, office.clock.now())
    found: dict[tuple[str, str | None], str] = {}
    problems = []
    for row in reading.rows:
        serial, reference = row.value.serial_number, row.value.consent_reference
        student = known.get(serial)
        if student is not None and student.student_id in agreed and not student.erased:
            continue
        if (serial, reference) not in found:
            found[serial, reference] = _obstacle(connection, serial, student, reference)
        if reason := found[serial, reference]:
            problems.append(RowProblem(row.line, reason))
    return problems


def _obstacle(connection: Connection, serial: str, student: Student | None, reference: str | None) -> str:
    if student is None:
        return f"there is no student with serial number {serial}; {add_command(serial)}"
    if student.erased:
        return f"{serial} was erased: that number stands for nobody"
    lack = lack_of_consent(connection, serial, student.student_id, reference)
    return "" if lack is None else str(lack)
