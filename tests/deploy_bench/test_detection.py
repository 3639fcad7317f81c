"""A detection counts for one marked face, and a second one for the same face counts as one too many."""

from hypothesis import given
from hypothesis import strategies as st

from deploy.bench.detection import same_face, unmatched
from recognition.core.face import Box

FACE = Box(100, 100, 50, 50)

boxes = st.builds(Box, st.floats(0, 500), st.floats(0, 500), st.floats(10, 200), st.floats(10, 200))


def test_a_taller_box_around_the_same_face_counts() -> None:
    assert same_face(FACE, Box(95, 85, 55, 80))


def test_a_box_around_half_the_group_does_not_count() -> None:
    assert not same_face(FACE, Box(50, 50, 150, 150))


def test_a_neighbour_does_not_count() -> None:
    assert not same_face(FACE, Box(160, 100, 50, 50))


def test_the_second_box_for_a_face_is_left_over() -> None:
    near, nearer = Box(110, 105, 50, 50), Box(101, 100, 50, 50)
    assert unmatched([near, nearer], [FACE]) == [near]


def test_a_face_that_nobody_found_takes_nothing_away() -> None:
    far = Box(400, 400, 50, 50)
    assert unmatched([far], [FACE]) == [far]


@given(st.lists(boxes, max_size=8), st.lists(boxes, max_size=8))
def test_no_more_boxes_count_than_there_are_faces(found: list[Box], faces: list[Box]) -> None:
    left = unmatched(found, faces)
    assert max(0, len(found) - len(faces)) <= len(left) <= len(found)


@given(boxes, boxes)
def test_being_one_face_does_not_depend_on_the_order(one: Box, other: Box) -> None:
    assert same_face(one, other) == same_face(other, one)
