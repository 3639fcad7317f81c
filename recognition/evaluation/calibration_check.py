"""Do stated errors hold on people who were not there when the points were set? Half of the strangers set, half test."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recognition.core.calibration import ScoreStatistics, operating_points, point_once
from recognition.core.calibration_fit import fit_stranger_scores
from recognition.evaluation.searching import People

SPLITS = 20


@dataclass(frozen=True, slots=True)
class CalibrationRow:
    """What was found on the other halves, pooled; `once` by the score alone, `first_look` at the first of many looks.

    A decision that is made again with every sample spends only a part of its error on each: see TRACK_SPENDING.
    """

    k: int
    fpir: float
    splits: int
    searches: int
    people: int
    once: float
    once_with_margin: float
    as_one_look_of_a_track: float


def calibration_row(
    scores: NDArray[np.float64],
    person: People,
    samples: int,
    fpir: float,
    margin: float,
    generator: np.random.Generator,
) -> CalibrationRow | None:
    """Set points on random halves of the people and measure them on the other halves.

    `scores` (n, gallery) are those of tracks of `samples` vectors of people (n,) who are not in the gallery; -inf where
    a template is left out. None when a half holds too few comparisons to fit anything.
    """
    people = np.unique(person)
    if len(people) < 2:
        return None
    found: list[tuple[int, int, int, int]] = []
    for _ in range(SPLITS):
        setting = generator.permutation(people)[: len(people) // 2]
        sets = np.isin(person, setting)
        fitted_on = scores[sets]
        try:
            row = fit_stranger_scores(samples, fitted_on[np.isfinite(fitted_on)], margin)
        except ValueError:
            return None
        found.append(_measured(scores[~sets], ScoreStatistics((row,), 0.0, ""), samples, fpir))
    searches, once, led, look = (int(total) for total in np.sum(found, axis=0))
    return CalibrationRow(
        k=samples,
        fpir=fpir,
        splits=SPLITS,
        searches=searches,
        people=len(people),
        once=once / searches,
        once_with_margin=led / searches,
        as_one_look_of_a_track=look / searches,
    )


def _measured(
    scores: NDArray[np.float64], statistics: ScoreStatistics, samples: int, fpir: float
) -> tuple[int, int, int, int]:
    """Return how many searches there were, and how many passed: once, once with the margin, as a look of a track."""
    ordered = np.sort(scores, axis=1)
    best, second = ordered[:, -1], ordered[:, -2]
    size = scores.shape[1]
    once = point_once(statistics, size, fpir, samples)
    look = operating_points(statistics, size, fpir).for_samples(samples)
    passed = best >= once.threshold
    led = passed & (best - second >= once.margin)
    return len(scores), int(passed.sum()), int(led.sum()), int((best >= look.threshold).sum())
