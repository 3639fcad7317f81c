"""Twenty people enrolled from three pictures each, seen again; and fifty strangers. With the folder of shared data."""

import csv
import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from deploy.own_process import wait_until
from deploy.stage import Stage, StagedUnit
from edge.adapters.camera_replay import PICTURE_EVERY_S

pytestmark = [pytest.mark.system, pytest.mark.server, pytest.mark.model, pytest.mark.shared]

PEOPLE, STRANGERS, PICTURES = 20, 50, 3
FAST = {"kind": "replay", "at_end": "stop", "replay_pace": "fast", "delivery__drain_s": "60"}


@dataclass(frozen=True, slots=True)
class Faces:
    """Pictures by person: three to enrol, three to recognise; and strangers, one picture each."""

    enrol: dict[str, list[Path]]
    probe: dict[str, list[Path]]
    strangers: list[Path]


def _faces(shared: Path) -> Faces:
    faces = Faces({}, {}, [])
    with (shared / "faces" / "index.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            path = shared / "faces" / row["file"]
            if row["role"] == "stranger":
                faces.strangers.append(path)
            else:
                {"enrol": faces.enrol, "probe": faces.probe}[row["role"]].setdefault(row["identity"], []).append(path)
    return faces


@pytest.fixture
def school(stage: Stage, shared_folder: Path, tmp_path: Path) -> tuple[Stage, StagedUnit, Faces]:
    """The first twenty people, enrolled through the operator's command, on a unit."""
    faces = _faces(shared_folder)
    folder = tmp_path / "known_faces"
    folder.mkdir()
    for serial, identity in enumerate(list(faces.enrol)[:PEOPLE], 1):
        for number, path in enumerate(faces.enrol[identity]):
            name = identity.replace("_", " ")
            (folder / f"{serial:03d}_{name}_{number}.jpg").write_bytes(path.read_bytes())
    stage.office("room", "add", "Room 12")
    unit = stage.add_unit("room-12", "Room 12")
    outcome = stage.office(
        "enrol", "import", str(folder), "--add-students", "--consent-reference", "test", "--json", allowed=(0, 1)
    )
    print("enrolment:", json.dumps(outcome.get("counts", outcome) if isinstance(outcome, dict) else len(outcome)))  # noqa: T201 (the figures are what this test is for)
    stage.hub.start()
    watching = unit.program(
        {"kind": "replay", "source": str(_scenes(tmp_path / "first", {"0": faces.strangers[-1:]})), "at_end": "again"}
    )
    with watching:
        stage.wait_for_gallery()
    return stage, unit, faces


def _scenes(folder: Path, pictures: dict[str, list[Path]]) -> Path:
    for name, paths in pictures.items():
        scene = folder / name
        scene.mkdir(parents=True)
        for number, path in enumerate(paths):
            (scene / f"{number}.jpg").write_bytes(path.read_bytes())
    return folder


def _play(unit: StagedUnit, clip: Path) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Return the summary of a run and the events it made."""
    before = len(unit.events())
    summary: dict[str, int] = unit.command("run", "--json", camera={**FAST, "source": str(clip)})
    return summary, unit.events()[before:]


def test_enrolled_people_are_recognised_and_strangers_are_not(
    school: tuple[Stage, StagedUnit, Faces], tmp_path: Path
) -> None:
    stage, unit, faces = school
    people = {f"{n:03d}": faces.probe[name] for n, name in enumerate(list(faces.enrol)[:PEOPLE], 1)}
    assert {len(paths) for paths in people.values()} == {PICTURES}
    summary, events = _play(unit, _scenes(tmp_path / "people", people))
    counts = _verdicts(stage, events, list(people))
    strangers = {f"{n:03d}": _three(path, tmp_path) for n, path in enumerate(faces.strangers[:STRANGERS])}
    stranger_summary, stranger_events = _play(unit, _scenes(tmp_path / "strangers", strangers))
    marked = sum(event["kind"] == "seen" for event in stranger_events)

    print("people:", dict(counts), _tracks(summary))  # noqa: T201 (the figures are what this test is for)
    print("strangers: marked", marked, _tracks(stranger_summary))  # noqa: T201
    # Somebody taken for a person seen seconds before makes no event of its own, but is a track all the same.
    assert summary["tracks_present"] == counts["present"]
    assert counts["wrong"] == 0
    assert counts["present"] >= 18
    assert stranger_summary["tracks_present"] == marked <= 1
    assert wait_until(lambda: all(event["delivery"] == "delivered" for event in unit.events()), 30)


def _three(path: Path, folder: Path) -> list[Path]:
    """Return a stranger's only picture three times, moved and lit a little differently.

    Each moment is a chance to be taken for somebody; from a single one nobody is ever called present.
    """
    image = cv2.imread(str(path))
    assert image is not None
    made = []
    for number, (shift_px, gain) in enumerate(((0, 1.0), (8, 1.1), (-8, 0.9))):
        moved = cv2.warpAffine(image, np.array([[1.0, 0, shift_px], [0, 1.0, 0]]), image.shape[1::-1])
        made.append(folder / f"{path.stem}-{number}.png")
        cv2.imwrite(str(made[-1]), cv2.convertScaleAbs(moved, alpha=gain))
    return made


def _tracks(summary: dict[str, int]) -> dict[str, int]:
    return {name: value for name, value in summary.items() if name.startswith("tracks")}


def _verdicts(stage: Stage, events: list[dict[str, Any]], serials: list[str]) -> Counter[str]:
    """Hold each scene against who was in it. A scene is as long as its pictures, and begins where coverage begins."""
    rows = stage.query("SELECT LOWER(HEX(id)), serial_number FROM students")
    serial_of = {str(row[0]): str(row[1]) for row in rows}
    began = min(datetime.fromisoformat(event["since"]) for event in events if event["kind"] == "coverage")
    seen: dict[str, set[str]] = {serial: set() for serial in serials}
    asked: set[str] = set()
    for event in events:
        if event["kind"] not in {"seen", "review"}:
            continue
        offset_s = (datetime.fromisoformat(event["at"]) - began).total_seconds()
        scene = serials[int((offset_s + 0.01) // (PICTURES * PICTURE_EVERY_S))]
        if event["kind"] == "seen":
            seen[scene].add(serial_of[str(event["student_id"]).replace("-", "")])
        else:
            asked.add(scene)
    counts: Counter[str] = Counter()
    for serial, found in seen.items():
        counts["wrong" if found - {serial} else "present" if found else "review" if serial in asked else "unknown"] += 1
    return counts
