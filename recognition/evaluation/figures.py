"""The figures of an evaluation, each computed from everybody's vectors."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from recognition.core.quality import FaceQuality, QualityLimits
from recognition.evaluation.bounds import Interval
from recognition.evaluation.calibration_check import CalibrationRow, calibration_row
from recognition.evaluation.identification import OpenSetRow, open_set_rows
from recognition.evaluation.material import Material, Pictures
from recognition.evaluation.operating import Looks
from recognition.evaluation.resampling import Weights, share_interval
from recognition.evaluation.searching import People, Searches, Tracks, search
from recognition.evaluation.tracks import draw_galleries, make_looks, make_tracks, templates
from recognition.evaluation.verification import Comparisons, VerificationResult, compare, verify

GALLERIES = (30, 100)
SAMPLES = (1, 2, 3)
FPIRS = (0.01, 0.003, 0.001)
FARS = (0.01, 0.001)
GALLERY_DRAWS = 20
MOST_COMPARED = 5000
"""Pictures compared with each other: more would need gigabytes, and 12 million pairs are enough."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What is to be computed. `images` are the pictures of a template; `target_fpir` is the school's own."""

    galleries: tuple[int, ...] = GALLERIES
    samples: tuple[int, ...] = SAMPLES
    fpirs: tuple[float, ...] = FPIRS
    images: int = 3
    target_fpir: float = 0.01
    seed: int = 1
    worse_pictures: bool = True

    def generator(self, *purpose: int) -> np.random.Generator:
        """Return a generator of its own for each purpose: adding a figure does not change the others."""
        return np.random.default_rng([self.seed, *purpose])


@dataclass(frozen=True, slots=True)
class Band:
    """Probe pictures of one kind: how many were found at the run's own threshold."""

    measure: str
    band: str
    searches: int
    people: int
    tpir: float
    interval: Interval


def sizes(choices: Choices, people: int) -> list[int]:
    """Return the sizes of galleries, ascending: those chosen that there are people for, and everybody."""
    return sorted({size for size in choices.galleries if 1 < size < people} | {people})


def searches_of(material: Material, size: int, samples: int, images: int, choices: Choices) -> Searches:
    """Search with tracks of `samples` pictures in galleries of `size` with templates of `images` pictures."""
    people = len(material.enrolled)
    centroids = templates(material.enrolled, images, material.dimensions)
    galleries = draw_galleries(people, size, GALLERY_DRAWS, choices.generator(1, size))
    return search(centroids, galleries, *_tracks(material, samples, choices), samples)


def open_set(material: Material, choices: Choices, images: int, weights: Weights) -> list[OpenSetRow]:
    """Return the rows of all sizes of gallery, samples and FPIRs; those that nobody has enough pictures for lack."""
    rows: list[OpenSetRow] = []
    for size in sizes(choices, len(material.enrolled)):
        for samples in choices.samples:
            searches = searches_of(material, size, samples, images, choices)
            if len(searches.mated.person) and len(searches.non_mated.person):
                rows += open_set_rows(searches, choices.fpirs, weights)
    return rows


def looks_of(material: Material, looks: int, images: int) -> Looks | None:
    """Return searches in the gallery of everybody with tracks that are looked at again and again.

    None when nobody has that many pictures.
    """
    people = len(material.enrolled)
    centroids = templates(material.enrolled, images, material.dimensions)
    everybody = [np.arange(people, dtype=np.int64)]
    mated = make_looks(list(enumerate(material.probes[:people])), looks, material.dimensions)
    others = make_looks(list(enumerate(material.anything)), looks, material.dimensions)
    if not len(mated[0].person) or not len(others[0].person):
        return None
    pairs = zip(mated, others, strict=True)
    return Looks(tuple(search(centroids, everybody, *pair, number) for number, pair in enumerate(pairs, start=1)))


def verification(
    material: Material, choices: Choices, images: int, weights: Weights
) -> dict[str, tuple[Comparisons, VerificationResult]]:
    """Return the figures of probe pictures against templates, and of pictures against each other."""
    centroids = templates(material.enrolled, images, material.dimensions)
    mated, _ = _tracks(material, 1, choices)
    strangers = make_tracks(_strangers(material), 1, material.dimensions, choices.generator(2))
    looked_for = _both(mated, strangers)
    people = np.arange(len(centroids), dtype=np.int64)
    everything = make_tracks(list(enumerate(material.anything)), 1, material.dimensions, choices.generator(3))
    everything = _at_most(everything, MOST_COMPARED, choices.generator(8))
    count = len(everything.person)
    once = np.triu(np.ones((count, count), dtype=np.bool_), k=1)
    found = {
        "template": compare(looked_for.vectors, looked_for.person, centroids, people),
        "pictures": compare(everything.vectors, everything.person, everything.vectors, everything.person, apart=once),
    }
    return {
        kind: (scores, verify(scores, FARS, weights))
        for kind, scores in found.items()
        if len(scores.genuine) and len(scores.impostor)
    }


