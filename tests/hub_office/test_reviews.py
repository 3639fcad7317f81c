"""Who was it? The questions of units, their answers, and what follows from them."""

import json
from datetime import timedelta

import pytest

from hub.adapters.schema import (
    dirty_students,
    look_alikes,
    marks,
    review_decisions,
    student_margins,
)
from hub.core.errors import BadInput, Conflict, NotFound
from hub.office import erasure
from hub.office.marks import MarkRequest, unmark, unmark_batch
from hub.office.occasions import Named
from hub.office.review_decisions import accept, reject, undo
from hub.office.reviews import ReviewQuery, list_reviews
from tests.hub_office.conftest import OfficeUnderTest
from tests.hub_office.little_school import DAY, LittleSchool, local

pytestmark = pytest.mark.server
EVERYTHING = ReviewQuery(DAY, everything=True)


@pytest.fixture
def school(desk: OfficeUnderTest) -> LittleSchool:
    return LittleSchool(desk)


def seen(school: LittleSchool, unit: str, at: str, *serials: str) -> None:
    """A unit saw one of these, whom it can recognise, and must not say which."""
    school.enrol(*serials)
    candidates = [
        {"student_id": school.students[serial], "score": 0.9 - number / 10} for number, serial in enumerate(serials)
    ]
    school.event(unit, "review", local(at), json.dumps({"candidates": candidates, "reason": "look_alikes"}))


def test_one_question_a_lesson_is_asked_and_those_who_were_there_anyway_are_not(school: LittleSchool) -> None:
    lesson, later = school.lesson("08:00"), school.lesson("10:00")
    unit = school.unit()
    for at in ("08:01", "08:02"):
        seen(school, unit, at, "1", "002")
    seen(school, unit, "08:05", "1", "3")
    seen(school, unit, "10:05", "1", "002")
    for serial in ("1", "002"):
        school.derived(serial, later, "Present", "seen")
    [line] = list_reviews(school.office, ReviewQuery(DAY)).lines
    assert (line.item.lesson_id, line.item.sightings, line.item.first_at) == (lesson, 2, local("08:01"))
    assert ([one.fields.name for one in line.candidates], line.room) == (["Ada", "Bob"], "12")
    everything = list_reviews(school.office, EVERYTHING)
    assert ([one.asked for one in everything.lines], everything.besides) == ([True, False], 1)
    assert list_reviews(school.office, ReviewQuery(DAY, room="13")).lines == ()
    assert len(list_reviews(school.office, ReviewQuery(DAY, section="7b")).lines) == 1
    with pytest.raises(NotFound):
        list_reviews(school.office, ReviewQuery(DAY, room="99"))


def test_accepting_marks_the_student_in_their_own_lesson_and_undoing_takes_all_of_it_back(
    school: LittleSchool,
) -> None:
    own = school.lesson("08:00")
    school.lesson("08:00", section="8a", room="13")
    unit = school.unit("13")
    seen(school, unit, "08:04", "1")
    [line] = list_reviews(school.office, ReviewQuery(DAY)).lines
    accepted = accept(school.office, line.item.key[:10])
    assert accepted.new
    assert accepted.student is not None
    assert accepted.student.fields.serial_number == "1"
    [mark] = school.all(marks)
    assert (mark["lesson_id"], mark["status"], mark["at"], mark["origin"]) == (own, "present", local("08:04"), "review")
    assert mark["note"] == "seen in 13"
    assert school.all(review_decisions)[0]["mark_id"] == mark["id"]
    assert [row["cause"] for row in school.all(dirty_students)] == ["review"]
    assert list_reviews(school.office, ReviewQuery(DAY)).lines == ()
    assert [one.decision and one.decision.outcome for one in list_reviews(school.office, EVERYTHING).lines] == [
        "accepted"
    ]
    assert not accept(school.office, line.item.key).new
    with pytest.raises(Conflict, match="accepted by tester"):
        reject(school.office, line.item.key)
    assert undo(school.office, line.item.key).new
    assert [row["undone_by"] for row in school.all(marks)] == ["tester"]
    assert not undo(school.office, line.item.key).new
    lines = (school.office.settings.data_dir / "attendance.csv").read_text().splitlines()
    assert [line.split(",")[6] for line in lines] == ["status", "Present", "taken back"]
    assert len(list_reviews(school.office, ReviewQuery(DAY)).lines) == 1
    assert school.desk.actions() == ["mark.set", "review.accept", "mark.undo", "review.undo"]
    assert "Ada" not in str(school.desk.rows("select detail, subject, object from audit"))


