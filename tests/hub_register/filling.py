"""Puts a generated school into a real database: its events through the hub's own door, the rest as rows."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Table, insert

from hub.adapters.attendance_store import mark_dirty
from hub.adapters.database import Database
from hub.adapters.event_store import MySqlEventStore
from hub.adapters.register_deriving import MySqlRegisterStore
from hub.adapters.schema import (
    absence_rules,
    attendance,
    closings,
    dirty_students,
    gallery_members,
    lesson_states,
    lessons,
    marks,
    register_rules,
    review_decisions,
    rooms,
    section_groups,
    sections,
    student_groups,
    student_sections,
    students,
    unit_rooms,
    units,
)
from hub.core.attendance_facts import SchoolDays
from hub.core.batches import sort_batch
from hub.office.rules_of_settings import of_settings
from hub.settings import AttendanceSettings
from protocol.delivery import EventBatch
from tests.hub_register.generated_school import EVER, ZONE, Generated, an_id
from tests.hub_register.records import RuleVersion
from tests.hub_register.unit_lives import EPOCH, Parcel

_ROWS_AT_ONCE = 2000
_BY = {"made_by": "office"}


def fill(database: Database, school: Generated) -> None:
    """Write everything but what units saw and what was decided of it. To be called on an empty, migrated database."""
    with database.transaction() as connection:
        _people(connection, school)
        _timetable(connection, school)
        _said(connection, school)


def put(connection: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    """Insert rows, many at once."""
    several = list(rows)
    for start in range(0, len(several), _ROWS_AT_ONCE):
        connection.execute(insert(table), several[start : start + _ROWS_AT_ONCE])


def _people(connection: Connection, school: Generated) -> None:
    numbers = {one: number for number, one in enumerate(school.sections)}
    put(connection, sections, ({"id": one, "name": f"section {number}"} for one, number in numbers.items()))
    put(connection, rooms, ({"id": one, "name": f"room {number}"} for number, one in enumerate(school.rooms)))
    put(
        connection,
        section_groups,
        ({"id": group, "section_id": one, "name": group} for group, one in school.groups.items()),
    )
    put(
        connection,
        students,
        (
            {"id": one, "serial_number": f"{number:05d}", "name": f"Student {number}", "created_at": EVER}
            for number, one in enumerate(school.students)
        ),
    )
    for table, column, known in (
        (student_sections, "section_id", set(school.sections)),
        (student_groups, "group_id", set(school.groups)),
    ):
        put(
            connection,
            table,
            (
                {"student_id": one.student, column: one.of, "since": one.since, "until": one.until}
                for one in school.members
                if one.of in known
            ),
        )


def _timetable(connection: Connection, school: Generated) -> None:
    put(
        connection,
        lessons,
        (
            {
                "id": one.lesson,
                "room_id": one.room,
                "section_id": one.section,
                "group_id": one.group,
                "starts_at": one.start,
                "ends_at": one.end,
                "teacher": "a substitute" if number % 17 == 0 else "",
                "cancelled_at": one.start if one.cancelled else None,
            }
            for number, one in enumerate(school.lessons)
        ),
    )
    homes = {one.unit: one.room for one in school.places if one.since == EVER}
    put(
        connection,
        units,
        (
            {"id": one, "label": f"unit {number}", "room_id": homes[one], "data_key_sealed": b"x", "added_at": EVER}
            for number, one in enumerate(school.units)
        ),
    )
    put(
        connection,
        unit_rooms,
        ({"unit_id": one.unit, "since": one.since, "room_id": one.room} for one in school.places),
    )
    put(
        connection,
        gallery_members,
        (
            {"unit_id": one.unit, "student_id": one.student, "from_revision": one.since, "until_revision": one.until}
            for one in school.galleries
        ),
    )


def _said(connection: Connection, school: Generated) -> None:
    now = school.now
    put(connection, register_rules, (_rules(one) | {"made_at": now} | _BY for one in school.rules))
    switched = {"recall_low": 0.995, "present": 400, "switched_on_at": now, "switched_on_by": "office"}
    put(
        connection,
        absence_rules,
        (
            {"id": an_id(9, number), "room_id": one.room, "from_day": one.from_day, "until_day": one.until_day}
            | switched
            for number, one in enumerate(school.absence)
        ),
    )
    put(
        connection,
        closings,
        (
            {
                "id": an_id(10, number),
                "lesson_id": one.lesson,
                "closed_at": one.at,
                "closed_by": "office",
                "reopened_at": one.at + timedelta(minutes=1) if one.reopened else None,
            }
            for number, one in enumerate(school.closings)
        ),
    )
    put(
        connection,
        marks,
        (
            {
                "id": one.mark,
                "student_id": one.student,
                "occasion": one.occasion,
                "lesson_id": one.lesson,
                "day": one.day,
                "status": one.status,
                "at": one.came,
                "method": one.method,
                "reason": one.reason,
                "note": one.note,
                "origin": "hub",
                "made_at": one.made,
                "undone_at": now if one.undone else None,
            }
            | _BY
            for one in school.marks
        ),
    )


def _rules(one: RuleVersion) -> dict[str, Any]:
    sessions = [[name, f"{since:%H:%M}", f"{until:%H:%M}"] for name, since, until in one.sessions]
    return asdict(one) | {"sessions": json.dumps(sessions)}


def decide(connection: Connection, keys: Sequence[str], at: datetime) -> None:
    """Decide items of the review list; every fifth decision is taken back."""
    put(
        connection,
        review_decisions,
        (
            {
                "id": an_id(11, number),
                "review_key": key,
                "outcome": "rejected" if number % 2 else "accepted",
                "decided_at": at,
                "decided_by": "office",
                "undone_at": at if number % 5 == 4 else None,
            }
            for number, key in enumerate(keys)
        ),
    )


class Deriving:
    """The hub's own programs around the database."""

    def __init__(self, database: Database, school: Generated) -> None:
        self.database = database
        self.school = school
        self._events = MySqlEventStore(database, ZONE)
        self._register = MySqlRegisterStore(database, SchoolDays(ZONE), of_settings(AttendanceSettings()))
        self._number = 0

    def take(self, parcels: Iterable[Parcel], at_once: int = 20) -> int:
        """Take parcels in their order through the hub's door; return how many events were committed."""
        waiting, count = [], 0
        for parcel in parcels:
            self._number += 1
            batch_id = an_id(12, self._number)
            message = EventBatch(epoch=EPOCH, batch_id=batch_id, events=parcel.events)
            waiting.append(sort_batch(parcel.unit, message, parcel.received))
            count += len(parcel.events)
            if len(waiting) == at_once:
                self._commit(waiting)
                waiting = []
        self._commit(waiting)
        return count

    def _commit(self, waiting: list[Any]) -> None:
        if waiting and any(batch.refused for batch in waiting):
            raise ValueError("the generated units do not send what units send")
        if waiting:
            self._events.take(waiting)

    def derive(self, now: datetime, most: int = 400) -> int:
        """Derive everything that is asked for; return how many students' days."""
        self._register.mark_ended_lessons(now)
        count = 0
        while done := self._register.derive(now, most):
            count += done
        return count

    def mark_everything(self) -> None:
        """Ask for every student's register of every day with lessons; what events touch is asked for by them."""
        with_lessons = {one.start.astimezone(ZONE).date() for one in self.school.lessons}
        for day in sorted({*self.school.days, *with_lessons}):
            with self.database.transaction() as connection:
                mark_dirty(connection, self.school.students, [day])

    def forget_register(self) -> None:
        """Delete everything that is derived."""
        with self.database.transaction() as connection:
            for table in (attendance, lesson_states, dirty_students):
                connection.execute(table.delete())
