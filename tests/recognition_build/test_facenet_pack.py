"""The packs of DeepFace's FaceNet models: weights that arrive however badly, a network that is DeepFace's own.

The real weights are not here. DeepFace's own architecture with random ones shows loading, arithmetic and parity; a
small network in its place shows everything around it, in a fraction of the time.
"""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from hub.cli import app
from recognition.adapters.litert_embedder import to_unit
from recognition.adapters.litert_models import LitertModel
from recognition.adapters.pack_files import Pack, read_pack
from recognition.build import build_pack, downloads, facenet_network, facenet_weights
from recognition.build.build_pack import BuildOptions, up_to_date
from recognition.build.downloads import Patience
from recognition.build.facenet_weights import FACENETS
from recognition.build.litert_convert import to_litert
from recognition.build.pack_compile import PackedFile, compile_mtcnn
from recognition.build.pack_parity import verify_pack
from recognition.build.reference_faces import reference_chips
from recognition.core.errors import PackInvalid
from tests.recognition_build.flaky_server import Answer, flaky_server

pytestmark = [
    pytest.mark.build,
    pytest.mark.filterwarnings("ignore"),  # DeepFace and TensorFlow warn about themselves
]

WEIGHTS = b"stands for 92 MB" * 65_536
CHECKSUM = hashlib.sha256(WEIGHTS).hexdigest()
HALF = len(WEIGHTS) // 2


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DeepFace's FaceNet-128 with random weights, in the layout of the published file."""
    import h5py
    import tensorflow as tf
    from deepface.models.facial_recognition.Facenet import InceptionResNetV1
    from keras.src.legacy.saving import legacy_h5_format

    tf.keras.utils.set_random_seed(3)
    folder = tmp_path_factory.mktemp("deepface") / ".deepface" / "weights"
    folder.mkdir(parents=True)
    # Keras itself no longer writes this layout under that name.
    with h5py.File(folder / "facenet_weights.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, InceptionResNetV1(dimension=128))
    return folder / "facenet_weights.h5"


def test_the_compiled_network_gives_what_deepface_gives(
    tmp_path: Path, random_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through DeepFace's public function, which loads, orders colours and scales by itself."""
    from deepface import DeepFace

    monkeypatch.setenv("DEEPFACE_HOME", str(random_weights.parents[2]))
    model = FACENETS["facenet"]
    network = facenet_network.deepface_network(model, random_weights)
    path = tmp_path / "embedder.tflite"
    path.write_bytes(to_litert(facenet_network.keras_network(network), (None, 160, 160, 3)))
    chips = reference_chips(160)[::6]  # DeepFace takes a second for each
    (compiled,) = LitertModel(path, threads=1, most_shapes=1).run(np.stack(chips).astype(np.float32))
    said = [DeepFace.represent(chip, model_name="Facenet", detector_backend="skip", align=False)[0] for chip in chips]
    vectors = np.array([face["embedding"] for face in said], dtype=np.float32)
    # Without biases, which random weights lack, pixels scaled otherwise change nothing but the lengths.
    np.testing.assert_allclose(np.linalg.norm(compiled, axis=1), np.linalg.norm(vectors, axis=1), rtol=1e-3)
    own = to_unit(vectors)
    assert float((to_unit(compiled) * own).sum(axis=1).min()) > 0.999999
    # Random weights make all faces much alike; they still have to be told apart as DeepFace tells them apart.
    assert not np.allclose(own[0], own[1], atol=1e-5)
    monkeypatch.setattr(facenet_network, "reference_chips", lambda _: chips)
    reference = facenet_network.deepface_reference(model, network)
    np.testing.assert_allclose(reference.vectors, own, atol=1e-5)


def test_weights_of_the_other_model_are_refused(random_weights: Path) -> None:
    with pytest.raises(PackInvalid, match="does not hold the weights of Facenet512"):
        facenet_network.deepface_network(FACENETS["facenet512"], random_weights)


def test_a_file_that_is_no_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from deepface.models.facial_recognition import Facenet
    from tensorflow import keras

    # The file is refused before it is compared with any network, so that a small one does.
    small = keras.Sequential([keras.Input((2,)), keras.layers.Dense(128)])
    monkeypatch.setattr(Facenet, "InceptionResNetV1", lambda dimension: small)  # noqa: ARG005 (its signature)
    (tmp_path / "facenet_weights.h5").write_bytes(WEIGHTS)
    with pytest.raises(PackInvalid, match=r"facenet_weights\.h5"):
        facenet_network.deepface_network(FACENETS["facenet"], tmp_path / "facenet_weights.h5")


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, PackedFile], Path]:
    """MTCNN, which is the same in every pack, compiled once: what the builder says of its files, and their folder."""
    folder = tmp_path_factory.mktemp("detector")
    return compile_mtcnn(folder, lambda _: None), folder


