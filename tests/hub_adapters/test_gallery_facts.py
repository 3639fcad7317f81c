"""Who is expected in a unit's room: groups, cancelled lessons, those who leave; and when that changes next."""

from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import insert, update

from hub.adapters import gallery_facts
from hub.adapters.membership import SINCE_EVER
from hub.adapters.schema import (
    consents,
    events,
    lessons,
    section_groups,
    sections,
    student_groups,
    student_sections,
    students,
)
from hub.core.galleries import WrongRoomScope
from tests.hub_adapters.school import HUB_KEY, ROOM, SECTION, School, utc
from tests.hub_core.builders import BOOT, EPOCH, PACK, UNIT, a_coverage, a_student, an_id

pytestmark = pytest.mark.server
NOW = utc(5)
MIDNIGHT = utc(22)
"""In Berlin, at the end of the first of September."""


def listed(
    school: School, at: datetime = NOW, wider: WrongRoomScope = "none", unit_id: str | None = None
) -> dict[str, str]:
    """Who is in the gallery of the room, and how."""
    with school.database.transaction() as connection:
        found, damaged = gallery_facts.members(connection, ROOM, PACK, HUB_KEY, at, wider, unit_id=unit_id)
    assert not damaged
    return {member.student_id: member.scope for member in found}


def next_expiry(school: School, at: datetime = NOW) -> datetime | None:
    with school.database.transaction() as connection:
        return gallery_facts.next_expiry(connection, at)


def leaves(school: School, student_id: str, until: datetime | None, last_day: date) -> None:
    """As the office writes it: the day, and where the rows of the section end."""
    with school.database.transaction() as connection:
        connection.execute(update(students).where(students.c.id == student_id).values(left_on=last_day))
        ended = update(student_sections).where(student_sections.c.student_id == student_id)
        connection.execute(ended.values(until=until))


@pytest.mark.parametrize("wider", ["none", "section", "school"])
@pytest.mark.parametrize("with_lessons", [True, False])
def test_whoever_left_is_in_no_gallery_from_the_midnight_after(
    school: School, wider: WrongRoomScope, with_lessons: bool
) -> None:
    school.unit()
    stays, gone = school.student(1), school.student(2)
    if with_lessons:
        school.lesson(NOW + timedelta(hours=1))
        school.lesson(NOW + timedelta(days=3))
    assert next_expiry(school) is None
    leaves(school, gone, MIDNIGHT, date(2026, 9, 1))
    assert next_expiry(school) == MIDNIGHT
    assert listed(school, MIDNIGHT - timedelta(microseconds=1), wider).keys() == {stays, gone}
    assert listed(school, MIDNIGHT, wider).keys() == {stays}
    assert next_expiry(school, MIDNIGHT) is None
    with school.database.transaction() as connection:
        sizes = [gallery_facts.scope_sizes(connection, PACK, at) for at in (NOW, MIDNIGHT)]
    assert sizes == [[("12", 2), ("", 2)], [("12", 1), ("", 1)]]


def test_whoever_left_and_had_no_section_drops_out_when_the_day_ends_in_utc(school: School) -> None:
    school.unit()
    gone = school.student(1, section=None)
    leaves(school, gone, None, date(2026, 9, 1))
    assert next_expiry(school) == utc(0, day=2)
    assert listed(school, utc(0, day=2) - timedelta(seconds=1)).keys() == {gone}
    assert listed(school, utc(0, day=2)) == {}


def test_a_room_of_a_group_expects_the_group_and_not_after_its_time(school: School) -> None:
    school.unit()
    inside, outside, former, moving = (school.student(number) for number in (1, 2, 3, 4))
    group = an_id(60)
    school.put(section_groups, id=group, section_id=SECTION, name="A")
    school.put(student_groups, student_id=inside, group_id=group, since=SINCE_EVER)
    school.put(student_groups, student_id=former, group_id=group, since=SINCE_EVER, until=NOW - timedelta(days=1))
    school.put(student_groups, student_id=moving, group_id=group, since=SINCE_EVER, until=MIDNIGHT)
    lesson = school.lesson(NOW + timedelta(hours=1))
    with school.database.transaction() as connection:
        connection.execute(update(lessons).where(lessons.c.id == lesson).values(group_id=group))
    assert listed(school).keys() == {inside, moving}
    assert next_expiry(school) == MIDNIGHT
    assert listed(school, MIDNIGHT).keys() == {inside}
    # The others of the section are people who may be in the wrong room.
    assert listed(school, wider="section") == {
        inside: "room",
        moving: "room",
        outside: "wider",
        former: "wider",
    }


def test_a_cancelled_lesson_brings_nobody_and_is_in_no_timetable(school: School) -> None:
    school.unit()
    other = an_id(61)
    school.put(sections, id=other, name="8a")
    here = school.student(1)
    school.student(2, section=other)
    kept = school.lesson(NOW + timedelta(hours=1))
    cancelled = school.lesson(NOW + timedelta(hours=2), section=other)
    with school.database.transaction() as connection:
        connection.execute(update(lessons).where(lessons.c.id == cancelled).values(cancelled_at=NOW))
        timetable = gallery_facts.timetable(connection, ROOM, NOW)
    assert listed(school).keys() == {here}
    assert [lesson.lesson_id for lesson in timetable] == [kept]


def test_whoever_moves_soon_is_in_the_gallery_of_both_until_then(school: School) -> None:
    school.unit()
    other = an_id(61)
    school.put(sections, id=other, name="8a")
    student = school.student(1, section=other)
    school.lesson(NOW + timedelta(hours=1))
    assert listed(school) == {}
    with school.database.transaction() as connection:
        connection.execute(update(student_sections).values(until=MIDNIGHT))
        connection.execute(insert(student_sections).values(student_id=student, section_id=SECTION, since=MIDNIGHT))
    assert listed(school) == {student: "room"}
    assert next_expiry(school) == MIDNIGHT


def test_a_unit_that_looks_around_gets_only_who_agreed_to_that(school: School) -> None:
    school.unit()
    at_doors, everywhere = school.student(1), school.student(2, consent=False)
    school.consent(everywhere, scope="recognition,sweep")
    assert listed(school, unit_id=UNIT).keys() == {at_doors, everywhere}
    event = a_coverage(1, NOW, NOW, mode="sweep")
    school.put(
        events,
        event_id=event["event_id"],
        unit_id=UNIT,
        epoch=EPOCH,
        seq=1,
        kind="coverage",
        at_claimed=NOW,
        at_corrected=NOW,
        received_at=NOW,
        clock="synced",
        boot_id=BOOT,
        boottime_ns=1,
        body='{"mode": "sweep"}',
        payload_sha256=bytes(32),
    )
    assert listed(school, unit_id=UNIT).keys() == {everywhere}
    with school.database.transaction() as connection:
        connection.execute(update(consents).where(consents.c.student_id == a_student(2)).values(scope="sweep"))
    assert listed(school, unit_id=UNIT) == {}
