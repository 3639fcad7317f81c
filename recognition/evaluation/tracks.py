"""From pictures of people to tracks of several fused pictures, and to galleries of a given size."""

from collections.abc import Sequence
from itertools import combinations, islice
from math import comb

import numpy as np
from numpy.typing import NDArray

from recognition.core.face import Vector
from recognition.core.gallery import fuse
from recognition.evaluation.searching import People, Tracks

MOST_TRACKS = 20
"""Tracks made of one person's pictures: somebody with a hundred pictures must not decide the figures alone."""
MOST_LISTED = 10_000

Seen = Sequence[Vector | None]
"""One person's pictures as vectors; None where no face could be used."""


def make_tracks(
    people: Sequence[tuple[int, Seen]], samples: int, dimensions: int, generator: np.random.Generator
) -> Tracks:
    """Fuse every choice of `samples` different pictures of each (person, pictures); at most MOST_TRACKS a person.

    Pictures without a usable face add nothing to their track; a track of such pictures only is a row of NaN.
    """
    vectors: list[NDArray[np.float32]] = []
    owners: list[int] = []
    for person, pictures in people:
        for chosen in chosen_pictures(len(pictures), samples, generator):
            usable = [vector for index in chosen if (vector := pictures[index]) is not None]
            nothing = np.full(dimensions, np.nan, dtype=np.float32)
            vectors.append(fuse(np.stack(usable)) if usable else nothing)
            owners.append(person)
    stacked = np.stack(vectors) if vectors else np.zeros((0, dimensions), dtype=np.float32)
    return Tracks(stacked, np.array(owners, dtype=np.int64))


def make_looks(people: Sequence[tuple[int, Seen]], looks: int, dimensions: int) -> list[Tracks]:
    """Return what tracks hold after 1, 2, ... `looks`: the same tracks, row by row, in each of the results.

    Each track starts at another picture of its person and takes the following ones; people with fewer usable pictures
    than looks have no track.
    """
    rows: list[list[NDArray[np.float32]]] = [[] for _ in range(looks)]
    owners: list[int] = []
    for person, pictures in people:
        usable = [vector for vector in pictures if vector is not None]
        if len(usable) < looks:
            continue
        for start in range(min(len(usable), MOST_TRACKS)):
            seen = [usable[(start + step) % len(usable)] for step in range(looks)]
            owners.append(person)
            for count in range(looks):
                rows[count].append(fuse(np.stack(seen[: count + 1])))
    person_of = np.array(owners, dtype=np.int64)
    nothing = np.zeros((0, dimensions), dtype=np.float32)
    return [Tracks(np.stack(vectors) if vectors else nothing, person_of) for vectors in rows]


def chosen_pictures(pictures: int, samples: int, generator: np.random.Generator) -> list[tuple[int, ...]]:
    """Return the choices of `samples` of `pictures`, at most MOST_TRACKS of them, drawn when there are more.

    Single pictures are all kept: there is no choice to draw, and leaving some out would only lose data.
    """
    if samples == 1:
        return [(index,) for index in range(pictures)]
    total = comb(pictures, samples)
    if total <= MOST_TRACKS:
        return list(combinations(range(pictures), samples))
    if total <= MOST_LISTED:
        kept = set(generator.choice(total, size=MOST_TRACKS, replace=False).tolist())
        listed = islice(combinations(range(pictures), samples), total)
        return [choice for index, choice in enumerate(listed) if index in kept]
    drawn: set[tuple[int, ...]] = set()
    while len(drawn) < MOST_TRACKS:
        drawn.add(tuple(sorted(int(index) for index in generator.choice(pictures, size=samples, replace=False))))
    return sorted(drawn)


def templates(people: Sequence[Seen], images: int, dimensions: int) -> NDArray[np.float32]:
    """Return each person's fused template (people, d) from the first `images` enrolment pictures.

    A row of NaN is a person of whom none of them could be used.
    """
    rows = np.full((len(people), dimensions), np.nan, dtype=np.float32)
    for index, pictures in enumerate(people):
        usable = [vector for vector in pictures[:images] if vector is not None]
        if usable:
            rows[index] = fuse(np.stack(usable))
    return rows


def draw_galleries(people: int, size: int, repeats: int, generator: np.random.Generator) -> list[People]:
    """Return galleries of `size` of all `people`, as ascending indices: one of everybody, else `repeats` drawn ones.

    Raises ValueError for a size that no gallery can have.
    """
    if not 1 <= size <= people:
        raise ValueError(f"a gallery of {size} cannot be drawn from {people} people")
    if size == people:
        return [np.arange(people, dtype=np.int64)]
    return [np.sort(generator.choice(people, size=size, replace=False)).astype(np.int64) for _ in range(repeats)]
