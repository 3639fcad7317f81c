"""The points of the pack's manifest on people it was not calibrated with: probes and the first fifty strangers."""

import csv
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from recognition.adapters.analysis import Engine
from recognition.adapters.chips_opencv import cut_chip
from recognition.adapters.pictures import read_picture
from recognition.core.calibration import OperatingPoint, operating_points
from recognition.core.gallery import Gallery, Match, Template, fuse

FPIR = 0.01

Vectors = dict[str, list[np.ndarray]]


@pytest.fixture(scope="module")
def faces(engine: Engine, shared_folder: Path) -> dict[str, Vectors]:
    """Vectors by role and identity; of the strangers only the held-out ones."""
    found: dict[str, Vectors] = {"enrol": {}, "probe": {}, "stranger": {}}
    with (shared_folder / "faces" / "index.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            people = found[row["role"]]
            if row["role"] == "stranger" and len(people) == 50:
                continue
            vectors = people.setdefault(row["identity"], [])
            image = read_picture(shared_folder / "faces" / row["file"])
            detected = engine.detector.detect(image)
            if detected:
                widest = max(detected, key=lambda face: face.box.width)
                vectors.extend(engine.embedder.embed([cut_chip(image, widest, engine.embedder.geometry)]))
    return found


@pytest.fixture(scope="module")
def gallery(engine: Engine, faces: dict[str, Vectors]) -> Gallery:
    pack = engine.pack
    templates = [Template(name, pack.pack_id, np.stack(vectors)) for name, vectors in faces["enrol"].items()]
    return Gallery.build(templates, pack.pack_id, pack.dimensions)


def accepted(match: Match, point: OperatingPoint) -> bool:
    return match.score >= point.threshold and match.margin >= point.margin


@pytest.mark.parametrize(("samples", "least"), [(1, 0.90), (2, 0.97), (3, 0.97)])
def test_students_are_recognised_and_nobody_is_taken_for_another(
    engine: Engine, faces: dict[str, Vectors], gallery: Gallery, samples: int, least: float
) -> None:
    point = operating_points(engine.pack.statistics, gallery.size, FPIR).for_samples(samples)
    names, tracks = [], []
    for name, vectors in faces["probe"].items():
        for chosen in combinations(vectors, samples):
            names.append(name)
            tracks.append(fuse(np.stack(chosen)))
    found = [match.student_id if accepted(match, point) else None for match in gallery.match(np.stack(tracks))]
    right = sum(name == student for name, student in zip(names, found, strict=True))
    assert right / len(names) >= least
    assert len([1 for name, student in zip(names, found, strict=True) if student not in (None, name)]) <= 1


def test_strangers_are_not_taken_for_students(engine: Engine, faces: dict[str, Vectors], gallery: Gallery) -> None:
    """At 1 % one of fifty is no surprise; four would be (1 in 600)."""
    point = operating_points(engine.pack.statistics, gallery.size, FPIR).for_samples(1)
    strangers = np.stack([vector for vectors in faces["stranger"].values() for vector in vectors])
    assert sum(accepted(match, point) for match in gallery.match(strangers)) <= 3
