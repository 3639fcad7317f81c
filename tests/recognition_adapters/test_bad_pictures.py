"""Pictures, crops and vectors as they should not be, held against the detectors, the chips and the embedder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recognition.adapters.analysis import Engine, FaceAnalyser
from recognition.adapters.chips_opencv import cut_chip
from recognition.adapters.halvings_opencv import Halvings
from recognition.adapters.litert_embedder import to_unit
from recognition.adapters.mtcnn_litert import MtcnnDetector
from recognition.adapters.yunet_opencv import YunetDetector
from recognition.core.calibration import OperatingPoint, OperatingPoints
from recognition.core.errors import PictureRefused
from recognition.core.evidence import Scope, TrackEvidence
from recognition.core.face import Box, Face, Image
from recognition.core.gallery import Gallery, Template
from recognition.core.looking import probe_vectors
from recognition.core.ports import FaceDetector
from recognition.core.quality import QualityLimits, judge, measure

YUNET = "models/face_detection_yunet_2026may.onnx"
ANYWHERE = st.floats(-3000, 3000)


@pytest.fixture(params=["mtcnn", "yunet"], scope="module")
def detector(request: pytest.FixtureRequest) -> FaceDetector:
    if request.param == "mtcnn":
        engine: Engine = request.getfixturevalue("engine")
        return engine.detector
    shared: Path = request.getfixturevalue("shared_folder")
    if not (shared / YUNET).is_file():
        pytest.skip(f"{YUNET} is not in the shared folder")
    return YunetDetector(shared / YUNET)


@pytest.fixture(scope="module")
def small(portraits: dict[str, Image]) -> Image:
    """A portrait of 300 pixels' height, so that many examples take little time."""
    image = portraits["obama"]
    scale = 300 / image.shape[0]
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def unusual(image: Image) -> dict[str, NDArray[np.generic]]:
    return {
        "grey": image[:, :, 1],
        "grey with an axis": image[:, :, 1:2],
        "transparency": np.dstack([image, image[:, :, 0]]),
        "16 bit": image.astype(np.uint16) << 8,
        "floats": image.astype(np.float32) / 255,
        "without a pixel": image[:0],
        "without a column": image[:, :0],
    }


@pytest.mark.parametrize("call", ["detect", "follow"])
@pytest.mark.parametrize(
    "kind", ["grey", "grey with an axis", "transparency", "16 bit", "floats", "without a pixel", "without a column"]
)
def test_what_is_no_picture_of_colour_bytes_is_refused_and_not_guessed_at(
    detector: FaceDetector, small: Image, kind: str, call: str
) -> None:
    image: Any = unusual(small)[kind]
    look: dict[str, Callable[[], object]] = {
        "detect": lambda: detector.detect(image),
        "follow": lambda: detector.follow(image, [Box(80, 20, 100, 130)]),
    }
    with pytest.raises(ValueError, match=r"picture.*uint8"):
        look[call]()


@pytest.mark.parametrize("kind", ["colour", "grey", "transparency", "16 bit", "floats"])
def test_a_patch_is_never_memory_that_nobody_wrote(small: Image, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image: Any = {"colour": small, **unusual(small)}[kind]
    squares = np.array([[20, 20, 120, 120], [-500, -500, -400, -400]], dtype=np.float32)
    monkeypatch.setattr(np, "empty", lambda shape, dtype: np.full(shape, 77, dtype))
    try:
        patches = Halvings(image).patches(squares, 24)
    except ValueError:
        assert kind != "colour"
        return
    assert not (patches[0] == 77).all()
    assert (patches[1] == 127).all()


@settings(max_examples=25)  # each example runs a network
@given(x=ANYWHERE, y=ANYWHERE, width=st.floats(1e-3, 4000), height=st.floats(1e-3, 4000))
def test_any_place_may_be_looked_at_for_a_face(
    engine: Engine, small: Image, x: float, y: float, width: float, height: float
) -> None:
    (found,) = engine.detector.follow(small, [Box(x, y, width, height)])
    if found is not None:
        assert np.isfinite(found.landmarks).all()
        assert found.box.iou(Box(x, y, width, height)) > 0


@pytest.mark.parametrize("box", [Box(50, 50, 0, 0), Box(0, 0, 0, 80), Box(1e6, 1e6, 80, 80), Box(-1e6, 0, 1e6, 1e6)])
def test_an_empty_or_absurd_place_holds_no_face(detector: FaceDetector, small: Image, box: Box) -> None:
    assert detector.follow(small, [box]) == [None]


def test_no_places_and_no_faces_ask_nothing(detector: FaceDetector, small: Image) -> None:
    assert detector.follow(small, []) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (11, 13)])
