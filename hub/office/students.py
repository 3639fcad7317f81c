"""Students: adding, changing, listing, importing a list, exporting it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import uuid4

from sqlalchemy import Connection

from hub.adapters import audit_log, group_store, roster_store
from hub.adapters.roster_store import StudentLine
from hub.core.csv_reading import Reading, read_rows
from hub.core.errors import BadInput, Conflict, NotFound
from hub.core.roster import STUDENT_COLUMNS, Student, StudentFields, cells_of, student_fields
from hub.core.roster_plan import StudentChange, StudentPlan, no_group, plan_students
from hub.core.roster_times import day_of
from hub.office import memberships
from hub.office.context import Office
from hub.office.memberships import Said
from hub.office.sections import create_groups, create_sections, need_section

_NOTHING_SAID = Said()


@dataclass(frozen=True, slots=True)
class StudentsImported:
    """What an import changed, or would change when `dry_run`."""

    added: tuple[StudentFields, ...]
    changed: tuple[StudentChange, ...]
    unchanged: int
    new_sections: tuple[str, ...]
    dry_run: bool
    new_groups: tuple[tuple[str, str], ...] = ()
    """(section, group)."""


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
        _check(connection, fields, student.student_id)
        add_students(connection, office, {student.student_id: fields}, {})

    office.database.run(work)
    return student


def change_student(
    office: Office, serial_number: str, form: Mapping[str, str], *, from_day: date | None = None
) -> StudentChange:
    """Change what `form` names (columns of the import), and nothing else; an empty text clears.

    Another section, other groups count from the midnight of `from_day` on, or from now; with a day that is over, the
    past from then on becomes what is said, also if it is the same by now. Another section ends the groups of the one
    before. Raises as `add_student`, NotFound for an unknown student, Conflict for one who was erased.
    """
    at = office.clock.now()
    since = memberships.moment_of(office, from_day, at)
    done: list[StudentChange] = []

    def work(connection: Connection) -> StudentChange:
        if done:
            on_record = roster_store.students_by_id(connection, [done[0].before.student_id])
            if any(student.fields == done[0].after for student in on_record.values()):
                return done[0]  # the commit whose answer was lost
            done.clear()
        roster_store.lock_student(connection, serial_number)
        before = find_present(connection, serial_number)
        change = StudentChange(before, _changed(before.fields, form))
        said = Said(section="section" in form, groups="groups" in form) if from_day is not None else _NOTHING_SAID
        if said != _NOTHING_SAID and not {"section", "groups"} & set(change.changed):
            corrected = bool(memberships.moving(connection, office, [change], since, said))
            change = replace(change, corrected=corrected)
        if change.changed or change.corrected:
            _check(connection, change.after, before.student_id)
            _change(connection, office, [change], since, {}, said)
        done.append(change)
        return change

    return office.database.run(work)


def leave_student(office: Office, serial_number: str, last_day: date) -> StudentChange:
    """Note the last day of a student: from the day after they are in no gallery and no register.

    Raises as `change_student`.
    """
    return change_student(office, serial_number, {"left_on": last_day.isoformat()})


def list_students(office: Office, *, section: str | None = None, left: bool | None = None) -> list[StudentLine]:
    """Return the students by section and serial number; `left`: only who has left, or (False) has not.

    Who was erased is in no list. Raises NotFound for an unknown section.
    """
    now = office.clock.now()
    gone = None if left is None else (left, day_of(now, office.settings.zone))

    def work(connection: Connection) -> list[StudentLine]:
        if section is not None:
            need_section(connection, section)
        return roster_store.list_students(connection, now, section=section, left=gone)

    return office.database.run(work)


def import_students(
    office: Office,
    data: bytes,
    *,
    update: bool = False,
    create_missing_sections: bool = False,
    dry_run: bool = False,
    from_day: date | None = None,
) -> StudentsImported:
    """Make the records say what a CSV file says, all of it or nothing; importing it again changes nothing.

    `from_day`: from when on other sections and groups of students on record count; now if not given. With
    `create_missing_sections` also groups that do not exist are added.

    Raises BadInput when the file cannot be read, RowsRefused with every row that cannot be used.
    """
    reading = read_rows(data, STUDENT_COLUMNS, student_fields)
    detail = {"file_sha256": hashlib.sha256(data).hexdigest()}
    since = memberships.moment_of(office, from_day, office.clock.now())
    planned: list[StudentPlan] = []

    def work(connection: Connection) -> StudentPlan:
        if not dry_run:
            # Before reading: whoever is erased in between would get their name back.
            roster_store.lock_serials(connection, [row.value.serial_number for row in reading.rows])
        plan = plan_students(
            reading,
            _concerned(connection, reading),
            roster_store.section_ids(connection).keys(),
            update=update,
            create_sections=create_missing_sections,
            groups=_groups_by_section(connection),
        )
        if planned and not (plan.add or plan.change):
            return planned[0]  # the commit whose answer was lost
        if not dry_run:
            _carry_out(connection, office, plan, since, detail)
        planned[:] = [plan]
        return plan

    plan = office.database.run(work)
    return StudentsImported(plan.add, plan.change, plan.unchanged, plan.new_sections, dry_run, plan.new_groups)


def add_students(
    connection: Connection, office: Office, new: Mapping[str, StudentFields], detail: Mapping[str, audit_log.Json]
) -> None:
    """Add students, given as id to fields, in the caller's transaction; with audit, galleries and the register."""
    at = office.clock.now()
    roster_store.insert_students(connection, at, new)
    for student_id in new:
        _record(connection, office, at, "student.add", student_id, detail)
    memberships.begin(connection, office, at, new)


