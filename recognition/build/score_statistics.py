"""Scores measured with the dlib pack on public pictures; the numbers go into the manifest of every pack built.

`measure_score_statistics` computes them again. Of the index it reads only the rows with role `enrol` and, of the rows
with role `stranger`, those from the 51st on: `probe` rows and the first 50 strangers are left for testing.
"""

import csv
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recognition.adapters.analysis import Engine
from recognition.adapters.chips_opencv import cut_chip
from recognition.adapters.pictures import read_picture
from recognition.core.calibration import ScoreStatistics, StrangerScores
from recognition.core.gallery import fuse

HELD_OUT_STRANGERS = 50
TAIL_SHARE = 0.01
SHORTEST_TAIL = -0.2
"""The moments of the fit suggest about -0.3, but a hundred people are too few to trust a tail that ends so early."""
SMALLEST_MARGIN = 0.005
FLOOR_SHARE = 0.01

Vectors = NDArray[np.float32]

DLIB = ScoreStatistics(
    strangers=(
        # samples, comparisons, tail_start, tail_share, tail_scale, tail_shape, margin
        StrangerScores(1, 54304, 0.92389, 0.01002, 0.00761, -0.1923, 0.0073),
        StrangerScores(2, 29007, 0.93306, 0.01003, 0.006638, -0.2, 0.0073),
        StrangerScores(3, 9603, 0.93526, 0.0101, 0.005963, -0.1364, 0.0073),
        StrangerScores(5, 9603, 0.93822, 0.0101, 0.005982, -0.1364, 0.0073),
    ),
    same_person_floor=0.8821,
    measured_on="100 enrolled people and 250 strangers of faces/ (Labeled Faces in the Wild, grey, 350 px), "
    "leaving identities out; 5 samples extrapolated from 3",
)


def measure_score_statistics(index_csv: Path, engine: Engine) -> ScoreStatistics:
    """Measure with the pictures that `index_csv` (columns file, identity, role) lists.

    People play strangers to the gallery of all others: single pictures of the strangers, and fused pictures of each
    enrolled person against everybody else. Five pictures of a person are not there: the last row is the row of three,
    moved by what further averaging does to a mean's length. Raises OSError, KeyError for another layout of the file.
    """
    people, strangers = _read(index_csv, engine)
    centroids = np.stack([fuse(vectors) for vectors in people])
    alone = (strangers @ centroids.T).ravel()
    scores = {samples: _against_the_others(people, centroids, samples) for samples in (1, 2, 3)}
    scores[1] = np.concatenate([scores[1], alone])
    margin = max(_largest_wrong_lead(people, centroids), SMALLEST_MARGIN)
    pairs = [float(a @ b) for vectors in people for a, b in combinations(vectors, 2)]
    rows = [_fit(samples, values, margin) for samples, values in scores.items()]
    return ScoreStatistics(
        strangers=(*rows, _moved(rows[-1], 5, float(np.mean(pairs)))),
        same_person_floor=round(float(np.quantile(pairs, FLOOR_SHARE)), 4),
        measured_on=f"{len(people)} enrolled people and {len(strangers)} strangers of {index_csv.parent.name}/ "
        f"(Labeled Faces in the Wild, grey, 350 px), leaving identities out; 5 samples extrapolated from 3",
    )


def _read(index_csv: Path, engine: Engine) -> tuple[list[Vectors], Vectors]:
    """Return the enrolled people's vectors, (n, d) each, and the strangers' (n, d), of all pictures with a face."""
    people: dict[str, list[Vectors]] = {}
    strangers: list[Vectors] = []
    seen_strangers = 0
    with index_csv.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            seen_strangers += row["role"] == "stranger"
            held_out = row["role"] == "stranger" and seen_strangers <= HELD_OUT_STRANGERS
            if row["role"] == "probe" or held_out:
                continue
            for vector in _vectors(index_csv.parent / row["file"], engine):
                (people.setdefault(row["identity"], []) if row["role"] == "enrol" else strangers).append(vector)
    return [np.stack(vectors) for vectors in people.values()], np.stack(strangers)


def _vectors(path: Path, engine: Engine) -> Sequence[Vectors]:
    """Return the vector of the widest face, or nothing."""
    image = read_picture(path)
    faces = engine.detector.detect(image)
    if not faces:
        return []
    widest = max(faces, key=lambda face: face.box.width)
    return list(engine.embedder.embed([cut_chip(image, widest, engine.embedder.geometry)]))


def _against_the_others(people: list[Vectors], centroids: Vectors, samples: int) -> NDArray[np.float64]:
    scores = []
    for index, vectors in enumerate(people):
        others = np.delete(centroids, index, axis=0)
        scores += [others @ fuse(np.stack(chosen)) for chosen in combinations(vectors, samples)]
    return np.concatenate(scores).astype(np.float64)


def _largest_wrong_lead(people: list[Vectors], centroids: Vectors) -> float:
    """Return by how much the wrong person led at most, each picture against templates of the other pictures."""
    largest = 0.0
    for index, vectors in enumerate(people):
        for left_out in range(len(vectors)):
            if len(vectors) < 2:
                continue
            scores = centroids @ vectors[left_out]
            scores[index] = fuse(np.delete(vectors, left_out, axis=0)) @ vectors[left_out]
            if int(scores.argmax()) != index:
                highest = np.sort(scores)[::-1]
                largest = max(largest, float(highest[0] - highest[1]))
    return round(largest, 4)


def _fit(samples: int, scores: NDArray[np.float64], margin: float) -> StrangerScores:
    """Fit a generalised Pareto tail to the highest scores by its first two moments."""
    start = float(np.quantile(scores, 1 - TAIL_SHARE))
    excess = scores[scores > start] - start
    mean = float(excess.mean())
    shape = min(0.0, max(SHORTEST_TAIL, (1 - mean**2 / float(excess.var())) / 2))
    return StrangerScores(
        samples=samples,
        comparisons=len(scores),
        tail_start=round(start, 5),
        tail_share=round(len(excess) / len(scores), 5),
        tail_scale=round(mean * (1 - shape), 6),
        tail_shape=round(shape, 4),
        margin=margin,
    )


def _moved(row: StrangerScores, samples: int, alike: float) -> StrangerScores:
    """Return `row` for more samples: with mean cosine `alike` between them, their mean's length falls, scores rise."""
    before = alike + (1 - alike) / row.samples
    after = alike + (1 - alike) / samples
    factor = (before / after) ** 0.5
    return StrangerScores(
        samples=samples,
        comparisons=row.comparisons,
        tail_start=round(row.tail_start * factor, 5),
        tail_share=row.tail_share,
        tail_scale=round(row.tail_scale * factor, 6),
        tail_shape=row.tail_shape,
        margin=row.margin,
    )
