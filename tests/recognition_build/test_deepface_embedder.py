"""The reference path uses weights that are there, and never fetches any."""

from pathlib import Path

import pytest

from recognition.adapters.pack_files import sha256_of
from recognition.build.deepface_embedder import DeepFaceEmbedder
from recognition.core.errors import PackAltered, PackInvalid, PackMissing
from tests.recognition_adapters.embedder_contract import check_contract


def weights_file(home: Path, name: str) -> Path:
    folder = home / ".deepface" / "weights"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


def test_absent_weights_are_named_with_their_origin(tmp_path: Path) -> None:
    with pytest.raises(PackMissing, match=r"facenet_weights\.h5.*https://github\.com/serengil.*nothing is downloaded"):
        DeepFaceEmbedder("Facenet", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_weights_with_another_checksum_are_refused(tmp_path: Path) -> None:
    weights_file(tmp_path, "dlib_face_recognition_resnet_model_v1.dat").write_bytes(b"another file")
    with pytest.raises(PackAltered, match="55533b28"):
        DeepFaceEmbedder("Dlib", tmp_path)
    weights_file(tmp_path, "facenet_weights.h5").write_bytes(b"another file")
    with pytest.raises(PackAltered, match="cdcd"):
        DeepFaceEmbedder("Facenet", tmp_path, expected_sha256="cd" * 32)
    with pytest.raises(PackAltered, match="90659cc97bfda599"):
        DeepFaceEmbedder("Facenet", tmp_path)


def test_a_model_that_is_not_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Facenet512"):
        DeepFaceEmbedder("Emotion", tmp_path)


@pytest.mark.build
@pytest.mark.filterwarnings("ignore")  # DeepFace and TensorFlow warn about themselves
def test_weights_that_cannot_be_loaded_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from deepface.models.facial_recognition import Facenet
    from tensorflow import keras

    # The file is refused before it is compared with any network, so that a small one does.
    small = keras.Sequential([keras.Input((2,)), keras.layers.Dense(128)])
    monkeypatch.setattr(Facenet, "InceptionResNetV1", lambda dimension=128: small)  # noqa: ARG005 (its signature)
    path = weights_file(tmp_path, "facenet_weights.h5")
    path.write_bytes(b"not in the HDF5 format")
    with pytest.raises(PackInvalid, match=r"facenet_weights\.h5"):
        DeepFaceEmbedder("Facenet", tmp_path, expected_sha256=sha256_of(path))


@pytest.mark.build
@pytest.mark.filterwarnings("ignore")  # DeepFace and TensorFlow warn about themselves
def test_the_contract_of_the_port_holds_with_random_weights(tmp_path: Path) -> None:
    import h5py
    from deepface.models.facial_recognition.Facenet import InceptionResNetV1
    from keras.src.legacy.saving import legacy_h5_format

    # The layout of the published file; Keras itself no longer writes it under that name.
    with h5py.File(weights_file(tmp_path, "facenet_weights.h5"), "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, InceptionResNetV1(dimension=128))
    checksum = sha256_of(weights_file(tmp_path, "facenet_weights.h5"))
    embedder = DeepFaceEmbedder("Facenet", tmp_path, expected_sha256=checksum)
    assert embedder.pack_id.startswith("deepface-facenet-")
    assert embedder.geometry.size_px == 160
    check_contract(embedder)
