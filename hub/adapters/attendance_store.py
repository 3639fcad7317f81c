"""What of the register must be derived again: written in the transaction that changes its inputs."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, and_, or_, select, text
from sqlalchemy.dialects.mysql import insert

from hub.adapters.membership import belonged
from hub.adapters.schema import dirty_students, lessons, student_sections, units


def mark_dirty(connection: Connection, student_ids: Iterable[str], days: Iterable[date]) -> None:
    """Ask for the register of these students on these local days to be derived again.

    To be called in the transaction that changes lessons, sections, consents or marks. Marking twice is harmless; an
    identifier of no student derives nothing. Rows are written in one order everywhere, so that two writers wait for
    each other instead of deadlocking.
    """
    pairs = sorted({(student_id, day) for day in set(days) for student_id in set(student_ids)})
    if not pairs:
        return
    statement = insert(dirty_students).values(mark=1)
    connection.execute(
        # Text, not a bound value: the connector sends many rows as one statement and binds nothing after VALUES.
        # With the table: in the form for MySQL 8 a bare column could be that of the new row as well.
        statement.on_duplicate_key_update(mark=text("dirty_students.mark + 1")),
        [{"student_id": student_id, "day": day} for student_id, day in pairs],
    )


@dataclass(frozen=True, slots=True)
class Watched:
    """A unit watched from `since` to `until`; the hub learned it at `now`."""

    unit_id: str
    since: datetime
    until: datetime
    now: datetime


def mark_covered(connection: Connection, watched: Iterable[Watched], zone: ZoneInfo) -> None:
    """Mark the students of lessons that are over and that these units watched: `Not observed` may become `Not seen`.

    A lesson that still runs is left alone: its students are marked when it ends.
    """
    conditions = [
        and_(
            units.c.id == one.unit_id,
            lessons.c.starts_at < one.until,
            lessons.c.ends_at > one.since,
            lessons.c.ends_at <= one.now,
        )
        for one in watched
    ]
    if not conditions:
        return
    found = connection.execute(
        select(student_sections.c.student_id, lessons.c.starts_at)
        .distinct()
        .select_from(units)
        .join(lessons, lessons.c.room_id == units.c.room_id)
        .join(student_sections, belonged())
        .where(or_(*conditions))
    )
    mark_lessons(connection, ((row.student_id, row.starts_at) for row in found), zone)


def mark_lessons(connection: Connection, lessons_of: Iterable[tuple[str, datetime]], zone: ZoneInfo) -> None:
    """Mark pairs of a student and the start of one of their lessons."""
    by_day: dict[date, set[str]] = {}
    for student_id, starts_at in lessons_of:
        by_day.setdefault(starts_at.astimezone(zone).date(), set()).add(student_id)
    for day in sorted(by_day):
        mark_dirty(connection, by_day[day], [day])
