"""Which section a student belongs to, and belonged to before: what a past lesson's register is derived from."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select, update

from hub.adapters.schema import lessons, student_sections, students
from hub.core.belonging import Belonging

SINCE_EVER = datetime(1970, 1, 1, tzinfo=UTC)
"""Whoever is added with a section counts as having always been in it: lists are often entered after term began."""

_ROWS_AT_ONCE = 500


def belonged() -> ColumnElement[bool]:
    """Return the condition that joins a lesson to whoever belonged to its section when it began."""
    return and_(
        student_sections.c.section_id == lessons.c.section_id,
        student_sections.c.since <= lessons.c.starts_at,
        or_(student_sections.c.until.is_(None), student_sections.c.until > lessons.c.starts_at),
    )


def begin(connection: Connection, section_of: Mapping[str, str | None], since: datetime) -> None:
    """Note the sections of students; those without one are left out."""
    rows = [
        {"student_id": student_id, "section_id": section_id, "since": since}
        for student_id, section_id in section_of.items()
        if section_id is not None
    ]
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        connection.execute(insert(student_sections), rows[start : start + _ROWS_AT_ONCE])


def move(connection: Connection, section_of: Mapping[str, str | None], at: datetime) -> None:
    """Note where students belong from now on; to be called before their rows change. The same section is no move."""
    ids = sorted(section_of)
    before = {
        row.id: row.section_id
        for row in connection.execute(select(students.c.id, students.c.section_id).where(students.c.id.in_(ids)))
    }
    moved = {
        student_id: section_of[student_id] for student_id in before if before[student_id] != section_of[student_id]
    }
    if moved:
        connection.execute(
            update(student_sections)
            .where(student_sections.c.student_id.in_(sorted(moved)), student_sections.c.until.is_(None))
            .values(until=at)
        )
        begin(connection, moved, at)


def history(connection: Connection, student_ids: Iterable[str] | None = None) -> dict[str, Sequence[Belonging]]:
    """Return where these students (or all) belong and belonged; a student who never had a section is not a key."""
    statement = select(student_sections).order_by(student_sections.c.student_id, student_sections.c.since)
    if student_ids is not None:
        statement = statement.where(student_sections.c.student_id.in_(sorted(student_ids)))
    found: dict[str, list[Belonging]] = {}
    for row in connection.execute(statement):
        found.setdefault(row.student_id, []).append(Belonging(row.section_id, row.since, row.until))
    return dict(found)
