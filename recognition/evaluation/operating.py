"""The program's own operating points beside what they promise: tracks decided again with each look, as units do it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recognition.core.calibration import OperatingPoint, OperatingPoints
from recognition.evaluation.bounds import Interval
from recognition.evaluation.resampling import Weights, share_interval
from recognition.evaluation.searching import People, Searches


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """Tracks in the order of their looks: searches with 1, 2, 3, ... samples of the same tracks, row by row."""

    by_samples: tuple[Searches, ...]

    def __post_init__(self) -> None:
        """Raise ValueError unless every look is of the same tracks."""
        first = self.by_samples[0]
        for searches in self.by_samples:
            if not np.array_equal(searches.mated.person, first.mated.person):
                raise ValueError("the looks are of different tracks")
            if not np.array_equal(searches.non_mated.person, first.non_mated.person):
                raise ValueError("the looks are of different strangers' tracks")


@dataclass(frozen=True, slots=True)
class OperatingRow:
    """What a stated FPIR turned out to be. `present` needs score and margin; `accepted` is the score alone."""

    gallery: int
    looks: int
    fpir: float
    fpir_found: float
    fpir_interval: Interval
    accepted_found: float
    tpir: float
    tpir_interval: Interval
    review: float
    mistaken: float
    mated_tracks: int
    non_mated_tracks: int


def operating_row(looks: Looks, points: OperatingPoints, weights: Weights) -> OperatingRow:
    """Return what becomes of tracks that are decided with every look, at the program's own points.

    A stranger counts as soon as any look makes them present; a student counts as recognised when the last look does.
    """
    wrong, accepted = _strangers(looks, points)
    last = looks.by_samples[-1]
    point = points.for_samples(last.samples)
    present = last.mated.hits(point.threshold, margin=point.margin)
    seen = last.mated.hits(point.threshold)
    mistaken = _ever([each.mated.mistaken(at.threshold, at.margin) for each, at in _with_points(looks, points)])
    return OperatingRow(
        gallery=last.gallery_size,
        looks=len(looks.by_samples),
        fpir=points.fpir,
        fpir_found=_share(wrong),
        fpir_interval=share_interval(wrong, last.non_mated.person, weights),
        accepted_found=_share(accepted),
        tpir=_share(present),
        tpir_interval=share_interval(present, last.mated.person, weights),
        review=_share(seen & ~present),
        mistaken=_share(mistaken),
        mated_tracks=len(present),
        non_mated_tracks=len(wrong),
    )


@dataclass(frozen=True, slots=True)
class GroupRow:
    """How one group of people fares. It fails when even the lower end of its FPIR lies above the target."""

    group: str
    people: int
    tpir: float | None
    """None: nobody of the group is looked for."""
    tpir_interval: Interval
    fpir_found: float
    fpir_interval: Interval
    target: float
    non_mated_searches: int

    @property
    def fails(self) -> bool:
        """Whether its strangers are surely taken for somebody more often than promised."""
        return self.fpir_interval.low > self.target


def group_rows(looks: Looks, points: OperatingPoints, groups: Sequence[str | None], weights: Weights) -> list[GroupRow]:
    """Return a row for each group of the people (by number) of tracks at the program's own points."""
    wrong, _ = _strangers(looks, points)
    last = looks.by_samples[-1]
    point = points.for_samples(last.samples)
    present = last.mated.hits(point.threshold, margin=point.margin)
    rows = []
    for group in sorted({group for group in groups if group is not None}):
        members = np.array([number for number, name in enumerate(groups) if name == group], dtype=np.int64)
        mated, others = np.isin(last.mated.person, members), np.isin(last.non_mated.person, members)
        rows.append(
            GroupRow(
                group=group,
                people=len(members),
                tpir=_share(present[mated]) if mated.any() else None,
                tpir_interval=share_interval(present[mated], last.mated.person[mated], weights),
                fpir_found=_share(wrong[others]),
                fpir_interval=_cautious(wrong[others], last.non_mated.person[others], weights),
                target=points.fpir,
                non_mated_searches=int(others.sum()),
            )
        )
    return rows


def _cautious(wrong: NDArray[np.bool_], person: People, weights: Weights) -> Interval:
    """Return the interval, its lower end 0 when all errors are of one person: that is a person, not a group."""
    interval = share_interval(wrong, person, weights)
    return interval if len(np.unique(person[wrong])) > 1 else Interval(0.0, interval.high)


def _strangers(looks: Looks, points: OperatingPoints) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    pairs = _with_points(looks, points)
    wrong = _ever([searches.non_mated.accepted(point.threshold, point.margin) for searches, point in pairs])
    return wrong, _ever([searches.non_mated.accepted(point.threshold) for searches, point in pairs])


def _with_points(looks: Looks, points: OperatingPoints) -> list[tuple[Searches, OperatingPoint]]:
    return [(searches, points.for_samples(searches.samples)) for searches in looks.by_samples]


def _ever(outcomes: Sequence[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    ever: NDArray[np.bool_] = np.any(np.stack(outcomes), axis=0)
    return ever


def _share(outcomes: NDArray[np.bool_]) -> float:
    return float(outcomes.mean()) if len(outcomes) else 0.0
