"""Students of the original system: added here, changed only where that is asked for, never taken for somebody else."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from hub.adapters import roster_store
from hub.core.csv_writing import csv_bytes
from hub.core.enrolment_names import same_person
from hub.core.errors import BadInput
from hub.core.legacy import Problems
from hub.core.legacy_attendance import People, Person
from hub.core.legacy_students import LegacyStudent, StudentsRead, completed
from hub.core.roster import STUDENT_COLUMNS, Student, StudentFields, cells_of
from hub.core.roster_plan import changed_fields
from hub.office.context import Office
from hub.office.students import import_students, list_students

_AT_ONCE = 1000
_SHOWN = 5
_COLUMNS = (*STUDENT_COLUMNS.required, *STUDENT_COLUMNS.optional)


@dataclass(frozen=True, slots=True)
class StudentsTold:
    """What became of the students."""

    found: int
    added: int
    changed: int
    on_record: int
    """Were there before and stay as they are."""
    repeated: int
    new_sections: tuple[str, ...]
    first: tuple[StudentFields, ...]
    """The first that are added."""


def take_students(
    office: Office, read: StudentsRead, problems: Problems, *, update: bool, dry_run: bool
) -> tuple[StudentsTold, People]:
    """Add the students there, in parts; return what was done, and everybody of whom attendance may be.

    Raises StoreUnavailable, StoreRefused.
    """
    known = _known(office, read.students)
    wanted, strangers = _wanted(known, read.students, problems, update=update)
    wanted = _with_free_usernames(office, wanted, problems)
    added: list[StudentFields] = []
    changed = 0
    sections: dict[str, None] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        rows = ([cells_of(fields)[column] for column in _COLUMNS] for fields in wanted[start : start + _AT_ONCE])
        done = import_students(
            office, csv_bytes(_COLUMNS, rows), update=update, create_missing_sections=True, dry_run=dry_run
        )
        added += done.added
        changed += len(done.changed)
        sections |= dict.fromkeys(done.new_sections)
    people = _people(office, read, strangers, added if dry_run else ())
    on_record = len(read.students) - len(added) - changed - len(strangers)
    told = StudentsTold(
        len(read.students), len(added), changed, on_record, read.repeated, tuple(sections), tuple(added[:_SHOWN])
    )
    return told, people


def _known(office: Office, found: Sequence[LegacyStudent]) -> dict[str, Student]:
    serials = [one.fields.serial_number for one in found]
    return office.database.run(lambda connection: roster_store.find_students(connection, serials))


def _wanted(
    known: dict[str, Student], found: Sequence[LegacyStudent], problems: Problems, *, update: bool
) -> tuple[list[StudentFields], set[str]]:
    """Return what is to be on record, and the serial numbers that belong to somebody else here."""
    wanted: list[StudentFields] = []
    strangers: set[str] = set()
    for one in found:
        fields = one.fields
        before = known.get(fields.serial_number)
        if before is None:
            wanted.append(fields)
            continue
        if before.erased or not same_person(fields.name, before.fields.name):
            reason = f"serial number {fields.serial_number} is {before.fields.name} here, not {fields.name}"
            problems.add("student", one.where, f"{reason}: neither they nor their attendance were taken over")
            strangers.add(fields.serial_number)
            continue
        try:
            after = completed(before, fields)
        except BadInput as exc:
            problems.add("student", one.where, f"{exc}: stays as on record")
            continue
        if differing := changed_fields(before.fields, after):
            if update:
                wanted.append(after)
            else:
                said = f"student {fields.serial_number} is on record with another {', '.join(differing)}"
                problems.add("differs", one.where, f"{said}, which stays (--update changes it)")
    return wanted, strangers


def _with_free_usernames(office: Office, wanted: list[StudentFields], problems: Problems) -> list[StudentFields]:
    names = [fields.username for fields in wanted if fields.username]
    owners = office.database.run(lambda connection: roster_store.owners_of_usernames(connection, names))
    serial_of = {owner.fields.username: owner.fields.serial_number for owner in owners}
    free = []
    for fields in wanted:
        owner = serial_of.get(fields.username, fields.serial_number)
        if owner != fields.serial_number:
            where = f"student {fields.serial_number}"
            problems.add("cell", where, f"username {fields.username!r} is that of student {owner} here: left out")
        free.append(fields if owner == fields.serial_number else replace(fields, username=None))
    return free


def _people(office: Office, read: StudentsRead, strangers: set[str], coming: Iterable[StudentFields]) -> People:
    people = People()
    for line in list_students(office):
        fields = line.student.fields
        if fields.serial_number not in strangers:
            people.add(Person(line.student.student_id, fields.serial_number, fields.name))
    for fields in coming:
        people.add(Person(None, fields.serial_number, fields.name))
    people.serial_of_id = {key: serial for key, serial in read.serial_of_id.items() if serial not in strangers}
    return people