def find_student(connection: Connection, serial_number: str) -> Student:
    """Return the student with a serial number. Raises NotFound, with the command that adds them."""
    student = roster_store.find_students(connection, [serial_number]).get(serial_number)
    if student is None:
        raise NotFound(f"there is no student with serial number {serial_number}", hint=add_command(serial_number))
    return student


def find_present(connection: Connection, serial_number: str) -> Student:
    """Return the student with a serial number. Raises as `find_student`, and Conflict for one who was erased."""
    student = find_student(connection, serial_number)
    if student.erased:
        raise Conflict(f"student {serial_number} was erased", hint="add them anew: rollcall-hub student add")
    return student


def add_command(serial_number: str, name: str = "...") -> str:
    """Return the sentence that says how to add a student."""
    return f'add them: rollcall-hub student add --serial {serial_number} --name "{name}"'


def _carry_out(
    connection: Connection, office: Office, plan: StudentPlan, since: datetime, detail: Mapping[str, str]
) -> None:
    create_sections(connection, office, {name: str(uuid4()) for name in plan.new_sections})
    create_groups(connection, office, {named: str(uuid4()) for named in plan.new_groups})
    if plan.add:
        add_students(connection, office, {str(uuid4()): fields for fields in plan.add}, detail)
    if plan.change:
        _change(connection, office, plan.change, since, detail)


def _change(
    connection: Connection,
    office: Office,
    changes: Sequence[StudentChange],
    since: datetime,
    detail: Mapping[str, audit_log.Json],
    said: Said = _NOTHING_SAID,
) -> None:
    at = office.clock.now()
    roster_store.update_students(connection, {change.before.student_id: change.after for change in changes})
    for change in changes:
        told: dict[str, audit_log.Json] = {**detail, "fields": list(change.changed)}
        if change.corrected or {"section", "groups"} & set(change.changed):
            told["since"] = since.isoformat()
        _record(connection, office, at, "student.change", change.before.student_id, told)
    memberships.follow(connection, office, at, changes, since, said)


def _changed(fields: StudentFields, form: Mapping[str, str]) -> StudentFields:
    cells = cells_of(fields)
    if unknown := sorted(set(form) - set(cells)):
        raise BadInput(f"a student has no {', '.join(unknown)}")
    if form.get("section", cells["section"]).strip() != cells["section"]:
        cells["groups"] = ""
    return student_fields({**cells, **form})


def _check(connection: Connection, fields: StudentFields, student_id: str) -> None:
    """Raise Conflict or NotFound if a student cannot be written down like this."""
    known = roster_store.find_students(connection, [fields.serial_number]).get(fields.serial_number)
    if known is not None and known.student_id != student_id:
        raise Conflict(f"serial number {fields.serial_number} is on record as {known.fields.name}")
    if fields.section is not None:
        need_section(connection, fields.section, may_be_new=True)
        known_groups = _groups_by_section(connection).get(fields.section, set())
        for name in fields.groups:
            if name not in known_groups:
                raise NotFound(no_group(fields.section, name))
    for owner in roster_store.owners_of_usernames(connection, [fields.username] if fields.username else []):
        if owner.student_id != student_id:
            raise Conflict(f"username {fields.username!r} belongs to serial number {owner.fields.serial_number}")


def _groups_by_section(connection: Connection) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for section, name in group_store.group_ids(connection):
        found.setdefault(section, set()).add(name)
    return found


def _concerned(connection: Connection, reading: Reading[StudentFields]) -> list[Student]:
    rows = [row.value for row in reading.rows]
    known = roster_store.find_students(connection, [fields.serial_number for fields in rows])
    owners = roster_store.owners_of_usernames(connection, [fields.username for fields in rows if fields.username])
    return list({student.student_id: student for student in [*known.values(), *owners]}.values())


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
