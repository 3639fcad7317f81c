"""The pack that units may fetch: what its manifest names, part by part, and nothing else of the disk."""

import os
from pathlib import Path

import pytest

from hub.adapters.pack_shelf import FolderShelf
from protocol.base import sha256_hex
from protocol.content import PackList
from recognition.adapters.pack_files import read_pack
from tests.pack_fakes import MANIFEST, PART, made_up_pack

PACK = made_up_pack()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path, data in PACK.files.items():
        (tmp_path / path).write_bytes(data)
    (tmp_path / "notes.txt").write_text("not of the pack")
    return tmp_path


@pytest.fixture
def shelf(folder: Path) -> FolderShelf:
    return FolderShelf(read_pack(folder))


def whole(shelf: FolderShelf, path: str) -> bytes:
    name, data, index = sha256_hex(PACK.files[path]), b"", 0
    while part := shelf.part("pack_file", name, index):
        assert part.index == index
        assert part.count == -(-len(PACK.files[path]) // PART)
        data, index = data + part.data, index + 1
    return data


def test_the_list_names_every_file_of_the_manifest_and_the_manifest(shelf: FolderShelf) -> None:
    assert shelf.listed is not None
    listed = PackList.model_validate_json(shelf.listed)
    assert listed.pack_id == PACK.pack_id
    assert {file.path: file.sha256 for file in listed.files} == {
        path: sha256_hex(data) for path, data in PACK.files.items()
    }
    part = shelf.part("pack", sha256_hex(shelf.listed), 0)
    assert part is not None
    assert (part.index, part.count, part.data) == (0, 1, shelf.listed)
    assert shelf.part("pack", sha256_hex(shelf.listed), 1) is None


def test_parts_fit_together_again(shelf: FolderShelf) -> None:
    for path in (MANIFEST, "embedder-f32.bin", "faces.json"):
        assert whole(shelf, path) == PACK.files[path]


def test_nothing_else_of_the_folder_can_be_asked_for(shelf: FolderShelf, folder: Path) -> None:
    other = sha256_hex((folder / "notes.txt").read_bytes())
    assert shelf.part("pack_file", other, 0) is None
    assert shelf.part("template", sha256_hex(PACK.files["faces.json"]), 10) is None


def test_a_file_that_was_only_touched_is_still_given_out(shelf: FolderShelf, folder: Path) -> None:
    os.utime(folder / "faces.json", (1, 1))
    assert whole(shelf, "faces.json") == PACK.files["faces.json"]


@pytest.mark.parametrize("content", [b"!" * 900, b"short", None])
def test_a_file_that_was_replaced_while_the_service_runs_is_not_given_out(
    shelf: FolderShelf, folder: Path, content: bytes | None
) -> None:
    (folder / "faces.json").unlink()
    if content is not None:
        (folder / "faces.json").write_bytes(content)
    assert whole(shelf, "faces.json") == b""
    assert whole(shelf, MANIFEST) == PACK.files[MANIFEST]


def test_a_changed_file_is_hashed_once_and_not_for_each_part(
    shelf: FolderShelf, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime(folder / "embedder-f32.bin", (1, 1))
    name = sha256_hex(PACK.files["embedder-f32.bin"])
    assert shelf.part("pack_file", name, 0) is not None
    monkeypatch.setattr("hub.adapters.pack_shelf.sha256_of", None)
    assert shelf.part("pack_file", name, 1) is not None


def test_a_file_that_was_replaced_is_not_hashed_for_each_part_that_somebody_asks_for(
    shelf: FolderShelf, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = bytearray(PACK.files["embedder-f32.bin"])
    changed[0] ^= 1
    (folder / "embedder-f32.bin").write_bytes(changed)
    name = sha256_hex(PACK.files["embedder-f32.bin"])
    assert shelf.part("pack_file", name, 0) is None
    with monkeypatch.context() as patch:
        patch.setattr("hub.adapters.pack_shelf.sha256_of", None)
        assert shelf.part("pack_file", name, 1) is None
    (folder / "embedder-f32.bin").write_bytes(PACK.files["embedder-f32.bin"])
    os.utime(folder / "embedder-f32.bin", (2, 2))
    assert shelf.part("pack_file", name, 1) is not None


def test_a_pack_with_a_file_that_is_too_large_to_travel_is_not_offered(folder: Path) -> None:
    pack = read_pack(folder)
    files = dict(pack.manifest.files)
    files["embedder-f32.bin"] = files["embedder-f32.bin"].model_copy(update={"size_bytes": 200 * 1024 * 1024})
    pack.manifest = pack.manifest.model_copy(update={"files": files})
    shelf = FolderShelf(pack)
    assert shelf.listed is None
    assert shelf.part("pack_file", sha256_hex(PACK.files["faces.json"]), 0) is None
