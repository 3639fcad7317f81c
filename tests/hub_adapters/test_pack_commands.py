"""`rollcall-hub pack`, as an operator runs it: sentences, JSON and exit codes; no database is needed."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hub.cli import app
from recognition.build import pack_parity
from tests.recognition_build.known_packs import dlib_agreement_once, lowest_cosine_once


class Operator:
    """Runs `rollcall-hub pack ...` with a settings file whose pack is `packs/dlib`."""

    def __init__(self, folder: Path, pack: Path) -> None:
        self.packs = folder / "packs"
        self.pack = Path(shutil.copytree(pack, self.packs / "dlib"))
        self.settings = folder / "hub.toml"
        text = 'site = "school"\ntime_zone = "Europe/Berlin"\n[recognition]\npack_dir = "packs/dlib"\n'
        self.settings.write_text(text, encoding="utf-8")
        self.code = 0
        self.err = ""

    def run(self, *arguments: str) -> str:
        result = CliRunner().invoke(app, ["--config", str(self.settings), "pack", *arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        self.code, self.err = result.exit_code, result.stderr
        return result.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json"))


@pytest.fixture(autouse=True)
def known_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verifying and importing run every variant on the faces; the same files are run once."""
    monkeypatch.setattr(pack_parity, "lowest_cosine", lowest_cosine_once)
    monkeypatch.setattr(pack_parity, "dlib_agreement", dlib_agreement_once)


@pytest.fixture
def operator(tmp_path: Path, pack_folder: Path) -> Operator:
    return Operator(tmp_path, pack_folder)


def test_list_shows_the_pack_in_use(operator: Operator) -> None:
    (row,) = operator.json("list")
    assert (row["name"], row["in_use"], row["measured"]) == ("dlib", True, True)
    assert row["pack_id"] in operator.run("list")
    assert operator.code == 0


def test_list_of_an_empty_folder_says_how_to_get_a_pack(operator: Operator, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "rollcall-hub pack build" in operator.run("list", "--packs", str(tmp_path / "empty"))
    assert operator.json("list", "--packs", str(tmp_path / "empty")) == []


def test_show_tells_about_the_pack_in_use_or_another_one(operator: Operator) -> None:
    assert "Labeled Faces in the Wild" in operator.run("show")
    shown = operator.json("show", "dlib")
    assert shown["folder"] == str(operator.pack)
    assert shown["parity"]["embedder-f16"] > 0.9999
    assert operator.json("show", str(operator.pack))["pack_id"] == shown["pack_id"]
    operator.run("show", "facenet")
    assert (operator.code, "rollcall-hub pack list" in operator.err) == (1, True)


def test_verify_says_what_was_compared_and_ends_with_0(operator: Operator) -> None:
    said = operator.run("verify")
    assert operator.code == 0
    for part in ("have their checksums", "f16 agrees with dlib 20.0.1", "int8 agrees"):
        assert part in said
    checked = operator.json("verify", "dlib")
    assert checked["ok"]
    assert checked["cosines"]["f32"] > 0.999


def test_verify_of_an_altered_pack_ends_with_1_and_names_the_file(operator: Operator) -> None:
    with (operator.pack / "mtcnn-place.tflite").open("ab") as file:
        file.write(b"x")
    operator.run("verify")
    assert (operator.code, "mtcnn-place.tflite" in operator.err) == (1, True)
    checked = operator.json("verify")
    assert (operator.code, checked["ok"], "mtcnn-place.tflite" in checked["problem"]) == (1, False, True)


def test_import_copies_and_says_what_to_set(operator: Operator, pack_folder: Path) -> None:
    assert "already" in operator.run("import", str(pack_folder))
    operator.run("import", str(pack_folder), "--name", "second")
    assert (operator.code, "recognition.pack_dir" in operator.err) == (0, True)
    assert [row["name"] for row in operator.json("list")] == ["dlib", "second"]


def test_import_of_another_pack_needs_force(operator: Operator, pack_folder: Path) -> None:
    manifest = operator.pack / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "description": "older"}))
    operator.run("import", str(pack_folder))
    assert (operator.code, "--force replaces it" in operator.err) == (1, True)
    imported = operator.json("import", str(pack_folder), "--force")
    assert (imported["built"], imported["replaced"]) == (True, imported["pack_id"])


def test_build_leaves_a_pack_alone_that_is_up_to_date(operator: Operator) -> None:
    assert "already" in operator.run("build", "dlib")
    built = operator.json("build", "dlib", str(operator.pack))
    assert (built["built"], built["folder"]) == (False, str(operator.pack))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["arcface"], "facenet512"),
        (["dlib", "--sha256", "abc"], "SHA-256"),
        (["dlib", "--sha256", "g" * 64], "SHA-256"),
    ],
)
def test_a_wrong_word_is_wrong_usage(operator: Operator, arguments: list[str], said: str) -> None:
    operator.run("build", *arguments)
    assert (operator.code, said in operator.err) == (2, True)


def test_missing_weights_are_an_error_that_names_them(operator: Operator, tmp_path: Path) -> None:
    operator.run("build", "facenet", "--weights", str(tmp_path))
    said = operator.err.replace("\n", " ")
    assert operator.code == 1
    for part in ("facenet_weights.h5", str(tmp_path), "90659cc97bfda599", "github.com/serengil"):
        assert part in said
    assert [path.name for path in operator.packs.iterdir()] == ["dlib"]


def test_without_settings_a_folder_of_packs_is_enough(operator: Operator) -> None:
    packs = str(operator.packs)
    operator.settings.unlink()
    operator.run("list")
    assert (operator.code, "no settings file" in operator.err) == (1, True)
    assert len(operator.json("list", "--packs", packs)) == 1
    assert operator.json("show", "dlib", "--packs", packs)["name"] == "dlib"
    assert operator.json("verify", str(operator.pack))["ok"]
    operator.run("verify", "nowhere")
    assert (operator.code, "--packs" in operator.err) == (1, True)
