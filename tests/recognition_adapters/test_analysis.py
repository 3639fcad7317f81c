"""A photograph has one good face, or a reason why not."""

import cv2
import numpy as np
import pytest

from recognition.adapters.analysis import Engine, FaceAnalyser
from recognition.core.errors import PackMissing, PictureRefused
from recognition.core.face import Image
from recognition.core.gallery import Gallery, Template


@pytest.fixture(scope="module")
def analyser(engine: Engine) -> FaceAnalyser:
    return FaceAnalyser(engine)


def scaled(image: Image, factor: float) -> Image:
    return np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def beside(left: Image, right: Image) -> Image:
    height = max(left.shape[0], right.shape[0])
    padded = [np.pad(image, ((0, height - image.shape[0]), (0, 0), (0, 0))) for image in (left, right)]
    return np.ascontiguousarray(np.hstack(padded))


def refusal(analyser: FaceAnalyser, image: Image) -> str:
    with pytest.raises(PictureRefused) as caught:
        analyser.one_good_face(image)
    return caught.value.reason


def test_a_portrait_is_enrolled_and_another_portrait_of_the_person_is_recognised(
    engine: Engine, analyser: FaceAnalyser, portraits: dict[str, Image]
) -> None:
    vectors = {name: analyser.one_good_face(image).vector for name, image in portraits.items()}
    pack = engine.pack
    templates = [Template(name, pack.pack_id, vectors[name][np.newaxis]) for name in ("obama", "biden", "astronaut")]
    gallery = Gallery.build(templates, pack.pack_id, pack.dimensions)
    for match in gallery.match(np.stack([vectors["obama2"], vectors["obama3"]])):
        assert match.student_id == "obama"
        assert match.margin > 0.05


def test_what_was_measured_comes_with_the_vector(analyser: FaceAnalyser, portraits: dict[str, Image]) -> None:
    face = analyser.one_good_face(portraits["obama"])
    assert face.quality.face_px == pytest.approx(face.box.width)
    assert face.quality.face_px >= 60
    assert float(np.linalg.norm(face.vector)) == pytest.approx(1.0, abs=1e-5)


def test_a_picture_without_a_face_is_refused(analyser: FaceAnalyser) -> None:
    assert refusal(analyser, np.full((300, 300, 3), 90, dtype=np.uint8)) == "no_face"


def test_two_people_are_refused(analyser: FaceAnalyser, portraits: dict[str, Image]) -> None:
    assert refusal(analyser, beside(portraits["obama"], portraits["biden"])) == "several_faces"


def test_a_small_face_in_the_background_is_ignored(analyser: FaceAnalyser, portraits: dict[str, Image]) -> None:
    main = portraits["obama"]
    width = analyser.one_good_face(main).box.width
    other = analyser.one_good_face(portraits["biden"]).box.width
    passer_by = scaled(portraits["biden"], 0.3 * width / other)
    assert analyser.one_good_face(beside(main, passer_by)).box.width == pytest.approx(width, rel=0.1)


def test_a_face_that_is_too_small_is_refused_in_words(analyser: FaceAnalyser, portraits: dict[str, Image]) -> None:
    image = portraits["obama"]
    small = scaled(image, 50 / analyser.one_good_face(image).box.width)
    with pytest.raises(PictureRefused, match="pixels wide; at least 60 are needed") as caught:
        analyser.one_good_face(small)
    assert caught.value.reason == "too_small"


def test_a_dark_face_is_refused(analyser: FaceAnalyser, portraits: dict[str, Image]) -> None:
    assert refusal(analyser, (portraits["obama"] * 0.12).astype(np.uint8)) in {"too_dark", "no_face"}


def test_a_blurred_face_is_refused(analyser: FaceAnalyser, portraits: dict[str, Image]) -> None:
    image = portraits["obama"]
    width = analyser.one_good_face(image).box.width
    soft = np.asarray(cv2.GaussianBlur(image, (0, 0), width * 0.05), dtype=np.uint8)
    assert refusal(analyser, soft) in {"blurred", "no_face"}


def test_yunet_that_is_not_in_the_pack_is_named(engine: Engine) -> None:
    with pytest.raises(PackMissing, match="yunet"):
        engine.pack.detector_file("yunet", "detect")
