"""What people said in a student's register: which mark stands, and what it says beside the machine's word."""

from dataclasses import replace
from datetime import date, time

import pytest

from hub.core.attendance import Entry, HubMark, Session, StudentsDay, entries
from hub.core.attendance_facts import HubMarkStatus
from tests.hub_core.school_days import (
    DAY,
    DAYS,
    LATER,
    OTHER_ROOM,
    RULES,
    a_day,
    a_lesson,
    at,
    at_hub,
    guessed,
    marked,
    only,
    seen,
    watched,
)

WHOLE_DAY = "day:2026-09-01"


def after(*marks: HubMark, facts: StudentsDay | None = None) -> Entry:
    return only(replace(facts or a_day(), hub_marks=marks))


@pytest.mark.parametrize(
    ("mark", "status"), [("present", "Present"), ("late", "Late"), ("excused", "Excused"), ("absent", "Absent")]
)
def test_a_mark_at_the_hub_wins_and_the_machines_word_stays_beside_it(mark: HubMarkStatus, status: str) -> None:
    entry = after(at_hub(mark, reason="medical", note="doctor"), facts=a_day(seen(20, 40)))
    assert (entry.status, entry.method, entry.rule, entry.notes) == (status, "Manual", "mark", "medical: doctor")
    assert (entry.machine_status, entry.machine_rule) == ("Late", "seen_late")
    assert (entry.timestamp, entry.last_seen_at, entry.unit_id) == (at(20), at(40), "unit")


def test_when_the_student_came_is_what_the_mark_says_else_the_machine_else_the_start() -> None:
    said = at_hub("late", at=at(17))
    assert after(said, facts=a_day(seen(20))).timestamp == at(17)
    assert after(replace(said, at=None), facts=a_day(seen(20))).timestamp == at(20)
    unseen = after(replace(said, at=None), facts=a_day(watches=(watched(0, 45),)))
    assert (unseen.timestamp, unseen.unit_id, unseen.machine_rule) == (at(0), None, "not_seen")
    at_unit = only(a_day(seen(20), marks=(marked("late", 25),)))
    assert (at_unit.timestamp, at_unit.unit_id, at_unit.machine_status) == (at(25), "unit", "Late")


def test_reason_and_note_stand_alone_and_a_long_note_is_cut() -> None:
    assert after(at_hub("excused", reason="trip")).notes == "trip"
    assert after(at_hub("excused", note="zoo")).notes == "zoo"
    assert len(after(at_hub("excused", reason="r" * 40, note="n" * 500)).notes) == 500


def test_a_mark_brings_the_method_it_was_imported_with() -> None:
    assert after(at_hub("present", method="Face Recognition")).method == "Face Recognition"


def test_of_all_marks_the_one_made_last_stands_and_of_one_moment_the_hubs() -> None:
    assert after(at_hub("late", 5), at_hub("excused", 60), at_hub("absent", 30)).status == "Excused"
    assert after(at_hub("late", 5, mark_id="b"), at_hub("excused", 5, mark_id="a")).status == "Late"
    at_unit = a_day(marks=(marked("absent", 30),))
    for made, status in ((29, "Absent"), (30, "Late"), (31, "Late")):
        assert after(at_hub("late", made), facts=at_unit).status == status


def test_a_mark_that_gives_the_word_back_to_the_machine_ends_all_before_it_and_none_after() -> None:
    at_unit = a_day(seen(0), marks=(marked("absent", 30),))
    back = at_hub("machine", 31, mark_id="back")
    entry = after(at_hub("excused", 5), back, facts=at_unit)
    assert (entry.status, entry.rule, entry.method, entry.notes) == ("Present", "seen", "Face Recognition", "")
    assert after(back, at_hub("late", 40), facts=at_unit).status == "Late"
    assert after(replace(back, made_at=at(29)), facts=at_unit).status == "Absent"
    assert only(replace(a_day(), hub_marks=(back,))).rule == "not_watched"


def test_a_mark_of_the_hub_is_there_before_the_lesson_is_over_and_before_it_begins() -> None:
    facts = a_day(hub_marks=(at_hub("excused", -600),))
    assert only(facts, now=at(-500)) == replace(only(facts), machine_status=None, machine_rule=None)


def test_a_mark_counts_for_its_occasion_only() -> None:
    lessons = (a_lesson(0, 45, "one"), a_lesson(60, 90, "two"))
    facts = a_day(lessons=lessons, hub_marks=(at_hub("late", occasion="lesson:two"), at_hub("absent", occasion="?")))
    assert [entry.status for entry in entries(facts, RULES, LATER)] == ["Not observed", "Late"]


