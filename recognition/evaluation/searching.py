"""Searches of a gallery, with people who are in it and people who are not, and what came out of each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NOT_FOUND = np.iinfo(np.int64).max
"""The rank of somebody who could not be enrolled or not be seen."""
_ROWS_AT_ONCE = 2000

Scores = NDArray[np.float64]
People = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """What is searched for: `vectors` (n, d) float32 unit rows and whose they are, as an index of people (n,).

    A row of NaN is a track in which no face could be used: a miss where it should have been found, no search of a
    stranger.
    """

    vectors: NDArray[np.float32]
    person: People


@dataclass(frozen=True, slots=True, eq=False)
class Mated:
    """Searches for people who are in the gallery: the score of their own template, its rank, and the best other's."""

    person: People
    own: Scores
    rank: People
    best_other: Scores

    def hits(self, threshold: float, rank: int = 1, margin: float = 0.0) -> NDArray[np.bool_]:
        """Return which were found: within `rank`, score at least `threshold`, lead (at rank 1) at least `margin`."""
        found = (self.rank <= rank) & (self.own >= threshold)
        return found & (self.own - self.best_other >= margin) if margin else found

    def mistaken(self, threshold: float, margin: float) -> NDArray[np.bool_]:
        """Return which would be taken for somebody else."""
        ahead = self.best_other - np.maximum(self.own, -1.0)
        return (self.rank > 1) & (self.best_other >= threshold) & (ahead >= margin)


@dataclass(frozen=True, slots=True, eq=False)
class NonMated:
    """Searches for people who are not in the gallery: the highest score and the second one."""

    person: People
    best: Scores
    runner_up: Scores

    def accepted(self, threshold: float, margin: float = 0.0) -> NDArray[np.bool_]:
        """Return which would be taken for somebody in the gallery."""
        return (self.best >= threshold) & (self.best - self.runner_up >= margin)


@dataclass(frozen=True, slots=True, eq=False)
class Searches:
    """The outcome of all searches with tracks of `samples` fused vectors in galleries of `gallery_size` people."""

    gallery_size: int
    samples: int
    mated: Mated
    non_mated: NonMated


def search(
    centroids: NDArray[np.float32], galleries: Sequence[People], mated: Tracks, non_mated: Tracks, samples: int
) -> Searches:
    """Search for all tracks in every gallery, each a set of row indices of `centroids` (people, d).

    A row of NaN in `centroids` is somebody who could not be enrolled. In non-mated searches everybody's own template
    is left out of the gallery. Ties count against us: an equal score of somebody else ranks first.
    """
    whole = np.isfinite(non_mated.vectors).all(axis=1)
    strangers = Tracks(non_mated.vectors[whole], non_mated.person[whole])
    return Searches(
        gallery_size=len(galleries[0]),
        samples=samples,
        mated=_all_mated([_mated(part, centroids, gallery) for gallery in galleries for part in _parts(mated)]),
        non_mated=_all_non_mated(
            [_non_mated(part, centroids, gallery) for gallery in galleries for part in _parts(strangers)]
        ),
    )


def _parts(tracks: Tracks) -> Iterator[Tracks]:
    """Yield tracks in parts, also an empty one: the scores of all at once would fill the memory of a small machine."""
    for start in range(0, max(1, len(tracks.person)), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        yield Tracks(tracks.vectors[rows], tracks.person[rows])


def _scores(vectors: NDArray[np.float32], centroids: NDArray[np.float32]) -> Scores:
    """Return cosines (n, people); -inf where a side has no vector."""
    scores: Scores = np.clip(np.nan_to_num(vectors) @ np.nan_to_num(centroids).T, -1.0, 1.0).astype(np.float64)
    scores[~np.isfinite(vectors).all(axis=1)] = -np.inf
    scores[:, ~np.isfinite(centroids).all(axis=1)] = -np.inf
    return scores


def _mated(tracks: Tracks, centroids: NDArray[np.float32], gallery: People) -> Mated:
    wanted = np.isin(tracks.person, gallery)
    person = tracks.person[wanted]
    scores = _scores(tracks.vectors[wanted], centroids)
    rows = np.arange(len(person))
    own = scores[rows, person]
    scores[rows, person] = -np.inf
    others = scores[:, gallery]
    rank = 1 + (others >= own[:, np.newaxis]).sum(axis=1)
    rank = np.where(np.isfinite(own), rank, NOT_FOUND).astype(np.int64)
    return Mated(person, own, rank, others.max(axis=1, initial=-np.inf))


def _non_mated(tracks: Tracks, centroids: NDArray[np.float32], gallery: People) -> NonMated:
    person = tracks.person
    scores = _scores(tracks.vectors, centroids)
    # Strangers have numbers behind the last enrolled person, so they have no column of their own to leave out.
    known = person < scores.shape[1]
    scores[np.flatnonzero(known), person[known]] = -np.inf
    nobody = np.full((len(person), 2), -np.inf)
    listed = np.concatenate([nobody, scores[:, gallery]], axis=1)
    best_two = np.partition(listed, -2, axis=1)[:, -2:]
    return NonMated(person, best_two[:, 1], np.maximum(best_two[:, 0], -1.0))


def _all_mated(parts: Sequence[Mated]) -> Mated:
    return Mated(
        np.concatenate([part.person for part in parts]),
        np.concatenate([part.own for part in parts]),
        np.concatenate([part.rank for part in parts]),
        np.concatenate([part.best_other for part in parts]),
    )


def _all_non_mated(parts: Sequence[NonMated]) -> NonMated:
    return NonMated(
        np.concatenate([part.person for part in parts]),
        np.concatenate([part.best for part in parts]),
        np.concatenate([part.runner_up for part in parts]),
    )
