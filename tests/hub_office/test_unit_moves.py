"""Moving a unit: what it saw counts for the room it was in, and both rooms' registers follow."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select

from hub.adapters import unit_rooms
from hub.adapters.schema import events, students, units
from hub.core.belonging import SINCE_EVER, UnitPlaces
from hub.core.errors import BadInput, Conflict, NotFound
from hub.office import rooms, unit_moves
from hub.office import students as roster
from hub.office import units as units_office
from hub.office.unit_moves import UnitMoved
from hub.office.units import NewUnit
from tests.hub_core.builders import BOOT, EPOCH, a_coverage, an_event, an_id
from tests.hub_office.conftest import NOW, OfficeUnderTest
from tests.hub_office.lesson_rows import put_lesson

HEADER = "serial_number,name,username,email,phone,section\n"
UNIT = "abababab-abab-abab-abab-abababababab"


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment in UTC; days of August end with 31, those of September begin with 1."""
    return datetime(2026, 8 if day > 20 else 9, day, hour, minute, tzinfo=UTC)


@pytest.fixture
def school(desk: OfficeUnderTest) -> OfficeUnderTest:
    """A unit in room 12 where 7b has a lesson each morning; 8a has one in room 13, 9c in 14 an hour later."""
    for name in ("12", "13", "14"):
        rooms.add_room(desk.office, name)
    file = HEADER + "1,Ada,,,,7b\n2,Bob,,,,8a\n3,Cy,,,,9c\n"
    roster.import_students(desk.office, file.encode(), create_missing_sections=True)
    desk.add_unit("12")
    for day in (30, 31, 1):
        for room, section, hour in (("12", "7b", 6), ("13", "8a", 6), ("14", "9c", 8)):
            put_lesson(desk, room, section, at(day, hour))
    desk.clean()
    return desk


def dirty(desk: OfficeUnderTest) -> list[tuple[str, str]]:
    found = desk.dirty()
    assert not found or desk.rows("select distinct cause from dirty_students") == [("lesson",)]
    desk.clean()
    return found


def places(desk: OfficeUnderTest) -> UnitPlaces:
    return desk.office.database.run(unit_rooms.rooms_over_time)[UNIT]


def in_room(desk: OfficeUnderTest) -> str:
    found = "select rooms.name from units join rooms on rooms.id = units.room_id where units.label = 'unit'"
    return str(desk.rows(found)[0][0])


def tell(desk: OfficeUnderTest, seq: int, event: dict[str, Any], moment: datetime) -> None:
    """Write an event of the unit as the hub keeps it."""
    body = json.dumps(event, default=str)
    with desk.office.database.transaction() as connection:
        connection.execute(
            insert(events).values(
                event_id=event["event_id"],
                unit_id=UNIT,
                epoch=EPOCH,
                seq=seq,
                kind=event["kind"],
                student_id=event.get("student_id"),
                at_claimed=moment,
                at_corrected=moment,
                received_at=moment,
                clock="synced",
                boot_id=BOOT,
                boottime_ns=seq,
                body=body,
                payload_sha256=bytes(32),
            )
        )


def test_a_unit_that_moves_now_changes_its_gallery_and_no_lesson_that_is_over(school: OfficeUnderTest) -> None:
    settings = school.settings_file.parent
    new = NewUnit("new", "12", settings / "new", "broker", 1883, settings, settings, "0")
    added = str(units_office.add(school.office, new)["unit_id"])
    assert school.office.database.run(unit_rooms.rooms_over_time)[added].places[0][0] == SINCE_EVER
    school.do("delete from galleries where unit_id != unhex(repeat('ab', 16))")
    moved = unit_moves.move_unit(school.office, "unit", "13")
    assert (moved.room, moved.until, moved.students_days) == ("13", None, 0)
    assert (in_room(school), dirty(school), school.revision()) == ("13", [], 2)
    assert school.actions()[-1] == "unit.move"
    known = places(school)
    assert (known.room_at(moved.at) == known.room_at(NOW), len(known.places)) == (False, 2)
    with pytest.raises(Conflict, match="in room '13' at that time already"):
        unit_moves.move_unit(school.office, "unit", "13")