def test_a_units_mark_for_a_lesson_of_another_day_says_nothing_of_this_one() -> None:
    yesterday = replace(a_lesson(-900, -855, "yesterday"), day=date(2026, 8, 31))
    marks = (marked("late", 5, "yesterday"),)
    assert only(a_day(lessons=(a_lesson(), yesterday), marks=marks)).status == "Not observed"
    assert entries(a_day(lessons=(yesterday,), marks=marks), RULES, LATER) == []


def test_a_guest_has_a_row_of_what_the_mark_says_and_the_machine_says_nothing_of_guests() -> None:
    guest = a_lesson(50, 95, "guest", OTHER_ROOM)
    facts = a_day(
        seen(55, room=OTHER_ROOM), guest_lessons=(guest,), hub_marks=(at_hub("present", occasion="lesson:guest"),)
    )
    own, entry = entries(facts, RULES, LATER)
    assert (own.occasion, own.status) == ("lesson:one", "Not observed")
    assert (entry.occasion, entry.lesson_id, entry.status, entry.timestamp) == (
        "lesson:guest",
        "guest",
        "Present",
        at(50),
    )
    assert (entry.machine_status, entry.machine_rule, entry.unit_id) == (None, None, None)
    taken_back = replace(facts, hub_marks=(at_hub("machine", occasion="lesson:guest"),))
    assert [one.occasion for one in entries(taken_back, RULES, LATER)] == ["lesson:one"]
    elsewhen = replace(facts, guest_lessons=(replace(guest, day=date(2026, 9, 2)),))
    assert [one.occasion for one in entries(elsewhen, RULES, LATER)] == ["lesson:one"]


def test_a_guest_is_still_on_a_day_without_lessons() -> None:
    facts = a_day(
        seen(200),
        lessons=(),
        guest_lessons=(a_lesson(0, 45, "guest"),),
        hub_marks=(at_hub("present", occasion="lesson:guest"),),
    )
    assert [one.occasion for one in entries(facts, RULES, LATER)] == ["lesson:guest", WHOLE_DAY]


def test_a_mark_for_a_day_that_has_lessons_makes_a_row_of_its_own() -> None:
    facts = a_day(seen(0), hub_marks=(at_hub("excused", occasion=WHOLE_DAY),))
    lesson, day = entries(facts, RULES, LATER)
    assert (lesson.status, lesson.rule) == ("Present", "seen")
    assert (day.occasion, day.lesson_id, day.status, day.machine_status) == (WHOLE_DAY, None, "Excused", None)
    assert day.timestamp == facts.windows[0].opens_at
    elsewhen = replace(facts, hub_marks=(at_hub("excused", occasion="day:2026-09-02"),))
    assert [one.occasion for one in entries(elsewhen, RULES, LATER)] == ["lesson:one"]


def test_a_mark_for_a_day_without_lessons_wins_over_what_was_seen() -> None:
    entry = after(at_hub("late", occasion=WHOLE_DAY), facts=a_day(seen(30, 60), lessons=()))
    assert (entry.status, entry.machine_status, entry.machine_rule) == ("Late", "Present", "day")
    assert (entry.timestamp, entry.last_seen_at) == (at(30), at(60))
    unseen = after(at_hub("absent", occasion=WHOLE_DAY), facts=a_day(lessons=()))
    assert (unseen.status, unseen.timestamp) == ("Absent", DAYS.windows(DAY, RULES.sessions)[0].opens_at)


def test_each_session_of_a_day_without_lessons_counts_for_itself() -> None:
    sessions = (Session("AM", time(7), time(12)), Session("PM", time(12), time(18)))
    facts = replace(a_day(seen(30), guessed(400, 300, 420), lessons=()), windows=DAYS.windows(DAY, sessions))
    morning, afternoon = entries(facts, RULES, LATER)
    assert (morning.occasion, morning.rule) == (f"{WHOLE_DAY}:AM", "day")
    assert (afternoon.occasion, afternoon.rule) == (f"{WHOLE_DAY}:PM", "seen_estimated")
    # At eight in the morning, and at three.
    by_unit = replace(facts, intervals=(), marks=(marked("late", 0), marked("excused", 7 * 60, order=("e", 2))))
    assert [(one.occasion[-2:], one.status) for one in entries(by_unit, RULES, LATER)] == [
        ("AM", "Late"),
        ("PM", "Excused"),
    ]
    # A mark for a session that the rules do not know any more is still what somebody said.
    gone = replace(facts, intervals=(), hub_marks=(at_hub("absent", occasion=WHOLE_DAY),))
    [entry] = entries(gone, RULES, LATER)
    assert (entry.occasion, entry.status, entry.timestamp) == (WHOLE_DAY, "Absent", DAYS.bounds(DAY)[0])


def test_rows_carry_the_version_of_the_rules() -> None:
    facts = a_day(seen(0), hub_marks=(at_hub("excused", occasion=WHOLE_DAY),))
    assert [one.rules_version for one in entries(facts, replace(RULES, version=7), LATER)] == [7, 7]
