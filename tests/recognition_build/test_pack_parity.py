"""A pack is verified by its checksums and by what its models say about real faces."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recognition.adapters.pack_files import read_pack
from recognition.build import dlib_embedder, pack_parity
from recognition.build.pack_parity import verify_pack
from recognition.core.errors import PackAltered, PackInvalid, PackMissing
from tests.recognition_build.known_packs import lowest_cosine_once

Change = Callable[[dict[str, Any]], None]


@pytest.fixture(autouse=True)
def known_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what a test changed is run again: the other variants of its copy are the same bytes."""
    monkeypatch.setattr(pack_parity, "lowest_cosine", lowest_cosine_once)


@pytest.fixture
def pack(tmp_path: Path, pack_folder: Path) -> Path:
    return Path(shutil.copytree(pack_folder, tmp_path / "dlib"))


def rewrite(pack: Path, name: str, content: bytes) -> None:
    """Put other content under a name and let the manifest agree, as whoever builds a wrong pack would."""
    (pack / name).write_bytes(content)
    manifest = json.loads((pack / "manifest.json").read_text())
    manifest["files"][name] |= {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    (pack / "manifest.json").write_text(json.dumps(manifest))


def test_a_good_pack_is_verified_with_a_number_for_each_variant(pack: Path) -> None:
    verified = verify_pack(pack)
    assert verified.cosines["f32"] > 0.999999
    assert verified.cosines["f16"] > 0.9999
    assert 0.99 < verified.cosines["int8"] < 0.99999
    assert verified.made_by.startswith("dlib")
    assert verified.live is not None
    assert verified.live > 0.999999


def test_without_dlib_the_recorded_vectors_are_enough(pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack_parity, "dlib_is_installed", lambda: False)  # it is installed here
    monkeypatch.setattr(dlib_embedder, "_imported", None)
    assert verify_pack(pack).live is None


@pytest.mark.parametrize("name", ["embedder-f16.tflite", "mtcnn-place.tflite", "reference.json", "manifest.json"])
def test_a_missing_file_is_named(pack: Path, name: str) -> None:
    (pack / name).unlink()
    with pytest.raises(PackMissing, match="no model pack" if name == "manifest.json" else name):
        verify_pack(pack)


@pytest.mark.parametrize("name", ["embedder-f32.tflite", "mtcnn-refine.tflite", "reference.json"])
def test_an_altered_file_is_named_with_its_checksum(pack: Path, name: str) -> None:
    content = bytearray((pack / name).read_bytes())
    content[len(content) // 2] ^= 1
    (pack / name).write_bytes(bytes(content))
    with pytest.raises(PackAltered, match=name):
        verify_pack(pack)


def test_swapped_files_are_found(pack: Path) -> None:
    first, second = pack / "mtcnn-refine.tflite", pack / "mtcnn-place.tflite"
    first.rename(pack / "x")
    second.rename(first)
    (pack / "x").rename(second)
    with pytest.raises(PackAltered, match="mtcnn-place"):
        verify_pack(pack)


def test_another_model_with_the_right_checksum_is_found_by_what_it_says(pack: Path) -> None:
    """Every second weight of a part flipped, and the file still is a model: the manifest agrees, the faces do not."""
    content = bytearray((pack / "embedder-int8.tflite").read_bytes())
    for at in range(2_800_000, 3_000_000, 2):
        content[at] ^= 0x55
    rewrite(pack, "embedder-int8.tflite", bytes(content))
    read_pack(pack)
    with pytest.raises(PackInvalid, match=r"embedder-int8\.tflite agrees with dlib .* only to 0\.\d+; at least 0\.99 "):
        verify_pack(pack)


def test_another_network_under_an_embedders_name_is_refused(pack: Path) -> None:
    rewrite(pack, "embedder-int8.tflite", (pack / "mtcnn-refine.tflite").read_bytes())
    with pytest.raises(PackInvalid, match="not chips of 150 pixels"):
        verify_pack(pack)


def test_no_model_at_all_is_refused(pack: Path) -> None:
    rewrite(pack, "embedder-int8.tflite", b"x" * 5000)
    with pytest.raises(PackInvalid, match="not a model that LiteRT can run"):
        verify_pack(pack)


def test_a_reference_of_other_faces_is_refused(pack: Path) -> None:
    outline = json.loads((pack / "reference.json").read_text())
    rewrite(pack, "reference.json", json.dumps({**outline, "faces_sha256": "ab" * 32}).encode())
    with pytest.raises(PackInvalid, match="other faces"):
        verify_pack(pack)
    rewrite(pack, "reference.json", json.dumps({**outline, "vectors": outline["vectors"][:5]}).encode())
    with pytest.raises(PackInvalid, match="other faces"):
        verify_pack(pack)


def test_a_pack_without_a_reference_has_to_be_built_again(pack: Path) -> None:
    manifest = json.loads((pack / "manifest.json").read_text())
    (pack / "manifest.json").write_text(json.dumps({**manifest, "reference": None}))
    with pytest.raises(PackInvalid, match=r"no reference.*build --force"):
        verify_pack(pack)


def test_another_dlib_than_the_recorded_one_is_found(pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack_parity, "SAME_REFERENCE", 1.1)  # no two dlibs are that much alike
    with pytest.raises(PackInvalid, match="dlib, as installed here"):
        verify_pack(pack)
