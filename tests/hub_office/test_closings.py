"""Closing a lesson's register, opening it again, and its page."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import update

from hub.adapters import audit_log
from hub.adapters.attendance_store import mark_dirty
from hub.adapters.register_deriving import MySqlRegisterStore
from hub.adapters.schema import (
    attendance,
    closings,
    dirty_students,
    epochs,
    gallery_members,
    lesson_states,
    lessons,
    marks,
)
from hub.core.attendance_facts import SchoolDays
from hub.core.errors import BadInput, Conflict, NotFound
from hub.office.closings import CloseRequest, close, reopen
from hub.office.lesson_pages import lesson_page
from hub.office.marks import MarkRequest, mark, unmark
from hub.office.occasions import Named
from hub.office.rules_of_settings import of_settings
from tests.hub_adapters.school import utc
from tests.hub_core.builders import a_coverage, an_event
from tests.hub_office.conftest import NOW, OfficeUnderTest
from tests.hub_office.little_school import DAY, EPOCH, ZONE, LittleSchool, local

pytestmark = pytest.mark.server


@pytest.fixture
def school(desk: OfficeUnderTest) -> LittleSchool:
    return LittleSchool(desk)


def test_closing_says_who_becomes_absent_and_who_stays_and_marks_some_with_the_same_gesture(
    school: LittleSchool,
) -> None:
    lesson = school.lesson("08:00")
    school.student("5", "Zoe", "7b")
    school.derived("1", lesson, "Not seen", "not_seen")
    school.derived("002", lesson, "Not observed", "not_watched")
    school.derived("5", lesson, "Present", "seen")
    named = Named(section="7b", at=local("08:10"))
    page = lesson_page(school.office, named)
    assert (page.state, page.waiting, page.closing) == ("open", 0, None)
    assert [[one.student.serial_number for one in part] for part in (page.missing, page.unknown)] == [["1"], ["002"]]
    closed = close(school.office, CloseRequest(named, absent=("002",)))
    [one] = closed.lessons
    assert (one.new, one.page.state, one.page.closing and one.page.closing.closed_by) == (True, "closed", "tester")
    assert [(row["status"], row["student_id"]) for row in school.all(marks)] == [("absent", school.students["002"])]
    assert sorted(school.desk.actions()) == ["lesson.close", "mark.set"]
    assert {(row["student_id"], row["day"]) for row in school.all(dirty_students)} == {
        (school.students[serial], DAY) for serial in ("1", "002", "5")
    }
    # Twice: who closed it stays who closed it.
    again = close(school.office, CloseRequest(named))
    assert [(one.new, one.page.closing) for one in again.lessons] == [(False, one.page.closing)]
    assert school.desk.count("closings") == 1


def test_a_closed_lesson_is_opened_once_and_its_page_says_what_changed_after_it_was_closed(
    school: LittleSchool,
) -> None:
    lesson = school.lesson("08:00")
    school.derived("1", lesson, "Absent", "closed", machine_status="Not seen")
    named = Named(lesson_id=lesson)
    close(school.office, CloseRequest(named))
    with school.office.database.transaction() as connection:
        for at, before in ((NOW - timedelta(hours=1), "Late"), (NOW + timedelta(hours=1), "Absent")):
            audit_log.record(
                connection,
                at=at,
                actor="rollcall",
                action="register.change",
                subject=f"student:{school.students['1']}",
                detail={"before": before, "after": "Present", "rule": "seen", "cause": "event", "closed": True},
                object_=f"lesson:{lesson}",
            )
        mark_dirty(connection, [school.students["1"]], [DAY], cause="event")
    page = lesson_page(school.office, named)
    assert [(one.student.name, one.change.before, one.change.cause) for one in page.changes] == [
        ("Ada", "Absent", "event")
    ]
    assert page.waiting == 2
    assert [one.lesson_id for one in reopen(school.office, named).lessons] == [lesson]
    opened = reopen(school.office, named)
    assert (opened.lessons, [one.lesson_id for one in opened.open_before]) == ((), [lesson])
    assert school.desk.actions().count("lesson.reopen") == 1
    close(school.office, CloseRequest(named))
    assert [one.reopened_by for one in lesson_page(school.office, named).closings] == ["tester", None]


def test_a_held_lesson_says_so_and_a_day_is_closed_as_far_as_it_has_come(school: LittleSchool) -> None:
    first, second = school.lesson("08:00"), school.lesson("09:00")
    school.lesson("14:00")
    school.put(lesson_states, {"lesson_id": first, "seen": 1, "unseen": 3, "held": True})
    school.derived("1", first, "Not observed", "held", machine_status="Not seen", machine_rule="not_seen")
    page = lesson_page(school.office, Named(lesson_id=first))
    assert (page.state, [one.student.name for one in page.missing]) == ("held", ["Ada"])
    day = close(school.office, CloseRequest(Named(section="7b", day=DAY)))
    assert [one.page.lesson.lesson_id for one in day.lessons] == [first, second]


def test_what_cannot_be_closed_is_refused_and_nothing_is_changed(school: LittleSchool) -> None:
    lesson, coming = school.lesson("08:00"), school.lesson("14:00")
    school.lesson("08:00", section="8a", room="13")
    school.derived("1", lesson, "Present", "seen")
    with pytest.raises(Conflict, match="has not begun"):
        close(school.office, CloseRequest(Named(lesson_id=coming)))
    with pytest.raises(Conflict, match="student 3 is not expected"):
        close(school.office, CloseRequest(Named(lesson_id=lesson), absent=("002", "3")))
    with pytest.raises(NotFound, match="no lesson"):
        close(school.office, CloseRequest(Named(lesson_id=school.new_id())))
    with pytest.raises(BadInput, match="not the id"):
        close(school.office, CloseRequest(Named(lesson_id="maths")))
    with pytest.raises(BadInput, match="which lesson"):
        close(school.office, CloseRequest(Named()))
    with pytest.raises(Conflict, match=rf"2 lessons are meant: .*\({lesson}\); .*\({coming}\)") as several:
        lesson_page(school.office, Named(section="7b", day=DAY))
    assert several.value.hint == "name one by its id or --at or --room"
    with school.office.database.transaction() as connection:
        connection.execute(update(lessons).where(lessons.c.id == lesson).values(cancelled_at=NOW))
    with pytest.raises(Conflict, match="cancelled"):
        close(school.office, CloseRequest(Named(lesson_id=lesson)))
    page = lesson_page(school.office, Named(lesson_id=lesson))
    assert (page.state, [line.expected for line in page.lines]) == ("cancelled", [False])
    assert (school.all(closings), school.all(marks), len(school.all(attendance))) == ([], [], 1)


def test_from_not_seen_to_absent_to_a_late_event_that_the_page_tells_of(school: LittleSchool) -> None:
    lesson = school.lesson("08:00")
    unit, ada = school.unit(), school.students["1"]
    school.put(
        epochs, {"unit_id": unit, "epoch": EPOCH, "high_water": 10**6, "first_heard_at": NOW, "last_heard_at": NOW}
    )
    for serial in ("1", "002"):
        member = {"unit_id": unit, "student_id": school.students[serial], "from_revision": 1}
        school.put(gallery_members, member)
    school.event(unit, "coverage", utc(6, 45), json.dumps(a_coverage(1, utc(6), utc(6, 45))))
    bob = school.students["002"]
    school.event(unit, "seen", utc(6, 1), json.dumps(an_event(2, student_id=bob, at=utc(6, 1))), bob)
    store = MySqlRegisterStore(school.office.database, SchoolDays(ZONE), of_settings(school.office.settings.attendance))

    def statuses() -> list[str]:
        while store.derive(school.office.clock.now(), 100):
            pass
        return [line.status for line in lesson_page(school.office, Named(lesson_id=lesson)).lines]

    def told() -> None:
        with school.office.database.transaction() as connection:
            mark_dirty(connection, school.students.values(), [DAY], cause="event")

    told()
    assert statuses() == ["Present", "Not seen"]
    mark(school.office, MarkRequest("excused", Named(lesson_id=lesson), ("002",)))
    close(school.office, CloseRequest(Named(lesson_id=lesson)))
    assert statuses() == ["Excused", "Absent"]
    unmark(school.office, MarkRequest(named=Named(lesson_id=lesson), serial_numbers=("002",)))
    school.event(unit, "seen", utc(6, 20), json.dumps(an_event(3, student_id=ada, at=utc(6, 20))), ada)
    told()
    assert statuses() == ["Present", "Late"]
    page = lesson_page(school.office, Named(lesson_id=lesson))
    changes = [(one.student.name, one.change.before, one.change.after, one.change.rule) for one in page.changes]
    # That Ada became Absent was the closing itself.
    assert changes == [("Ada", "Absent", "Late", "seen_late"), ("Bob", "Excused", "Present", "seen")]
