"""Twenty people enrolled from three pictures each, seen again; and fifty strangers. With the folder of shared data."""

import csv
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.own_process import wait_until
from deploy.stage import Stage, StagedUnit

pytestmark = [pytest.mark.system, pytest.mark.server, pytest.mark.model, pytest.mark.shared]

PEOPLE, STRANGERS = 20, 50
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
    return stage, unit, faces


def _scenes(folder: Path, pictures: dict[str, list[Path]]) -> Path:
    for name, paths in pictures.items():
        scene = folder / name
        scene.mkdir(parents=True)
        for number, path in enumerate(paths):
            (scene / f"{number}.jpg").write_bytes(path.read_bytes())
    return folder


def _play(stage: Stage, unit: StagedUnit, clip: Path) -> dict[str, int]:
    watching = unit.program({"kind": "replay", "source": str(clip), "at_end": "again"})
    if not unit.csv_folder.exists():
        watching.start()
        stage.wait_for_gallery()
        watching.stop()
    summary: dict[str, int] = unit.command("run", "--json", camera={**FAST, "source": str(clip)})
    return summary


def test_enrolled_people_are_recognised_and_strangers_are_not(
    school: tuple[Stage, StagedUnit, Faces], tmp_path: Path
) -> None:
    stage, unit, faces = school
    empty = _scenes(tmp_path / "first", {"nobody": [faces.strangers[-1]]})
    _play(stage, unit, empty)
    before = len(unit.events())
    people = list(faces.enrol)[:PEOPLE]
    counts: Counter[str] = Counter()
    for identity in people:
        # A scene of its own run for each person, so that each sighting can be held against who was really there.
        serial = f"{people.index(identity) + 1:03d}"
        _play(stage, unit, _scenes(tmp_path / "probe" / serial, {identity: faces.probe[identity]}))
        counts[_verdict(stage, unit.events()[before:], serial)] += 1
        before = len(unit.events())
    summary = _play(
        stage, unit, _scenes(tmp_path / "strangers", {str(n): [p] for n, p in enumerate(faces.strangers[:STRANGERS])})
    )
    marked = [event for event in unit.events()[before:] if event["kind"] == "seen"]
    print("people:", dict(counts))  # noqa: T201 (the figures are what this test is for)
    print("strangers:", {"marked": len(marked), **{k: v for k, v in summary.items() if k.startswith("tracks")}})  # noqa: T201 (the figures are what this test is for)
    assert counts["wrong"] == 0
    assert counts["present"] >= 18
    assert len(marked) <= 1
    assert wait_until(lambda: all(event["delivery"] == "delivered" for event in unit.events()), 30)


def _verdict(stage: Stage, events: list[dict[str, object]], serial: str) -> str:
    rows = stage.query("SELECT LOWER(HEX(id)), serial_number FROM students")
    serial_of = {str(row[0]): str(row[1]) for row in rows}
    seen = {serial_of[str(event["student_id"]).replace("-", "")] for event in events if event["kind"] == "seen"}
    if seen - {serial}:
        return "wrong"
    if seen:
        return "present"
    return "review" if any(event["kind"] == "review" for event in events) else "unknown"
