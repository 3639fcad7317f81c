"""What is deleted and the register: rows of days whose events are gone stay, and so do those of who was erased."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from hub.adapters.attendance_store import mark_dirty
from hub.adapters.event_store import MySqlEventStore
from hub.adapters.key_files import HubKeys
from hub.adapters.register_deriving import MySqlRegisterStore
from hub.adapters.schema import attendance, dirty_students, events, gallery_members, students
from hub.core.attendance_facts import Rules, SchoolDays
from hub.core.roster_times import day_of
from hub.office import erasure, retention
from hub.office.context import Office
from hub.settings import HubSettings
from tests.hub_adapters.school import ZONE, School, utc
from tests.hub_core.builders import UNIT, a_batch, an_event
from tests.hub_loops.fakes import FakeClock

pytestmark = pytest.mark.server
RULES = Rules(early=timedelta(minutes=10), late_after=timedelta(minutes=10), covered_share=0.9, held_share=0.0)
DAY = timedelta(days=1)


class Hub:
    """The office and the stores of one hub."""

    def __init__(self, school: School, folder: Path) -> None:
        self.school, self.clock = school, FakeClock(utc(12))
        settings = {"site": "test", "time_zone": "Europe/Berlin", "recognition": {"pack_dir": str(folder)}}
        settings |= {"data_dir": str(folder)}
        keys = HubKeys(folder / "hub.key", folder / "hub_signing.key")
        self.office = Office(HubSettings.model_validate(settings), school.database, keys, self.clock, "tester")
        self.events = MySqlEventStore(school.database, ZONE)
        self.register = MySqlRegisterStore(school.database, SchoolDays(ZONE), RULES)

    def take(self, seq: int, student_id: str, at: datetime) -> None:
        [taken] = self.events.take([a_batch([an_event(seq, student_id=student_id, at=at)], number=seq, at=at)])
        assert taken.receipt is not None
        assert taken.receipt.high_water == seq

    def rows(self) -> list[dict[str, Any]]:
        """Derive everything and return the register."""
        self.register.mark_ended_lessons(self.clock.now())
        while self.register.derive(self.clock.now(), 50):
            pass
        return sorted(self.school.rows(attendance), key=lambda row: (row["day"], row["occasion"], row["student_id"]))


def test_rows_stay_when_their_events_are_deleted_and_when_their_student_is_erased(
    school: School, tmp_path: Path
) -> None:
    school.unit()
    ada, grace = school.student(1), school.student(2)
    for student_id in (ada, grace):
        school.put(gallery_members, unit_id=UNIT, student_id=student_id, from_revision=1)
    school.lesson(utc(6))
    school.lesson(utc(8))
    hub = Hub(school, tmp_path)
    hub.take(1, ada, utc(6, 1))
    before = hub.rows()
    assert next(row["status"] for row in before if row["student_id"] == ada) == "Present"

    # An event that comes when the student is erased already: taken, and a line of somebody without a name.
    done = erasure.erase(hub.office, "0001", policy="pseudonymise")
    hub.take(2, ada, utc(8, 1))
    after = hub.rows()
    assert [row["status"] for row in after if row["student_id"] == ada] == ["Present", "Present"]
    with school.database.transaction() as connection:
        names = connection.execute(select(students.c.serial_number, students.c.name).order_by(students.c.name)).all()
    assert [tuple(row) for row in names] == [(done.serial_number, "Erased student"), ("0002", "Student 2")]

    # Two years later.
    hub.clock.move(700 * DAY)
    hub.take(3, grace, utc(11) + 700 * DAY)
    latest = hub.rows()
    ended = retention.run(hub.office)
    assert ended.deleted["events"] == 2
    assert [row["seq"] for row in school.rows(events)] == [3]
    with school.database.transaction() as connection:
        mark_dirty(connection, [ada, grace], [day_of(utc(6), ZONE)])
    assert hub.rows() == latest
    assert school.rows(dirty_students) == []
