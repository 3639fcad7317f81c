"""`zone`: the line for the settings file, and a still only for who asks for one."""

import json
import stat
import tomllib
from pathlib import Path

import cv2
import pytest

from tests.edge_cli.units import UnitFolder


def printed_zone(text: str) -> list[list[float]]:
    zone: list[list[float]] = tomllib.loads(text)["zone"]
    return zone


def test_two_corners_become_a_line_that_can_be_pasted_into_the_settings(unit: UnitFolder) -> None:
    result = unit.run("zone", "0.2,0.1", "0.8,0.9")

    assert result.exit_code == 0, result.output
    zone = printed_zone(result.stdout)
    assert zone == [[0.2, 0.1], [0.8, 0.1], [0.8, 0.9], [0.2, 0.9]]
    assert "48%" in result.stdout
    unit.changes["presence.zone"] = zone
    again = unit.run("zone", "--json")
    assert json.loads(again.stdout) == {"zone": zone, "share": 0.48, "snapshot": None}


def test_without_a_zone_it_says_that_the_whole_picture_counts(unit: UnitFolder) -> None:
    result = unit.run("zone")

    assert printed_zone(result.stdout) == []
    assert "the whole picture" in result.stdout


def test_no_picture_is_kept_unless_asked_for(unit: UnitFolder) -> None:
    before = sorted(path for path in unit.folder.rglob("*") if path.name != "edge.toml")
    unit.run("zone", "0.2,0.1", "0.8,0.9")

    assert sorted(path for path in unit.folder.rglob("*") if path.name != "edge.toml") == before


def test_a_snapshot_shows_the_grid_and_the_zone_and_only_its_owner_may_read_it(unit: UnitFolder) -> None:
    path = unit.folder / "door.png"
    result = unit.run("zone", "0.25,0.25", "0.75,0.75", "--snapshot", path)
    picture = cv2.imread(str(path))

    assert result.exit_code == 0, result.output
    assert "delete it" in result.stderr
    assert picture is not None
    height, width = picture.shape[:2]
    assert (width, height) == (64, 48)
    assert picture[: height // 8].mean() < picture[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3].mean()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["door.txt", "gone/door.jpg", "camera"])
def test_a_place_or_ending_that_does_not_serve_is_refused_in_a_sentence(unit: UnitFolder, name: str) -> None:
    result = unit.run("zone", "--snapshot", unit.folder / name)

    assert result.exit_code == 2
    assert "fix:" in result.stderr


@pytest.mark.parametrize(
    "corners", [["0.5,0.5"], ["0.2"], ["a,b", "0.1,0.1"], ["0.1,0.1", "7,7"], ["0,0", "1,1", "1,0", "0,1"]]
)
def test_corners_that_are_no_zone_are_refused_in_a_sentence(unit: UnitFolder, corners: list[str]) -> None:
    result = unit.run("zone", *corners)

    assert result.exit_code == 2
    assert "no zone:" in result.stderr
    assert "0.2,0.1 0.8,0.9" in result.stderr


def test_a_camera_that_gives_no_picture_is_a_sentence_too(unit: UnitFolder, tmp_path: Path) -> None:
    unit.changes |= {"camera.kind": "opencv", "camera.source": "9999"}
    result = unit.run("zone", "--snapshot", tmp_path / "door.jpg")

    assert result.exit_code == 1
    assert "cannot be opened" in result.stderr
    assert not (tmp_path / "door.jpg").exists()
