"""Verification: is a picture of the person whose template it is compared with? TAR, FAR, ROC, DET and equal error."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recognition.evaluation.bounds import Interval
from recognition.evaluation.identification import threshold_at
from recognition.evaluation.resampling import Weights, share_interval
from recognition.evaluation.searching import People, Scores

CURVE_POINTS = 200


@dataclass(frozen=True, slots=True, eq=False)
class Comparisons:
    """Scores of comparisons of equal people and of different ones. A genuine score of -inf is a failed capture."""

    genuine: Scores
    genuine_person: People
    impostor: Scores


@dataclass(frozen=True, slots=True)
class TarRow:
    """TAR at the threshold that lets at most a share `far` of impostors through."""

    far: float
    tar: float
    interval: Interval
    threshold: float
    far_found: float


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A point of the ROC (FAR, TAR) and DET (FAR, FRR) curves."""

    threshold: float
    far: float
    tar: float


@dataclass(frozen=True, slots=True)
class VerificationResult:
    """Everything about one kind of comparison."""

    genuine: int
    impostor: int
    eer: float
    rows: tuple[TarRow, ...]
    curve: tuple[CurvePoint, ...]


def compare(
    vectors: NDArray[np.float32],
    person: People,
    references: NDArray[np.float32],
    reference_person: People,
    *,
    apart: NDArray[np.bool_] | None = None,
) -> Comparisons:
    """Compare every row of `vectors` (n, d) with every row of `references` (m, d); rows of NaN are failed captures.

    `apart` (n, m) leaves pairs out (a picture with itself). Failed captures are genuine misses and no impostors.
    """
    seen, known = np.isfinite(vectors).all(axis=1), np.isfinite(references).all(axis=1)
    usable: NDArray[np.bool_] = np.logical_and.outer(seen, known)
    scores = np.clip(np.nan_to_num(vectors) @ np.nan_to_num(references).T, -1.0, 1.0).astype(np.float64)
    scores[~usable] = -np.inf
    same: NDArray[np.bool_] = np.equal(person[:, None], reference_person[None, :])
    kept = np.ones_like(same) if apart is None else apart
    genuine = same & kept
    return Comparisons(
        genuine=scores[genuine],
        genuine_person=np.broadcast_to(person[:, None], same.shape)[genuine],
        impostor=scores[~same & kept & usable],
    )


def verify(comparisons: Comparisons, fars: Sequence[float], weights: Weights) -> VerificationResult:
    """Return the figures. Intervals draw the genuine people again at the threshold of all impostors.

    Raises ValueError without genuine or impostor comparisons.
    """
    genuine, impostor = comparisons.genuine, comparisons.impostor
    if len(genuine) == 0 or len(impostor) == 0:
        raise ValueError("verification needs comparisons of equal and of different people")
    rows = []
    for far in fars:
        threshold = threshold_at(impostor, far)
        accepted = genuine >= threshold
        rows.append(
            TarRow(
                far=far,
                tar=float(accepted.mean()),
                interval=share_interval(accepted, comparisons.genuine_person, weights),
                threshold=threshold,
                far_found=float((impostor >= threshold).mean()),
            )
        )
    return VerificationResult(
        len(genuine), len(impostor), equal_error_rate(genuine, impostor), tuple(rows), curve(genuine, impostor)
    )


def equal_error_rate(genuine: Scores, impostor: Scores) -> float:
    """Return the rate at which as many impostors are accepted as genuine comparisons are rejected."""
    thresholds = np.unique(np.concatenate([genuine[np.isfinite(genuine)], impostor]))
    thresholds = np.append(thresholds, np.nextafter(thresholds[-1], np.inf))
    far, frr = _shares_from(impostor, thresholds), 1 - _shares_from(genuine, thresholds)
    # FAR falls and FRR rises with the threshold: they cross between the last threshold at which FAR is not the smaller
    # one and the next. The rate is the middle of what both sides of the step allow.
    last = int(np.flatnonzero(far >= frr)[-1])
    low, high = max(far[last + 1], frr[last]), min(far[last], frr[last + 1])
    return float(low + high) / 2


def curve(genuine: Scores, impostor: Scores, points: int = CURVE_POINTS) -> tuple[CurvePoint, ...]:
    """Return at most `points` of the ROC, by falling FAR, spread evenly over the decades of FAR."""
    descending = np.sort(impostor)[::-1]
    wanted = np.unique(np.geomspace(1, len(descending), points).astype(int))
    fars = [0.0, *(count / len(descending) for count in wanted[:-1])]
    thresholds = np.array(sorted({threshold_at(impostor, far) for far in fars} | {-1.0}))
    far, tar = _shares_from(impostor, thresholds), _shares_from(genuine, thresholds)
    return tuple(CurvePoint(float(t), float(f), float(g)) for t, f, g in zip(thresholds, far, tar, strict=True))


def _shares_from(scores: Scores, thresholds: Scores) -> Scores:
    ascending = np.sort(scores)
    return 1 - np.searchsorted(ascending, thresholds, side="left") / len(ascending)
