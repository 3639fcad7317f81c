"""Scores measured with the dlib pack on public pictures; the numbers go into the manifest of every pack built.

`measure_score_statistics` computes them again. Of the index it reads only the rows with role `enrol` and, of the rows
with role `stranger`, those from the 51st on: `probe` rows and the first 50 strangers are left for testing.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recognition.adapters.analysis import Engine
from recognition.adapters.chips_opencv import cut_chip
from recognition.adapters.enrolment_views import enrolment_vector
from recognition.adapters.pictures import read_picture
from recognition.core.calibration import GenuineScores, ScoreStatistics, StrangerScores
from recognition.core.calibration_fit import (
    extrapolate_stranger_scores,
    fit_genuine_scores,
    fit_stranger_scores,
)
from recognition.core.face import Vector
from recognition.core.gallery import fuse
from recognition.core.looking import probe_vectors

HELD_OUT_STRANGERS = 50
SMALLEST_MARGIN = 0.005
FLOOR_SHARE = 0.01

Vectors = NDArray[np.float32]

DLIB = ScoreStatistics(
    strangers=(
        # samples, comparisons, tail_start, tail_share, tail_scale, tail_shape, margin
        StrangerScores(1, 54204, 0.9246, 0.0100177, 0.007254, -0.1589, 0.007),
        StrangerScores(2, 29007, 0.93362, 0.0100321, 0.006053, -0.1589, 0.007),
        StrangerScores(3, 9603, 0.93589, 0.010101, 0.00573, -0.1589, 0.007),
        StrangerScores(5, 9603, 0.93884, 0.010101, 0.005748, -0.1589, 0.007),
    ),
    same_person_floor=0.8882,
    measured_on="100 enrolled people and 249 strangers of faces/ (Labeled Faces in the Wild, grey, 350 px), "
    "leaving identities out; 5 samples extrapolated from 3",
    genuine=(GenuineScores(1, 295, 0.96592, 0.013677),),
)


def measure_score_statistics(index_csv: Path, engine: Engine) -> ScoreStatistics:
    """Measure with the pictures that `index_csv` (columns file, identity, role) lists.

    People play strangers to the gallery of all others: single pictures of the strangers, and fused pictures of each
    enrolled person against everybody else. Templates are made as enrolment makes them, probes as a unit
    looks at a face alone. Five pictures of a person are not there: the last row is the row of three, moved by what
    further averaging does to a mean's length.

    Raises OSError, KeyError for another layout of the file, ValueError for too few pictures.
    """
    people, strangers = _read(index_csv, engine)
    centroids = np.stack([fuse(person.templates) for person in people])
    alone = (strangers @ centroids.T).ravel()
    scores = {samples: _against_the_others(people, centroids, samples) for samples in (1, 2, 3)}
    scores[1] = np.concatenate([scores[1], alone])
    margin = max(_largest_wrong_lead(people, centroids), SMALLEST_MARGIN)
    pairs = [float(a @ b) for person in people for a, b in combinations(person.probes, 2)]
    single = fit_stranger_scores(1, scores[1], margin)
    # Of fused pictures there are far fewer scores, all of the same hundred people: where their tail seems to end sooner
    # than that of single pictures, that is not believed, or late looks would rest on a few highest scores.
    fused = [fit_stranger_scores(samples, scores[samples], margin, single.tail_shape) for samples in (2, 3)]
    rows = [single, *fused]
    return ScoreStatistics(
        strangers=(*rows, extrapolate_stranger_scores(rows[-1], 5, float(np.mean(pairs)))),
        same_person_floor=round(float(np.quantile(pairs, FLOOR_SHARE)), 4),
        measured_on=f"{len(people)} enrolled people and {len(strangers)} strangers of {index_csv.parent.name}/ "
        f"(Labeled Faces in the Wild, grey, 350 px), leaving identities out; 5 samples extrapolated from 3",
        genuine=(fit_genuine_scores(1, _own_scores(people)),),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Person:
    """One person's pictures, looked at as enrolment does and as a unit does: (n, d) each."""

    templates: Vectors
    probes: Vectors


def _read(index_csv: Path, engine: Engine) -> tuple[list[_Person], Vectors]:
    """Return the enrolled people and the strangers' probes (n, d), of all pictures with a face."""
    people: dict[str, list[tuple[Vector, Vector]]] = {}
    strangers: list[Vector] = []
    seen_strangers = 0
    with index_csv.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            seen_strangers += row["role"] == "stranger"
            held_out = row["role"] == "stranger" and seen_strangers <= HELD_OUT_STRANGERS
            if row["role"] == "probe" or held_out:
                continue
            looks = _looks(index_csv.parent / row["file"], engine)
            if looks is None:
                continue
            if row["role"] == "enrol":
                people.setdefault(row["identity"], []).append(looks)
            else:
                strangers.append(looks[1])
    everybody = [
        _Person(np.stack([template for template, _ in looks]), np.stack([probe for _, probe in looks]))
        for looks in people.values()
    ]
    return everybody, np.stack(strangers)


def _looks(path: Path, engine: Engine) -> tuple[Vector, Vector] | None:
    """Return the widest face as a template's member and as a probe, or None without a face."""
    image = read_picture(path)
    faces = engine.detector.detect(image)
    if not faces:
        return None
    widest = max(faces, key=lambda face: face.box.width)
    (probe,) = probe_vectors(engine.embedder, [cut_chip(image, widest, engine.embedder.geometry)])
    return enrolment_vector(image, widest, engine.embedder, engine.pack.views), probe


def _against_the_others(people: list[_Person], centroids: Vectors, samples: int) -> NDArray[np.float64]:
    scores = []
    for index, person in enumerate(people):
        others = np.delete(centroids, index, axis=0)
        scores += [others @ fuse(np.stack(chosen)) for chosen in combinations(person.probes, samples)]
    return np.concatenate(scores).astype(np.float64)


def _left_out(person: _Person) -> Iterator[tuple[Vector, Vector]]:
    """Yield each probe with the template made of the person's other pictures."""
    if len(person.probes) > 1:
        for index, probe in enumerate(person.probes):
            yield probe, fuse(np.delete(person.templates, index, axis=0))


def _own_scores(people: list[_Person]) -> NDArray[np.float64]:
    return np.array([float(probe @ template) for person in people for probe, template in _left_out(person)])


def _largest_wrong_lead(people: list[_Person], centroids: Vectors) -> float:
    """Return by how much the wrong person led at most, each picture against templates of the other pictures."""
    largest = 0.0
    for index, person in enumerate(people):
        for probe, template in _left_out(person):
            scores = centroids @ probe
            scores[index] = template @ probe
            if int(scores.argmax()) != index:
                highest = np.sort(scores)[::-1]
                largest = max(largest, float(highest[0] - highest[1]))
    return round(largest, 4)
