"""Students, sections and rooms in the database. Who belonged where and when: `membership`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, func, insert, or_, select, update

from hub.adapters import consent_store, group_store
from hub.adapters.schema import lessons, rooms, sections, student_sections, students, templates, units
from hub.core.roster import Student, StudentFields

_ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class SectionLine:
    """A section and how many students it has; those who left are not counted."""

    section_id: str
    name: str
    students: int


@dataclass(frozen=True, slots=True)
class RoomLine:
    """A room, its units and how many lessons are planned in it from a moment on."""

    room_id: str
    name: str
    units: tuple[str, ...]
    coming_lessons: int


@dataclass(frozen=True, slots=True)
class StudentLine:
    """A student, whether a consent holds, and how many pictures are enrolled."""

    student: Student
    consent: bool
    pictures: int
    """Of the pack in use."""
    pack_id: str | None = None
    """The pack in use: that of the newest template of anybody; None while there are none."""


def section_ids(connection: Connection) -> dict[str, str]:
    """Return the id of every section by name."""
    return {row.name: row.id for row in connection.execute(select(sections.c.name, sections.c.id))}


def room_ids(connection: Connection) -> dict[str, str]:
    """Return the id of every room by name."""
    return {row.name: row.id for row in connection.execute(select(rooms.c.name, rooms.c.id))}


def lock_rooms(connection: Connection, ids: Iterable[str]) -> None:
    """Let nobody else change the timetable of these rooms until this transaction ends."""
    # In the order of the key: two imports that lock the same rooms wait for each other instead of deadlocking.
    connection.execute(select(rooms.c.id).where(rooms.c.id.in_(sorted(ids))).order_by(rooms.c.id).with_for_update())


def list_sections(connection: Connection, today: date) -> list[SectionLine]:
    """Return all sections by name."""
    here = and_(
        or_(students.c.left_on.is_(None), students.c.left_on >= today),
        students.c.erased_at.is_(None),
    )
    statement = (
        select(sections.c.id, sections.c.name, func.count(students.c.id).label("students"))
        .outerjoin(students, and_(students.c.section_id == sections.c.id, here))
        .group_by(sections.c.id, sections.c.name)
        .order_by(sections.c.name)
    )
    return [SectionLine(row.id, row.name, row.students) for row in connection.execute(statement)]


def list_rooms(connection: Connection, now: datetime) -> list[RoomLine]:
    """Return all rooms by name."""
    labels: dict[str, list[str]] = {}
    for unit in connection.execute(
        select(units.c.room_id, units.c.label).where(units.c.revoked_at.is_(None)).order_by(units.c.label)
    ):
        labels.setdefault(unit.room_id, []).append(unit.label)
    statement = (
        select(rooms.c.id, rooms.c.name, func.count(lessons.c.id).label("coming"))
        .outerjoin(
            lessons,
            and_(lessons.c.room_id == rooms.c.id, lessons.c.ends_at > now, lessons.c.cancelled_at.is_(None)),
        )
        .group_by(rooms.c.id, rooms.c.name)
        .order_by(rooms.c.name)
    )
    return [
        RoomLine(row.id, row.name, tuple(labels.get(row.id, ())), row.coming) for row in connection.execute(statement)
    ]


def insert_sections(connection: Connection, named: Mapping[str, str]) -> None:
    """Add sections, given as name to id. A name that is taken raises Conflict at the end of the transaction."""
    if named:
        connection.execute(insert(sections), [{"id": section_id, "name": name} for name, section_id in named.items()])


def insert_room(connection: Connection, room_id: str, name: str) -> None:
    """Add a room. A name that is taken raises Conflict at the end of the transaction."""
    connection.execute(insert(rooms).values(id=room_id, name=name))


def rename_section(connection: Connection, section_id: str, name: str) -> None:
    """Call a section something else. A name that is taken raises Conflict at the end of the transaction."""
    connection.execute(update(sections).where(sections.c.id == section_id).values(name=name))


def rename_room(connection: Connection, room_id: str, name: str) -> None:
    """Call a room something else. A name that is taken raises Conflict at the end of the transaction."""
    connection.execute(update(rooms).where(rooms.c.id == room_id).values(name=name))


def find_students(connection: Connection, serial_numbers: Iterable[str]) -> dict[str, Student]:
    """Return the students on record with these serial numbers, by serial number."""
    found: list[Student] = []
    wanted = sorted(set(serial_numbers))
    for start in range(0, len(wanted), _ROWS_AT_ONCE):
        part = wanted[start : start + _ROWS_AT_ONCE]
        found += _read(connection, _students().where(students.c.serial_number.in_(part)))
    return {student.fields.serial_number: student for student in found}


def lock_student(connection: Connection, serial_number: str) -> None:
    """Let nobody else change a student until this transaction ends."""
    connection.execute(select(students.c.id).where(students.c.serial_number == serial_number).with_for_update())


def lock_serials(connection: Connection, serial_numbers: Iterable[str]) -> None:
    """Let nobody else change or erase the students with these serial numbers until this transaction ends."""
    wanted = sorted(set(serial_numbers))
    for start in range(0, len(wanted), _ROWS_AT_ONCE):
        theirs = students.c.serial_number.in_(wanted[start : start + _ROWS_AT_ONCE])
        connection.execute(select(students.c.id).where(theirs).order_by(students.c.serial_number).with_for_update())


def hold_unerased(connection: Connection, student_ids: Iterable[str]) -> set[str]:
    """Return which of these students were erased, and let nobody erase the others until this transaction ends."""
    wanted = sorted(set(student_ids))
    erased: set[str] = set()
    for start in range(0, len(wanted), _ROWS_AT_ONCE):
        theirs = students.c.id.in_(wanted[start : start + _ROWS_AT_ONCE])
        # Shared: many may write of one student at once.
        held = select(students.c.id, students.c.erased_at).where(theirs).order_by(students.c.id)
        found = connection.execute(held.with_for_update(read=True))
        erased.update(row.id for row in found if row.erased_at is not None)
    return erased


def owners_of_usernames(connection: Connection, usernames: Iterable[str]) -> list[Student]:
    """Return the students who have one of these usernames."""
    found: list[Student] = []
    wanted = sorted(set(usernames))
    for start in range(0, len(wanted), _ROWS_AT_ONCE):
        part = wanted[start : start + _ROWS_AT_ONCE]
        found += _read(connection, _students().where(students.c.username.in_(part)))
    return found


def students_by_id(connection: Connection, student_ids: Iterable[str]) -> dict[str, Student]:
    """Return the students with these ids that exist."""
    wanted = sorted(set(student_ids))
    if not wanted:
        return {}
    found = _read(connection, _students().where(students.c.id.in_(wanted)))
    return {student.student_id: student for student in found}


def insert_students(connection: Connection, at: datetime, new: Mapping[str, StudentFields]) -> None:
    """Add students, given as id to fields; their sections exist. Since when they are in these: `membership`."""
    ids = section_ids(connection)
    values = [{"id": student_id, "created_at": at, **_columns(fields, ids)} for student_id, fields in new.items()]
    for start in range(0, len(values), _ROWS_AT_ONCE):
        connection.execute(insert(students), values[start : start + _ROWS_AT_ONCE])


def update_students(connection: Connection, changed: Mapping[str, StudentFields]) -> None:
    """Replace the fields of students, given as id to fields; their sections exist. Since when: `membership`."""
    if not changed:
        return
    # Usernames are unique at every moment: two students who swap theirs give them up first.
    connection.execute(update(students).where(students.c.id.in_(sorted(changed))).values(username=None))
    ids = section_ids(connection)
    rows = [{"of_student": student_id, **_columns(fields, ids)} for student_id, fields in changed.items()]
    connection.execute(update(students).where(students.c.id == bindparam("of_student")), rows)


def list_students(
    connection: Connection,
    now: datetime,
    *,
    section: str | None = None,
    student_id: str | None = None,
    left: tuple[bool, date] | None = None,
) -> list[StudentLine]:
    """Return the students by section and serial number, without those who were erased (unless it is the one asked for).

    `left`: only who had left before a day (True) or not (False).
    """
    statement = _students().order_by(sections.c.name, students.c.serial_number)
    if section is not None:
        statement = statement.where(sections.c.name == section)
    if left is not None:
        had_left, day = left
        gone = students.c.left_on < day
        statement = statement.where(gone if had_left else or_(students.c.left_on.is_(None), ~gone))
    one = students.c.erased_at.is_(None) if student_id is None else students.c.id == student_id
    found = _read(connection, statement.where(one))
    with_consent = students_with_consent(connection, now, student_id=student_id)
    newest = select(templates.c.pack_id).order_by(templates.c.created_at.desc(), templates.c.pack_id).limit(1)
    pack_id = connection.execute(newest).scalar()
    pictures = _picture_counts(connection, pack_id) if pack_id is not None else {}
    return [
        StudentLine(student, student.student_id in with_consent, pictures.get(student.student_id, 0), pack_id)
        for student in found
    ]


def students_of_sections(connection: Connection, section_names: Sequence[str]) -> dict[str, list[str]]:
    """Return the ids of who is or ever was in each of these sections, by the section's name."""
    found: dict[str, list[str]] = {name: [] for name in section_names}
    statement = select(sections.c.name, student_sections.c.student_id).distinct()
    statement = statement.join(student_sections, student_sections.c.section_id == sections.c.id)
    for row in connection.execute(statement.where(sections.c.name.in_(section_names))):
        found[row.name].append(row.student_id)
    return found


