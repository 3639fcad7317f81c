"""Deriving the whole register again: the same rows come out, differences are found, an interruption loses nothing."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import delete, insert, update

from hub.adapters.attendance_store import mark_dirty
from hub.adapters.register_deriving import MySqlRegisterStore
from hub.adapters.schema import (
    attendance,
    dirty_students,
    hub_facts,
    lesson_states,
    lessons,
    marks,
    rooms,
    sections,
    student_sections,
    students,
)
from hub.core.attendance_facts import SchoolDays
from hub.core.errors import BadInput
from hub.core.retention import FROZEN_UNTIL
from hub.office import rebuild as office_rebuild
from hub.office.rebuild import Rebuilt, rebuild
from hub.office.rules_of_settings import of_settings
from tests.hub_adapters.school import utc
from tests.hub_core.builders import a_student, an_id
from tests.hub_office.conftest import OfficeUnderTest, invoke

DAYS = (date(2026, 8, 31), date(2026, 9, 1))
EVER = datetime(1970, 1, 1, tzinfo=UTC)
OVER = ((2, 0), (2, 0), (2, 0), (2, 0))


@pytest.fixture
def school(desk: OfficeUnderTest) -> OfficeUnderTest:
    """Two lessons on each of two days, two of three students marked present in each, derived."""
    section, room = an_id(1), an_id(2)
    with desk.office.database.transaction() as connection:
        connection.execute(insert(sections).values(id=section, name="7b"))
        connection.execute(insert(rooms).values(id=room, name="12"))
        for number in (1, 2, 3):
            values = {"serial_number": str(number), "name": "N", "created_at": EVER, "section_id": section}
            connection.execute(insert(students).values(id=a_student(number), **values))
            connection.execute(
                insert(student_sections).values(student_id=a_student(number), section_id=section, since=EVER)
            )
        for place in range(4):
            at = utc(6) + timedelta(days=place // 2 - 1, hours=place % 2)
            lesson = an_id(100 + place)
            times = {"starts_at": at, "ends_at": at + timedelta(minutes=45)}
            connection.execute(insert(lessons).values(id=lesson, room_id=room, section_id=section, **times))
            for number in (1, 2):
                connection.execute(
                    insert(marks).values(
                        id=an_id(200 + 10 * place + number),
                        student_id=a_student(number),
                        occasion=f"lesson:{lesson}",
                        lesson_id=lesson,
                        day=at.date(),
                        status="present",
                        note="came",
                        made_at=at,
                        made_by="x",
                    )
                )
    derive(desk)
    return desk


def derive(desk: OfficeUnderTest) -> None:
    office = desk.office
    store = MySqlRegisterStore(
        office.database, SchoolDays(office.settings.zone), of_settings(office.settings.attendance)
    )
    now = office.clock.now()
    store.mark_ended_lessons(now)
    while store.derive(now, 50):
        pass


def states(desk: OfficeUnderTest) -> tuple[tuple[object, ...], ...]:
    return tuple(desk.rows("select seen, unseen from lesson_states order by lesson_id"))


def spoil(desk: OfficeUnderTest) -> None:
    """Three rows are not what the records say, and the counts of a lesson."""
    with desk.office.database.transaction() as connection:
        first, second = f"lesson:{an_id(100)}", f"lesson:{an_id(103)}"
        connection.execute(update(attendance).where(attendance.c.occasion == first).values(status="Late"))
        connection.execute(
            delete(attendance).where(attendance.c.occasion == second, attendance.c.student_id == a_student(3))
        )
        connection.execute(update(lesson_states).where(lesson_states.c.lesson_id == an_id(103)).values(seen=7))


def test_a_rebuild_leaves_the_same_bytes_and_a_check_finds_what_was_edited(school: OfficeUnderTest) -> None:
    assert states(school) == OVER
    before = office_rebuild.digest(school.office)
    assert before.rows == 12
    shown: list[tuple[int, int]] = []
    again = rebuild(school.office, progress=lambda done, total: shown.append((done, total)))
    assert (again.first, again.last, again.rows, again.differing) == (*DAYS, 12, 0)
    assert (again.before, again.after) == (before, before)
    assert shown == [(1, 2), (2, 2)]
    assert rebuild(school.office, check=True).differing == 0

    spoil(school)
    checked = rebuild(school.office, check=True)
    assert (checked.differing, checked.lessons_differing) == (4, (an_id(103),))
    assert {one.before and one.before["status"] for one in checked.differences} == {"Late", None}
    assert office_rebuild.digest(school.office) != before
    result = invoke(school, "register", "rebuild", "--check")
    assert result.exit_code == 1
    assert "status Late, should be Present" in result.output
    assert "no row, should be Not observed" in result.output

    rebuilt = rebuild(school.office, first=DAYS[0], last=DAYS[0])
    assert (rebuilt.first, rebuilt.last, rebuilt.differing) == (DAYS[0], DAYS[0], 3)
    said = json.loads(invoke(school, "register", "rebuild", "--json").stdout)
    assert (said["differing"], said["after"]) == (1, {"rows": 12, "sha256": before.sha256})
    assert (office_rebuild.digest(school.office), states(school)) == (before, OVER)
    assert school.actions()[-1] == "register.rebuild"
    told = [json.loads(str(row[0])) for row in school.rows("select detail from audit where action = 'register.change'")]
    assert {(one["before"], one["cause"]) for one in told} == {("Late", "rebuild")}


def test_a_rebuild_that_is_interrupted_goes_on_where_it_was(school: OfficeUnderTest) -> None:
    def interrupted(done: int, _total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    def again() -> Rebuilt:
        return rebuild(school.office)

    for _ in range(2):
        spoil(school)
        with pytest.raises(KeyboardInterrupt):
            rebuild(school.office, anew=True, progress=interrupted)
        # Other days are another rebuild, and a check begins nothing.
        assert rebuild(school.office, check=True).going_on_from is None
    went_on = again()
    assert (went_on.going_on_from, went_on.days, went_on.first) == (DAYS[1], 1, DAYS[0])
    assert again().going_on_from is None
    with pytest.raises(BadInput):
        rebuild(school.office, first=DAYS[1], last=DAYS[0])


def test_whoever_waits_to_be_derived_is_no_difference_and_frozen_days_are_left_as_they_are(
    school: OfficeUnderTest,
) -> None:
    spoil(school)
    with school.office.database.transaction() as connection:
        mark_dirty(connection, [a_student(number) for number in (1, 2, 3)], DAYS)
    checked = rebuild(school.office, check=True)
    assert (checked.differing, checked.lessons_differing, checked.waiting) == (0, (), 6)
    with school.office.database.transaction() as connection:
        connection.execute(delete(dirty_students))
        connection.execute(insert(hub_facts).values(name=FROZEN_UNTIL, value=str(DAYS[1]), changed_at=EVER))
    rebuilt = rebuild(school.office)
    assert (rebuilt.first, rebuilt.differing) == (DAYS[1], 1)
    assert school.rows("select count(*) from attendance where status = 'Late'") == [(3,)]
    assert rebuild(school.office, last=DAYS[0]).days == 0
    assert (
        invoke(school, "register", "rebuild", "--until", str(DAYS[0])).output == "Nothing is on record of these days.\n"
    )


def test_every_row_decides_the_digest(school: OfficeUnderTest) -> None:
    before = office_rebuild.digest(school.office)
    with school.office.database.transaction() as connection:
        connection.execute(
            update(attendance).where(attendance.c.student_id == a_student(2)).values(last_seen_at=utc(6, 1))
        )
    assert office_rebuild.digest(school.office).sha256 != before.sha256
