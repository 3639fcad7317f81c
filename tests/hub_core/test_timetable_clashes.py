"""Lessons that cannot both be."""

from datetime import UTC, datetime, timedelta
from itertools import combinations
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from hub.core.roster_lessons import Group, LessonFields
from hub.core.timetable_clashes import Shared, clashes, clashes_of

START = datetime(2026, 9, 1, 6, tzinfo=UTC)
LATIN, MUSIC = ("7b", "Latin"), ("7b", "Music")
BERLIN = ZoneInfo("Europe/Berlin")


def lesson(
    at: int, minutes: int = 45, room: str = "12", section: str = "7b", group: str = "", teacher: str = ""
) -> LessonFields:
    start = START + timedelta(minutes=at)
    return LessonFields(room, section, "", start, start + timedelta(minutes=minutes), group, teacher)


def reasons(*lessons: LessonFields, shared: Shared | None = None, teachers: bool = True) -> list[str]:
    return [clash.reason for clash in clashes(lessons, shared, teachers=teachers)]


def test_one_room_one_section_one_teacher_at_a_time() -> None:
    assert reasons(lesson(0), lesson(30, section="8a")) == ["room"]
    assert reasons(lesson(0), lesson(30, room="13")) == ["section"]
    ms_iyer = lesson(0, teacher="Iyer"), lesson(30, room="13", section="8a", teacher="Iyer")
    assert reasons(*ms_iyer) == ["teacher"]
    assert reasons(*ms_iyer, teachers=False) == []
    # Nobody knows who teaches: no reason to refuse.
    assert reasons(lesson(0), lesson(0, room="13", section="8a")) == []
    assert reasons(lesson(0), lesson(45, room="13")) == []


def test_a_group_cannot_be_apart_from_its_section_but_from_the_other_group() -> None:
    latin, music = lesson(0, group="Latin"), lesson(0, room="13", group="Music")
    assert reasons(latin, music) == []
    assert reasons(latin, lesson(10, room="13")) == ["section"]
    assert reasons(lesson(0), lesson(10, room="13", group="Music")) == ["section"]
    assert reasons(latin, lesson(10, room="13", group="Latin")) == ["section"]
    assert reasons(latin, lesson(10, room="13", section="8a", group="Latin")) == []


def test_a_student_of_two_groups_cannot_be_in_both_while_they_are() -> None:
    latin, music = lesson(0, group="Latin"), lesson(10, room="13", group="Music")
    always: Shared = {(MUSIC, LATIN): {(START - timedelta(days=9), None): ["7", "8"]}}
    (told,) = clashes([latin, music], always)
    assert told.sentence(music, BERLIN).endswith(
        ": students 7, 8 of 7b (Music) and 7b (Latin) would be in two places at once"
    )
    many: Shared = {(MUSIC, LATIN): {(START, None): list("1234567"), (START + timedelta(days=9), None): ["9"]}}
    assert "students 1, 2, 3, 4, 5 and 2 more of" in clashes([latin, music], many)[0].sentence(music, BERLIN)
    assert reasons(latin, music, shared=always) == ["student"]
    before: Shared = {(LATIN, MUSIC): {(START - timedelta(days=9), START): ["7"]}}
    assert reasons(latin, music, shared=before) == []


def test_every_lesson_inside_a_long_one_is_told_once() -> None:
    found = clashes([lesson(0, 180), lesson(10, 10), lesson(60, 10)])
    assert [(clash.reason, clash.earlier.ends_at - clash.earlier.starts_at) for clash in found] == [
        ("room", timedelta(hours=3)),
        ("room", timedelta(hours=3)),
    ]


def test_what_clashed_before_is_not_told_again() -> None:
    known = [lesson(0), lesson(10, section="8a")]
    own = lesson(20, room="13")
    (found,) = clashes_of([own], known, {})
    assert found[0] is own
    assert found[1].sentence(own, BERLIN).endswith("7b would be in two places at once")


def together(one: LessonFields, other: LessonFields, shared: Shared) -> bool:
    """Whether two lessons cannot both be, said plainly."""
    if one.starts_at >= other.ends_at or other.starts_at >= one.ends_at:
        return False
    groups: tuple[Group, Group] = (one.section, one.group), (other.section, other.group)
    later = max(one.starts_at, other.starts_at)
    spans = (*shared.get(groups, {}), *shared.get((groups[1], groups[0]), {}))
    return (
        one.room == other.room
        or (one.section == other.section and (one.group == other.group or not one.group or not other.group))
        or bool(one.teacher and one.teacher == other.teacher)
        or any(since <= later and (until is None or later < until) for since, until in spans)
    )


LESSONS = st.builds(
    lesson,
    st.integers(0, 60),
    st.integers(1, 40),
    st.sampled_from("1234"),
    st.sampled_from("ab"),
    st.sampled_from(["", "x", "y"]),
    st.sampled_from(["", "", "T"]),
)


@given(st.lists(LESSONS, max_size=8, unique_by=lambda one: one.key), st.integers(-10, 70), st.integers(0, 40))
def test_the_sweep_finds_a_clash_exactly_where_two_lessons_cannot_both_be(
    lessons: list[LessonFields], since: int, length: int
) -> None:
    begin = START + timedelta(minutes=since)
    shared: Shared = {(("a", "x"), ("a", "y")): {(begin, begin + timedelta(minutes=length)): ["7"]}}
    found = clashes(lessons, shared)
    assert all(together(clash.earlier, clash.later, shared) for clash in found)
    # Each lesson that clashes with one that began before it is told.
    ordered = sorted(lessons, key=lambda one: (one.starts_at, one.ends_at))
    expected = {later.key for earlier, later in combinations(ordered, 2) if together(earlier, later, shared)}
    assert {clash.later.key for clash in found} == expected
