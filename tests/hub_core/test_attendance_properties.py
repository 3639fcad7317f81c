"""What must hold of any student's day, whatever was seen, said and watched."""

from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.core.attendance import Entry, StudentsDay, entries, lesson_count
from tests.hub_core.school_days import (
    LATER,
    OTHER_ROOM,
    ROOM,
    RULES,
    a_day,
    a_lesson,
    at,
    at_hub,
    doubted,
    guessed,
    marked,
    seen,
    watched,
)

minutes = st.integers(-60, 240)
rooms = st.sampled_from([ROOM, OTHER_ROOM])
maybe_closed = st.one_of(st.none(), st.sampled_from([-5, 0, 20, 60, 120, 300]))
occasions = st.sampled_from(["lesson:one", "lesson:two", "lesson:guest", "day:2026-09-01"])


def lists(one: st.SearchStrategy[Any], most: int = 4) -> st.SearchStrategy[list[Any]]:
    return st.lists(one, max_size=most)


INTERVALS = lists(
    st.one_of(
        st.builds(lambda start, length, room: seen(start, start + length, room), minutes, st.integers(0, 90), rooms),
        st.builds(
            lambda start, spread, room: guessed(start, start - spread, start + spread, room),
            minutes,
            st.integers(0, 240),
            rooms,
        ),
    )
)
WATCHES = lists(
    st.builds(
        lambda since, length, able, share: watched(since, since + length, able=able, share=share),
        st.sampled_from([-5, 0, 20, 45, 100]),
        st.sampled_from([20, 45, 50, 150]),
        st.booleans(),
        st.sampled_from([0.5, 0.95, 1.0]),
    )
)
DOUBTS = lists(st.builds(lambda minute: doubted(minute), minutes), 2)
MARKS = st.lists(
    st.builds(
        lambda status, minute, lesson, order: marked(status, minute, lesson, order=("e", order)),
        st.sampled_from(["present", "late", "excused", "absent"]),
        minutes,
        st.sampled_from([None, "one", "two", "gone"]),
        st.integers(1, 1000),
    ),
    max_size=3,
    unique_by=lambda mark: mark.order,
)
HUB_MARKS = st.lists(
    st.builds(
        lambda status, made, occasion, number: at_hub(status, made, occasion, str(number)),
        st.sampled_from(["present", "late", "excused", "absent", "machine"]),
        minutes,
        occasions,
        st.integers(1, 1000),
    ),
    max_size=3,
    unique_by=lambda mark: mark.mark_id,
)


@st.composite
def days(draw: st.DrawFn) -> StudentsDay:
    places = (a_lesson(0, 45, "one"), a_lesson(45, 90, "two"), a_lesson(100, 145, "three", OTHER_ROOM))
    lessons = [
        replace(
            one,
            closed_at=None if (closed := draw(maybe_closed)) is None else at(closed),
            held=draw(st.booleans()),
            absent_by_rule=draw(st.booleans()),
        )
        for one in places
    ]
    return a_day(
        *draw(INTERVALS),
        lessons=tuple(lessons[: draw(st.sampled_from([3, 3, 3, 0]))]),
        marks=tuple(draw(MARKS)),
        watches=tuple(draw(WATCHES)),
        hub_marks=tuple(draw(HUB_MARKS)),
        guest_lessons=(a_lesson(150, 195, "guest"),),
        doubts=tuple(draw(DOUBTS)),
    )