def students_with_consent(connection: Connection, now: datetime, *, student_id: str | None = None) -> set[str]:
    """Return the ids of the students (or of the one student) for whom a consent holds at that moment."""
    return consent_store.students_with(connection, now, student_id=student_id)


def _picture_counts(connection: Connection, pack_id: str) -> dict[str, int]:
    counted = func.count(func.distinct(templates.c.picture_sha256)).label("pictures")
    of_pack = select(templates.c.student_id, counted).where(templates.c.pack_id == pack_id)
    rows = connection.execute(of_pack.group_by(templates.c.student_id))
    return {row.student_id: row.pictures for row in rows}


def _students() -> Select[tuple[str, ...]]:
    return select(students, sections.c.name.label("section")).outerjoin(
        sections, sections.c.id == students.c.section_id
    )


def _read(connection: Connection, statement: Select[tuple[str, ...]]) -> list[Student]:
    found = [
        Student(
            row.id,
            StudentFields(
                row.serial_number,
                row.name,
                row.username,
                row.email,
                row.phone,
                row.section,
                row.joined_on,
                row.left_on,
            ),
            erased=row.erased_at is not None,
        )
        for row in connection.execute(statement)
    ]
    groups = group_store.of_students(connection, [student.student_id for student in found])
    return [
        replace(student, fields=replace(student.fields, groups=groups[student.student_id]))
        if student.student_id in groups
        else student
        for student in found
    ]


def _columns(fields: StudentFields, ids: Mapping[str, str]) -> dict[str, Any]:
    return {
        "serial_number": fields.serial_number,
        "name": fields.name,
        "username": fields.username,
        "email": fields.email,
        "phone": fields.phone,
        "section_id": None if fields.section is None else ids[fields.section],
        "joined_on": fields.joined_on,
        "left_on": fields.left_on,
    }
