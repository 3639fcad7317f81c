"""A small school in a real database: a section, a room, a unit, students who have consented or not."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Table, insert, select, update

from hub.adapters.database import Database
from hub.adapters.gallery_revisions import seal_data_key
from hub.adapters.membership import SINCE_EVER
from hub.adapters.schema import (
    consents,
    galleries,
    lessons,
    rooms,
    sections,
    student_sections,
    students,
    templates,
    units,
)
from protocol.sealing import seal, stored_template_context
from tests.hub_core.builders import PACK, START, UNIT, a_student, an_id

ZONE = ZoneInfo("Europe/Berlin")
HUB_KEY = bytes(range(32))
SIGNING_KEY = bytes(range(32, 64))
DATA_KEY = bytes(range(64, 96))
ROOM, SECTION = an_id(1), an_id(2)
DIMENSIONS = 8


class School:
    """Writes what a test needs, in a transaction each."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._next = 100
        self.put(sections, id=SECTION, name="7b")
        self.put(rooms, id=ROOM, name="12")

    def put(self, table: Table, **values: Any) -> None:
        """Insert a row."""
        with self.database.transaction() as connection:
            connection.execute(insert(table).values(**values))

    def rows(self, table: Table) -> list[dict[str, Any]]:
        """Return all rows of a table."""
        with self.database.transaction() as connection:
            return [dict(row._mapping) for row in connection.execute(select(table))]

    def unit(self, unit_id: str = UNIT, *, label: str = "door-12", room: str = ROOM) -> str:
        """Add a unit with its gallery row."""
        sealed = seal_data_key(HUB_KEY, unit_id, DATA_KEY)
        added_at = START - timedelta(days=100)
        self.put(units, id=unit_id, label=label, room_id=room, data_key_sealed=sealed, added_at=added_at)
        self.put(galleries, unit_id=unit_id, revision=1)
        return unit_id

    def student(
        self, number: int, *, consent: bool = True, enrolled: bool = True, section: str | None = SECTION
    ) -> str:
        """Add a student."""
        student_id = a_student(number)
        self.put(
            students,
            id=student_id,
            serial_number=f"{number:04d}",
            name=f"Student {number}",
            section_id=section,
            created_at=START,
        )
        if section is not None:
            self.put(student_sections, student_id=student_id, section_id=section, since=SINCE_EVER)
        if consent:
            self.consent(student_id)
        if enrolled:
            self.template(student_id)
        return student_id

    def moves(self, student_id: str, section: str | None, at: datetime) -> None:
        """Move a student to another section."""
        with self.database.transaction() as connection:
            theirs = student_sections.c.student_id == student_id
            connection.execute(
                update(student_sections).where(theirs, student_sections.c.until.is_(None)).values(until=at)
            )
            if section is not None:
                values = {"student_id": student_id, "section_id": section, "since": at}
                connection.execute(insert(student_sections).values(**values))
            connection.execute(update(students).where(students.c.id == student_id).values(section_id=section))

    def consent(self, student_id: str, **changed: Any) -> str:
        """Add a consent that is in force unless `changed` says otherwise."""
        values: dict[str, Any] = {"given_at": START - timedelta(days=100), "given_by": "a parent"}
        consent_id = self._id()
        self.put(consents, id=consent_id, student_id=student_id, **(values | changed))
        return consent_id

    def template(self, student_id: str, pack_id: str = PACK) -> None:
        """Add a template."""
        number = self._id()
        vector = bytes(DIMENSIONS * 4 - 4) + b"\x00\x00\x80\x3f"
        self.put(
            templates,
            id=number,
            student_id=student_id,
            pack_id=pack_id,
            sealed=seal(HUB_KEY, vector, *stored_template_context(student_id, pack_id)),
            source="test",
            face_px=120.0,
            picture_sha256=bytes.fromhex(number.replace("-", "") * 2),
            created_at=START,
        )

    def lesson(self, starts_at: datetime, minutes: int = 45, *, room: str = ROOM, section: str = SECTION) -> str:
        """Add a lesson."""
        lesson_id = self._id()
        ends_at = starts_at + timedelta(minutes=minutes)
        self.put(lessons, id=lesson_id, room_id=room, section_id=section, starts_at=starts_at, ends_at=ends_at)
        return lesson_id

    def _id(self) -> str:
        self._next += 1
        return an_id(self._next)


def utc(hour: int, minute: int = 0, day: int = 1) -> datetime:
    """A moment in September 2026."""
    return datetime(2026, 9, day, hour, minute, tzinfo=UTC)
