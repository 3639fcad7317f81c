"""What every FaceEmbedder promises, and what the compiled one promises beyond that."""

from pathlib import Path

import numpy as np
import pytest

from recognition.adapters.analysis import Engine
from recognition.adapters.chips_opencv import cut_chip
from recognition.adapters.litert_embedder import LiteRtEmbedder, to_unit
from recognition.core.errors import PackInvalid, PackMissing
from recognition.core.face import Image
from recognition.core.ports import FaceEmbedder
from tests.recognition_adapters.embedder_contract import check_contract


@pytest.fixture(scope="module", params=["f32", "int8"])
def embedder(request: pytest.FixtureRequest, engine: Engine) -> FaceEmbedder:
    return LiteRtEmbedder(engine.pack, request.param)


@pytest.fixture(scope="module")
def chips(engine: Engine, portraits: dict[str, Image]) -> dict[str, Image]:
    return {
        name: cut_chip(image, engine.detector.detect(image)[0], engine.embedder.geometry)
        for name, image in portraits.items()
    }


def test_the_contract_of_the_port_holds(embedder: FaceEmbedder) -> None:
    check_contract(embedder)


def test_pictures_of_one_person_are_closer_than_those_of_two(embedder: FaceEmbedder, chips: dict[str, Image]) -> None:
    names = list(chips)
    vectors = embedder.embed([chips[name] for name in names])
    scores = vectors @ vectors.T
    same = [scores[a, b] for a in range(3) for b in range(a)]
    other = [scores[a, b] for a in range(3) for b in (3, 4)] + [scores[3, 4]]
    assert min(same) > 0.94
    assert max(other) < 0.90


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 9, 17])
def test_the_size_of_the_batch_changes_nothing(embedder: FaceEmbedder, chips: dict[str, Image], count: int) -> None:
    many = (list(chips.values()) * 4)[:count]
    alone = np.concatenate([embedder.embed([chip]) for chip in many])
    assert ((embedder.embed(many) * alone).sum(axis=1) > 0.9999).all()


def test_the_compact_variant_agrees_with_the_full_one(engine: Engine, chips: dict[str, Image]) -> None:
    full, compact = LiteRtEmbedder(engine.pack, "f32"), LiteRtEmbedder(engine.pack, "int8")
    many = list(chips.values())
    assert ((full.embed(many) * compact.embed(many)).sum(axis=1) > 0.998).all()
    assert full.pack_id == compact.pack_id


def test_a_variant_that_is_not_in_the_pack_is_named(engine: Engine) -> None:
    with pytest.raises(PackMissing, match=r"no variant f64.*f32, int8"):
        LiteRtEmbedder(engine.pack, "f64")


def test_a_detector_the_pack_has_no_layout_for_is_named(engine: Engine) -> None:
    with pytest.raises(PackInvalid, match=r"detector haar.*mtcnn, yunet"):
        LiteRtEmbedder(engine.pack, detector="haar")


def test_a_vector_of_zeros_still_becomes_a_unit_vector() -> None:
    rows = to_unit(np.array([[0, 0, 0], [3, 0, 4]], dtype=np.float32))
    expected = np.array([[1, 0, 0], [0.6, 0, 0.8]], dtype=np.float32)
    assert float(np.abs(rows - expected).max()) < 1e-6


@pytest.mark.build
def test_the_compiled_network_agrees_with_dlib_itself(engine: Engine, chips: dict[str, Image], tmp_path: Path) -> None:
    dlib = pytest.importorskip("dlib", reason="dlib itself is not installed")
    from recognition.build.pinned_inputs import DLIB_NETWORK, read_input

    path = tmp_path / DLIB_NETWORK.name
    path.write_bytes(read_input(DLIB_NETWORK))
    network = dlib.face_recognition_model_v1(str(path))
    for chip in chips.values():
        rgb = np.ascontiguousarray(chip[:, :, ::-1])
        reference = to_unit(np.array([network.compute_face_descriptor(rgb)], dtype=np.float32))
        assert float(reference[0] @ engine.embedder.embed([chip])[0]) > 0.9999
