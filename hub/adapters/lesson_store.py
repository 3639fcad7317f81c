"""The timetable in the database."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, tzinfo

from sqlalchemy import Connection, Row, Select, insert, select, update

from hub.adapters.schema import lessons, rooms, sections
from hub.core.roster_lessons import Lesson, LessonFields
from hub.core.roster_times import day_of

_ROWS_AT_ONCE = 500


def find_lessons(
    connection: Connection,
    starts_before: datetime,
    ends_after: datetime,
    *,
    room: str | None = None,
    section: str | None = None,
) -> list[Lesson]:
    """Return the lessons that touch a span of time, by start and room."""
    statement = _lessons().where(lessons.c.starts_at < starts_before, lessons.c.ends_at > ends_after)
    if room is not None:
        statement = statement.where(rooms.c.name == room)
    if section is not None:
        statement = statement.where(sections.c.name == section)
    return [_lesson(row) for row in connection.execute(statement.order_by(lessons.c.starts_at, rooms.c.name))]


def insert_lessons(
    connection: Connection, new: Mapping[str, LessonFields], room_ids: Mapping[str, str], section_ids: Mapping[str, str]
) -> None:
    """Add lessons, given as id to fields; their rooms and sections exist."""
    values = [
        {
            "id": lesson_id,
            "room_id": room_ids[fields.room],
            "section_id": section_ids[fields.section],
            "label": fields.label,
            "starts_at": fields.starts_at,
            "ends_at": fields.ends_at,
        }
        for lesson_id, fields in new.items()
    ]
    for start in range(0, len(values), _ROWS_AT_ONCE):
        connection.execute(insert(lessons), values[start : start + _ROWS_AT_ONCE])


def update_lessons(connection: Connection, changed: Mapping[str, LessonFields]) -> None:
    """Replace label and end of lessons, given as id to fields; room, section and start are what they were."""
    for lesson_id, fields in changed.items():
        connection.execute(
            update(lessons).where(lessons.c.id == lesson_id).values(label=fields.label, ends_at=fields.ends_at)
        )


def lesson_days(
    connection: Connection, section_names: Iterable[str], zone: tzinfo, *, until: datetime
) -> dict[str, set[date]]:
    """Return the school's days on which each of these sections had lessons that began before `until`."""
    found: dict[str, set[date]] = {name: set() for name in section_names}
    statement = (
        select(sections.c.name, lessons.c.starts_at)
        .join(lessons, lessons.c.section_id == sections.c.id)
        .where(sections.c.name.in_(sorted(found)), lessons.c.starts_at < until)
    )
    for row in connection.execute(statement):
        found[row.name].add(day_of(row.starts_at, zone))
    return found


def _lessons() -> Select[tuple[str, ...]]:
    return (
        select(lessons, rooms.c.name.label("room"), sections.c.name.label("section"))
        .join(rooms, rooms.c.id == lessons.c.room_id)
        .join(sections, sections.c.id == lessons.c.section_id)
    )


def _lesson(row: Row[tuple[str, ...]]) -> Lesson:
    return Lesson(row.id, LessonFields(row.room, row.section, row.label, row.starts_at, row.ends_at))
