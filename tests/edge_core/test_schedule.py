"""Which lesson runs, as far as the unit knows."""

import pytest

from edge.core.schedule import lesson_at
from tests.builders import lesson, stamp

FIRST, SECOND = lesson(1, 3600, 7200), lesson(2, 7200, 9000)


@pytest.mark.parametrize(
    ("at_s", "expected"),
    [
        (2999, None),
        (3000, FIRST),
        (3599, FIRST),
        (3600, FIRST),
        (6700, FIRST),
        (7199, FIRST),
        (7200, SECOND),
        (8999, SECOND),
        (9000, None),
    ],
)
def test_a_lesson_begins_ten_minutes_before_the_bell_unless_another_one_still_runs(
    at_s: float, expected: object
) -> None:
    assert lesson_at((FIRST, SECOND), stamp(at_s).at) == expected


def test_of_two_that_overlap_the_one_that_started_last_runs() -> None:
    club = lesson(3, 4000, 5000)
    assert lesson_at((club, FIRST), stamp(4500).at) == club
    assert lesson_at((FIRST, club), stamp(4500).at) == club


def test_of_two_that_are_about_to_start_the_sooner_one_is_meant() -> None:
    club = lesson(3, 3700, 5000)
    assert lesson_at((club, FIRST), stamp(3500).at) == FIRST


def test_without_a_timetable_there_is_no_lesson() -> None:
    assert lesson_at((), stamp().at) is None
