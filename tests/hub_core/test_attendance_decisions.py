"""Who is called absent and who never: closings, held lessons, the rule of a room, doubts, and who left early."""

from dataclasses import replace

import pytest

from hub.core.attendance import Entry, Lesson, LessonCount, StudentsDay, entries, lesson_count
from tests.hub_core.school_days import (
    LATER,
    OTHER_ROOM,
    RULES,
    a_day,
    a_lesson,
    at,
    at_hub,
    doubted,
    guessed,
    marked,
    only,
    seen,
    watched,
)

WATCHED = (watched(0, 45),)
CLOSED = replace(a_lesson(), closed_at=at(50))
HELD = replace(a_lesson(), held=True)
BY_RULE = replace(a_lesson(), absent_by_rule=True)


def unseen(lesson: Lesson, **more: object) -> Entry:
    facts: StudentsDay = a_day(lessons=(lesson,), watches=WATCHED)
    return only(replace(facts, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lesson", "status", "rule", "method"),
    [
        (a_lesson(), "Not seen", "not_seen", "Face Recognition"),
        (CLOSED, "Absent", "closed", "Manual"),
        (replace(CLOSED, held=True), "Absent", "closed", "Manual"),
        (replace(CLOSED, absent_by_rule=True), "Absent", "closed", "Manual"),
        (HELD, "Not observed", "held", "Face Recognition"),
        (replace(HELD, absent_by_rule=True), "Not observed", "held", "Face Recognition"),
        (BY_RULE, "Absent", "door_rule", "Face Recognition"),
    ],
)
def test_not_seen_becomes_absent_where_somebody_says_so(lesson: Lesson, status: str, rule: str, method: str) -> None:
    entry = unseen(lesson)
    assert (entry.status, entry.rule, entry.method) == (status, rule, method)
    assert (entry.machine_status, entry.machine_rule, entry.timestamp) == ("Not seen", "not_seen", at(0))


@pytest.mark.parametrize("lesson", [CLOSED, HELD, BY_RULE])
def test_whoever_could_not_be_seen_stays_not_observed_and_whoever_was_seen_stays_so(lesson: Lesson) -> None:
    blind = only(a_day(lessons=(lesson,)))
    assert (blind.status, blind.rule, blind.method) == ("Not observed", "not_watched", "Face Recognition")
    assert unseen(lesson, doubts=(doubted(5),)).rule == "in_review"
    assert unseen(lesson, intervals=(seen(20),)).rule == "seen_late"


def test_a_lesson_closed_in_its_middle_is_decided_then_by_what_was_watched_until_then() -> None:
    early = replace(a_lesson(), closed_at=at(20))
    facts = a_day(lessons=(early,), watches=(watched(0, 19),))
    assert entries(facts, RULES, at(19)) == []
    assert only(facts, at(20)).status == "Absent"
    assert only(replace(facts, watches=(watched(0, 17),)), at(20)).rule == "not_watched"
    # Whoever comes after that is seen all the same.
    assert only(replace(facts, intervals=(seen(30),)), at(31)).status == "Late"


@pytest.mark.parametrize("closed", [-5, 0, 45, 600])
def test_a_lesson_closed_before_it_began_or_after_it_is_decided_at_its_end(closed: float) -> None:
    facts = a_day(lessons=(replace(a_lesson(), closed_at=at(closed)),), watches=WATCHED)
    assert entries(facts, RULES, at(44)) == []
    assert only(facts, at(45)).status == "Absent"


# ---- doubts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minutes", "within", "rule"),
    [
        (-10.1, None, "not_seen"),
        (-10, None, "in_review"),
        (44.9, None, "in_review"),
        (45, None, "not_seen"),
        (0, (44, 600), "in_review"),
        (0, (-600, -10), "in_review"),
        (0, (45, 600), "not_seen"),
        (0, (-600, -11), "not_seen"),
    ],
)
def test_nobody_who_may_have_been_seen_anywhere_during_the_lesson_is_called_unseen(
    minutes: float, within: tuple[float, float] | None, rule: str
) -> None:
    assert unseen(a_lesson(), doubts=(doubted(minutes, within, OTHER_ROOM),)).rule == rule


def test_an_undecided_sighting_comes_before_an_uncertain_time() -> None:
    entry = unseen(a_lesson(), doubts=(doubted(5),), intervals=(guessed(0, -600, 600),))
    assert (entry.status, entry.rule, entry.notes) == ("Not observed", "in_review", "")


def test_a_doubt_says_nothing_of_whoever_was_seen_or_could_not_be() -> None:
    facts = a_day(doubts=(doubted(5),))
    assert only(facts).rule == "not_watched"
    assert only(replace(facts, intervals=(seen(5),))).rule == "seen"


