"""The motion gate: still frames cost nothing, and nothing that moves is missed."""

import numpy as np
import pytest

from edge.core.motion import MotionGate, MotionLimits
from recognition.core.face import Image
from tests.edge_core.painted import Person, picture


def noisy(image: Image, seed: int) -> Image:
    noise = np.random.default_rng(seed).normal(0, 4, image.shape)
    return np.clip(image.astype(np.float64) + noise, 0, 255).astype(np.uint8)


def test_the_first_frame_is_looked_at() -> None:
    assert MotionGate().worth_looking(picture(), 0.0)


def test_a_still_frame_is_not_looked_at_for_five_seconds() -> None:
    gate = MotionGate()
    gate.worth_looking(picture(), 0.0)
    assert [gate.worth_looking(picture(), at_s) for at_s in (0.2, 2.0, 4.9, 5.0, 5.2)] == [False] * 3 + [True, False]


def test_noise_of_the_sensor_is_not_motion() -> None:
    gate = MotionGate()
    gate.worth_looking(noisy(picture(), 0), 0.0)
    assert not any(gate.worth_looking(noisy(picture(), seed), 0.1 * seed) for seed in range(1, 20))


def test_a_face_that_moves_by_a_cell_is_motion() -> None:
    gate = MotionGate()
    gate.worth_looking(picture(Person(1, x=40, width=30)), 0.0)
    assert gate.worth_looking(picture(Person(1, x=48, width=30)), 0.1)


def test_slow_change_is_noticed_in_the_end() -> None:
    """Each frame is compared with the last one that was looked at, not with the one before."""
    gate = MotionGate()
    gate.worth_looking(picture(light=100), 0.0)
    looked = [light for light in range(101, 130) if gate.worth_looking(picture(light=light), (light - 100) * 0.1)]
    assert looked == [113, 126]


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 7, 3), (8, 500, 3)])
def test_pictures_of_any_size_are_accepted(shape: tuple[int, int, int]) -> None:
    gate = MotionGate()
    image = np.zeros(shape, dtype=np.uint8)
    assert gate.worth_looking(image, 0.0)
    gate.worth_looking(image, 0.1)


def test_a_picture_of_another_size_is_looked_at() -> None:
    gate = MotionGate()
    gate.worth_looking(np.zeros((64, 64, 3), dtype=np.uint8), 0.0)
    assert gate.worth_looking(np.zeros((64, 72, 3), dtype=np.uint8), 0.1)


def test_how_often_a_still_room_is_looked_at_can_be_chosen() -> None:
    gate = MotionGate(MotionLimits(look_anyway_s=1.0))
    gate.worth_looking(picture(), 0.0)
    assert gate.worth_looking(picture(), 1.0)
