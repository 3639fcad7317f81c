"""Lessons written straight into the table, for tests of what follows from them."""

from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import insert, select

from hub.adapters.schema import lessons, rooms, section_groups, sections
from tests.hub_office.conftest import OfficeUnderTest


def put_lesson(
    desk: OfficeUnderTest, room: str, section: str, starts_at: datetime, *, minutes: int = 45, group: str | None = None
) -> str:
    """Write a lesson; return its id."""
    lesson_id = str(uuid4())
    with desk.office.database.transaction() as connection:
        section_id = connection.execute(select(sections.c.id).where(sections.c.name == section)).scalar_one()
        wanted = (section_groups.c.section_id == section_id, section_groups.c.name == group)
        connection.execute(
            insert(lessons).values(
                id=lesson_id,
                room_id=connection.execute(select(rooms.c.id).where(rooms.c.name == room)).scalar_one(),
                section_id=section_id,
                group_id=connection.execute(select(section_groups.c.id).where(*wanted)).scalar(),
                label="",
                starts_at=starts_at,
                ends_at=starts_at + timedelta(minutes=minutes),
            )
        )
    return lesson_id
