"""FaceNet's weights come from a folder, from DeepFace's own place or its address, and only the right ones count."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from recognition.build import facenet_weights
from recognition.build.build_errors import DownloadFailed
from recognition.build.downloads import Patience
from recognition.build.facenet_weights import FACENETS, FacenetModel, find_weights
from recognition.core.errors import PackAltered, PackMissing
from tests.recognition_build.flaky_server import Answer, flaky_server

CONTENT = b"\x89HDF not really" * 1000
CHECKSUM = hashlib.sha256(CONTENT).hexdigest()
AT_ONCE = Patience(pause=lambda _: None)


@pytest.fixture
def model() -> FacenetModel:
    """FaceNet with weights that a test can afford."""
    return replace(FACENETS["facenet"], sha256=CHECKSUM, size_bytes=len(CONTENT))


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """DeepFace's folder, so that no test finds a developer's weights."""
    home = tmp_path / "home"
    monkeypatch.setenv("DEEPFACE_HOME", str(home))
    return home / ".deepface" / "weights"


def put(folder: Path, content: bytes = CONTENT) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "facenet_weights.h5").write_bytes(content)
    return folder


def test_a_folder_is_taken_and_nothing_is_downloaded(tmp_path: Path, model: FacenetModel) -> None:
    folder = put(tmp_path / "stick")
    assert find_weights(model, folder, tmp_path / "downloads") == folder / "facenet_weights.h5"
    assert not (tmp_path / "downloads").exists()


def test_a_folder_without_the_file_names_file_place_and_checksum(tmp_path: Path, model: FacenetModel) -> None:
    with pytest.raises(PackMissing) as missing:
        find_weights(model, tmp_path, tmp_path)
    for part in ("facenet_weights.h5", str(tmp_path), model.url, CHECKSUM):
        assert part in str(missing.value)


def test_another_file_in_the_folder_is_refused_unless_the_operator_answers_for_it(
    tmp_path: Path, model: FacenetModel
) -> None:
    other = hashlib.sha256(b"other").hexdigest()
    folder = put(tmp_path / "stick", b"other")
    with pytest.raises(PackAltered, match=f"{other}, expected {CHECKSUM}.*--sha256 {other}"):
        find_weights(model, folder, tmp_path)
    assert find_weights(model, folder, tmp_path, frozenset({other})).parent == folder


def test_answering_for_one_file_does_not_refuse_the_known_one(tmp_path: Path, model: FacenetModel) -> None:
    folder = put(tmp_path / "stick")
    assert find_weights(model, folder, tmp_path, frozenset({"ab" * 32})).parent == folder


def test_what_deepface_has_already_is_used(tmp_path: Path, model: FacenetModel, own_home: Path) -> None:
    put(own_home)
    assert find_weights(model, None, tmp_path / "downloads").parent == own_home


def test_wrong_weights_of_deepface_are_passed_over(
    tmp_path: Path, model: FacenetModel, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(own_home, b"half a download")
    with flaky_server(Answer(CONTENT)) as server:
        monkeypatch.setattr(facenet_weights, "_RELEASES", server.url)
        path = find_weights(model, None, tmp_path / "downloads", patience=AT_ONCE)
    assert path == tmp_path / "downloads" / "facenet_weights.h5"


def test_a_download_that_fails_names_the_folder_as_the_way_without_internet(
    tmp_path: Path, model: FacenetModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with flaky_server(Answer(b"gone", status=404)) as server:
        monkeypatch.setattr(facenet_weights, "_RELEASES", server.url)
        with pytest.raises(DownloadFailed, match=rf"404.*--weights.*{CHECKSUM}"):
            find_weights(model, None, tmp_path, patience=AT_ONCE)


@pytest.mark.parametrize("name", FACENETS)
def test_what_is_pinned_is_what_deepface_would_fetch(name: str) -> None:
    model = FACENETS[name]
    assert model.url == f"https://github.com/serengil/deepface_models/releases/download/v1.0/{model.file}"
    assert len(model.sha256) == 64
    # About 23 million parameters of four bytes; anything else is not this network.
    assert 91e6 < model.size_bytes < 96e6


@pytest.mark.build
@pytest.mark.filterwarnings("ignore")  # DeepFace and TensorFlow warn about themselves
def test_address_and_threshold_are_those_of_the_installed_deepface() -> None:
    from deepface.config.threshold import thresholds
    from deepface.models.facial_recognition import Facenet

    urls = {"facenet": Facenet.FACENET128_WEIGHTS, "facenet512": Facenet.FACENET512_WEIGHTS}
    for name, model in FACENETS.items():
        assert model.url == urls[name]
        assert model.same_person_cosine == pytest.approx(1 - thresholds[model.deepface_name]["cosine"])