def test_a_move_that_nobody_noted_has_the_lessons_of_both_rooms_since_then_derived_again(
    school: OfficeUnderTest,
) -> None:
    moved = unit_moves.move_unit(school.office, "unit", "13", at(31, 6, 45))
    assert dirty(school) == [("1", "2026-09-01"), ("2", "2026-09-01")]
    assert moved.students_days == 2
    # Between the first place and that move: until then only.
    earlier = unit_moves.move_unit(school.office, "unit", "14", at(30, 5))
    assert earlier.until == at(31, 6, 45)
    assert dirty(school) == [(serial, day) for serial in "13" for day in ("2026-08-30", "2026-08-31")]
    assert in_room(school) == "13"
    assert [since for since, _ in places(school).places][1:] == [at(30, 5), at(31, 6, 45)]


def test_moving_twice_on_one_day_back_and_again_at_the_same_moment(school: OfficeUnderTest) -> None:
    office = school.office
    unit_moves.move_unit(office, "unit", "13", at(1, 5))
    unit_moves.move_unit(office, "unit", "14", at(1, 7))
    assert dirty(school) == [("1", "2026-09-01"), ("2", "2026-09-01"), ("3", "2026-09-01")]
    unit_moves.move_unit(office, "unit", "12", at(1, 7))
    assert dirty(school) == [("3", "2026-09-01")]
    assert (in_room(school), len(places(school).places)) == ("12", 3)
    unit_moves.move_unit(office, "unit", "12", at(1, 5))
    assert dirty(school) == [("1", "2026-09-01"), ("2", "2026-09-01")]
    assert len(places(school).places) == 1


def test_what_it_watched_across_the_move_and_whom_it_told_of_is_derived_again(school: OfficeUnderTest) -> None:
    office = school.office
    ids = dict(office.database.run(lambda c: c.execute(select(students.c.serial_number, students.c.id)).all()))
    # It watched from within the lesson until after the move, which was after the lesson.
    tell(school, 1, a_coverage(1, at(31, 6, 40), at(31, 6, 55)), at(31, 6, 55))
    review = an_event(2, kind="review", student_id=None) | {"candidates": [{"student_id": ids["3"], "score": 0.5}]}
    tell(school, 2, review, at(31, 12))
    unit_moves.move_unit(office, "unit", "13", at(31, 6, 50))
    assert dirty(school) == [
        ("1", "2026-08-31"),
        ("1", "2026-09-01"),
        ("2", "2026-08-31"),
        ("2", "2026-09-01"),
        ("3", "2026-08-31"),
    ]


def test_what_cannot_be_is_refused(school: OfficeUnderTest) -> None:
    office = school.office
    for label, room, moment, error, why in (
        ("none", "13", None, NotFound, "no unit 'none'"),
        ("unit", "99", None, NotFound, "no room '99'"),
        ("unit", "12", None, Conflict, "already"),
        ("unit", "13", NOW + timedelta(minutes=5), BadInput, "2026-09-01 12:05 is to come"),
        ("unit", "13", datetime(1026, 1, 1, tzinfo=UTC), BadInput, "is the year right"),
    ):
        with pytest.raises(error, match=why):
            unit_moves.move_unit(office, label, room, moment)
    assert school.count("unit_rooms") == 0
    soon = unit_moves.move_unit(office, "unit", "13", NOW + timedelta(seconds=30))
    assert isinstance(soon, UnitMoved)
    assert in_room(school) == "13"
    other = an_id(77)
    with office.database.transaction() as connection:
        room_id = connection.execute(select(units.c.room_id)).scalar_one()
        values = {"label": "other", "room_id": room_id, "data_key_sealed": b"x", "added_at": NOW}
        connection.execute(insert(units).values(id=other, **values))
        known = unit_rooms.rooms_over_time(connection)
    # One of which nobody noted a room was always where it is.
    assert known[other].room_at(at(1, 1)) == room_id
