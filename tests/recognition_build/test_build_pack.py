"""The pack builder builds a whole pack or leaves what was there, and says which."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recognition.adapters.pack_files import read_pack
from recognition.build import build_pack, pack_compile
from recognition.build.__main__ import main
from recognition.build.build_pack import BuildOptions
from recognition.core.errors import PackAltered, PackInvalid, PackMissing
from tests.edge_adapters.programs import on_a_small_disk


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
    assert manifest["parity"]["embedder-f16"] > 0.9999
    assert manifest["parity"]["embedder-int8"] > 0.99
    assert manifest["reference"]["made_by"].startswith("dlib 20.0.1")
    assert manifest["compiler"].startswith("TensorFlow")
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
    # The other one was built by another process, with whatever else that had done before: byte for byte the same.
    for file in (*pack.manifest.files, "manifest.json"):
        assert (destination / file).read_bytes() == (pack_folder / file).read_bytes(), file


@pytest.mark.build
def test_a_compiled_model_that_disagrees_with_its_reference_is_refused(
    tmp_path: Path, pack_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the compiler gives is in the pack, byte for byte, as is shown above.
    monkeypatch.setattr(pack_compile, "traced", lambda *_: None)
    monkeypatch.setattr(
        pack_compile, "compiled", lambda _, variant: (pack_folder / f"embedder-{variant}.tflite").read_bytes()
    )
    beyond = {"f32": 1.1, "f16": 1.1, "int8": 1.1}
    monkeypatch.setattr(build_pack, "LOWEST_COSINE", beyond)  # no compiler is that good
    with pytest.raises(PackInvalid, match="agrees with its reference only to"):
        build_pack.build_dlib_pack(tmp_path / "dlib", progress=lambda _: None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"description": "of an older version"},
        {"remarks": ["of an older version"]},
        {"reference": None},
        {"name": "facenet"},
        {"statistics": None},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_pack_that_a_build_would_make_otherwise_is_not_up_to_date(
    tmp_path: Path, pack_folder: Path, change: dict[str, Any]
) -> None:
    destination = Path(shutil.copytree(pack_folder, tmp_path / "dlib"))
    manifest = json.loads((destination / "manifest.json").read_text())
    (destination / "manifest.json").write_text(json.dumps({**manifest, **change}))
    assert not build_pack.up_to_date(destination)


def test_a_pack_without_the_optional_parts_asked_for_is_not_up_to_date(tmp_path: Path, pack_folder: Path) -> None:
    (tmp_path / "yunet.onnx").write_bytes(b"anything")
    assert not build_pack.up_to_date(pack_folder, options=BuildOptions(yunet=tmp_path / "yunet.onnx"))
    assert not build_pack.up_to_date(pack_folder, options=BuildOptions(liveness=tmp_path))
    with pytest.raises(PackMissing, match="no file"):
        build_pack.up_to_date(pack_folder, options=BuildOptions(yunet=tmp_path / "nowhere.onnx"))


def test_a_wrong_file_of_the_operator_is_refused_before_anything_is_compiled(tmp_path: Path) -> None:
    (tmp_path / "yunet.onnx").write_bytes(b"anything")
    lines: list[str] = []
    options = BuildOptions(yunet=tmp_path / "yunet.onnx")
    with pytest.raises(PackAltered, match="opencv_zoo"):
        build_pack.build_pack("dlib", tmp_path / "dlib", options, progress=lines.append)
    assert "starting TensorFlow" not in lines
    assert [path.name for path in tmp_path.iterdir()] == ["yunet.onnx"]


def test_a_name_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="dlib, facenet, facenet512"):
        build_pack.build_pack("arcface", tmp_path / "arcface", progress=lambda _: None)
    assert list(tmp_path.iterdir()) == []


def test_without_the_compiler_nothing_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_pack, "find_spec", lambda _: None)  # TensorFlow is installed here
    with pytest.raises(PackMissing, match=r"TensorFlow.*rollcall-hub pack import"):
        build_pack.build_pack("facenet", tmp_path / "facenet", progress=lambda _: None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.build
def test_a_second_build_is_told_who_is_at_work_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "recognition.build", "dlib", str(tmp_path / "dlib")]
    first: Any = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with first:
        while "starting TensorFlow" not in first.stdout.readline():
            assert first.poll() is None
        second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        first.send_signal(signal.SIGINT)
        _, said = first.communicate()
    assert second.returncode == 1
    assert f"process {first.pid}, is writing the pack dlib" in second.stderr
    assert (first.returncode, said.splitlines()[-1]) == (130, "stopped; nothing was changed")
    assert list(tmp_path.iterdir()) == []


BUILDS = """
import sys
from pathlib import Path
from recognition.build import build_pack, dlib_network, pack_compile
from recognition.build.build_errors import BuildStopped
# The compiler writes nothing: as many bytes as it gives (22 MB) fill the disk as well, without TensorFlow.
build_pack.forget_names = lambda: None
dlib_network.keras_network = lambda network: None
pack_compile.traced = lambda model, shape: None
pack_compile.compiled = lambda graph, variant: bytes(22_000_000)
destination = Path(sys.argv[1]) / "dlib"
destination.mkdir()
(destination / "manifest.json").write_text("old")
try:
    build_pack.build_dlib_pack(destination, progress=lambda _: None)
except BuildStopped as exc:
    print(exc)
print((destination / "manifest.json").read_text(), [path.name for path in destination.parent.iterdir()])
"""


@pytest.mark.build
def test_a_disk_that_a_build_fills_is_a_sentence_and_the_old_pack_stays(tmp_path: Path) -> None:
    said = on_a_small_disk(BUILDS, tmp_path / "disk", 8 * 1024).splitlines()
    assert "the disk is full" in said[0]
    assert said[-1] == "old ['dlib']"