def calibration(material: Material, choices: Choices, margin: float) -> list[CalibrationRow]:
    """Return how stated errors hold on the other half: of strangers by one picture, of left-out people by several."""
    rows = []
    centroids = templates(material.enrolled, choices.images, material.dimensions)
    for samples in choices.samples:
        strangers = _strangers(material)
        # Strangers with a single picture can only be looked at once; for more, enrolled people are left out in turn.
        enough = any(len(pictures) >= samples for _, pictures in strangers)
        people = strangers if enough else list(enumerate(material.anything))
        tracks = make_tracks(people, samples, material.dimensions, choices.generator(4, samples))
        scores, person = _against_others(tracks, centroids)
        if len(person) and scores.shape[1] >= 2:
            generator = choices.generator(5, samples)
            row = calibration_row(scores, person, samples, choices.target_fpir, margin, generator)
            rows += [row] if row else []
    return rows


def quality_bands(
    pictures: Pictures, searches: Searches, threshold: float, limits: QualityLimits, weights: Weights
) -> list[Band]:
    """Return how many single probe pictures were found, by what was measured on them.

    `searches` are those with one sample in the gallery of everybody, so that its rows are the probes in order.
    """
    number = len(pictures.data_set.enrolled)
    seen = [p for person in pictures.probes[:number] for p in person if p.problem != "copy"]
    hits, person = searches.mated.hits(threshold), searches.mated.person
    measured = np.array([picture.quality is not None for picture in seen])
    qualities = [picture.quality for picture in seen if picture.quality is not None]
    hits, person = hits[measured], person[measured]
    refused = np.array([bool(p.refusals(limits)) for p in seen if p.quality is not None], dtype=np.bool_)
    bands = [("good enough for enrolment", "yes", ~refused), ("good enough for enrolment", "no", refused)]
    for measure in _MEASURES:
        bands += _quarters(measure, np.array([_value(quality, measure) for quality in qualities]))
    return [
        Band(
            measure=measure,
            band=name,
            searches=int(inside.sum()),
            people=len(np.unique(person[inside])),
            tpir=float(hits[inside].mean()),
            interval=share_interval(hits[inside], person[inside], weights),
        )
        for measure, name, inside in bands
        if inside.any()
    ]


_MEASURES = tuple(field.name for field in fields(FaceQuality))


def _value(quality: FaceQuality, measure: str) -> float:
    # How far a head is turned, not to which side.
    value = float(getattr(quality, measure))
    return abs(value) if measure in ("yaw_ratio", "roll_deg") else value


def _quarters(measure: str, values: NDArray[np.float64]) -> list[tuple[str, str, NDArray[np.bool_]]]:
    if not len(values):
        return []
    edges = np.unique(np.quantile(values, [0, 0.25, 0.5, 0.75, 1]))
    if len(edges) < 3:
        return []
    bands = []
    for low, high in pairwise(edges):
        inside = (values >= low) & ((values < high) | (high == edges[-1]))
        bands.append((measure, f"{low:.3g} to {high:.3g}", inside))
    return bands


def _tracks(material: Material, samples: int, choices: Choices) -> tuple[Tracks, Tracks]:
    """Return the tracks of people who are looked for, and of everybody as a stranger."""
    people = len(material.enrolled)
    looked_for = list(enumerate(material.probes[:people]))
    mated = make_tracks(looked_for, samples, material.dimensions, choices.generator(6, samples))
    everybody = list(enumerate(material.anything))
    return mated, make_tracks(everybody, samples, material.dimensions, choices.generator(7, samples))


def _strangers(material: Material) -> list[tuple[int, Sequence[NDArray[np.float32] | None]]]:
    people = len(material.enrolled)
    return [(number, pictures) for number, pictures in enumerate(material.anything) if number >= people]


def _against_others(tracks: Tracks, centroids: NDArray[np.float32]) -> tuple[NDArray[np.float64], People]:
    """Return scores (n, people) of tracks with every template but their own; -inf where there is none."""
    kept = np.isfinite(tracks.vectors).all(axis=1)
    vectors, person = tracks.vectors[kept], tracks.person[kept]
    scores = np.clip(vectors @ np.nan_to_num(centroids).T, -1.0, 1.0).astype(np.float64)
    scores[:, ~np.isfinite(centroids).all(axis=1)] = -np.inf
    own = person < len(centroids)
    scores[np.flatnonzero(own), person[own]] = -np.inf
    return scores, person


def _at_most(tracks: Tracks, most: int, generator: np.random.Generator) -> Tracks:
    if len(tracks.person) <= most:
        return tracks
    kept = np.sort(generator.choice(len(tracks.person), size=most, replace=False))
    return Tracks(tracks.vectors[kept], tracks.person[kept])


def _both(one: Tracks, other: Tracks) -> Tracks:
    return Tracks(np.concatenate([one.vectors, other.vectors]), np.concatenate([one.person, other.person]))