def test_a_rejection_with_a_name_makes_look_alikes_and_without_one_raises_margins(school: LittleSchool) -> None:
    school.lesson("08:00")
    unit = school.unit()
    seen(school, unit, "08:04", "1")
    [line] = list_reviews(school.office, ReviewQuery(DAY)).lines
    key = line.item.key
    with pytest.raises(BadInput, match="only candidate"):
        reject(school.office, key, "1")
    rejected = reject(school.office, key, "002")
    assert (rejected.pairs, rejected.mark and rejected.mark.status) == (1, "present")
    assert [(row["origin"], row["decided_by"]) for row in school.all(look_alikes)] == [("review", "tester")]
    assert [row["student_id"] for row in school.all(marks)] == [school.students["002"]]
    assert undo(school.office, key).pairs == 1
    assert school.all(look_alikes) == []
    reject(school.office, key)
    assert [(row["student_id"], row["rejections"]) for row in school.all(student_margins)] == [
        (school.students["1"], 1)
    ]
    assert not reject(school.office, key).new
    undo(school.office, key)
    assert school.all(student_margins) == []


def test_a_pair_that_two_rejections_say_goes_with_the_last_of_them(school: LittleSchool) -> None:
    for at in ("08:00", "10:00"):
        school.lesson(at)
    unit = school.unit()
    seen(school, unit, "08:01", "1", "3")
    seen(school, unit, "10:01", "1")
    first, second = (line.item for line in list_reviews(school.office, ReviewQuery(DAY)).lines)
    if len(first.candidates) == 1:
        first, second = second, first
    reject(school.office, first.key, "002")
    school.desk.clock.forward(timedelta(minutes=5))
    reject(school.office, second.key, "002")
    assert len(school.all(look_alikes)) == 2
    assert undo(school.office, first.key).pairs == 1
    [pair] = school.all(look_alikes)
    assert {pair["student_id"], pair["other_id"]} == {school.students["1"], school.students["002"]}
    assert undo(school.office, second.key).pairs == 1
    assert school.all(look_alikes) == []


def test_taking_the_mark_of_an_answer_back_takes_the_answer_back(school: LittleSchool) -> None:
    lesson = school.lesson("08:00")
    seen(school, school.unit(), "08:01", "1", "3")
    [line] = list_reviews(school.office, ReviewQuery(DAY)).lines
    whole_lesson = MarkRequest(named=Named(lesson_id=lesson))
    accept(school.office, line.item.key, "1")
    school.desk.clean()
    assert unmark(school.office, whole_lesson).answers == 1
    assert {(row["student_id"], row["cause"]) for row in school.all(dirty_students)} == {
        (school.students[serial], "review") for serial in ("1", "3")
    }
    assert len(list_reviews(school.office, ReviewQuery(DAY)).lines) == 1
    assert accept(school.office, line.item.key, "1").new
    [batch] = [row["batch_id"] for row in school.all(marks) if row["undone_at"] is None]
    assert unmark_batch(school.office, batch).answers == 1
    assert unmark_batch(school.office, batch).answers == 0
    rejected = reject(school.office, line.item.key, "002")
    assert (rejected.pairs, unmark(school.office, whole_lesson).answers, school.all(look_alikes)) == (2, 1, [])
    answered = ["mark.set", "review.accept", "mark.undo", "review.undo"] * 2
    again = ["mark.set", "review.reject", "mark.undo", "review.undo"]
    assert school.desk.actions() == answered + again


def test_nothing_is_remembered_of_candidates_who_were_erased_meanwhile(school: LittleSchool) -> None:
    lessons = [school.lesson("08:00"), school.lesson("10:00")]
    unit = school.unit()
    for at in ("08:01", "10:01"):
        seen(school, unit, at, "1", "002")
    school.desk.clock.moment = local("11:00")
    keys = [line.item.key for line in list_reviews(school.office, ReviewQuery(DAY)).lines]
    assert len(keys) == len(lessons)
    erasure.erase(school.office, "1", policy="pseudonymise")
    school.enrol("3")
    reject(school.office, keys[0])
    assert reject(school.office, keys[1], "3").pairs == 1
    assert [row["student_id"] for row in school.all(student_margins)] == [school.students["002"]]
    [pair] = school.all(look_alikes)
    assert {pair["student_id"], pair["other_id"]} == {school.students["002"], school.students["3"]}


def test_what_cannot_be_answered_says_what_to_do(school: LittleSchool) -> None:
    school.lesson("08:00")
    unit = school.unit()
    seen(school, unit, "08:04", "1", "002")
    seen(school, unit, "2026-06-01T08:04", "4")
    [line] = list_reviews(school.office, ReviewQuery(DAY)).lines
    for serial, said in ((None, "which of them"), ("3", "3 is no candidate")):
        with pytest.raises(BadInput, match=said):
            accept(school.office, line.item.key, serial)
    with pytest.raises(BadInput, match="too short"):
        accept(school.office, "abc")
    with pytest.raises(NotFound, match="in the last 60 days"):
        accept(school.office, "abcdef")
    old_day = local("2026-06-01T08:04").date()
    [old] = list_reviews(school.office, ReviewQuery(old_day)).lines
    with pytest.raises(NotFound):
        accept(school.office, old.item.key)
    # Without a lesson: the day.
    accepted = accept(school.office, old.item.key, day=old_day)
    assert accepted.mark is not None
    assert accepted.mark.occasion.key == "day:2026-06-01"
    assert school.desk.count("review_decisions") == 1
    assert accepted.mark.at == local("2026-06-01T08:04")
