"""Metres and pixels: the figures that people are told, and that both directions agree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.distance import face_width_px, farthest_m, in_words, smallest_face_px

widths = st.integers(320, 8192)
lenses = st.floats(20, 150)


@pytest.mark.parametrize(
    ("picture_px", "expected"), [(1920, (103, 52, 34, 26)), (4608, (248, 124, 83, 62))], ids=["1920 px", "4608 px"]
)
def test_a_face_through_a_66_degree_lens_is_as_wide_as_the_table_says(
    picture_px: int, expected: tuple[int, ...]
) -> None:
    found = tuple(round(face_width_px(metres, picture_px, 66.0)) for metres in (2, 4, 6, 8))
    assert found == expected


@given(st.floats(0.3, 30), widths, lenses)
def test_the_farthest_distance_is_where_a_face_has_that_width(metres: float, picture_px: int, lens: float) -> None:
    width = face_width_px(metres, picture_px, lens)
    assert farthest_m(width, picture_px, lens) == pytest.approx(metres)


@given(st.floats(0.3, 29), widths, lenses)
def test_farther_is_smaller_and_more_pixels_are_wider(metres: float, picture_px: int, lens: float) -> None:
    assert face_width_px(metres + 1, picture_px, lens) < face_width_px(metres, picture_px, lens)
    assert face_width_px(metres, picture_px + 1, lens) > face_width_px(metres, picture_px, lens)
    assert face_width_px(metres, picture_px, lens + 1) < face_width_px(metres, picture_px, lens)


@given(st.floats(0.3, 30), widths, lenses)
def test_what_is_looked_for_is_never_larger_than_a_face_at_that_distance(
    metres: float, picture_px: int, lens: float
) -> None:
    assert smallest_face_px(metres, picture_px, lens) <= face_width_px(metres, picture_px, lens)


def test_in_words_for_a_person() -> None:
    assert in_words(1920, 66.0, 100) == (
        "with this camera a face is 103 px wide at 2 m, 52 px at 4 m; automatic marks need 100 px: up to 2.0 m"
    )
