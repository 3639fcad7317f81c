"""The pack builder builds a whole pack or leaves what was there, and says which."""

import json
import shutil
from pathlib import Path

import pytest

from recognition.adapters.pack_files import read_pack
from recognition.build import build_pack
from recognition.build.__main__ import main
from recognition.core.errors import PackAltered, PackInvalid, PackMissing


def test_a_folder_that_is_no_pack_is_never_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert main(["dlib", str(tmp_path)]) == 1
    assert "exists and is not a model pack" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").is_file()


def test_a_missing_input_is_one_sentence_and_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: object) -> bytes:
        raise PackMissing("the package is not installed", hint="install it")

    monkeypatch.setattr(build_pack, "read_input", missing)  # the package is installed here
    assert main(["dlib", str(tmp_path / "packs" / "dlib")]) == 1
    assert capsys.readouterr().err == "the pack was not built: the package is not installed (install it)\n"
    assert list((tmp_path / "packs").iterdir()) == []


def test_a_failed_build_keeps_the_pack_that_was_there(
    tmp_path: Path, pack_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    destination = Path(shutil.copytree(pack_folder, tmp_path / "dlib"))

    def altered(_: object) -> bytes:
        raise PackAltered("another file")

    monkeypatch.setattr(build_pack, "read_input", altered)  # stands for a damaged installation
    with pytest.raises(PackAltered):
        build_pack.build_dlib_pack(destination, progress=lambda _: None)
    assert read_pack(destination).pack_id == read_pack(pack_folder).pack_id
    assert list(tmp_path.iterdir()) == [destination]


def test_a_pack_of_the_same_inputs_is_not_built_again(pack_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dlib", str(pack_folder)]) == 0
    assert "up to date" in capsys.readouterr().out


def test_an_altered_pack_is_not_up_to_date(tmp_path: Path, pack_folder: Path) -> None:
    destination = Path(shutil.copytree(pack_folder, tmp_path / "dlib"))
    assert build_pack.up_to_date(destination)
    with (destination / "embedder-int8.tflite").open("ab") as stream:
        stream.write(b"x")
    assert not build_pack.up_to_date(destination)
    assert not build_pack.up_to_date(tmp_path / "nowhere")


def test_the_manifest_states_parity_licences_and_origins(pack_folder: Path) -> None:
    manifest = json.loads((pack_folder / "manifest.json").read_text())
    assert manifest["parity"]["embedder-f32"] > 0.99999
    assert manifest["parity"]["embedder-int8"] > 0.99
    assert all(file["licence"] and "PyPI" in file["origin"] for file in manifest["files"].values())


@pytest.mark.build
def test_a_pack_is_built_over_an_older_one(tmp_path: Path, pack_folder: Path) -> None:
    destination = tmp_path / "dlib"
    destination.mkdir()
    (destination / "manifest.json").write_text("{}")
    lines: list[str] = []
    pack = build_pack.build_dlib_pack(destination, progress=lines.append)
    assert pack.pack_id == read_pack(pack_folder).pack_id
    assert build_pack.up_to_date(destination)
    assert lines[-1] == f"pack {pack.pack_id} is in {destination}"
    assert list(tmp_path.iterdir()) == [destination]


@pytest.mark.build
def test_a_compiled_model_that_disagrees_with_its_reference_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_pack, "LOWEST_COSINE", {"f32": 1.1, "int8": 1.1})  # no compiler is that good
    with pytest.raises(PackInvalid, match="agrees with its reference only to"):
        build_pack.build_dlib_pack(tmp_path / "dlib", progress=lambda _: None)
    assert list(tmp_path.iterdir()) == []
