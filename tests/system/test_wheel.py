"""The wheel, installed where there is no checkout: what a unit and a hub really get."""

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from deploy.clip import make_clip
from deploy.environment import PROJECT

pytestmark = [pytest.mark.system, pytest.mark.model]

LONGEST_S = 600
SETTINGS = """
site = "school"
unit_id = "a28c6f5f-91ec-4f0d-8a06-ce9d62a3a36a"
[broker]
host = "127.0.0.1"
port = 1
[keys]
data_key_file = "unit.key"
hub_key_file = "hub.pub"
[recognition]
pack_dir = "{pack}"
[camera]
kind = "replay"
source = "clip"
replay_pace = "fast"
[storage]
data_dir = "data"
[delivery]
drain_s = 0
"""


def _run(*command: str | Path, folder: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, capture_output=True, text=True, timeout=LONGEST_S, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-1000:]}{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean environment with the wheel and what the lock files of unit and hub list; no TensorFlow."""
    folder = tmp_path_factory.mktemp("elsewhere")
    _run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, PROJECT, folder=folder)
    venv.create(folder / "venv")
    # Not compiled: that takes longer than the rest, and most of it is never imported.
    python = folder / "venv" / "bin" / "python"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-compile"]
    for lock in ("requirements-edge.lock", "requirements-hub.lock"):
        _run(*pip, "--require-hashes", "-r", PROJECT / lock, folder=folder)
    _run(*pip, "--no-deps", next(folder.glob("rollcall-*.whl")), folder=folder)
    return folder


@pytest.mark.timeout(LONGEST_S)
def test_both_commands_teach_themselves_outside_of_the_checkout(installed: Path) -> None:
    for command, word in (("rollcall-edge", "check"), ("rollcall-hub", "enrol")):
        assert word in _run(installed / "venv" / "bin" / command, "--help", folder=installed)


@pytest.mark.timeout(LONGEST_S)
def test_every_module_of_unit_and_hub_finds_what_it_imports(installed: Path) -> None:
    program = (
        "import importlib, pkgutil\n"
        "for package in ('edge', 'hub', 'protocol'):\n"
        "    there = importlib.import_module(package)\n"
        "    for module in pkgutil.walk_packages(there.__path__, package + '.'):\n"
        "        if module.name not in ('edge.__main__', 'hub.__main__', 'hub.adapters.migrations.env'):\n"
        "            importlib.import_module(module.name)\n"
        "print('all of them')"
    )
    assert "all of them" in _run(installed / "venv" / "bin" / "python", "-c", program, folder=installed)


@pytest.mark.timeout(LONGEST_S)
def test_an_installed_unit_plays_a_clip_without_tensorflow(installed: Path, pack_folder: Path) -> None:
    for name in ("unit.key", "hub.pub"):
        (installed / name).write_bytes(bytes(range(32)))
        (installed / name).chmod(0o600)
    (installed / "edge.toml").write_text(SETTINGS.format(pack=pack_folder), encoding="utf-8")
    make_clip(installed / "clip")

    out = _run(installed / "venv" / "bin" / "rollcall-edge", "run", "--config", "edge.toml", "--json", folder=installed)

    summary = json.loads(out.splitlines()[-1])
    assert summary["frames"] > 40
    assert summary["tracks"] >= 3
    python = installed / "venv" / "bin" / "python"
    absent = "import importlib.util as u; assert not u.find_spec('tensorflow') and not u.find_spec('deepface')"
    _run(python, "-c", absent, folder=installed)