def test_a_place_in_a_tiny_picture_may_be_looked_at(detector: FaceDetector, size: tuple[int, int]) -> None:
    assert detector.follow(np.full((*size, 3), 90, dtype=np.uint8), [Box(0, 0, 40, 40)]) == [None]


@pytest.mark.parametrize("size", [(301, 243), (303, 241), (257, 255), (299, 201)])
def test_odd_sizes_move_no_face(detector: FaceDetector, small: Image, size: tuple[int, int]) -> None:
    """Odd rows and columns are dropped when halving; that must not add up to a shift."""
    height, width = size
    frame = np.full((900, 900, 3), 127, dtype=np.uint8)
    frame[: small.shape[0], : small.shape[1]] = small
    (whole,) = detector.detect(frame)
    below, right = 900 + height % 2 + 1, 900 + width % 2 + 3
    odd = np.full((below, right, 3), 127, dtype=np.uint8)
    odd[:900, :900] = frame
    (face,) = detector.detect(odd)
    assert abs(face.landmarks - whole.landmarks).max() < 0.06 * whole.box.width


@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_a_face_cut_by_the_border_is_none_or_one_that_says_so(
    engine: Engine, small: Image, side: str, share: float
) -> None:
    """Whatever of it is found lies about the picture, and its chip can be cut and judged."""
    (face,) = engine.detector.detect(small)
    box = face.box
    x, y = int(box.x + box.width * share), int(box.y + box.height * share)
    cut = {"left": small[:, x:], "right": small[:, :x], "top": small[y:], "bottom": small[:y]}[side]
    for found in engine.detector.detect(np.ascontiguousarray(cut)):
        assert np.isfinite(found.landmarks).all()
        assert found.box.x < cut.shape[1]
        assert found.box.y < cut.shape[0]
        chip = cut_chip(cut, found, engine.embedder.geometry)
        judge(measure(found, chip, cut.shape[1], cut.shape[0]), QualityLimits())


@settings(max_examples=60)
@given(points=st.lists(st.tuples(ANYWHERE, ANYWHERE), min_size=5, max_size=5), height=st.integers(1, 40))
def test_whatever_five_points_are_given_a_chip_is_cut_or_refused(
    engine: Engine, points: list[tuple[float, float]], height: int
) -> None:
    image = np.full((height, 31, 3), 200, dtype=np.uint8)
    face = Face(Box(0, 0, 10, 10), np.array(points, dtype=np.float32), 0.9)
    try:
        chip = cut_chip(image, face, engine.embedder.geometry)
    except ValueError:
        return
    size_px = engine.embedder.geometry.size_px
    assert chip.shape == (size_px, size_px, 3)
    assert all(np.isfinite(number) for number in vars_of(measure(face, chip, 31, height)))


def vars_of(quality: object) -> list[float]:
    return [float(getattr(quality, name)) for name in quality.__dataclass_fields__]  # type: ignore[attr-defined]


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
def test_points_that_are_no_numbers_give_no_chip(engine: Engine, small: Image, wrong: float) -> None:
    (face,) = engine.detector.detect(small)
    landmarks = face.landmarks.copy()
    landmarks[2, 0] = wrong
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match="finite"):
        cut_chip(small, Face(face.box, landmarks, 0.9), engine.embedder.geometry)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
