"""Tracks hold different pictures, failures stay failures, and nobody with many pictures decides alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognition.evaluation.tracks import (
    MOST_TRACKS,
    Seen,
    chosen_pictures,
    draw_galleries,
    make_looks,
    make_tracks,
    templates,
)
from tests.recognition_evaluation.builders import DIMENSIONS, vectors_of


@settings(deadline=None)
@given(pictures=st.integers(0, 60), samples=st.integers(1, 5), seed=st.integers(0, 20))
def test_choices_are_different_pictures_and_never_too_many(pictures: int, samples: int, seed: int) -> None:
    chosen = chosen_pictures(pictures, samples, np.random.default_rng(seed))
    assert len(set(chosen)) == len(chosen) <= max(pictures, MOST_TRACKS)
    assert all(len(set(choice)) == samples for choice in chosen)
    assert bool(chosen) == (pictures >= samples)
    assert chosen == chosen_pictures(pictures, samples, np.random.default_rng(seed))


def test_a_track_is_the_direction_of_its_usable_pictures() -> None:
    generator = np.random.default_rng(1)
    first, second = vectors_of(generator, 2, 0.3)
    assert first is not None
    made = make_tracks([(4, [first, None]), (7, [None, None]), (9, [second])], 2, DIMENSIONS, generator)
    assert made.person.tolist() == [4, 7]
    assert made.vectors[0] == pytest.approx(first, abs=1e-6)
    assert np.isnan(made.vectors[1]).all()


def test_looks_are_of_the_same_tracks_row_by_row() -> None:
    generator = np.random.default_rng(1)
    people: list[tuple[int, Seen]] = [
        (0, vectors_of(generator, 3, 0.3)),
        (1, vectors_of(generator, 1, 0.3)),
        (2, [None, None, None]),
    ]
    looks = make_looks(people, 3, DIMENSIONS)
    assert [tracks.person.tolist() for tracks in looks] == [[0, 0, 0]] * 3
    assert looks[0].vectors[0] == pytest.approx(people[0][1][0], abs=1e-6)
    # After three of three pictures all tracks hold the same.
    assert looks[2].vectors[0] == pytest.approx(looks[2].vectors[1], abs=1e-6)


def test_a_template_is_made_of_the_first_pictures_that_can_be_used() -> None:
    first, second = vectors_of(np.random.default_rng(1), 2, 0.5)
    made = templates([[first, second], [None, second], [None, None]], 1, DIMENSIONS)
    assert made[0] == pytest.approx(first, abs=1e-6)
    assert np.isnan(made[1:]).all()
    assert templates([[None, second]], 2, DIMENSIONS)[0] == pytest.approx(second, abs=1e-6)


def test_galleries_are_drawn_without_doubles_and_everybody_makes_only_one() -> None:
    generator = np.random.default_rng(1)
    drawn = draw_galleries(20, 5, 4, generator)
    assert [len(set(gallery.tolist())) for gallery in drawn] == [5] * 4
    assert [gallery.tolist() for gallery in draw_galleries(3, 3, 4, generator)] == [[0, 1, 2]]
    with pytest.raises(ValueError, match="cannot be drawn"):
        draw_galleries(3, 4, 1, generator)
