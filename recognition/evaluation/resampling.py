"""Intervals by drawing people again: pictures of one person err together, so people are drawn, never pictures."""

import numpy as np
from numpy.typing import NDArray

from recognition.evaluation.bounds import CONFIDENCE, Interval, exact_interval

RESAMPLES = 1000

Weights = NDArray[np.float32]
"""How often each person was drawn, (resamples, people)."""


def draw_weights(generator: np.random.Generator, strata: NDArray[np.int64], resamples: int = RESAMPLES) -> Weights:
    """Draw people again with replacement, `resamples` times, each stratum (enrolled, strangers) by itself.

    `strata` (people,) holds the stratum of each person; every row of the result has the same sums by stratum.
    """
    weights: Weights = np.zeros((resamples, len(strata)), dtype=np.float32)
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        share = np.full(len(members), 1 / len(members))
        weights[:, members] = generator.multinomial(len(members), share, size=resamples)
    return weights


def percentile_interval(values: NDArray[np.float64], point: float, confidence: float = CONFIDENCE) -> Interval:
    """Return the middle `confidence` of resampled `values`, widened to hold the `point` they belong to.

    Draws that give no value (NaN: nobody of a small group was drawn) are left out; 0 to 1 when all are.
    """
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return Interval(0.0, 1.0)
    low, high = np.quantile(finite, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high)).holding(point)


def share_interval(
    outcomes: NDArray[np.bool_], person: NDArray[np.int64], weights: Weights, confidence: float = CONFIDENCE
) -> Interval:
    """Return the interval of the share of `outcomes` (n,), each of a `person` (n,): a column of the weights."""
    if len(outcomes) == 0:
        return Interval(0.0, 1.0)
    trials, found = np.zeros(weights.shape[1]), np.zeros(weights.shape[1])
    np.add.at(trials, person, 1.0)
    np.add.at(found, person, outcomes.astype(np.float64))
    drawn = weights @ trials
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.where(drawn > 0, (weights @ found) / drawn, np.nan)
    point = float(outcomes.mean())
    return with_unseen(percentile_interval(shares, point, confidence), point, len(np.unique(person)), confidence)


def with_unseen(interval: Interval, point: float, people: int, confidence: float = CONFIDENCE) -> Interval:
    """Return `interval`, with the exact bound over people where drawing again cannot show what was never seen."""
    if point in (0.0, 1.0):
        exact = exact_interval(people if point else 0, people, confidence)
        return Interval(min(interval.low, exact.low), max(interval.high, exact.high))
    return interval
