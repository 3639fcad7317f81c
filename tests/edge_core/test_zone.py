"""The zone: what lies in it is decided by geometry alone, whatever the picture's size and whoever drew it how."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.zone import MOST_CORNERS, Corner, Zone
from recognition.core.face import Box

fractions = st.floats(0, 1, allow_nan=False)
places = st.tuples(fractions, fractions)
BOWL = ((0.1, 0.1), (0.5, 0.6), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9))
"""A shape with a dent in its upper side."""


@st.composite
def rectangles(draw: st.DrawFn) -> tuple[Corner, Corner]:
    left, top = draw(st.floats(0, 0.8)), draw(st.floats(0, 0.8))
    return (left, top), (left + draw(st.floats(0.05, 0.2)), top + draw(st.floats(0.05, 0.2)))


@st.composite
def stars(draw: st.DrawFn) -> tuple[Corner, ...]:
    """Shapes around the middle whose corners lie in any distance, in the order of their angles: lines never cross."""
    from math import cos, pi, sin

    count = draw(st.integers(3, 12))
    radii = draw(st.lists(st.floats(0.1, 0.45), min_size=count, max_size=count))
    angles = [2 * pi * number / count for number in range(count)]
    return tuple((0.5 + r * cos(a), 0.5 + r * sin(a)) for r, a in zip(radii, angles, strict=True))


@given(st.tuples(st.floats(-10, 10), st.floats(-10, 10)))
def test_without_corners_everything_is_inside_also_beyond_the_border(place: Corner) -> None:
    assert Zone().contains(*place)
    assert Zone().holds(Box(*place, 10, 10), (100, 100))


@given(rectangles(), places)
def test_a_rectangle_holds_what_lies_between_its_sides(corners: tuple[Corner, Corner], place: Corner) -> None:
    (left, top), (right, bottom) = corners
    assert Zone(corners).contains(*place) == (left <= place[0] <= right and top <= place[1] <= bottom)


@given(rectangles(), places)
def test_a_rectangle_is_the_same_from_any_two_opposite_corners(corners: tuple[Corner, Corner], place: Corner) -> None:
    (left, top), (right, bottom) = corners
    answers = {
        Zone(opposite).contains(*place)
        for opposite in (corners, corners[::-1], ((right, top), (left, bottom)), ((left, bottom), (right, top)))
    }
    assert len(answers) == 1


@given(stars(), places, st.integers(0, 11))
def test_it_does_not_matter_at_which_corner_one_begins_or_in_which_direction(
    corners: tuple[Corner, ...], place: Corner, first: int
) -> None:
    turned = (*corners[first % len(corners) :], *corners[: first % len(corners)])
    assert Zone(turned).contains(*place) == Zone(corners).contains(*place)
    assert Zone(turned[::-1]).contains(*place) == Zone(corners).contains(*place)
    assert Zone(turned).share == pytest.approx(Zone(corners).share)


@given(stars())
def test_its_corners_the_middles_of_its_sides_and_a_stars_middle_are_inside(corners: tuple[Corner, ...]) -> None:
    zone = Zone(corners)
    assert all(zone.contains(x, y) for x, y in corners)
    for (ax, ay), (bx, by) in zip(corners, (*corners[1:], corners[0]), strict=True):
        # A hair towards the middle: rounding may put the very middle of a side on either of its sides.
        assert zone.contains(0.5 + ((ax + bx) / 2 - 0.5) * 0.999, 0.5 + ((ay + by) / 2 - 0.5) * 0.999)
    assert zone.contains(0.5, 0.5)
    assert not zone.contains(0.0, 0.0)


def test_a_dent_is_outside() -> None:
    zone = Zone(BOWL)
    assert not zone.contains(0.5, 0.3)
    assert zone.contains(0.5, 0.7)
    assert zone.contains(0.15, 0.3)


@given(places, st.integers(1, 8))
def test_a_box_counts_by_its_centre_whatever_the_size_of_the_picture(place: Corner, factor: int) -> None:
    zone, size = Zone(((0.25, 0.25), (0.75, 0.75))), (160 * factor, 120 * factor)
    x, y = place[0] * size[0], place[1] * size[1]
    around = Box(x - 20, y - 30, 40, 60)
    centre_x, centre_y = around.centre
    assert zone.holds(around, size) == zone.contains(centre_x / size[0], centre_y / size[1])


def test_a_picture_of_no_size_holds_nobody() -> None:
    assert not Zone(((0.1, 0.1), (0.9, 0.9))).holds(Box(0, 0, 1, 1), (0, 0))


@pytest.mark.parametrize(
    ("corners", "words"),
    [
        (((0.5, 0.5),), "two corners"),
        (((0.1, 0.1), (0.1, 0.9)), "enclose nothing"),
        (((0.1, 0.1), (0.5, 0.5), (0.9, 0.9)), "enclose nothing"),
        (((0.1, 0.1), (1.2, 0.9)), "from 0 to 1"),
        (((0.1, 0.1), (float("nan"), 0.9)), "from 0 to 1"),
        (((0.1, 0.1), (0.9, 0.9), (0.9, 0.1), (0.1, 0.9)), "cross"),
        (tuple((0.5, 0.5) for _ in range(MOST_CORNERS + 1)), "corners"),
    ],
)
def test_what_is_no_zone_is_refused_in_words(corners: tuple[Corner, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Zone(corners)


def test_how_much_of_the_picture_it_covers() -> None:
    assert Zone().share == 1.0
    assert Zone(((0.0, 0.0), (0.5, 0.5))).share == pytest.approx(0.25)
