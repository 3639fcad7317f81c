"""How far a share may lie from what was counted: exact binomial bounds, also where nothing was observed."""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, fsum, lgamma, log, log1p

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """From `low` to `high`, both shares of 1 or rates."""

    low: float
    high: float

    def holding(self, value: float) -> "Interval":
        """Return the interval, widened where `value` lies outside."""
        return Interval(min(self.low, value), max(self.high, value))


def exact_interval(found: int, trials: int, confidence: float = CONFIDENCE) -> Interval:
    """Return the Clopper-Pearson interval of a share of which `found` of `trials` were seen; 0 to 1 without trials.

    Of nothing in n trials its upper end is about 3.7 / n; the one-sided bound of `upper_bound` is the "rule of three".
    Raises ValueError for impossible counts.
    """
    if not 0 <= found <= trials:
        raise ValueError(f"{found} of {trials} is not possible")
    if trials == 0:
        return Interval(0.0, 1.0)
    if 2 * found > trials:
        mirrored = exact_interval(trials - found, trials, confidence)
        return Interval(1 - mirrored.high, 1 - mirrored.low)
    tail = (1 - confidence) / 2
    fewer, at_most = _at_most(found - 1, trials), _at_most(found, trials)
    low = 0.0 if found == 0 else _root(lambda share: 1 - fewer(share) - tail)
    return Interval(low, _root(lambda share: tail - at_most(share)))


def upper_bound(found: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """Return the one-sided exact bound: with nothing found in n trials about 3 / n; 1 without trials."""
    return exact_interval(found, trials, 2 * confidence - 1).high


def _at_most(found: int, trials: int) -> Callable[[float], float]:
    """Return the probability of `found` or fewer of `trials`, as a function of the share."""
    ways = [lgamma(trials + 1) - lgamma(count + 1) - lgamma(trials - count + 1) for count in range(found + 1)]

    def probability(share: float) -> float:
        hit, miss = log(share), log1p(-share)
        return min(1.0, fsum(exp(way + count * hit + (trials - count) * miss) for count, way in enumerate(ways)))

    return probability


def _root(rising: Callable[[float], float]) -> float:
    """Return where a function that rises from below to above zero over 0 to 1 crosses it."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if rising(middle) < 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2
