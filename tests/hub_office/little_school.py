"""A small school for tests of what people say about the register: written into the tables, not through the office."""

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Table, insert, select

from hub.adapters.membership import SINCE_EVER
from hub.adapters.schema import (
    attendance,
    events,
    lessons,
    rooms,
    sections,
    student_sections,
    students,
    templates,
    units,
)
from tests.hub_office.conftest import NOW, OfficeUnderTest

ZONE = ZoneInfo("Europe/Berlin")
DAY = date(2026, 9, 1)
EPOCH = "0123456789abcdef"


def an_id(number: int) -> str:
    """An id that is the same in every run."""
    return str(UUID(int=number << 64 | 4 << 12 << 64 | 0x8 << 60))


class LittleSchool:
    """Sections 7b (Ada 1, Bob 002) and 8a (Eve 3), a guest 4 without a section, rooms 12 and 13."""

    def __init__(self, desk: OfficeUnderTest) -> None:
        self.desk = desk
        self.office = desk.office
        self._next = 1000
        self.sections = {name: an_id(10 + number) for number, name in enumerate(("7b", "8a"))}
        self.rooms = {name: an_id(20 + number) for number, name in enumerate(("12", "13"))}
        self.students: dict[str, str] = {}
        for table, named in ((sections, self.sections), (rooms, self.rooms)):
            self.put(table, *({"id": key, "name": name} for name, key in named.items()))
        for serial, name, section in (("1", "Ada", "7b"), ("002", "Bob", "7b"), ("3", "Eve", "8a"), ("4", "Gus", None)):
            self.student(serial, name, section)

    def put(self, table: Table, *rows: dict[str, Any]) -> None:
        with self.office.database.transaction() as connection:
            connection.execute(insert(table), list(rows))

    def all(self, table: Table) -> list[dict[str, Any]]:
        with self.office.database.transaction() as connection:
            return [dict(row._mapping) for row in connection.execute(select(table))]

    def student(self, serial: str, name: str, section: str | None) -> str:
        student_id = self.students[serial] = self.new_id()
        section_id = self.sections[section] if section else None
        fields = {"serial_number": serial, "name": name, "section_id": section_id}
        self.put(students, {"id": student_id, **fields, "created_at": NOW})
        if section_id:
            self.put(student_sections, {"student_id": student_id, "section_id": section_id, "since": SINCE_EVER})
        return student_id

    def enrol(self, *serials: str) -> None:
        """Templates of these students, of whom nobody has one yet; they are never opened."""
        known = {row["student_id"] for row in self.all(templates)}
        for student_id in {self.students[serial] for serial in serials} - known:
            template = {"id": self.new_id(), "student_id": student_id, "pack_id": "p", "sealed": b"x", "source": "f"}
            picture = UUID(student_id).bytes * 2
            self.put(templates, template | {"face_px": 1, "picture_sha256": picture, "created_at": NOW})

    def lesson(self, at: str, *, section: str = "7b", room: str = "12", label: str = "Maths", **more: Any) -> str:
        """A lesson of 45 minutes; `at` is the school's clock, on the first of September or in full."""
        start = local(at)
        lesson_id = self.new_id()
        place = {"room_id": self.rooms[room], "section_id": self.sections[section], "label": label}
        ends_at = start + timedelta(minutes=45)
        self.put(lessons, {"id": lesson_id, **place, "starts_at": start, "ends_at": ends_at, **more})
        return lesson_id

    def derived(self, serial: str, lesson_id: str, status: str, rule: str, **more: Any) -> None:
        """A row of the register, as the derivation would write it."""
        start = next(row["starts_at"] for row in self.all(lessons) if row["id"] == lesson_id)
        row = {
            "student_id": self.students[serial],
            "occasion": f"lesson:{lesson_id}",
            "lesson_id": lesson_id,
            "day": start.astimezone(ZONE).date(),
            "timestamp": start,
            "status": status,
            "method": "Face Recognition",
            "rule": rule,
            "machine_status": status,
            "machine_rule": rule,
        }
        self.put(attendance, row | more)

    def unit(self, room: str = "12") -> str:
        unit_id = self.new_id()
        place = {"label": f"door-{room}", "room_id": self.rooms[room]}
        self.put(units, {"id": unit_id, **place, "data_key_sealed": b"x", "added_at": NOW})
        return unit_id

    def event(self, unit_id: str, kind: str, at: datetime, body: str, student_id: str | None = None) -> str:
        event_id = self.new_id()
        row = {
            "event_id": event_id,
            "unit_id": unit_id,
            "epoch": EPOCH,
            "seq": self._next,
            "kind": kind,
            "student_id": student_id,
            "at_claimed": at,
            "at_corrected": at,
            "received_at": at,
            "clock": "synced",
            "boot_id": an_id(5),
            "boottime_ns": 0,
            "body": body,
            "payload_sha256": bytes(32),
        }
        self.put(events, row)
        return event_id

    def new_id(self) -> str:
        self._next += 1
        return an_id(self._next)


def local(text: str) -> datetime:
    """A moment of the school's clock: 08:20 on the first of September, or 2026-09-02T08:20."""
    written = text if "T" in text else f"2026-09-01T{text}"
    return datetime.fromisoformat(written).replace(tzinfo=ZONE)
