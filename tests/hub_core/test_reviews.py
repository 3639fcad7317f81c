"""What a person is asked about sightings that no machine decides: one question for what is alike, few a lesson."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from hub.core.attendance_facts import Lesson
from hub.core.reviews import Item, Sighting, grouped, key_of, listed, place_of
from tests.hub_core.builders import START

BERLIN = ZoneInfo("Europe/Berlin")
DAY = date(2026, 9, 1)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def early(_day: date) -> timedelta:
    return timedelta(minutes=10)


LESSONS = (Lesson("one", "room", DAY, at(0), at(45)), Lesson("two", "room", DAY, at(50), at(95)))
BY_ROOM = {"room": LESSONS}


def saw(number: int, minutes: float, *candidates: str, room: str = "room", scores: tuple[float, ...] = ()) -> Sighting:
    return Sighting(f"event {number}", "unit", room, at(minutes), candidates or ("ann", "bea"), "look_alike", scores)


def place(minutes: float, room: str = "room", lessons: tuple[Lesson, ...] = LESSONS) -> str:
    return place_of(saw(1, minutes, room=room), lessons, early, BERLIN)


def test_a_sighting_belongs_to_the_lesson_of_its_room_from_early_before_the_start_up_to_the_end() -> None:
    assert [place(minutes) for minutes in (-10, 0, 44.9)] == ["lesson:one"] * 3
    assert [place(minutes) for minutes in (45, 94)] == ["lesson:two"] * 2
    assert place(-10.1) == place(95) == "day:2026-09-01:room"
    assert place(5, room="other room") == "day:2026-09-01:other room"


def test_between_two_lessons_the_one_that_still_runs_has_it() -> None:
    assert place(42) == "lesson:one"


def test_without_a_lesson_the_day_is_the_schools() -> None:
    # 22:30 in Greenwich is after midnight in Berlin.
    assert place(16.5 * 60) == "day:2026-09-02:room"


def test_the_rules_of_the_lessons_day_say_how_early_it_begins() -> None:
    def later(day: date) -> timedelta:
        return timedelta(minutes=30 if day > DAY else 0)

    tomorrow = replace(LESSONS[0], lesson_id="tomorrow", day=date(2026, 9, 2))
    assert place_of(saw(1, -20), (tomorrow,), later, BERLIN) == "lesson:tomorrow"
    assert place_of(saw(1, -20), LESSONS, later, BERLIN) == "day:2026-09-01:room"


def test_the_same_candidates_in_one_lesson_are_one_question() -> None:
    sightings = [
        saw(1, 5, "ann", "bea", scores=(0.5, 0.4)),
        saw(2, 20, "bea", "ann", scores=(0.7, 0.3)),
        replace(saw(3, 1), reason="failed_liveness", unit_id="door"),
        saw(3, 1),
        saw(4, 6, "ann"),
        saw(5, 60),
    ]
    items = grouped(sightings[:2] + sightings[3:], BY_ROOM, early, BERLIN)
    assert {(one.place, len(one.candidates), one.sightings) for one in items} == {
        ("lesson:one", 2, 3),
        ("lesson:one", 1, 1),
        ("lesson:two", 2, 1),
    }
    [both] = [one for one in items if one.sightings == 3]
    assert both.candidates == ("bea", "ann")
    assert (both.first_at, both.last_at, both.day, both.room_id) == (at(1), at(20), DAY, "room")
    [mixed] = grouped(sightings[:3], BY_ROOM, early, BERLIN)
    assert (mixed.reasons, mixed.unit_ids) == (("failed_liveness", "look_alike"), ("door", "unit"))


def an_item(key: str, sightings: int, lesson: str | None = "one", *candidates: str) -> Item:
    where = f"lesson:{lesson}" if lesson else "day:2026-09-01:room"
    return Item(key, where, lesson, "room", DAY, candidates or ("ann", "bea"), (), at(0), at(1), sightings)


def test_a_lesson_asks_one_question_the_one_with_the_most_sightings() -> None:
    few, many, other = an_item("a", 1), an_item("b", 3, "one", "cem"), an_item("c", 2, "two")
    assert listed([few, many, other], ()) == ([many, other], [few])
    tied = an_item("0", 3, "one", "dan")
    assert listed([few, many, tied], ()) == ([tied], [many, few])


def test_outside_of_lessons_every_question_is_asked() -> None:
    items = [an_item("a", 2, None), an_item("b", 1, None, "cem")]
    assert listed(items, ()) == (items, [])


def test_a_question_about_students_who_are_all_settled_in_its_lesson_needs_nobody() -> None:
    item, less = an_item("a", 3), an_item("b", 1, "one", "cem")
    both = {("lesson:one", "ann"), ("lesson:one", "bea")}
    assert listed([item, less], both) == ([less], [])
    for some in ({("lesson:one", "ann")}, {("lesson:two", "ann"), ("lesson:two", "bea")}):
        assert listed([item, less], some) == ([item], [less])


def test_an_answer_brings_up_no_other_question_of_its_lesson() -> None:
    first, second = an_item("a", 3), an_item("b", 1, "one", "cem")
    assert listed([first, second], (), {"a"}) == ([], [second])
    settled = {("lesson:one", "ann"), ("lesson:one", "bea")}
    assert listed([first, second], settled, {"a"}) == ([], [second])


names = st.sampled_from(["ann", "bea", "cem", "dan"])
sightings_seen = st.lists(
    st.builds(
        lambda number, minutes, who, room: saw(number, minutes, *who, room=room),
        st.integers(0, 1000),
        st.integers(-30, 120),
        st.lists(names, min_size=1, max_size=3, unique=True).map(tuple),
        st.sampled_from(["room", "other room"]),
    ),
    max_size=12,
    unique_by=lambda one: one.event_id,
)
shuffles = st.randoms(use_true_random=False)


@given(sightings_seen, st.sets(st.tuples(st.sampled_from(["lesson:one", "lesson:two"]), names)), shuffles)
def test_the_order_changes_nothing_and_no_sighting_is_lost(
    sightings: list[Sighting], settled: set[tuple[str, str]], random: Random
) -> None:
    items = grouped(sightings, BY_ROOM, early, BERLIN)
    lists = listed(items, settled)
    random.shuffle(sightings)
    # As a unit that did not hear the answer sends them.
    again = grouped([*sightings, *sightings[:3]], BY_ROOM, early, BERLIN)
    assert again == items
    random.shuffle(again)
    assert listed(again, settled) == lists
    assert sum(one.sightings for one in items) == len(sightings)
    by_key = {one.key: one for one in items}
    for one in sightings:
        item = by_key[key_of(place_of(one, LESSONS, early, BERLIN), one.candidates)]
        assert set(item.candidates) == set(one.candidates)
        assert item.first_at <= one.at <= item.last_at


@given(sightings_seen, st.sets(st.tuples(st.sampled_from(["lesson:one", "lesson:two"]), names)), st.data())
def test_a_lesson_never_asks_twice_and_asks_whenever_there_is_something_to_ask(
    sightings: list[Sighting], settled: set[tuple[str, str]], data: st.DataObject
) -> None:
    items = grouped(sightings, BY_ROOM, early, BERLIN)
    decided = set(data.draw(st.lists(st.sampled_from([one.key for one in items])))) if items else set()
    shown, besides = listed(items, settled, decided)
    in_lessons = [one.lesson_id for one in shown if one.lesson_id]
    assert len(in_lessons) == len(set(in_lessons))
    assert [one.sightings for one in shown] == sorted((one.sightings for one in shown), reverse=True)
    open_ones = {one.key for one in items if one.key not in decided and not _is_settled(one, settled)}
    assert {one.key for one in (*shown, *besides)} == open_ones
    answered = {one.lesson_id for one in items if one.key in decided}
    assert {one.lesson_id for one in besides} <= set(in_lessons) | answered
    if not decided:
        assert {one.place for one in shown} == {one.place for one in items if one.key in open_ones}


def _is_settled(item: Item, settled: set[tuple[str, str]]) -> bool:
    return all((item.place, one) in settled for one in item.candidates)


def test_a_key_is_the_same_for_candidates_in_any_order_and_another_in_another_place() -> None:
    key = key_of("lesson:one", ("ann", "bea"))
    assert key == key_of("lesson:one", ("bea", "ann", "bea"))
    others = {key_of("lesson:one", ("ann",)), key_of("lesson:two", ("ann", "bea")), key_of("lesson:two", ("ann",))}
    assert len(others | {key}) == 4
    assert len(key) == 64
