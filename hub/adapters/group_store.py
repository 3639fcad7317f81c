"""Groups in the database: parts of a section that are taught apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, select

from hub.adapters.schema import section_groups, sections, student_groups, student_sections, students

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class GroupLine:
    """A group of a section and the serial numbers of who is in it."""

    group_id: str
    name: str
    serial_numbers: tuple[str, ...]


def group_ids(connection: Connection) -> dict[tuple[str, str], str]:
    """Return the id of every group by the names of its section and its own."""
    statement = select(sections.c.name.label("section"), section_groups.c.name, section_groups.c.id)
    rows = connection.execute(statement.join(sections, sections.c.id == section_groups.c.section_id))
    return {(row.section, row.name): row.id for row in rows}


def lock_groups(connection: Connection, section_id: str) -> None:
    """Let nobody else say who is in the groups of a section until this transaction ends."""
    connection.execute(select(sections.c.id).where(sections.c.id == section_id).with_for_update())


def insert_group(connection: Connection, group_id: str, section_id: str, name: str) -> None:
    """Add a group. A name that the section has already raises Conflict at the end of the transaction."""
    connection.execute(insert(section_groups).values(id=group_id, section_id=section_id, name=name))


def list_groups(connection: Connection, section_id: str) -> list[GroupLine]:
    """Return the groups of a section by name, each with who is on record as being in it."""
    ids = list(connection.execute(select(students.c.id).where(students.c.section_id == section_id)).scalars())
    rows = connection.execute(select(students.c.id, students.c.serial_number).where(students.c.id.in_(ids)))
    serials = {row.id: row.serial_number for row in rows} if ids else {}
    members: dict[str, list[str]] = {}
    for student_id, names in of_students(connection, ids).items():
        for name in names:
            members.setdefault(name, []).append(serials[student_id])
    found = connection.execute(
        select(section_groups.c.id, section_groups.c.name)
        .where(section_groups.c.section_id == section_id)
        .order_by(section_groups.c.name)
    )
    return [GroupLine(row.id, row.name, tuple(sorted(members.get(row.name, ())))) for row in found]


def of_students(connection: Connection, student_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return in which groups of their section students are, by name; of somebody who left, were at the end.

    Whoever is in none is not a key.
    """
    found: dict[str, list[str]] = {}
    for start in range(0, len(student_ids), _AT_ONCE):
        part = list(student_ids[start : start + _AT_ONCE])
        ends = (
            select(student_sections.c.student_id, func.max(student_sections.c.until).label("ended"))
            .where(student_sections.c.student_id.in_(part))
            .group_by(student_sections.c.student_id)
            .subquery()
        )
        statement = (
            select(student_groups.c.student_id, section_groups.c.name, student_groups.c.until)
            .add_columns(students.c.left_on, ends.c.ended)
            .join(section_groups, section_groups.c.id == student_groups.c.group_id)
            .join(students, students.c.id == student_groups.c.student_id)
            .outerjoin(ends, ends.c.student_id == student_groups.c.student_id)
            .where(student_groups.c.student_id.in_(part), section_groups.c.section_id == students.c.section_id)
        )
        for row in connection.execute(statement):
            # Of who left the last row ends with the section's last one.
            last: datetime | None = None if row.left_on is None else row.ended
            if row.until == last:
                found.setdefault(row.student_id, []).append(row.name)
    return {student_id: tuple(sorted(set(names))) for student_id, names in found.items()}
