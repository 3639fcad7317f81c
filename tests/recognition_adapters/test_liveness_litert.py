"""The liveness check sees what its networks were trained on, and any box in any picture gives a probability."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognition.adapters.analysis import Engine
from recognition.adapters.litert_models import LitertModel
from recognition.adapters.liveness_litert import (
    LivenessLitert,
    LivenessNetwork,
    crop_around,
    liveness_networks,
)
from recognition.build.litert_convert import to_litert
from recognition.build.minifasnet_network import keras_network
from recognition.core.errors import PackInvalid, PackMissing
from recognition.core.face import Box, Image
from recognition.core.liveness import LivenessCheck
from tests.recognition_build.minifasnet_reference import small_state
from tests.recognition_build.published_liveness import compiled_once

pytestmark = pytest.mark.build

COORDINATE = st.floats(-3000, 3000)
SIDE = st.floats(-10, 3000)


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> tuple[LivenessNetwork, ...]:
    """Two narrow networks of random weights, one for each scale."""
    folder = tmp_path_factory.mktemp("liveness")
    found = []
    for index, scale in enumerate((2.7, 4.0)):
        path = folder / f"network{index}.tflite"
        model = keras_network(small_state(attention=index == 1, seed=index))
        path.write_bytes(to_litert(model, (None, 80, 80, 3)))
        found.append(LivenessNetwork(path, scale, 80, 1))
    return tuple(found)


@pytest.fixture(scope="module")
def check(networks: tuple[LivenessNetwork, ...]) -> LivenessLitert:
    return LivenessLitert(networks, threads=1)


def picture(height: int, width: int, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def as_published(image: Image, box: tuple[int, int, int, int], scale: float) -> Image:
    """Cut as the networks' makers describe it: enlarge, push inside the picture side by side, cut whole pixels."""
    height, width = image.shape[:2]
    x, y, box_width, box_height = box
    scale = min((height - 1) / box_height, (width - 1) / box_width, scale)
    half_width, half_height = box_width * scale / 2, box_height * scale / 2
    left, right = x + box_width / 2 - half_width, x + box_width / 2 + half_width
    top, bottom = y + box_height / 2 - half_height, y + box_height / 2 + half_height
    if left < 0:
        left, right = 0, right - left
    if top < 0:
        top, bottom = 0, bottom - top
    if right > width - 1:
        left, right = left - (right - width + 1), width - 1
    if bottom > height - 1:
        top, bottom = top - (bottom - height + 1), height - 1
    region = image[int(top) : int(bottom) + 1, int(left) : int(right) + 1]
    return np.asarray(cv2.resize(region, (80, 80)), dtype=np.uint8)


@settings(max_examples=200)
@given(
    x=st.integers(0, 99),
    y=st.integers(0, 79),
    width=st.integers(1, 60),
    height=st.integers(1, 60),
    scale=st.sampled_from([1.0, 2.7, 4.0]),
)
def test_a_crop_is_the_one_the_networks_were_trained_on(x: int, y: int, width: int, height: int, scale: float) -> None:
    image = picture(80, 100)
    cut = crop_around(image, Box(x, y, width, height), scale, 80)
    np.testing.assert_array_equal(cut, as_published(image, (x, y, width, height), scale))


def test_the_crop_of_a_box_in_the_middle_shows_the_box_in_its_middle() -> None:
    image = np.zeros((400, 400, 3), dtype=np.uint8)
    image[180:220, 180:220] = 255
    crop = crop_around(image, Box(180, 180, 40, 40), 4.0, 80)
    assert crop[40, 40, 0] == 255
    assert crop[25, 25, 0] == 0
    assert 18**2 <= int((crop[:, :, 0] > 127).sum()) <= 22**2


@settings(max_examples=60)
@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    boxes=st.lists(st.builds(Box, COORDINATE, COORDINATE, SIDE, SIDE), max_size=5),
)
def test_any_box_in_any_picture_gives_a_probability(
    height: int, width: int, boxes: list[Box], check: LivenessLitert
) -> None:
    scores = check.score(picture(height, width), boxes)
    assert scores.shape == (len(boxes),)
    assert scores.dtype == np.float32
    assert ((scores >= 0) & (scores <= 1)).all()


@pytest.mark.parametrize(
    "box",
    [Box(0, 0, 0, 0), Box(-1e30, 5, 10, 10), Box(5, 1e308, 1e308, 1e308), Box(5, 5, 1e-9, 1e9), Box(1, 1, -5, -5)],
)
def test_boxes_beyond_all_measure_still_give_a_crop_inside_of_the_picture(box: Box) -> None:
    for image in (picture(30, 50), picture(1, 1), picture(1, 50)):
        assert crop_around(image, box, 4.0, 80).shape == (80, 80, 3)


