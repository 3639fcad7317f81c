"""Looking only where a face is expected finds the same face, in the same place, as searching the whole picture."""

from pathlib import Path

import numpy as np
import pytest

from recognition.adapters.analysis import Engine
from recognition.adapters.chips_opencv import cut_chip
from recognition.adapters.mtcnn_litert import MtcnnDetector
from recognition.adapters.yunet_opencv import YunetDetector
from recognition.core.face import Box, Face, Image
from recognition.core.ports import FaceDetector

YUNET = "models/face_detection_yunet_2026may.onnx"


@pytest.fixture(params=["mtcnn", "yunet"])
def detector(request: pytest.FixtureRequest) -> FaceDetector:
    if request.param == "mtcnn":
        engine: Engine = request.getfixturevalue("engine")
        return engine.detector
    shared: Path = request.getfixturevalue("shared_folder")
    if not (shared / YUNET).is_file():
        pytest.skip(f"{YUNET} is not in the shared folder")
    return YunetDetector(shared / YUNET)


def moved(box: Box, right: float, down: float, larger: float = 1.0) -> Box:
    """The box moved by shares of its width, and grown around its middle."""
    x, y = box.centre
    width, height = box.width * larger, box.height * larger
    return Box(x - width / 2 + right * box.width, y - height / 2 + down * box.width, width, height)


def eyes_px(face: Face) -> float:
    return float(np.linalg.norm(face.landmarks[1] - face.landmarks[0]))


@pytest.mark.parametrize(
    ("right", "down", "larger"),
    [(0, 0, 1), (0.15, 0, 1), (-0.3, 0.1, 1), (0, 0.35, 1), (0.2, -0.2, 1.2), (0, 0, 0.75), (-0.4, 0, 1.1)],
)
def test_a_face_that_moved_a_little_is_found_where_a_search_finds_it(
    detector: FaceDetector, portraits: dict[str, Image], right: float, down: float, larger: float
) -> None:
    # YuNet places the points of large faces less evenly, from whatever size of picture.
    tolerance = 0.12 if isinstance(detector, MtcnnDetector) else 0.25
    for name, image in portraits.items():
        (searched,) = detector.detect(image)
        (followed,) = detector.follow(image, [moved(searched.box, right, down, larger)])
        assert followed is not None, name
        assert np.abs(followed.landmarks - searched.landmarks).max() < tolerance * eyes_px(searched), name


def test_the_vector_of_a_followed_face_is_that_of_the_searched_one(
    engine: Engine, detector: FaceDetector, portraits: dict[str, Image]
) -> None:
    for name, image in portraits.items():
        (searched,) = detector.detect(image)
        (followed,) = detector.follow(image, [moved(searched.box, 0.1, 0.05)])
        assert followed is not None
        chips = [cut_chip(image, face, engine.embedder.geometry) for face in (searched, followed)]
        first, second = engine.embedder.embed(chips)
        assert float(first @ second) > 0.985, name


def test_where_no_face_is_any_more_none_is_found(detector: FaceDetector, portraits: dict[str, Image]) -> None:
    image = portraits["obama"]
    (face,) = detector.detect(image)
    empty = np.full_like(image, 127)
    assert detector.follow(empty, [face.box]) == [None]
    height, width = image.shape[:2]
    assert detector.follow(image, [Box(width * 3.0, height * 3.0, 50, 50), Box(-500, -500, 80, 80)]) == [None, None]


def test_each_place_has_its_own_answer(detector: FaceDetector, portraits: dict[str, Image]) -> None:
    image = portraits["biden"]
    (face,) = detector.detect(image)
    answers = detector.follow(image, [Box(0, 0, 20, 20), face.box, Box(0, 0, 0, 0)])
    assert [answer is not None for answer in answers] == [False, True, False]
    assert detector.follow(image, []) == []
