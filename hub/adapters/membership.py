"""Which section and groups a student belongs to, and belonged to before: what a past lesson's register comes from."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, exists, insert, or_, select

from hub.adapters.schema import attendance, lessons, student_groups, student_sections
from hub.core.belonging import SINCE_EVER, Belonging, GroupBelonging
from hub.core.belonging_changes import Places

__all__ = [
    "SINCE_EVER",
    "belonged",
    "expected",
    "groups_history",
    "history",
    "lesson_starts",
    "members_after",
    "places",
    "write",
    "written_after",
]

_ROWS_AT_ONCE = 500
_NOTHING = Places()


def belonged() -> ColumnElement[bool]:
    """Return the condition that joins a lesson (in `student_sections`) to whoever belonged to it when it began.

    To its section and, where it is for a group, to that group. The statement has `lessons` and `student_sections`.
    """
    in_group = exists().where(
        student_groups.c.group_id == lessons.c.group_id,
        student_groups.c.student_id == student_sections.c.student_id,
        student_groups.c.since <= lessons.c.starts_at,
        or_(student_groups.c.until.is_(None), student_groups.c.until > lessons.c.starts_at),
    )
    return and_(
        student_sections.c.section_id == lessons.c.section_id,
        student_sections.c.since <= lessons.c.starts_at,
        or_(student_sections.c.until.is_(None), student_sections.c.until > lessons.c.starts_at),
        or_(lessons.c.group_id.is_(None), in_group.correlate(lessons, student_sections)),
    )


def expected() -> ColumnElement[bool]:
    """Return the condition that joins a lesson to whoever is expected in it: one that was cancelled is nobody's."""
    return and_(belonged(), lessons.c.cancelled_at.is_(None))


def places(connection: Connection, student_ids: Iterable[str]) -> dict[str, Places]:
    """Return everything that is noted of each of these students."""
    ids = sorted(student_ids)
    found: dict[str, Places] = {}
    for start in range(0, len(ids), _ROWS_AT_ONCE):
        part = ids[start : start + _ROWS_AT_ONCE]
        of_sections, of_groups = history(connection, part), groups_history(connection, part)
        for one in part:
            groups = sorted(of_groups.get(one, ()), key=lambda row: (row.since, row.group_id))
            found[one] = Places(tuple(of_sections.get(one, ())), tuple(groups))
    return found


def write(connection: Connection, before: Mapping[str, Places], after: Mapping[str, Places]) -> None:
    """Replace what is noted of the students of `after`; those of whom it is the same are left alone."""
    _replace(
        connection,
        student_sections,
        [key for key in after if before.get(key, _NOTHING).sections and before[key].sections != after[key].sections],
        [
            {"student_id": key, "section_id": row.section_id, "since": row.since, "until": row.until}
            for key in sorted(after)
            if before.get(key, _NOTHING).sections != after[key].sections
            for row in after[key].sections
        ],
    )
    _replace(
        connection,
        student_groups,
        [key for key in after if before.get(key, _NOTHING).groups and before[key].groups != after[key].groups],
        [
            {"student_id": key, "group_id": row.group_id, "since": row.since, "until": row.until}
            for key in sorted(after)
            if before.get(key, _NOTHING).groups != after[key].groups
            for row in after[key].groups
        ],
    )


def _replace(connection: Connection, table: Table, of: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    for start in range(0, len(of), _ROWS_AT_ONCE):
        part = sorted(of)[start : start + _ROWS_AT_ONCE]
        connection.execute(delete(table).where(table.c.student_id.in_(part)))
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        connection.execute(insert(table), rows[start : start + _ROWS_AT_ONCE])


def written_after(connection: Connection, student_ids: Sequence[str], day: date) -> list[tuple[str, date]]:
    """Return the days after `day` of which these students have a register already: somebody excused them ahead."""
    found: list[tuple[str, date]] = []
    for start in range(0, len(student_ids), _ROWS_AT_ONCE):
        part = list(student_ids[start : start + _ROWS_AT_ONCE])
        statement = select(attendance.c.student_id, attendance.c.day).distinct()
        rows = connection.execute(statement.where(attendance.c.student_id.in_(part), attendance.c.day > day))
        found += [(row.student_id, row.day) for row in rows]
    return found


def lesson_starts(
    connection: Connection, place_ids: Iterable[str], since: datetime, before: datetime
) -> dict[str, list[datetime]]:
    """Return when the lessons of these sections and groups begin from `since` to before `before`, in order of time."""
    found: dict[str, list[datetime]] = {place_id: [] for place_id in place_ids}
    for column in (lessons.c.section_id, lessons.c.group_id):
        statement = (
            select(column.label("place_id"), lessons.c.starts_at)
            .where(column.in_(sorted(found)), lessons.c.starts_at >= since, lessons.c.starts_at < before)
            .order_by(lessons.c.starts_at)
        )
        for row in connection.execute(statement):
            found[row.place_id].append(row.starts_at)
    return found


def members_after(connection: Connection, group_id: str, since: datetime) -> set[str]:
    """Return who is in a group at some time after a moment."""
    later = or_(student_groups.c.until.is_(None), student_groups.c.until > since)
    statement = select(student_groups.c.student_id).where(student_groups.c.group_id == group_id, later)
    return set(connection.execute(statement).scalars())


def history(connection: Connection, student_ids: Iterable[str] | None = None) -> dict[str, Sequence[Belonging]]:
    """Return where these students (or all) belong and belonged; a student who never had a section is not a key."""
    statement = select(student_sections).order_by(student_sections.c.student_id, student_sections.c.since)
    if student_ids is not None:
        statement = statement.where(student_sections.c.student_id.in_(sorted(student_ids)))
    found: dict[str, list[Belonging]] = {}
    for row in connection.execute(statement):
        found.setdefault(row.student_id, []).append(Belonging(row.section_id, row.since, row.until))
    return dict(found)


def groups_history(
    connection: Connection, student_ids: Iterable[str] | None = None
) -> dict[str, Sequence[GroupBelonging]]:
    """Return in which groups these students (or all) are and were; a student who never was in one is not a key."""
    statement = select(student_groups).order_by(
        student_groups.c.student_id, student_groups.c.group_id, student_groups.c.since
    )
    if student_ids is not None:
        statement = statement.where(student_groups.c.student_id.in_(sorted(student_ids)))
    found: dict[str, list[GroupBelonging]] = {}
    for row in connection.execute(statement):
        found.setdefault(row.student_id, []).append(GroupBelonging(row.group_id, row.since, row.until))
    return dict(found)
