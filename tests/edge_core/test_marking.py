"""Whom a person at the unit means, which lesson, and what stands of a student today."""

from datetime import timedelta
from typing import Any

import pytest

from edge.core.errors import CommandRefused, SettingsWrong
from edge.core.marking import lesson_meant, mark_made, student_meant, todays
from protocol.content import ManifestEntry, TimetableLesson
from protocol.events import Event, Mark
from tests.edge_adapters.pieces import MORNING, ident, left, seen, stamp
from tests.fakes import FakeClock

ENTRIES = [
    ManifestEntry(student_id=ident(number), display_name=name)
    for number, name in enumerate(
        ["0042_Ann Example", "42_Anna Berg", "A-7_김민준", "9_Ann", "10_José Ortiz", "11_Joe 42 Ortiz"], 1
    )
]
LESSONS = tuple(
    TimetableLesson(
        lesson_id=ident(100 + number),
        starts_at=MORNING + timedelta(hours=number),
        ends_at=MORNING + timedelta(hours=number, minutes=45),
    )
    for number in range(3)
)


@pytest.mark.parametrize(
    ("wanted", "serial"),
    [
        ("0042", "0042"),
        # A serial number before a name that has the same in it.
        ("42", "42"),
        (" A-7 ", "A-7"),
        ("민준", "A-7"),
        ("berg", "42"),
        # The whole name before a part of another.
        ("ann", "9"),
        ("ANN  example", "0042"),
        # Typed with an accent of its own.
        ("jose\u0301", "10"),
    ],
)
def test_a_student_is_found_by_serial_number_or_by_a_part_of_the_name(wanted: str, serial: str) -> None:
    assert student_meant(wanted, ENTRIES).display_name.startswith(f"{serial}_")


@pytest.mark.parametrize("wanted", ["nobody", "", "  ", "004", "_", "A-7_"])
def test_nobody_is_said_with_where_to_look(wanted: str) -> None:
    with pytest.raises(SettingsWrong, match="no student") as refused:
        student_meant(wanted, ENTRIES)
    assert "--list" in refused.value.hint


def test_several_are_refused_and_named_but_not_a_whole_school() -> None:
    with pytest.raises(SettingsWrong, match=r"2 students match 'ortiz': 10_José Ortiz, 11_Joe 42 Ortiz$"):
        student_meant("ortiz", ENTRIES)
    many = [ManifestEntry(student_id=ident(number), display_name=f"{number}_Kim") for number in range(10, 40)]
    with pytest.raises(SettingsWrong, match=r"30 students .* 19_Kim, and 20 more$"):
        student_meant("kim", many)


def test_the_lesson_is_the_one_that_runs_or_the_one_named() -> None:
    during, between = stamp(600), stamp(3000 - 1)
    assert lesson_meant(None, LESSONS, during) == lesson_meant("now", LESSONS, during) == ident(100)
    assert lesson_meant(None, LESSONS, between) is None
    assert lesson_meant(ident(102), LESSONS, during) == ident(102)
    # Ten minutes before a lesson they come in.
    assert lesson_meant(None, LESSONS, stamp(3100)) == ident(101)
    for wanted in ("now", ident(7), "", "two"):
        with pytest.raises(CommandRefused):
            lesson_meant(wanted, LESSONS, between)


def test_a_lesson_of_another_day_is_marked_at_the_hub() -> None:
    """There it would count for whatever lesson runs when the mark is made."""
    for hours in (-11.9, 11.9):
        assert lesson_meant(ident(100), LESSONS, stamp(at=MORNING + timedelta(hours=hours))) == ident(100)
    for hours in (-12.1, 12.1):
        with pytest.raises(CommandRefused, match="not one of today"):
            lesson_meant(ident(100), LESSONS, stamp(at=MORNING + timedelta(hours=hours)))
    unset = stamp(at=MORNING - timedelta(days=300)).model_copy(update={"clock": "unsynced"})
    assert lesson_meant(ident(100), LESSONS, unset) == ident(100)


def test_a_unit_that_does_not_know_the_time_knows_no_lesson_that_runs() -> None:
    unset = stamp(600).model_copy(update={"clock": "unsynced"})
    assert lesson_meant(None, LESSONS, unset) is None
    assert lesson_meant(ident(100), LESSONS, unset) == ident(100)
    with pytest.raises(CommandRefused, match="what time it is"):
        lesson_meant("now", LESSONS, unset)
    assert lesson_meant("now", LESSONS, unset.model_copy(update={"clock": "holdover"})) == ident(100)


def made(**changed: Any) -> Mark:
    request = {"student_id": ident(1), "status": "late", "by": "A. Person", "lesson": None, "note": "bus"} | changed
    return mark_made(request, {ident(1): "0042_Ann Example"}, LESSONS, stamp(600), ident(55))


def test_a_mark_says_who_when_and_why() -> None:
    event = made()
    assert (event.student_id, event.status, event.by, event.note) == (ident(1), "late", "A. Person", "bus")
    assert (event.at, event.lesson_id, event.event_id) == (stamp(600).at, ident(100), ident(55))


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"student_id": ident(2)}, "gallery"),
        ({"student_id": [ident(1)]}, "gallery"),
        ({"status": "early"}, "status"),
        ({"status": None}, "status"),
        ({"by": ""}, "by"),
        ({"by": "x" * 101}, "by"),
        ({"note": "x" * 501}, "note"),
        ({"note": {"a": 1}, "by": 7}, "by, note"),
        ({"lesson": "../"}, "no such lesson"),
        ({"lesson": 3}, "no such lesson"),
    ],
)
def test_what_cannot_be_written_down_is_refused_without_naming_anybody(changed: dict[str, Any], why: str) -> None:
    with pytest.raises(CommandRefused, match=why) as refused:
        made(**changed)
    assert refused.value.hint
    assert "x" * 20 not in str(refused.value)
    assert "Ann" not in str(refused.value)


def test_of_each_lesson_the_last_mark_stands_and_the_first_sighting_is_when_they_came() -> None:
    clock = FakeClock()

    def marks(status: str, lesson: str | None) -> Mark:
        return made(status=status, lesson=lesson).model_copy(update={"event_id": clock.new_id()})

    first, second, third = marks("late", ident(100)), marks("absent", ident(101)), marks("excused", ident(100))
    events: list[Event] = [seen(1, 1, 60), first, left(2, 1, 1), seen(3, 1, 30), second, third, seen(4, 2)]
    found = todays(events)
    assert found[ident(1)].seen_at == stamp(30).at
    assert found[ident(1)].marks == [second, third]
    assert (found[ident(2)].seen_at, found[ident(2)].marks) == (MORNING, [])
    assert set(found) == {ident(1), ident(2)}
