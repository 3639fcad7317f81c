"""Where to look: still frames cost nothing, nothing that moves is missed, known faces explain their own movement."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.attention import Attention, AttentionLimits, Plan
from recognition.core.face import Box, Image
from tests.edge_core.painted import HEIGHT, WIDTH, Person, picture

NOBODY: Mapping[int, Box] = {}


def attending(image: Image | None = None) -> Attention:
    """Attention that has searched a first picture at 0 s."""
    attention = Attention()
    assert attention.plan(picture() if image is None else image, 0.0, NOBODY).search == "everywhere"
    return attention


def test_a_still_picture_is_searched_every_five_seconds_and_not_in_between() -> None:
    attention = attending()
    plans = [attention.plan(picture(), at_s, NOBODY) for at_s in (0.2, 2.0, 4.9, 5.0, 5.2)]
    assert [plan.search for plan in plans] == ["nowhere", "nowhere", "nowhere", "everywhere", "nowhere"]
    assert plans[0].still


def test_somebody_who_comes_is_searched_for_where_something_moved() -> None:
    attention = attending()
    plan = attention.plan(picture(Person(1, x=20, y=8, width=40)), 1.0, NOBODY)
    assert plan.search == "region"
    assert plan.region == Box(0, 0, WIDTH // 2, HEIGHT // 2)


def test_what_moves_everywhere_is_searched_everywhere() -> None:
    attention = attending()
    assert attention.plan(picture(light=150), 1.0, NOBODY).search == "everywhere"


def test_after_a_search_the_next_one_waits_and_what_moved_meanwhile_is_not_forgotten() -> None:
    attention = attending()
    moved = picture(Person(1, x=20, y=8, width=40))
    assert attention.plan(moved, 0.2, NOBODY).search == "nowhere"
    assert attention.plan(moved, 0.3, NOBODY).search == "nowhere"
    assert attention.plan(moved, 0.5, NOBODY).search == "region"
    assert attention.plan(moved, 1.5, NOBODY).search == "nowhere"


def test_a_face_that_is_followed_explains_what_moves_around_it() -> None:
    attention = attending(picture(Person(1, x=100)))
    expected = {7: Box(116, 20, 80, 80)}
    plan = attention.plan(picture(Person(1, x=116)), 1.0, expected)
    assert plan == Plan("nowhere", None, frozenset({7}))


def test_a_face_that_did_not_move_is_not_looked_at() -> None:
    attention = attending(picture(Person(1, x=10), Person(2, x=220)))
    expected = {7: Box(10, 20, 80, 80), 8: Box(236, 20, 80, 80)}
    plan = attention.plan(picture(Person(1, x=10), Person(2, x=236)), 1.0, expected)
    assert plan.moved == {8}


def test_somebody_new_is_searched_for_although_others_move() -> None:
    attention = attending(picture(Person(1, x=0, y=0, width=30)))
    plan = attention.plan(
        picture(Person(1, x=8, y=0, width=30), Person(2, x=270, y=8, width=40)), 1.0, {7: Box(8, 0, 30, 30)}
    )
    assert plan.search == "region"
    assert plan.moved == {7}
    assert plan.region is not None
    assert plan.region.x + plan.region.width == WIDTH


def test_a_lost_face_is_searched_for_again_at_once_but_not_in_every_frame() -> None:
    attention = attending()
    assert not attention.may_search_again(0.05)
    assert attention.may_search_again(0.2)
    attention.searched(0.2)
    assert not attention.may_search_again(0.25)


def test_slow_change_is_noticed_in_the_end() -> None:
    """Each frame is compared with the last one that differed, not with the one before."""
    attention = Attention(limits=AttentionLimits(search_every_s=0.0))
    attention.plan(picture(light=100), 0.0, NOBODY)
    looked = [
        light
        for light in range(101, 130)
        if attention.plan(picture(light=light), (light - 100) * 0.1, NOBODY).search != "nowhere"
    ]
    assert looked == [113, 126]


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 7, 3), (8, 500, 3), (15, 17, 3)])
def test_pictures_of_any_size_are_accepted(shape: tuple[int, int, int]) -> None:
    attention = Attention()
    image = np.zeros(shape, dtype=np.uint8)
    assert attention.plan(image, 0.0, NOBODY).search == "everywhere"
    attention.plan(np.full(shape, 200, dtype=np.uint8), 1.0, NOBODY)


def test_a_picture_of_another_size_is_searched_everywhere() -> None:
    attention = attending()
    assert attention.plan(np.zeros((64, 72, 3), dtype=np.uint8), 0.1, NOBODY).search == "everywhere"


@given(x=st.integers(0, WIDTH - 30), y=st.integers(0, HEIGHT - 30), width=st.integers(30, 200))
def test_a_region_holds_all_that_moved_and_lies_in_the_picture(x: int, y: int, width: int) -> None:
    attention = attending()
    width = min(width, WIDTH - x, HEIGHT - y)
    plan = attention.plan(picture(Person(1, x=x, y=y, width=width)), 1.0, NOBODY)
    assert plan.search in ("region", "everywhere")
    if plan.region is not None:
        region = plan.region
        assert region.x >= 0
        assert region.y >= 0
        assert region.x + region.width <= WIDTH
        assert region.y + region.height <= HEIGHT
        # Whole cells are compared, so up to a cell at each edge may not have counted as changed.
        assert region.x <= x + 8
        assert region.y <= y + 8
        assert region.x + region.width >= x + width - 8
        assert region.y + region.height >= y + width - 8
