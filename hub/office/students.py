"""Students: adding, listing, importing a list."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from sqlalchemy import Connection

from hub.adapters import attendance_store, audit_log, gallery_revisions, lesson_store, roster_store
from hub.adapters.roster_store import StudentLine
from hub.core.csv_reading import Reading, read_rows
from hub.core.errors import Conflict, NotFound
from hub.core.roster import STUDENT_COLUMNS, Student, StudentFields, student_fields
from hub.core.roster_plan import StudentChange, StudentPlan, plan_students
from hub.core.roster_times import day_of
from hub.office.context import Office
from hub.office.sections import create_sections


@dataclass(frozen=True, slots=True)
class StudentsImported:
    """What an import changed, or would change when `dry_run`."""

    added: tuple[StudentFields, ...]
    changed: tuple[StudentChange, ...]
    unchanged: int
    new_sections: tuple[str, ...]
    dry_run: bool


def add_student(office: Office, form: Mapping[str, str]) -> Student:
    """Add one student; `form` has the columns of the import.

    Raises BadInput for what cannot be used, NotFound for an unknown section, Conflict for a serial number or username
    that is taken.
    """
    student = Student(str(uuid4()), student_fields(form))

    def work(connection: Connection) -> None:
        fields = student.fields
        known = roster_store.find_students(connection, [fields.serial_number]).get(fields.serial_number)
        if known is not None and known.student_id == student.student_id:
            return  # the commit whose answer was lost
        if known is not None:
            raise Conflict(f"serial number {fields.serial_number} is on record as {known.fields.name}")
        if fields.section is not None:
            _need_section(connection, fields.section)
        for owner in roster_store.owners_of_usernames(connection, [fields.username] if fields.username else []):
            raise Conflict(f"username {fields.username!r} belongs to serial number {owner.fields.serial_number}")
        add_students(connection, office, {student.student_id: fields}, {})

    office.database.run(work)
    return student


def list_students(office: Office, *, section: str | None = None) -> list[StudentLine]:
    """Return the students by section and serial number. Raises NotFound for an unknown section."""
    now = office.clock.now()

    def work(connection: Connection) -> list[StudentLine]:
        if section is not None:
            _need_section(connection, section)
        return roster_store.list_students(connection, now, section=section)

    return office.database.run(work)


def import_students(
    office: Office, data: bytes, *, update: bool = False, create_missing_sections: bool = False, dry_run: bool = False
) -> StudentsImported:
    """Make the records say what a CSV file says, all of it or nothing; importing it again changes nothing.

    Raises BadInput when the file cannot be read, RowsRefused with every row that cannot be used.
    """
    reading = read_rows(data, STUDENT_COLUMNS, student_fields)
    detail = {"file_sha256": hashlib.sha256(data).hexdigest()}

    def work(connection: Connection) -> StudentPlan:
        plan = plan_students(
            reading,
            _concerned(connection, reading),
            roster_store.section_ids(connection).keys(),
            update=update,
            create_sections=create_missing_sections,
        )
        if not dry_run:
            _carry_out(connection, office, plan, detail)
        return plan

    plan = office.database.run(work)
    return StudentsImported(plan.add, plan.change, plan.unchanged, plan.new_sections, dry_run)


def add_students(
    connection: Connection, office: Office, new: Mapping[str, StudentFields], detail: Mapping[str, audit_log.Json]
) -> None:
    """Add students, given as id to fields, in the caller's transaction; with audit, galleries and the register."""
    at = office.clock.now()
    roster_store.insert_students(connection, at, new)
    for student_id in new:
        _record(connection, office, at, "student.add", student_id, detail)
    _came_to_sections(connection, office, at, [(key, fields.section) for key, fields in new.items()])


def find_student(connection: Connection, serial_number: str) -> Student:
    """Return the student with a serial number. Raises NotFound, with the command that adds them."""
    student = roster_store.find_students(connection, [serial_number]).get(serial_number)
    if student is None:
        raise NotFound(f"there is no student with serial number {serial_number}", hint=add_command(serial_number))
    return student


def add_command(serial_number: str, name: str = "...") -> str:
    """Return the sentence that says how to add a student."""
    return f'add them: rollcall-hub student add --serial {serial_number} --name "{name}"'


def _carry_out(connection: Connection, office: Office, plan: StudentPlan, detail: Mapping[str, str]) -> None:
    create_sections(connection, office, {name: str(uuid4()) for name in plan.new_sections})
    if plan.add:
        add_students(connection, office, {str(uuid4()): fields for fields in plan.add}, detail)
    if not plan.change:
        return
    at = office.clock.now()
    roster_store.update_students(connection, at, {change.before.student_id: change.after for change in plan.change})
    for change in plan.change:
        subject = change.before.student_id
        _record(connection, office, at, "student.change", subject, {**detail, "fields": list(change.changed)})
    moved = [change.before.student_id for change in plan.change if "section" in change.changed]
    # Only today: what was before the move stays as it was, and what comes is derived when it is over.
    attendance_store.mark_dirty(connection, moved, [day_of(at, office.settings.zone)])
    gallery_revisions.touch_galleries(connection, at)


def _concerned(connection: Connection, reading: Reading[StudentFields]) -> list[Student]:
    rows = [row.value for row in reading.rows]
    known = roster_store.find_students(connection, [fields.serial_number for fields in rows])
    owners = roster_store.owners_of_usernames(connection, [fields.username for fields in rows if fields.username])
    return list({student.student_id: student for student in [*known.values(), *owners]}.values())


def _came_to_sections(
    connection: Connection, office: Office, at: datetime, belonging: Iterable[tuple[str, str | None]]
) -> None:
    """Let the register and the galleries follow: (new student, section they are in)."""
    by_section: dict[str, set[str]] = {}
    for student_id, section in belonging:
        if section is not None:
            by_section.setdefault(section, set()).add(student_id)
    days = lesson_store.lesson_days(connection, by_section, office.settings.zone, until=at)
    for section, student_ids in by_section.items():
        attendance_store.mark_dirty(connection, student_ids, days[section])
    # Every unit: a room without lessons may expect everybody, and names are in the gallery as well.
    gallery_revisions.touch_galleries(connection, at)


def _need_section(connection: Connection, name: str) -> None:
    if name not in roster_store.section_ids(connection):
        raise NotFound(f"there is no section {name!r}", hint=f'add it: rollcall-hub section add "{name}"')


def _record(
    connection: Connection,
    office: Office,
    at: datetime,
    action: str,
    student_id: str,
    detail: Mapping[str, audit_log.Json],
) -> None:
    subject = f"student:{student_id}"
    audit_log.record(connection, at=at, actor=office.actor, action=action, subject=subject, detail=detail)
