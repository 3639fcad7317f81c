"""What people look at and say of the register is found by an index, in a database with rows of half a year."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Connection

from hub.adapters import (
    absence_store,
    closings_store,
    lesson_finding,
    marks_store,
    register_store,
    review_store,
)
from hub.adapters.database import Database
from hub.core.roster_times import day_bounds
from tests.hub_adapters.explaining import full_scans
from tests.hub_adapters.school import ROOM, ZONE
from tests.hub_adapters.test_register_explained import DAY, NOW, TABLES, full, some

pytestmark = pytest.mark.server
__all__ = ["full"]
GROWING = (TABLES - {"students"}) | {"audit"}
"""The register of a day names every student; the rest is never read as a whole."""

LESSON = f"00000000-0000-0000-0000-{10600:012x}"
BOUNDS = day_bounds(DAY, ZONE)

WORK: dict[str, Callable[[Connection], object]] = {
    "the register of a day": lambda one: register_store.read_day(one, DAY, BOUNDS, NOW),
    "a lesson's page": lambda one: register_store.read_lesson(one, lesson_finding.by_id(one, [LESSON])[LESSON], DAY),
    "what changed": lambda one: closings_store.changes_since(one, LESSON, NOW - timedelta(days=30)),
    "closings": lambda one: (closings_store.history(one, LESSON), closings_store.standing(one, [LESSON])),
    "a room's lessons": lambda one: lesson_finding.beginning(one, *BOUNDS, room_id=ROOM),
    "students' lessons": lambda one: lesson_finding.of_students(one, some(3), *BOUNDS),
    "marks that stand": lambda one: marks_store.standing(one, some(30), [f"lesson:{LESSON}"]),
    "marks at units": lambda one: marks_store.at_units(one, some(30), *BOUNDS),
    "taking back": lambda one: marks_store.take_back(one, some(30), NOW, "x"),
    "questions": lambda one: review_store.sightings(one, *BOUNDS),
    "who was there": lambda one: review_store.on_record(one, some(30), DAY, DAY),
    "answers": lambda one: review_store.decisions(one, ["a" * 64]),
    "recall of a room": lambda one: absence_store.counted(one, NOW - timedelta(days=10), room_id=ROOM),
}


def test_what_people_look_at_and_say_is_found_by_indexes(full: Database) -> None:
    scans = {name: full_scans(full, work, GROWING) for name, work in WORK.items()}
    assert {name: found for name, found in scans.items() if found} == {}
