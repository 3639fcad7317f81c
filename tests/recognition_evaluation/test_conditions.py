"""Worse pictures: the face stays where its landmarks are, whatever was done to the picture."""

import cv2
import numpy as np
import pytest

from recognition.core.face import Box, Face, Image
from recognition.evaluation.conditions import (
    VIDEO_FACE_PX,
    VIDEO_SIZE_PX,
    blurred,
    clip,
    codec_is_there,
    faces_per_clip,
    resized,
    scene,
)
from recognition.evaluation.distances import distance_m, reach

pytestmark = pytest.mark.slow

SPOTS = np.array([[70, 80], [110, 80], [90, 100], [75, 120], [105, 120]], dtype=np.float32)


def picture(size_px: tuple[int, int] = (200, 240)) -> tuple[Image, Face]:
    """A grey picture with a bright spot on each landmark."""
    image = np.full((size_px[1], size_px[0], 3), 60, dtype=np.uint8)
    for x, y in SPOTS:
        cv2.circle(image, (int(x), int(y)), 5, (255, 255, 255), -1)
    return image, Face(Box(50, 60, 80, 80), SPOTS, 0.99)


def brightness_at(image: Image, face: Face) -> list[float]:
    return [float(image[round(float(y)), round(float(x))].mean()) for x, y in face.landmarks]


@pytest.mark.parametrize("width_px", [24, 40, 80, 160])
def test_a_resized_face_has_its_width_and_its_landmarks(width_px: int) -> None:
    worse = resized(*picture(), width_px)
    assert worse.face.box.width == pytest.approx(width_px, rel=0.02)
    assert min(brightness_at(worse.image, worse.face)) > 120
    assert worse.image.mean() == pytest.approx(picture()[0].mean(), abs=2)


def test_blur_keeps_places_and_loses_detail() -> None:
    sharp, soft = blurred(*picture(), 0.5), blurred(*picture(), 4.0)
    assert soft.face.box.width == pytest.approx(100, rel=0.01)
    assert max(brightness_at(soft.image, soft.face)) < min(brightness_at(sharp.image, sharp.face))


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_faces_in_a_decoded_clip_are_where_they_are_said_to_be(codec: str) -> None:
    if not codec_is_there(codec):
        pytest.skip(f"this PyAV cannot encode {codec}")
    drawn = scene([picture(), picture(), picture((400, 300))])
    made = clip(drawn, codec, 4000)
    assert made.frame.shape == (VIDEO_SIZE_PX[1], VIDEO_SIZE_PX[0], 3)
    for face in drawn.faces:
        assert face.box.width == pytest.approx(VIDEO_FACE_PX)
        assert min(brightness_at(made.frame, face)) > 150


def test_fewer_bits_give_a_worse_picture() -> None:
    if not codec_is_there("mpeg4"):
        pytest.skip("this PyAV cannot encode mpeg4")
    generator = np.random.default_rng(1)
    noise = generator.integers(0, 255, (240, 200, 3)).astype(np.uint8)
    faces = [(noise, picture()[1])] * faces_per_clip()
    drawn = scene(faces)
    poor, good = clip(drawn, "mpeg4", 250), clip(drawn, "mpeg4", 8000)
    assert poor.rate_bps < good.rate_bps
    assert poor.frame.std() < good.frame.std()


def test_a_clip_has_room_for_a_class_only() -> None:
    assert faces_per_clip() == 32
    with pytest.raises(ValueError, match="1 to 32 faces"):
        scene([])


def test_distances_are_those_of_the_design() -> None:
    """A 14 cm wide face through a 66-degree lens is 103, 52, 34, 26 px wide at 2, 4, 6, 8 m at 1920 px."""
    assert [round(distance_m(width, 1920)) for width in (103, 52, 34, 26)] == [2, 4, 6, 8]
    assert [round(distance_m(width, 4608)) for width in (248, 124, 83, 62)] == [2, 4, 6, 8]
    assert [frame for frame, _ in reach(60).distance_m] == [1280, 1920, 4608]
    with pytest.raises(ValueError, match="positive"):
        distance_m(0, 1920)
