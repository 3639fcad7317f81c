"""A school with a term of lessons and of what its units saw, written straight into a database: for `register`.

It is as regular as a school can be, so that what is measured is the amount. What is irregular is compared in
`tests/hub_register`.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from random import Random
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Table, insert

from hub.adapters.database import Database
from hub.adapters.schema import (
    epochs,
    events,
    gallery_members,
    lessons,
    rooms,
    sections,
    student_sections,
    students,
    unit_rooms,
    units,
)

ZONE = ZoneInfo("Europe/Berlin")
FIRST_DAY = date(2026, 9, 1)
SECTION_SIZE = 30
EPOCH = "00000000000000aa"
_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_STARTS = (time(8), time(8, 50), time(9, 50), time(10, 40), time(11, 40), time(12, 30))
_LENGTH = timedelta(minutes=45)
_COVERED = timedelta(minutes=15)
_ROWS_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class Term:
    """How large the school is, and how many school days its term has."""

    students: int
    days: int

    @property
    def sections(self) -> int:
        """How many sections of thirty there are."""
        return max(1, self.students // SECTION_SIZE)

    @property
    def units(self) -> int:
        """How many units there are: each in a room of its own."""
        return max(2, self.sections * 3 // 2)

    @property
    def school_days(self) -> list[date]:
        """The days on which there are lessons."""
        days = (FIRST_DAY + timedelta(days=number) for number in range(2 * self.days + 7))
        return list(islice((day for day in days if day.isoweekday() <= 5), self.days))

    @property
    def over(self) -> datetime:
        """When everything has happened."""
        return local(self.school_days[-1], time(20))


def local(day: date, at: time) -> datetime:
    """Return a moment of the school's clock."""
    return datetime.combine(day, at, ZONE).astimezone(UTC)


def an_id(kind: int, number: int) -> str:
    """Return the id of something."""
    return str(UUID(int=(kind << 96) + number, version=4))


def write_term(database: Database, term: Term) -> int:
    """Write everything into an empty, migrated database; return how many events."""
    with database.transaction() as connection:
        _people(connection, term)
        _put(connection, lessons, _lessons(term))
    count = 0
    for number in range(term.units):
        with database.transaction() as connection:
            unit = _Unit(term, number)
            _put(connection, events, unit.events())
            count += unit.seq
            heard = {"first_heard_at": _EVER, "last_heard_at": term.over, "high_water": unit.seq}
            _put(connection, epochs, [{"unit_id": unit.unit_id, "epoch": EPOCH, "highest_seq": unit.seq} | heard])
    return count


def _put(connection: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    waiting = iter(rows)
    while some := list(islice(waiting, _ROWS_AT_ONCE)):
        connection.execute(insert(table), some)


def _people(connection: Connection, term: Term) -> None:
    _put(connection, sections, ({"id": an_id(2, one), "name": section_name(one)} for one in range(term.sections)))
    _put(connection, rooms, ({"id": an_id(3, one), "name": f"room {one}"} for one in range(term.units)))
    members = [(an_id(1, one), an_id(2, one % term.sections)) for one in range(term.students)]
    _put(
        connection,
        students,
        (
            {"id": one, "serial_number": f"{number:05d}", "name": f"Student {number}"}
            | {"section_id": section, "created_at": _EVER}
            for number, (one, section) in enumerate(members)
        ),
    )
    _put(
        connection,
        student_sections,
        ({"student_id": one, "section_id": section, "since": _EVER} for one, section in members),
    )
    placed = [(an_id(4, one), an_id(3, one)) for one in range(term.units)]
    _put(
        connection,
        units,
        (
            {"id": unit, "label": f"unit {number}", "room_id": room, "data_key_sealed": b"x", "added_at": _EVER}
            for number, (unit, room) in enumerate(placed)
        ),
    )
    _put(connection, unit_rooms, ({"unit_id": unit, "since": _EVER, "room_id": room} for unit, room in placed))
    _put(
        connection,
        gallery_members,
        ({"unit_id": unit, "student_id": one, "from_revision": 1} for unit, _ in placed for one, _ in members),
    )


def section_name(number: int) -> str:
    """Return the name of a section."""
    return f"section {number}"


def _planned(term: Term, day: date, slot: int) -> Iterator[tuple[int, int]]:
    """Yield each section with the number of its room."""
    for section in range(term.sections):
        yield section, (section + 7 * slot + day.toordinal()) % term.units


def _lessons(term: Term) -> Iterator[dict[str, Any]]:
    number = 0
    for day in term.school_days:
        for slot, starts in enumerate(_STARTS):
            start = local(day, starts)
            for section, room in _planned(term, day, slot):
                place = {"room_id": an_id(3, room), "section_id": an_id(2, section)}
                yield {"id": an_id(6, number), "starts_at": start, "ends_at": start + _LENGTH, "label": ""} | place
                number += 1


class _Unit:
    """What a unit saw in a term, as rows of `events`."""

    def __init__(self, term: Term, number: int) -> None:
        self.unit_id = an_id(4, number)
        self.seq = 0
        self._term = term
        self._number = number
        self._random = Random(number)  # noqa: S311 (no secret: the same school every time)

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield them in the order of their stream."""
        for day in self._term.school_days:
            for slot, starts in enumerate(_STARTS):
                start = local(day, starts)
                for section, room in _planned(self._term, day, slot):
                    if room == self._number:
                        yield from self._arrivals(section, start)
                for part in range(3):
                    yield self._coverage(start + part * _COVERED)

    def _arrivals(self, section: int, start: datetime) -> Iterator[dict[str, Any]]:
        for student in range(section, self._term.students, self._term.sections):
            kind = self._random.random()
            if kind < 0.94:
                after_s = self._random.randrange(-300, 300) if kind < 0.9 else self._random.randrange(700, 1800)
                yield self._seen(an_id(1, student), start + timedelta(seconds=after_s))

    def _seen(self, student_id: str, at: datetime) -> dict[str, Any]:
        said = {"score": 0.9, "margin": 0.2, "samples": 3, "gallery_revision": 1, "pack_id": "bench-1"}
        return self._row("seen", at, {"student_id": student_id} | said) | {"student_id": student_id}

    def _coverage(self, since: datetime) -> dict[str, Any]:
        said = {"since": _text(since), "watched_s": _COVERED.total_seconds(), "mode": "door", "gallery_revision": 1}
        counted = {"students": self._term.students, "tracks": 0, "unknown_faces": 0, "unusable_faces": 0}
        return self._row("coverage", since + _COVERED, said | counted | {"pack_id": "bench-1"})

    def _row(self, kind: str, at: datetime, said: dict[str, Any]) -> dict[str, Any]:
        self.seq += 1
        event_id, boot_id = an_id(8, (self._number << 40) + self.seq), an_id(9, self._number)
        since_boot_ns = int((at - _EVER).total_seconds()) * 10**9
        stamp = {"at": _text(at), "boot_id": boot_id, "boottime_ns": since_boot_ns, "clock": "synced"}
        body = {"event_id": event_id, "kind": kind, "seq": self.seq} | stamp | said
        return {
            "event_id": event_id,
            "unit_id": self.unit_id,
            "epoch": EPOCH,
            "seq": self.seq,
            "kind": kind,
            "student_id": None,
            "at_claimed": at,
            "at_corrected": at,
            "received_at": at,
            "clock": "synced",
            "boot_id": boot_id,
            "boottime_ns": since_boot_ns,
            "body": json.dumps(body, sort_keys=True, separators=(",", ":")),
            "payload_sha256": bytes(32),
        }


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
