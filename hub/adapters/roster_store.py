"""Students, sections and rooms in the database."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, Select, bindparam, func, insert, select, update

from hub.adapters import membership
from hub.adapters.schema import consents, lessons, rooms, sections, student_sections, students, templates, units
from hub.core.roster import Student, StudentFields

_ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class SectionLine:
    """A section and how many students it has."""

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
    """A student, whether a consent holds, and how many pictures are enrolled (of any pack)."""

    student: Student
    consent: bool
    pictures: int


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


def list_sections(connection: Connection) -> list[SectionLine]:
    """Return all sections by name."""
    statement = (
        select(sections.c.id, sections.c.name, func.count(students.c.id).label("students"))
        .outerjoin(students, students.c.section_id == sections.c.id)
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
        .outerjoin(lessons, (lessons.c.room_id == rooms.c.id) & (lessons.c.ends_at > now))
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


def find_students(connection: Connection, serial_numbers: Iterable[str]) -> dict[str, Student]:
    """Return the students on record with these serial numbers, by serial number."""
    found: dict[str, Student] = {}
    wanted = sorted(set(serial_numbers))
    for start in range(0, len(wanted), _ROWS_AT_ONCE):
        part = wanted[start : start + _ROWS_AT_ONCE]
        for row in connection.execute(_students().where(students.c.serial_number.in_(part))):
            found[row.serial_number] = _student(row)
    return found


def owners_of_usernames(connection: Connection, usernames: Iterable[str]) -> list[Student]:
    """Return the students who have one of these usernames."""
    found: list[Student] = []
    wanted = sorted(set(usernames))
    for start in range(0, len(wanted), _ROWS_AT_ONCE):
        part = wanted[start : start + _ROWS_AT_ONCE]
        found += [_student(row) for row in connection.execute(_students().where(students.c.username.in_(part)))]
    return found


def students_by_id(connection: Connection, student_ids: Iterable[str]) -> dict[str, Student]:
    """Return the students with these ids that exist."""
    wanted = sorted(set(student_ids))
    if not wanted:
        return {}
    return {row.id: _student(row) for row in connection.execute(_students().where(students.c.id.in_(wanted)))}


def insert_students(connection: Connection, at: datetime, new: Mapping[str, StudentFields]) -> None:
    """Add students, given as id to fields; their sections exist."""
    ids = section_ids(connection)
    values = [{"id": student_id, "created_at": at, **_columns(fields, ids)} for student_id, fields in new.items()]
    for start in range(0, len(values), _ROWS_AT_ONCE):
        connection.execute(insert(students), values[start : start + _ROWS_AT_ONCE])
    membership.begin(connection, {str(row["id"]): _section(row) for row in values}, membership.SINCE_EVER)


def update_students(connection: Connection, at: datetime, changed: Mapping[str, StudentFields]) -> None:
    """Replace the fields of students, given as id to fields; their sections exist. A move counts from `at` on."""
    if not changed:
        return
    # Usernames are unique at every moment: two students who swap theirs give them up first.
    connection.execute(update(students).where(students.c.id.in_(sorted(changed))).values(username=None))
    ids = section_ids(connection)
    rows = [{"of_student": student_id, **_columns(fields, ids)} for student_id, fields in changed.items()]
    membership.move(connection, {str(row["of_student"]): _section(row) for row in rows}, at)
    connection.execute(update(students).where(students.c.id == bindparam("of_student")), rows)


def list_students(connection: Connection, now: datetime, *, section: str | None = None) -> list[StudentLine]:
    """Return the students by section and serial number."""
    statement = _students().order_by(sections.c.name, students.c.serial_number)
    if section is not None:
        statement = statement.where(sections.c.name == section)
    found = [_student(row) for row in connection.execute(statement)]
    with_consent = students_with_consent(connection, now)
    pictures = _picture_counts(connection)
    return [
        StudentLine(student, student.student_id in with_consent, pictures.get(student.student_id, 0))
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
    statement = select(consents.c.student_id).where(
        consents.c.withdrawn_at.is_(None),
        consents.c.given_at <= now,
        consents.c.expires_at.is_(None) | (consents.c.expires_at > now),
    )
    if student_id is not None:
        statement = statement.where(consents.c.student_id == student_id)
    return set(connection.execute(statement).scalars())


def _picture_counts(connection: Connection) -> dict[str, int]:
    counted = func.count(func.distinct(templates.c.picture_sha256)).label("pictures")
    rows = connection.execute(select(templates.c.student_id, counted).group_by(templates.c.student_id))
    return {row.student_id: row.pictures for row in rows}


def _students() -> Select[tuple[str, ...]]:
    return select(students, sections.c.name.label("section")).outerjoin(
        sections, sections.c.id == students.c.section_id
    )


def _student(row: Row[tuple[str, ...]]) -> Student:
    fields = StudentFields(row.serial_number, row.name, row.username, row.email, row.phone, row.section)
    return Student(row.id, fields)


def _section(row: Mapping[str, object]) -> str | None:
    section_id = row["section_id"]
    return None if section_id is None else str(section_id)


def _columns(fields: StudentFields, ids: Mapping[str, str]) -> dict[str, str | None]:
    return {
        "serial_number": fields.serial_number,
        "name": fields.name,
        "username": fields.username,
        "email": fields.email,
        "phone": fields.phone,
        "section_id": None if fields.section is None else ids[fields.section],
    }