def test_boxes_that_are_no_numbers_and_other_pictures_are_refused(check: LivenessLitert) -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="a box"):
            check.score(picture(30, 30), [Box(value, 1, 10, 10)])
    for image in (
        picture(30, 30)[:, :, 0],
        picture(30, 30).astype(np.float32),
        picture(0, 30),
        picture(30, 30)[:, :, :2],
    ):
        with pytest.raises(ValueError, match="a picture"):
            check.score(image, [Box(1, 1, 10, 10)])  # type: ignore[arg-type]


def test_a_batch_says_of_each_face_what_it_says_of_it_alone(check: LivenessLitert) -> None:
    image = picture(200, 300)
    boxes = [Box(10 + 15 * index, 20 + 9 * index, 20 + 4 * index, 30) for index in range(11)]
    together = check.score(image, boxes)
    alone = [float(check.score(image, [box])[0]) for box in boxes]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert len({round(score, 4) for score in alone}) > 1


def test_the_answer_is_the_mean_of_the_networks_live_class(networks: tuple[LivenessNetwork, ...]) -> None:
    image, box = picture(200, 300), Box(100, 80, 40, 50)
    single = []
    for network in networks:
        crop = crop_around(image, box, network.crop_scale, 80)[np.newaxis].astype(np.float32)
        (probabilities,) = LitertModel(network.path, threads=1, most_shapes=1).run(crop)
        single.append(float(probabilities[0, 1]))
    assert abs(single[0] - single[1]) > 1e-3
    both: LivenessCheck = LivenessLitert(networks)
    assert float(both.score(image, [box])[0]) == pytest.approx(sum(single) / 2, abs=1e-6)


def test_without_faces_nothing_is_asked(check: LivenessLitert) -> None:
    assert check.score(picture(30, 30), []).shape == (0,)


def test_a_file_that_is_missing_damaged_or_of_another_size_is_named(
    tmp_path: Path, networks: tuple[LivenessNetwork, ...]
) -> None:
    with pytest.raises(PackMissing, match=r"nowhere\.tflite"):
        LivenessLitert([LivenessNetwork(tmp_path / "nowhere.tflite", 2.7, 80, 1)])
    (tmp_path / "wrong.tflite").write_bytes(b"no model")
    with pytest.raises(PackInvalid, match=r"wrong\.tflite"):
        LivenessLitert([LivenessNetwork(tmp_path / "wrong.tflite", 2.7, 80, 1)])
    with pytest.raises(PackInvalid, match="expected 96 pixels"):
        LivenessLitert([LivenessNetwork(networks[0].path, 2.7, 96, 1)])
    with pytest.raises(PackInvalid, match="returns"):
        LivenessLitert([LivenessNetwork(networks[0].path, 2.7, 80, 3)]).score(picture(30, 30), [Box(1, 1, 9, 9)])
    with pytest.raises(ValueError, match="needs a network"):
        LivenessLitert([])


def test_a_packs_networks_are_taken_as_its_manifest_describes_them(tmp_path: Path) -> None:
    part = SimpleNamespace(crop_scale=2.7, input_px=80, live_class=1)
    with_liveness = SimpleNamespace(pack_id="p", liveness_networks=lambda: ((tmp_path / "near.tflite", part),))
    assert liveness_networks(with_liveness) == (  # type: ignore[arg-type]
        LivenessNetwork(tmp_path / "near.tflite", 2.7, 80, 1),
    )
    without = SimpleNamespace(pack_id="plain", liveness_networks=tuple)
    with pytest.raises(PackMissing, match="plain has no liveness networks"):
        liveness_networks(without)  # type: ignore[arg-type]


def test_the_published_networks_tell_their_makers_samples_apart(
    engine: Engine, shared_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Colours in another order or pixels divided by 255 would still give numbers, but other ones."""
    built, folder = compiled_once(shared_folder, tmp_path_factory)
    check = LivenessLitert(
        [LivenessNetwork(folder / one.file, one.crop_scale, one.input_px, one.live_class) for one in built.networks]
    )
    live = {}
    for name in ("image_F1", "image_F2", "image_T1"):
        image = np.asarray(cv2.imread(str(shared_folder / "spoof" / f"{name}.jpg")), dtype=np.uint8)
        widest = max(engine.detector.detect(image), key=lambda face: face.box.width)
        live[name] = float(check.score(image, [widest.box])[0])
    assert live["image_T1"] > 0.9
    assert live["image_F1"] < 0.5
    assert live["image_F2"] < 0.1
