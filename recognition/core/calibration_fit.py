"""Fits the tail of strangers' scores. Packs, a school's own calibration and evaluation all fit with this one function.

Far out, what exceeds a high level follows a generalised Pareto distribution whatever the scores follow (Balkema and
de Haan 1974, Pickands 1975), and thresholds lie far out: a gallery of 100 at FPIR 1 % asks for one comparison in
10,000. Its two parameters come from probability-weighted moments (Hosking and Wallis 1987, Technometrics 29), with
xi here for their -k: if m is the mean excess and a the mean of excess times the share of excesses above it, then
xi = 2 - m / (m - 2 a) and scale = m (1 - xi). Ordinary moments lean on the squares of the few highest scores.
"""

import numpy as np
from numpy.typing import NDArray

from recognition.core.calibration import GenuineScores, StrangerScores

TAIL_SHARE = 0.01
"""The share of scores taken for the tail, at most. From the top 5 % the fit mixes in the body of the distribution and
measured 2.5 times the error it was set for; from 0.5 to 2 % of 12,500 comparisons it does not matter."""

MOST_EXCESSES = 1000
"""Scores taken for the tail at most. The farther out a tail begins, the better it is one, and a thousand scores are
enough to fit it: with two million comparisons of made-up people 1 % measured twice the error, a thousand scores 1.0."""

SHORTEST_TAIL = -0.3
"""A tail that ends sooner than this is not believed. A cosine's tail must end (xi below 0), but where it ends is
decided by the handful of highest scores; on 250 strangers the estimate lies around -0.12 and rarely comes here."""

LEAST_EXCESSES = 10
"""Scores in the tail under which nothing is fitted."""

LEAST_COMPARISONS = round(LEAST_EXCESSES / TAIL_SHARE)

_SMALLEST_SCALE = 1e-6
_SMALLEST_DEVIATION = 1e-4


def fit_stranger_scores(
    samples: int, scores: NDArray[np.floating], margin: float, shortest_tail: float = SHORTEST_TAIL
) -> StrangerScores:
    """Fit the scores, (n,) cosines of strangers' fused tracks of `samples` vectors with single templates.

    `margin` is taken over: the smallest lead that is asked for. `shortest_tail`, -1 to 0, is the shape under which none
    is believed: that of scores of which there are more, for instance.

    Raises ValueError for scores that are not finite, and
    for fewer than LEAST_COMPARISONS or fewer than LEAST_EXCESSES different from the rest.
    """
    values = np.asarray(scores, dtype=np.float64).ravel()
    if not np.isfinite(values).all():
        raise ValueError("scores that are not finite have no tail")
    if len(values) < LEAST_COMPARISONS:
        raise ValueError(f"{len(values)} comparisons are too few for a tail: {LEAST_COMPARISONS} are needed")
    share = min(TAIL_SHARE, MOST_EXCESSES / len(values))
    start = float(np.quantile(values, 1 - share))
    excess = values[values > start] - start
    if len(excess) < LEAST_EXCESSES:
        raise ValueError(f"only {len(excess)} scores stand out from the rest: {LEAST_EXCESSES} are needed for a tail")
    shape = _shape(excess, shortest_tail)
    return StrangerScores(
        samples=samples,
        comparisons=len(values),
        tail_start=round(start, 5),
        tail_share=round(len(excess) / len(values), 7),
        tail_scale=round(max(float(excess.mean()) * (1 - shape), _SMALLEST_SCALE), 6),
        tail_shape=round(shape, 4),
        margin=margin,
    )


def extrapolate_stranger_scores(row: StrangerScores, samples: int, alike: float) -> StrangerScores:
    """Return `row` for more samples than could be measured: `alike` is the mean cosine of one person's vectors.

    The mean of n unit vectors with that cosine between them has length (alike + (1 - alike) / n) ** 0.5. Fusing brings
    it back to length 1, so the score of a stranger grows as the length falls. Raises ValueError for fewer samples.
    """
    if samples < row.samples or not 0.0 < alike <= 1.0:
        raise ValueError(f"{row.samples} samples with cosine {alike} say nothing about {samples}")
    before = alike + (1 - alike) / row.samples
    after = alike + (1 - alike) / samples
    factor = float((before / after) ** 0.5)
    return StrangerScores(
        samples=samples,
        comparisons=row.comparisons,
        tail_start=round(min(row.tail_start * factor, 1.0), 5),
        tail_share=row.tail_share,
        tail_scale=round(row.tail_scale * factor, 6),
        tail_shape=row.tail_shape,
        margin=row.margin,
    )


def fit_genuine_scores(samples: int, scores: NDArray[np.floating]) -> GenuineScores:
    """Describe the scores, (n,) cosines of people's tracks of `samples` fused vectors with templates of their own.

    The template must be made without the pictures of the track. Raises ValueError for fewer than two scores and for
    scores that are not finite.
    """
    values = np.asarray(scores, dtype=np.float64).ravel()
    if len(values) < 2 or not np.isfinite(values).all():
        raise ValueError("own scores need at least two finite values")
    deviation = max(float(values.std(ddof=1)), _SMALLEST_DEVIATION)
    return GenuineScores(samples, len(values), round(float(values.mean()), 5), round(deviation, 6))


def _shape(excess: NDArray[np.float64], shortest_tail: float) -> float:
    """Return xi of the excesses (n,), each above 0, held between `shortest_tail` and 0 (exponential)."""
    ascending = np.sort(excess)
    above = np.arange(len(ascending) - 1, -1, -1) / (len(ascending) - 1)
    mean = float(ascending.mean())
    spread = mean - 2 * float((ascending * above).mean())
    # Equal excesses have no spread: the tail ends there, as abruptly as is believed.
    shape = 2 - mean / spread if spread > 1e-12 else shortest_tail
    return min(0.0, max(shortest_tail, shape))