@pytest.fixture
def small_facenet(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, detector: tuple[dict[str, PackedFile], Path]
) -> Path:
    """FaceNet with a network and weights that a test can afford, and a DeepFace folder of its own; its packs folder."""

    def compiled_before(working: Path, progress: object) -> dict[str, PackedFile]:  # noqa: ARG001 (its signature)
        files, folder = detector
        shutil.copytree(folder, working, dirs_exist_ok=True)
        return files

    def network(model: Any, weights: Path) -> Any:
        from tensorflow import keras

        assert weights.read_bytes() == WEIGHTS
        keras.utils.set_random_seed(5)
        chips = keras.Input((160, 160, 3))
        x = keras.layers.Conv2D(16, 5, strides=4, activation="relu", name="stem")(chips)
        x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
        return keras.Model(chips, keras.layers.Dense(model.dimensions, name="out")(x), name="small")

    model = replace(FACENETS["facenet"], sha256=CHECKSUM, size_bytes=len(WEIGHTS))
    monkeypatch.setitem(facenet_weights.FACENETS, "facenet", model)
    monkeypatch.setattr(facenet_network, "deepface_network", network)
    monkeypatch.setattr(build_pack, "compile_mtcnn", compiled_before)
    monkeypatch.setattr(downloads, "Patience", lambda: Patience(pause=lambda _: None))
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path / "home"))
    return tmp_path / "packs"


def run(packs: Path, *more: str) -> Any:
    return CliRunner().invoke(app, ["pack", "build", "facenet", "--packs", str(packs), *more])


