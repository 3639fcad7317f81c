"""What every FaceDetector promises, held against each of them."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from recognition.adapters.analysis import Engine
from recognition.adapters.mtcnn_litert import MtcnnDetector
from recognition.adapters.yunet_opencv import YunetDetector
from recognition.core.errors import PackInvalid, PackMissing
from recognition.core.face import Face, Image
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


def test_one_face_is_found_in_each_portrait(detector: FaceDetector, portraits: dict[str, Image]) -> None:
    for name, image in portraits.items():
        faces = detector.detect(image)
        assert len(faces) == 1, name
        check(faces[0], image)


def check(face: Face, image: Image) -> None:
    """The points lie as a face's do, near its box, and the box in the picture."""
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
    assert left_eye[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
    x, y = face.box.centre
    assert 0 < x < image.shape[1]
    assert 0 < y < image.shape[0]
    assert abs(nose - np.array([x, y])).max() < face.box.width / 2
    assert 0.5 < face.confidence <= 1.0
    assert face.landmarks.dtype == np.float32


def test_both_faces_of_two_are_found_most_confident_first(detector: FaceDetector, portraits: dict[str, Image]) -> None:
    left, right = portraits["obama"], cv2.resize(portraits["biden"], portraits["obama"].shape[1::-1])
    faces = detector.detect(np.hstack([left, np.asarray(right, dtype=np.uint8)]))
    assert len(faces) == 2
    assert faces[0].confidence >= faces[1].confidence


def test_a_face_keeps_its_place_when_the_picture_is_scaled(detector: FaceDetector, portraits: dict[str, Image]) -> None:
    image = portraits["obama"]
    half = np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    (large,), (small,) = detector.detect(image), detector.detect(half)
    eyes_px = float(np.linalg.norm(large.landmarks[1] - large.landmarks[0]))
    assert abs(small.landmarks * 2 - large.landmarks).max() < 0.12 * eyes_px


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (11, 11), (12, 12), (13, 40), (31, 33), (97, 101)])
def test_any_small_picture_is_accepted(detector: FaceDetector, size: tuple[int, int]) -> None:
    assert detector.detect(np.full((*size, 3), 127, dtype=np.uint8)) == []


@pytest.mark.parametrize("fill", ["black", "white", "noise", "stripes"])
def test_pictures_without_a_face_give_an_empty_list(detector: FaceDetector, fill: str) -> None:
    rows = np.arange(480)[:, np.newaxis, np.newaxis]
    picture = {
        "black": np.zeros((480, 640, 3)),
        "white": np.full((480, 640, 3), 255),
        "noise": np.random.default_rng(0).integers(0, 256, (480, 640, 3)),
        "stripes": np.broadcast_to((rows // 8 % 2) * 255, (480, 640, 3)),
    }[fill]
    assert detector.detect(picture.astype(np.uint8)) == []


def test_a_picture_of_eight_megapixels_is_accepted(detector: FaceDetector, portraits: dict[str, Image]) -> None:
    frame = np.zeros((2160, 3840, 3), dtype=np.uint8)
    image = portraits["obama"]
    frame[900 : 900 + image.shape[0], 1500 : 1500 + image.shape[1]] = image
    (face,) = detector.detect(frame)
    check(face, frame)


def test_the_same_picture_gives_the_same_faces(detector: FaceDetector, portraits: dict[str, Image]) -> None:
    first, second = detector.detect(portraits["biden"]), detector.detect(portraits["biden"])
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.landmarks, other.landmarks)


def test_faces_in_group_photographs_are_found(engine: Engine, shared_folder: Path) -> None:
    """The package these weights come with finds nothing, silently, in many pictures of a few hundred pixels."""
    picture = cv2.imread(str(next(iter(sorted((shared_folder / "groups").glob("*.jpg"))))))
    assert picture is not None
    assert len(engine.detector.detect(np.asarray(picture, dtype=np.uint8))) >= 2


def test_a_smallest_face_that_the_network_cannot_see_is_refused(engine: Engine) -> None:
    with pytest.raises(ValueError, match="12 pixels"):
        MtcnnDetector(engine.pack, smallest_face_px=8)


def test_small_faces_are_found_when_they_are_asked_for(engine: Engine, portraits: dict[str, Image]) -> None:
    image = portraits["astronaut"]
    scale = 30 / engine.detector.detect(image)[0].box.width
    tiny = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    assert MtcnnDetector(engine.pack, smallest_face_px=60).detect(tiny) == []
    assert len(MtcnnDetector(engine.pack, smallest_face_px=20).detect(tiny)) == 1


def test_a_missing_or_wrong_yunet_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PackMissing, match=r"nowhere\.onnx.*opencv_zoo"):
        YunetDetector(tmp_path / "nowhere.onnx")
    wrong = tmp_path / "wrong.onnx"
    wrong.write_bytes(b"this is no network")
    with pytest.raises(PackInvalid, match=r"wrong\.onnx"):
        YunetDetector(wrong)