DOUBLE = (a_lesson(0, 45, "one"), a_lesson(50, 95, "two"))


@pytest.mark.parametrize(
    ("start", "end", "second"),
    [
        (0, 1, "may_have_stayed"),
        (-30, -10, "may_have_stayed"),
        (44, 44, "may_have_stayed"),
        (-30, -10.1, "not_seen"),
        (45, 49, "seen"),
    ],
)
def test_nobody_walks_in_for_the_second_half_of_a_double_lesson(start: float, end: float, second: str) -> None:
    facts = a_day(seen(start, end), lessons=DOUBLE, watches=(watched(0, 95),))
    assert entries(facts, RULES, LATER)[1].rule == second


@pytest.mark.parametrize(
    "first",
    [a_lesson(0, 39, "one"), a_lesson(0, 45, "one", OTHER_ROOM), a_lesson(0, 51, "one")],
)
def test_after_a_break_or_in_another_room_everybody_walks_in(first: Lesson) -> None:
    facts = a_day(seen(0, 1), lessons=(first, DOUBLE[1]), watches=(watched(0, 95),))
    assert entries(facts, RULES, LATER)[1].rule == "not_seen"


def test_an_uncertain_sighting_in_the_lesson_before_says_nothing_of_the_next() -> None:
    facts = a_day(guessed(5, 0, 40), lessons=DOUBLE, watches=(watched(0, 95),))
    assert [one.rule for one in entries(facts, RULES, LATER)] == ["seen_estimated", "not_seen"]


# ---- who left early --------------------------------------------------------------------------------------------------


def left(*intervals: object, **more: object) -> Entry:
    facts = a_day(*intervals, watches=WATCHED)  # type: ignore[arg-type]
    return only(replace(facts, **more))  # type: ignore[arg-type]


def test_in_and_out_through_a_watched_door_is_leaving_early() -> None:
    entry = left(seen(0, 1), seen(30, 31))
    assert (entry.status, entry.left_early_at, entry.last_seen_at) == ("Present", at(31), at(31))
    assert left(seen(20), seen(30)).left_early_at == at(30)
    four = [seen(minutes) for minutes in (0, 10, 12, 30)]
    assert left(*four).left_early_at == at(30)


@pytest.mark.parametrize(
    "intervals",
    [
        (seen(0),),
        (seen(0), seen(10), seen(12)),
        (seen(0), seen(35)),
        (seen(0, 40), seen(20)),
        (seen(0), seen(30, room=OTHER_ROOM)),
        (seen(0), seen(30), guessed(5, 31, 600)),
    ],
)
def test_whoever_may_still_be_there_did_not_leave_early(intervals: tuple[object, ...]) -> None:
    assert left(*intervals).left_early_at is None


def test_without_a_unit_that_watched_from_then_on_nobody_left_early() -> None:
    went = (seen(0), seen(30))
    for watches in ((), (watched(0, 42),), (watched(0, 45, able=False),)):
        assert left(*went, watches=watches).left_early_at is None
    assert left(*went, watches=(watched(30, 45),)).left_early_at == at(30)


def test_who_left_early_is_said_when_the_lesson_is_over_and_not_beside_a_mark() -> None:
    went = a_day(seen(0), seen(30), watches=WATCHED)
    during, over = only(went, at(44)), only(went, at(45))
    assert during == replace(over, left_early_at=None) != over
    assert only(replace(went, hub_marks=(at_hub("present"),))).left_early_at is None
    assert only(replace(went, marks=(marked("present", 5),))).left_early_at is None


# ---- how many were seen ----------------------------------------------------------------------------------------------


def test_a_lesson_counts_whom_it_saw_and_whom_it_could_have_seen() -> None:
    rows = [
        ("Present", "seen", None),
        ("Late", "seen_late", "Absent"),
        ("Not seen", "not_seen", "Present"),
        ("Not observed", "not_watched", "Late"),
        ("Not seen", "not_seen", None),
        ("Not seen", "not_seen", "Excused"),
        ("Not observed", "in_review", None),
        ("Not observed", "not_able", "Absent"),
        # A guest: nobody was expecting them.
        (None, None, "Present"),
    ]
    assert lesson_count(rows) == LessonCount(seen=4, unseen=1)
    assert lesson_count(()) == LessonCount(0, 0)


@pytest.mark.parametrize(
    ("seen_count", "unseen_count", "held"),
    [(0, 0, False), (0, 1, True), (4, 6, True), (5, 5, False), (1, 0, False)],
)
def test_a_lesson_is_held_when_under_half_were_seen(seen_count: int, unseen_count: int, *, held: bool) -> None:
    assert LessonCount(seen_count, unseen_count).held(0.5) is held