def test_a_vector_that_is_no_number_never_becomes_one_that_can_be_compared(wrong: float) -> None:
    good = np.zeros((1, 128), dtype=np.float32)
    good[0, 5] = 3.0
    bad = good.copy()
    bad[0, 7] = wrong
    try:
        with np.errstate(invalid="ignore"):
            rows = to_unit(np.concatenate([good, bad]))
    except ValueError:
        return
    assert rows[0, 5] == 1.0
    assert not np.isfinite(rows[1]).all()


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_a_vector_of_any_length_keeps_its_direction(scale: float) -> None:
    (row,) = to_unit(np.array([[0.0, 3.0, 4.0]], dtype=np.float32) * np.float32(scale))
    assert row == pytest.approx([0.0, 0.6, 0.8], abs=1e-6)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("looks", ["one look", "every look"])
def test_a_face_whose_vector_is_no_number_is_not_enrolled(
    engine: Engine, small: Image, wrong: float, looks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        outputs = np.ones((len(inputs), engine.embedder.dimensions), dtype=np.float32)
        outputs[: 1 if looks == "one look" else None, 3] = wrong
        return outputs

    limits = QualityLimits(min_face_px=20)
    assert np.isfinite(FaceAnalyser(engine, limits).one_good_face(small).vector).all()
    monkeypatch.setattr(engine.embedder, "_run", broken)
    with pytest.raises(PictureRefused, match="pack verify"):
        FaceAnalyser(engine, limits).one_good_face(small)


POINTS = OperatingPoints(100, 0.01, ((1, OperatingPoint(threshold=0.93, margin=0.007)),))


@pytest.fixture(scope="module")
def vectors(engine: Engine, portraits: dict[str, Image]) -> dict[str, NDArray[np.float32]]:
    """One vector of each portrait."""
    found = {}
    for name, image in portraits.items():
        (face,) = engine.detector.detect(image)
        (found[name],) = probe_vectors(engine.embedder, [cut_chip(image, face, engine.embedder.geometry)])
    return found


def gallery_of(engine: Engine, **people: NDArray[np.float32]) -> Gallery:
    pack_id = engine.embedder.pack_id
    templates = [Template(name, pack_id, vector[np.newaxis]) for name, vector in people.items()]
    return Gallery.build(templates, pack_id, engine.embedder.dimensions)


def decided(engine: Engine, gallery: Gallery, *looks: NDArray[np.float32]) -> str:
    evidence = TrackEvidence(engine.pack.same_person_floor, statistics=engine.pack.statistics)
    for count, vector in enumerate(looks):
        assert evidence.add(vector, count * 0.5)
    return evidence.decide(Scope(gallery, POINTS)).kind


def test_one_photograph_enrolled_for_two_students_marks_neither(
    engine: Engine, vectors: dict[str, NDArray[np.float32]]
) -> None:
    twins = gallery_of(engine, one=vectors["obama"], other=vectors["obama"], third=vectors["astronaut"])
    assert decided(engine, twins, vectors["obama"]) == "review"
    assert decided(engine, twins, vectors["obama2"]) in ("review", "undecided")


def test_with_one_student_another_person_is_nobody(engine: Engine, vectors: dict[str, NDArray[np.float32]]) -> None:
    alone = gallery_of(engine, one=vectors["obama"])
    assert decided(engine, alone, vectors["obama2"]) == "present"
    assert decided(engine, alone, vectors["biden"]) == "undecided"
    assert decided(engine, alone, *[vectors["astronaut"]] * 3) == "unknown"


def test_without_students_everybody_is_nobody(engine: Engine, vectors: dict[str, NDArray[np.float32]]) -> None:
    assert decided(engine, gallery_of(engine), *[vectors["obama"]] * 3) == "unknown"


def test_sizes_that_change_with_each_picture_keep_no_more_prepared_than_a_few(engine: Engine) -> None:
    """A camera or a folder of pictures may give another size each time: memory must not grow with them."""
    found = MtcnnDetector(engine.pack, smallest_face_px=40)
    for side in range(60, 140, 4):
        found.detect(np.full((side, side + 7, 3), 127, dtype=np.uint8))
    assert len(found._canvases) <= 4
    assert len(found._propose._prepared) <= 4