def shuffled(facts: StudentsDay, random: Random) -> StudentsDay:
    def mixed(some: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(random.sample(some, len(some)))

    return replace(
        facts,
        lessons=mixed(facts.lessons),
        intervals=mixed(facts.intervals),
        marks=mixed(facts.marks),
        watches=mixed(facts.watches),
        hub_marks=mixed(facts.hub_marks),
        doubts=mixed(facts.doubts),
    )


def register(facts: StudentsDay) -> dict[str, Entry]:
    return {one.occasion: one for one in entries(facts, RULES, LATER)}


@settings(max_examples=60)
@given(days(), st.randoms(use_true_random=False))
def test_the_order_in_which_anything_is_read_changes_nothing(facts: StudentsDay, random: Random) -> None:
    found = entries(facts, RULES, LATER)
    assert entries(shuffled(facts, random), RULES, LATER) == found
    assert len({one.occasion for one in found}) == len(found)
    assert {f"lesson:{one.lesson_id}" for one in facts.lessons} <= {one.occasion for one in found}


@settings(max_examples=60)
@given(days(), st.integers(-90, 300), st.integers(0, 300))
def test_time_that_passes_only_adds(facts: StudentsDay, minute: int, more: int) -> None:
    before = {one.occasion: one for one in entries(facts, RULES, at(minute))}
    after = {one.occasion: one for one in entries(facts, RULES, at(minute + more))}
    for occasion, entry in before.items():
        later = after[occasion]
        if entry.left_early_at is None:
            later = replace(later, left_early_at=None)
        if entry.machine_status is None:
            later = replace(later, machine_status=None, machine_rule=None)
        assert later == entry


@settings(max_examples=60)
@given(days())
def test_absent_is_never_said_without_a_mark_a_closing_or_the_rooms_rule(facts: StudentsDay) -> None:
    lessons = {f"lesson:{one.lesson_id}": one for one in facts.lessons}
    for occasion, entry in register(facts).items():
        assert entry.machine_status != "Absent"
        if entry.status != "Absent":
            continue
        lesson = lessons.get(occasion)
        if entry.rule == "closed":
            assert lesson is not None
            assert lesson.closed_at is not None
        elif entry.rule == "door_rule":
            assert lesson is not None
            assert lesson.absent_by_rule
            assert (lesson.held, lesson.closed_at) == (False, None)
        else:
            assert entry.rule == "mark"
        if entry.rule != "mark":
            assert (entry.machine_status, entry.machine_rule) == ("Not seen", "not_seen")


@settings(max_examples=60)
@given(days(), st.sampled_from(["present", "late", "excused", "absent"]), occasions)
def test_a_mark_made_last_always_wins_and_touches_no_other_row(facts: StudentsDay, status: Any, occasion: str) -> None:
    before = register(facts)
    mark = at_hub(status, 10_000, occasion, "last")
    after = register(replace(facts, hub_marks=(*facts.hub_marks, mark)))
    known = {f"lesson:{one.lesson_id}" for one in (*facts.lessons, *facts.guest_lessons)} | {"day:2026-09-01"}
    if occasion in known:
        changed = after.pop(occasion)
        assert (changed.status, changed.rule, changed.method) == (status.capitalize(), "mark", "Manual")
        said = before.pop(occasion, None)
        if said is not None:
            assert (changed.machine_status, changed.machine_rule) == (said.machine_status, said.machine_rule)
    assert after == before


@settings(max_examples=60)
@given(days(), st.sampled_from(["lesson:one", "lesson:two"]))
def test_whoever_may_have_been_seen_is_neither_unseen_nor_absent(facts: StudentsDay, occasion: str) -> None:
    during = {"lesson:one": doubted(20), "lesson:two": doubted(60)}[occasion]
    clear, doubtful = register(facts), register(replace(facts, doubts=(*facts.doubts, during)))
    entry = doubtful.get(occasion)
    if entry is None:
        assert not facts.lessons
        return
    assert entry.machine_rule != "not_seen"
    assert entry.rule == "mark" or entry.status not in ("Not seen", "Absent")
    if clear[occasion].machine_rule in ("seen", "seen_late", "seen_estimated", "not_able", "not_watched"):
        assert entry == clear[occasion]


@settings(max_examples=60)
@given(days(), st.integers(0, 600), st.integers(0, 600))
def test_when_a_lesson_was_closed_after_its_end_changes_nothing(facts: StudentsDay, once: int, again: int) -> None:
    def closed(after_end: int) -> StudentsDay:
        lessons = [replace(one, closed_at=at(145 + after_end)) for one in facts.lessons]
        return replace(facts, lessons=tuple(lessons))

    assert register(closed(once)) == register(closed(again))
    opened = replace(facts, lessons=tuple(replace(one, closed_at=None, held=False) for one in facts.lessons))
    for occasion, entry in register(closed(once)).items():
        before = register(opened)[occasion]
        assert entry == before or (entry.rule, entry.machine_rule) == ("closed", "not_seen")
        assert entry.status != "Not seen"


@settings(max_examples=40)
@given(st.lists(days(), max_size=4))
def test_how_many_were_seen_does_not_depend_on_whether_the_lesson_is_held_or_closed(some: list[StudentsDay]) -> None:
    """So that a lesson which is held for what was counted is counted alike ever after."""

    def counted(*, held: bool, closed: bool) -> object:
        rows = []
        for facts in some:
            lessons = [replace(one, held=held, closed_at=LATER if closed else None) for one in facts.lessons]
            entry = register(replace(facts, lessons=tuple(lessons))).get("lesson:one")
            if entry is not None:
                mark = entry.status if entry.rule == "mark" else None
                rows.append((entry.machine_status, entry.machine_rule, mark))
        return lesson_count(rows)

    assert counted(held=True, closed=False) == counted(held=False, closed=False) == counted(held=True, closed=True)
