"""`bench`: it measures every part, says on what, and suggests settings that the unit takes."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deploy.clip import SAMPLES
from edge.adapters import machine_bench
from edge.adapters.machine_bench import empty_room
from edge.cli.commands import app
from edge.settings import load_settings
from tests.edge_cli.units import UnitFolder


def few_runs(patch: pytest.MonkeyPatch) -> None:
    """What is tested is that everything is measured, not how fast this machine is now."""
    patch.setattr(machine_bench, "_A_FIGURE_S", 0.0)
    patch.setattr(machine_bench, "_LEAST_RUNS", 1)


@pytest.fixture(autouse=True)
def _few_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    few_runs(monkeypatch)


def measured(*arguments: object) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["bench", "--json", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.fixture(scope="module")
def plain(pack_folder: Path) -> dict[str, Any]:
    """What is measured without settings and without a picture."""
    with pytest.MonkeyPatch.context() as patch:
        few_runs(patch)
        return measured("--pack", pack_folder)


def test_without_settings_a_pack_alone_can_be_measured(plain: dict[str, Any]) -> None:
    found = plain
    names = " / ".join(figure["name"] for figure in found["figures"])

    for part in (
        "start of the program", "memory", "find faces from 40 px", "look where a face was", "turn upright",
        "a whole frame", "embed, f32, 1 thread, 1 at once", "embed, f32, 1 thread, 4 at once", "100 students",
        "10,000 students",
    ):  # fmt: skip
        assert part in names, part
    assert all(figure["value"] > 0 for figure in found["figures"])
    assert found["left_out"] == []
    assert found["faces_in_picture"] == 0
    assert set(found["temperature_c"]) == {"before", "after"}


def test_it_is_honest_about_what_it_had_no_faces_for(plain: dict[str, Any]) -> None:
    notes = {figure["name"]: figure["note"] for figure in plain["figures"]}

    assert "nobody" in notes["a whole frame: find, cut, embed, match"]
    assert "noise" in notes["embed, f32, 1 thread, 1 at once, a face"]
    assert "made-up" in notes["find faces from 40 px on, nobody there"]


def test_with_a_picture_its_faces_are_found_cut_and_embedded(pack_folder: Path) -> None:
    found = measured("--pack", pack_folder, "--picture", SAMPLES / "obama.jpg")
    notes = {figure["name"]: figure["note"] for figure in found["figures"]}

    assert found["faces_in_picture"] == 1
    assert notes["a whole frame: find, cut, embed, match"] == "1 face"
    assert "your picture" in notes["find 1 face"]


def test_what_it_suggests_is_taken_by_the_settings(unit: UnitFolder, pack_folder: Path) -> None:
    unit.changes["recognition.pack_dir"] = str(pack_folder)
    found = measured("--config", unit.config)
    unit.changes |= {suggestion["key"]: suggestion["value"] for suggestion in found["suggestions"]}

    assert {suggestion["key"] for suggestion in found["suggestions"]} == {
        "recognition.variant", "recognition.threads", "recognition.smallest_face_px", "camera.frames_per_s"
    }  # fmt: skip
    assert all(suggestion["reason"] for suggestion in found["suggestions"])
    load_settings(unit.config)


def test_for_people_it_is_a_table_and_settings_with_their_reasons(pack_folder: Path) -> None:
    result = CliRunner().invoke(app, ["bench", "--pack", str(pack_folder)])

    assert result.exit_code == 0, result.output
    assert "match a face against 10,000 students" in result.stdout
    assert "recognition.threads = " in result.stdout
    assert "temperature:" in result.stdout


def test_when_it_takes_too_long_the_rest_is_left_out_and_named(
    pack_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody waits for the answer, on a machine that may be twenty times slower than this one."""
    monkeypatch.setattr(machine_bench, "_LONGEST_S", 0.0)
    found = measured("--pack", pack_folder)

    assert "matching" in found["left_out"]
    assert found["suggestions"] == []


@pytest.mark.parametrize("content", [b"", b"no picture", None])
def test_a_picture_that_cannot_be_read_is_a_sentence(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "room.jpg"
    if content is not None:
        path.write_bytes(content)
    result = CliRunner().invoke(app, ["bench", "--pack", str(tmp_path), "--picture", str(path)])

    assert result.exit_code == 2
    assert "fix:" in result.stderr


def test_a_pack_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["bench", "--pack", str(tmp_path / "gone")])

    assert result.exit_code == 1
    assert "no model pack" in result.stderr


def test_the_made_up_room_is_the_same_each_time_and_of_any_size() -> None:
    assert (empty_room((1280, 720)) == empty_room((1280, 720))).all()
    assert empty_room((160, 120)).shape == (120, 160, 3)
    assert empty_room((1280, 720)).std() > 20