def test_a_pack_is_built_from_a_server_that_breaks_off_then_lies_then_is_right(
    small_facenet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = bytes(len(WEIGHTS))
    plans = (
        Answer(WEIGHTS, cut_after=HALF),
        Answer(wrong, etag='"two"'),
        Answer(WEIGHTS, cut_after=HALF),
        Answer(WEIGHTS),
    )
    with flaky_server(*plans) as server:
        monkeypatch.setattr(facenet_weights, "_RELEASES", server.url)
        first = run(small_facenet)
        assert first.exit_code == 1
        for part in ("facenet_weights.h5", server.url, hashlib.sha256(wrong).hexdigest(), CHECKSUM, "--weights"):
            assert part in first.stderr.replace("\n", "")
        # Nothing of the wrong file stays: the next run must not go on from it.
        assert [path.name for path in small_facenet.rglob("*") if path.is_file()] == []
        second = run(small_facenet, "--json")
        assert server.asked == [None, f"bytes={HALF}-", None, f"bytes={HALF}-"]
    assert second.exit_code == 0, second.stderr
    built = json.loads(second.stdout)
    assert built["built"]
    assert "rollcall-hub calibrate" in built["remarks"][0]
    check_an_unmeasured_pack(read_pack(small_facenet / "facenet"))
    # Once more: everything is there, and no server is asked (it is gone).
    assert json.loads(run(small_facenet, "--json").stdout)["built"] is False


def check_an_unmeasured_pack(pack: Pack) -> None:
    """It enrols and verifies; it says what nobody measured, and recognises nobody until somebody has."""
    manifest = pack.manifest
    assert (pack.dimensions, pack.geometry("mtcnn").size_px) == (128, 160)
    assert set(manifest.embedder.variants) == {"f32", "f16", "int8"}
    assert set(verify_pack(pack.folder).cosines) == {"f32", "f16", "int8"}
    assert manifest.reference is not None
    assert manifest.reference.made_by.startswith("DeepFace 0.0.101")
    assert manifest.statistics is None
    assert pack.statistics is None
    assert pack.same_person_floor == pytest.approx(0.60)
    for gallery_size in (0, 1, 1000):
        points = pack.operating_points(gallery_size, 0.01)
        for samples in (1, 3, 10):
            assert (points.for_samples(samples).threshold, points.for_samples(samples).margin) == (1.0, 2.0)


def test_a_folder_of_weights_builds_without_any_network(
    small_facenet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def network_is_off(*_: object, **__: object) -> None:
        pytest.fail("something was downloaded")

    monkeypatch.setattr(facenet_weights, "fetch", network_is_off)
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick" / "facenet_weights.h5").write_bytes(WEIGHTS)
    destination = small_facenet / "facenet"
    options = BuildOptions(weights=tmp_path / "stick")
    built = build_pack.build_pack("facenet", destination, options, progress=lambda _: None)
    monkeypatch.setattr(build_pack, "compile_mtcnn", compile_mtcnn)  # once more, for whoever compares every byte
    again = build_pack.build_pack("facenet", small_facenet / "second", options, progress=lambda _: None)
    for file in (*built.manifest.files, "manifest.json"):
        assert (destination / file).read_bytes() == (again.folder / file).read_bytes(), file
    assert up_to_date(destination, "facenet")
    assert not up_to_date(destination, "facenet512")
    assert not up_to_date(destination, "dlib")


def test_weights_that_the_operator_answered_for_are_named_so(
    small_facenet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = replace(facenet_weights.FACENETS["facenet"], sha256="ab" * 32)
    monkeypatch.setitem(facenet_weights.FACENETS, "facenet", known)
    (tmp_path / "facenet_weights.h5").write_bytes(WEIGHTS)
    refused = run(small_facenet, "--weights", str(tmp_path))
    assert (refused.exit_code, f"--sha256 {CHECKSUM}" in refused.stderr) == (1, True)
    assert run(small_facenet, "--weights", str(tmp_path), "--sha256", CHECKSUM).exit_code == 0
    pack = read_pack(small_facenet / "facenet")
    assert CHECKSUM in pack.manifest.remarks[1]
    assert "operator answered for" in pack.manifest.remarks[1]
    assert pack.manifest.embedder.weights_sha256 == CHECKSUM
    assert not up_to_date(small_facenet / "facenet", "facenet")
    assert up_to_date(small_facenet / "facenet", "facenet", BuildOptions(vouched=frozenset({CHECKSUM})))


def test_without_a_name_dlib_is_built_when_facenet_cannot_be_had(
    small_facenet: Path, monkeypatch: pytest.MonkeyPatch, pack_folder: Path
) -> None:
    """It says why; here the pack of dlib is there already, so that nothing has to be compiled."""
    small_facenet.mkdir()
    (small_facenet / "dlib").symlink_to(pack_folder)
    with flaky_server(Answer(b"blocked", status=403)) as server:
        monkeypatch.setattr(facenet_weights, "_RELEASES", server.url)
        arguments = ["pack", "build", "--packs", str(small_facenet)]
        said = CliRunner().invoke(app, arguments)
        as_json = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert said.exit_code == 0
    assert "building dlib instead" in said.stderr.replace("\n", " ")
    assert "It is dlib and not FaceNet: facenet_weights.h5 could not be fetched" in said.stderr.replace("\n", " ")
    assert as_json["name"] == "dlib"
    assert "403" in as_json["fell_back"]


def test_without_a_name_facenet_is_built_when_it_can_be(small_facenet: Path, tmp_path: Path) -> None:
    (tmp_path / "facenet_weights.h5").write_bytes(WEIGHTS)
    arguments = ["pack", "build", "--packs", str(small_facenet), "--weights", str(tmp_path), "--json"]
    done = json.loads(CliRunner().invoke(app, arguments).stdout)
    assert (done["name"], done["fell_back"]) == ("facenet", None)
