"""The optional parts of a pack: a YuNet file that is known or answered for, liveness networks from their weights."""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from recognition.build import pack_extras
from recognition.build.pack_extras import YUNETS, add_liveness, add_yunet, yunet_checksum
from recognition.core.errors import PackAltered, PackInvalid, PackMissing

NOBODY: frozenset[str] = frozenset()


def quiet(_: str) -> None:
    """Nobody watches."""


@pytest.fixture
def yunet(shared_folder: Path) -> Path:
    """A YuNet file whose checksum is known here."""
    for path in sorted((shared_folder / "models").glob("*.onnx")):
        if yunet_checksum(path) in YUNETS:
            return path
    pytest.skip("the shared test data have no YuNet file that is known here")


def test_a_known_yunet_goes_into_the_pack(tmp_path: Path, yunet: Path) -> None:
    extra = add_yunet(yunet, tmp_path, NOBODY, quiet)
    (file,) = extra.files
    assert (tmp_path / "yunet.onnx").read_bytes() == yunet.read_bytes()
    assert file.entry.sha256 in YUNETS
    assert file.entry.licence.startswith("MIT")
    assert "opencv_zoo" in file.entry.origin
    assert list(extra.inputs.values()) == [file.entry.sha256]


def test_another_file_needs_somebody_who_answers_for_it(tmp_path: Path) -> None:
    path = tmp_path / "detector.onnx"
    path.write_bytes(b"another model")
    checksum = hashlib.sha256(b"another model").hexdigest()
    with pytest.raises(PackAltered, match=f"{checksum}.*opencv_zoo.*--sha256 {checksum}"):
        add_yunet(path, tmp_path, NOBODY, quiet)
    # Answered for, it still has to be a detector.
    with pytest.raises(PackInvalid, match="YuNet"):
        add_yunet(path, tmp_path, frozenset({checksum}), quiet)


def test_a_detector_that_finds_no_face_is_refused(tmp_path: Path, yunet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Blind:
        def __init__(self, _: Path) -> None:
            """Load nothing."""

        def detect(self, _: Any) -> list[Any]:
            return []

    monkeypatch.setattr(pack_extras, "YunetDetector", Blind)  # a blind model cannot be had
    with pytest.raises(PackInvalid, match="finds none of the reference faces"):
        add_yunet(yunet, tmp_path, NOBODY, quiet)


@pytest.mark.parametrize("kind", ["nowhere", "folder"])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path if kind == "folder" else tmp_path / "nowhere.onnx"
    with pytest.raises(PackMissing, match="no file"):
        yunet_checksum(path)


def test_a_file_that_is_far_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "film.onnx"
    with path.open("wb") as stream:
        stream.truncate(10 * 1024**3)  # sparse: it takes no room
    with pytest.raises(PackInvalid, match="larger than any"):
        yunet_checksum(path)


@dataclass(frozen=True)
class Network:
    file: str
    origin: str = "somewhere"
    licence: str = "Apache-2.0"
    crop_scale: float = 2.7
    input_px: int = 80
    live_class: int = 1
    parity: float = 0.99999


@dataclass(frozen=True)
class Weights:
    origin: str = "somewhere"
    sha256: str = "ab" * 32


@pytest.mark.build
def test_the_liveness_networks_are_described_as_their_builder_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The builder is another module with tests of its own; here it only has to be asked and believed."""

    def build_liveness(source: Path, destination: Path, progress: Any) -> Any:
        progress("compiling")
        assert source == tmp_path / "weights"
        networks = (Network("near.tflite"), Network("wide.tflite", crop_scale=4.0))
        for network in networks:
            (destination / network.file).write_bytes(network.file.encode())
        return type("Built", (), {"networks": networks})

    builder: Any = ModuleType("liveness_pack")
    builder.build_liveness, builder.WEIGHTS = build_liveness, (Weights(),)
    monkeypatch.setitem(sys.modules, "recognition.build.liveness_pack", builder)
    extra = add_liveness(tmp_path / "weights", tmp_path, quiet)
    assert extra.liveness is not None
    assert [(part.file, part.crop_scale) for part in extra.liveness.networks] == [
        ("near.tflite", 2.7),
        ("wide.tflite", 4.0),
    ]
    assert [file.parity for file in extra.files] == [0.99999, 0.99999]
    assert [file.entry.origin for file in extra.files] == ["compiled from somewhere"] * 2
    assert extra.inputs == {"somewhere": "ab" * 32}
