"""Packs on a hub: listed with their problems, found by name or folder, imported whole and never over another one."""

import json
import shutil
from pathlib import Path

import pytest

from hub.core.errors import BadInput, Conflict, NotFound
from hub.office import packs
from hub.office.packs import every_pack, find_pack, import_pack, in_words
from recognition.adapters.pack_files import read_manifest, read_pack
from recognition.build import pack_parity
from recognition.build.build_pack import BuildOptions
from recognition.core.errors import PackAltered, PackInvalid, PackMissing
from tests.recognition_build.known_packs import lowest_cosine_once


@pytest.fixture(autouse=True)
def known_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every import verifies the pack; the same files are run on the faces once."""
    monkeypatch.setattr(pack_parity, "lowest_cosine", lowest_cosine_once)


@pytest.fixture
def stick(tmp_path: Path, pack_folder: Path) -> Path:
    """The pack on a stick, among other things."""
    stick = tmp_path / "stick" / "our pack"
    shutil.copytree(pack_folder, stick)
    (stick / "holiday.jpg").write_bytes(b"private")
    (stick / "folder").mkdir()
    return stick


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """The folder of packs."""
    return tmp_path / "packs"


def change(pack: Path, **fields: object) -> None:
    manifest = json.loads((pack / "manifest.json").read_text())
    (pack / "manifest.json").write_text(json.dumps({**manifest, **fields}))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_imported_pack_is_whole_and_holds_nothing_else(stick: Path, shelf: Path) -> None:
    done = import_pack(stick, shelf)
    assert (done.built, done.replaced, done.other_templates) == (True, None, False)
    assert done.pack.folder == shelf / "dlib"
    assert names(shelf) == ["dlib"]
    assert set(names(shelf / "dlib")) == {*done.pack.manifest.files, "manifest.json"}


def test_importing_the_same_pack_again_changes_nothing(stick: Path, shelf: Path) -> None:
    import_pack(stick, shelf)
    assert import_pack(stick, shelf).built is False


def test_another_pack_of_that_name_is_only_replaced_on_purpose(stick: Path, shelf: Path) -> None:
    import_pack(stick, shelf)
    change(shelf / "dlib", description="an older one")
    with pytest.raises(Conflict) as refused:
        import_pack(stick, shelf)
    assert "enrolled" not in refused.value.hint  # the same embedder: templates stay valid
    assert read_manifest(shelf / "dlib").description == "an older one"
    assert import_pack(stick, shelf, force=True).other_templates is False
    assert read_manifest(shelf / "dlib").description != "an older one"


def test_replacing_another_embedder_says_who_has_to_be_enrolled_again(stick: Path, shelf: Path) -> None:
    import_pack(stick, shelf)
    change(shelf / "dlib", pack_id="dlib-1-000000000000")
    with pytest.raises(Conflict) as refused:
        import_pack(stick, shelf)
    assert "enrolled again" in refused.value.hint
    assert import_pack(stick, shelf, force=True).other_templates


def test_a_damaged_pack_of_the_same_manifest_is_repaired_on_purpose(stick: Path, shelf: Path) -> None:
    import_pack(stick, shelf)
    (shelf / "dlib" / "mtcnn-place.tflite").unlink()
    with pytest.raises(Conflict):
        import_pack(stick, shelf)
    import_pack(stick, shelf, force=True)
    assert read_pack(shelf / "dlib").pack_id


def test_a_pack_can_stand_beside_another_under_its_own_name(stick: Path, shelf: Path) -> None:
    import_pack(stick, shelf)
    import_pack(stick, shelf, name="dlib-2026")
    assert names(shelf) == ["dlib", "dlib-2026"]


@pytest.mark.parametrize("name", ["../elsewhere", "a/b", ".hidden", ".."])
def test_a_name_that_leaves_the_folder_is_refused(stick: Path, shelf: Path, name: str) -> None:
    with pytest.raises(BadInput, match="not a name"):
        import_pack(stick, shelf, name=name)


def test_a_bad_pack_is_not_imported(stick: Path, shelf: Path) -> None:
    with (stick / "embedder-f16.tflite").open("ab") as file:
        file.write(b"x")
    with pytest.raises(PackAltered, match="embedder-f16"):
        import_pack(stick, shelf)
    change(stick, reference=None)
    shutil.rmtree(stick / "folder")
    with pytest.raises((PackInvalid, PackAltered)):
        import_pack(stick, shelf)
    with pytest.raises(PackMissing, match="no model pack"):
        import_pack(stick / "nowhere", shelf)
    assert not shelf.exists() or names(shelf) == []


def test_a_folder_that_is_no_pack_is_not_replaced(stick: Path, shelf: Path) -> None:
    (shelf / "dlib").mkdir(parents=True)
    (shelf / "dlib" / "thesis.txt").write_text("years of work")
    with pytest.raises(PackInvalid, match="not a model pack"):
        import_pack(stick, shelf, force=True)


def test_a_list_shows_what_is_in_use_and_what_is_wrong(stick: Path, shelf: Path) -> None:
    import_pack(stick, shelf)
    import_pack(stick, shelf, name="damaged")
    (shelf / "damaged" / "mtcnn-place.tflite").write_bytes(b"")
    (shelf / ".weights").mkdir()
    (shelf / "notes").mkdir()
    good, bad = sorted(every_pack(shelf, shelf / "dlib"), key=lambda line: line.problem)
    assert (good.name, good.in_use, good.measured, good.liveness, good.problem) == ("dlib", True, True, False, "")
    assert (good.variants, good.detectors) == ("f16, f32, int8", "mtcnn")
    assert good.size_mb > 30
    assert (bad.name, bad.in_use, bad.pack_id) == ("damaged", False, good.pack_id)
    assert "mtcnn-place.tflite" in bad.problem


def test_a_folder_that_is_not_there_is_named(shelf: Path) -> None:
    with pytest.raises(NotFound, match="no folder of packs"):
        every_pack(shelf, None)


def test_a_pack_is_found_by_name_or_by_folder(stick: Path, shelf: Path) -> None:
    import_pack(stick, shelf)
    assert find_pack(shelf, "dlib") == shelf / "dlib"
    assert find_pack(shelf, str(stick)) == stick
    with pytest.raises(NotFound, match="facenet"):
        find_pack(shelf, "facenet")


def test_a_pack_is_described_in_words(pack_folder: Path) -> None:
    said = "\n".join(f"{heading}: {text}" for heading, text in in_words(read_manifest(pack_folder)))
    for part in ("128 numbers", "agrees with its reference to 0.9999", "measured on", "CC0", "PyPI", "TensorFlow"):
        assert part in said
    assert "a photo can mark attendance" in said


def test_a_pack_without_statistics_says_so(stick: Path) -> None:
    change(stick, statistics=None, remarks=["ask somebody"])
    said = dict(in_words(read_manifest(stick)))
    assert said["Scores"] == "not measured"
    assert said["Note"] == "ask somebody"


def test_a_pack_that_is_there_is_not_built_again(pack_folder: Path) -> None:
    lines: list[str] = []
    done = packs.build(
        "dlib", pack_folder, BuildOptions(), force=False, progress=lines.append, on_bytes=lambda _done, _total: None
    )
    assert (done.built, lines) == (False, [])


def test_a_pack_of_an_unknown_name_is_refused_with_the_known_ones(shelf: Path) -> None:
    with pytest.raises(BadInput) as refused:
        packs.build(
            "arcface", shelf, BuildOptions(), force=False, progress=lambda _: None, on_bytes=lambda _done, _total: None
        )
    assert "facenet512" in refused.value.hint
