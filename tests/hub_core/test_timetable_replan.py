"""What has to be done to lessons so that they are what the timetable says."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from hub.core.roster_lessons import Lesson, LessonFields
from hub.core.timetable import lesson_id
from hub.core.timetable_replan import Replan, Wanted, replan

NOW = datetime(2026, 9, 10, 6, tzinfo=UTC)
MATHS, ART = "01990000-0000-7000-8000-000000000001", "01990000-0000-7000-8000-000000000002"


def fields(day: int, *, room: str = "12", label: str = "Maths") -> LessonFields:
    start = NOW + timedelta(days=day)
    return LessonFields(room, "7b", label, start, start + timedelta(minutes=45))


def wanted(day: int, *, series: str = MATHS, room: str = "12", label: str = "Maths") -> Wanted:
    on = (NOW + timedelta(days=day)).date()
    return Wanted(lesson_id(series, on), fields(day, room=room, label=label), series, on)


def made(one: Wanted, *, cancelled: bool = False, by_hand: bool = False) -> Lesson:
    return Lesson(one.lesson_id, one.fields, one.series_id, one.day, cancelled=cancelled, by_hand=by_hand)


def test_lessons_that_are_not_there_are_made_unless_they_have_begun() -> None:
    plan = replan([wanted(-1), wanted(0), wanted(1)], [], NOW)
    assert (plan.add, plan.begun) == ((wanted(1),), 2)
    assert len(replan([wanted(-1), wanted(1)], [], NOW, past_too=True).add) == 2


def test_planning_again_changes_nothing() -> None:
    asked = [wanted(-1), wanted(1), wanted(2)]
    assert replan(asked, [made(one) for one in asked], NOW) == Replan(unchanged=3)


def test_what_changes_changes_from_now_on() -> None:
    asked = [wanted(day, room="13") for day in (-1, 1)]
    known = [made(wanted(day)) for day in (-1, 1)]
    plan = replan(asked, known, NOW)
    assert [(one.before.fields.room, one.after.fields.room) for one in plan.change] == [("12", "13")]
    assert plan.begun == 1
    assert len(replan(asked, known, NOW, past_too=True).change) == 2


def test_what_a_person_decided_stays_while_there_is_a_lesson_that_day() -> None:
    moved = replace(made(wanted(1)), fields=fields(1, room="99"), by_hand=True)
    off = made(wanted(2), cancelled=True, by_hand=True)
    plan = replan([wanted(1), wanted(2)], [moved, off], NOW)
    assert (plan.change, plan.drop, plan.by_hand) == ((), (), 2)
    assert replan([], [moved, off], NOW).drop == (moved, off)


def test_what_the_timetable_took_away_it_gives_back() -> None:
    away = made(wanted(1), cancelled=True)
    (change,) = replan([wanted(1)], [away], NOW).change
    assert change.before is away
    assert not change.after.cancelled


def test_what_the_timetable_no_longer_has_goes_unless_it_has_begun() -> None:
    known = [made(wanted(-1)), made(wanted(1))]
    assert replan([], known, NOW).drop == (known[1],)
    assert replan([], known, NOW, past_too=True).drop == tuple(known)


def test_a_lesson_of_another_series_at_its_place_becomes_its_own() -> None:
    art = wanted(1, series=ART, label="Art")
    plan = replan([art], [made(wanted(1))], NOW)
    assert [(one.before.lesson_id, one.after) for one in plan.change] == [(wanted(1).lesson_id, art)]
    assert (plan.add, plan.drop) == ((), ())
    # And is known again, by its series and day.
    taken = Lesson(wanted(1).lesson_id, art.fields, ART, art.day)
    assert replan([art], [taken], NOW) == Replan(unchanged=1)


def test_a_lesson_of_another_series_that_a_person_cancelled_stays_cancelled() -> None:
    art = wanted(1, series=ART, label="Art")
    off = made(wanted(1), cancelled=True, by_hand=True)
    (change,) = replan([art], [off], NOW).change
    assert (change.after.series_id, change.after.cancelled, change.after.fields) == (ART, True, off.fields)


def carried_out(plan: Replan, known: list[Lesson]) -> list[Lesson]:
    there = {one.lesson_id: one for one in known}
    for dropped in plan.drop:
        del there[dropped.lesson_id]
    for change in plan.change:
        after = change.after
        there[change.before.lesson_id] = Lesson(
            change.before.lesson_id, after.fields, after.series_id, after.day, after.cancelled, change.before.by_hand
        )
    for one in plan.add:
        there[one.lesson_id] = made(one)
    return list(there.values())


DAYS = st.sets(st.integers(-3, 6))
KNOWN = st.builds(
    lambda day, room, cancelled, by_hand: made(wanted(day, room=room), cancelled=cancelled, by_hand=by_hand),
    st.integers(-3, 6),
    st.sampled_from(["12", "13"]),
    st.booleans(),
    st.booleans(),
)


@given(DAYS, DAYS, st.lists(KNOWN, unique_by=lambda one: one.lesson_id), st.booleans())
def test_planning_twice_is_planning_once(maths: set[int], art: set[int], known: list[Lesson], past_too: bool) -> None:
    asked = [
        *(wanted(day) for day in sorted(maths)),
        *(wanted(day, series=ART, label="Art") for day in sorted(art - maths)),
    ]
    plan = replan(asked, known, NOW, past_too=past_too)
    after = carried_out(plan, known)
    again = replan(asked, after, NOW, past_too=past_too)
    assert (again.add, again.change, again.drop) == ((), (), ())
    if not past_too:
        begun = {one.lesson_id: one for one in known if one.fields.starts_at <= NOW}
        assert {one.lesson_id: one for one in after if one.fields.starts_at <= NOW} == begun
    days: list[tuple[str | None, date | None]] = [(one.series_id, one.series_day) for one in after]
    assert len(set(days)) == len(days)
