"""Open-set identification: who is found in a gallery at which rate of strangers taken for somebody in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recognition.evaluation.bounds import Interval
from recognition.evaluation.resampling import Weights, percentile_interval, with_unseen
from recognition.evaluation.searching import Mated, Scores, Searches

_DRAWS_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class OpenSetRow:
    """TPIR at the threshold that lets at most `fpir` of this run's non-mated searches through."""

    gallery: int
    k: int
    fpir: float
    tpir: float
    interval: Interval
    threshold: float
    fpir_found: float
    mated_searches: int
    mated_people: int
    non_mated_searches: int
    non_mated_people: int

    @property
    def resolved(self) -> bool:
        """Whether there were enough non-mated searches to let a single one through at this FPIR."""
        return self.fpir * self.non_mated_searches >= 1


def threshold_at(scores: Scores, fpir: float) -> float:
    """Return the lowest threshold that at most a share `fpir` of non-mated `scores` reaches.

    Just above the first score that would be one too many: with ties fewer pass, never more. -1 without scores.
    """
    if len(scores) == 0:
        return -1.0
    descending = np.sort(scores)[::-1]
    allowed = int(fpir * len(scores) + 1e-9)
    if allowed >= len(scores):
        return -1.0
    return float(np.nextafter(descending[allowed], np.inf))


def open_set_rows(searches: Searches, fpirs: Sequence[float], weights: Weights) -> list[OpenSetRow]:
    """Return a row for each FPIR. Intervals: people drawn again, the threshold set anew for each draw.

    Raises ValueError without mated or non-mated searches: there is nothing to say then.
    """
    mated, others = searches.mated, searches.non_mated
    if len(mated.person) == 0 or len(others.person) == 0:
        raise ValueError("an open-set figure needs mated and non-mated searches")
    resampled = _resampled(searches, fpirs, weights)
    rows = []
    for column, fpir in enumerate(fpirs):
        threshold = threshold_at(others.best, fpir)
        tpir = float(mated.hits(threshold).mean())
        people = len(np.unique(mated.person))
        interval = with_unseen(percentile_interval(resampled[:, column], tpir), tpir, people)
        rows.append(
            OpenSetRow(
                gallery=searches.gallery_size,
                k=searches.samples,
                fpir=fpir,
                tpir=tpir,
                interval=interval,
                threshold=threshold,
                fpir_found=float(others.accepted(threshold).mean()),
                mated_searches=len(mated.person),
                mated_people=people,
                non_mated_searches=len(others.person),
                non_mated_people=len(np.unique(others.person)),
            )
        )
    return rows


def rank_rates(mated: Mated, threshold: float, ranks: Sequence[int]) -> list[tuple[int, float]]:
    """Return (rank, share of mated searches found within it with at least `threshold`)."""
    return [(rank, float(mated.hits(threshold, rank).mean())) for rank in ranks]


def sweep(searches: Searches, points: int = 200) -> list[tuple[float, float, float]]:
    """Return (threshold, TPIR at rank 1, FPIR) over the range of all scores, thresholds ascending."""
    everything = np.concatenate([searches.mated.own, searches.non_mated.best])
    finite = everything[np.isfinite(everything)]
    if len(finite) == 0:
        return []
    thresholds = np.linspace(float(finite.min()), float(finite.max()), points)
    return [
        (float(at), float(searches.mated.hits(at).mean()), float(searches.non_mated.accepted(at).mean()))
        for at in thresholds
    ]


def _resampled(searches: Searches, fpirs: Sequence[float], weights: Weights) -> NDArray[np.float64]:
    """Return TPIR (resamples, fpirs); NaN where a draw holds nobody to find."""
    others, mated = searches.non_mated, searches.mated
    order = np.argsort(-others.best, kind="stable")
    scores, whose = others.best[order], others.person[order]
    hit = mated.rank == 1
    ascending = np.argsort(mated.own[hit], kind="stable")
    hit_scores, hit_person = mated.own[hit][ascending], mated.person[hit][ascending]
    tpirs = np.full((len(weights), len(fpirs)), np.nan)
    for start, drawn in _batches(weights):
        thresholds = _weighted_thresholds(scores, drawn[:, whose], fpirs)
        total = drawn[:, mated.person].sum(axis=1, dtype=np.float64)
        # Weight of the hits from each score upwards; one more column for "none".
        above = np.cumsum(drawn[:, hit_person][:, ::-1], axis=1, dtype=np.float64)[:, ::-1]
        above = np.concatenate([above, np.zeros((len(drawn), 1))], axis=1)
        places = np.searchsorted(hit_scores, thresholds, side="left")
        found = np.take_along_axis(above, places, axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            tpirs[start : start + len(drawn)] = np.where(total > 0, 1, np.nan)[:, None] * found / total[:, None]
    return tpirs


def _weighted_thresholds(descending: Scores, drawn: Weights, fpirs: Sequence[float]) -> Scores:
    """Return `threshold_at` for each draw (rows) and FPIR (columns), each score counted as often as it was drawn."""
    cumulated = np.cumsum(drawn, axis=1, dtype=np.float64)
    thresholds = np.empty((len(drawn), len(fpirs)))
    for column, fpir in enumerate(fpirs):
        allowed = fpir * cumulated[:, -1:] + 1e-9
        too_many = cumulated > allowed
        first = too_many.argmax(axis=1)
        above = np.nextafter(descending[first], np.inf)
        thresholds[:, column] = np.where(too_many.any(axis=1), above, -1.0)
    return thresholds


def _batches(weights: Weights) -> Iterator[tuple[int, Weights]]:
    for start in range(0, len(weights), _DRAWS_AT_ONCE):
        yield start, weights[start : start + _DRAWS_AT_ONCE]
