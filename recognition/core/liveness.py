"""Whether a track shows a person or a picture of one: probabilities of different moments, voted, never final.

A weak hint and no more. Nothing here says who somebody is, and a `spoof` is a reason to ask a person.
"""

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from recognition.core.face import Box, Image

Verdict = Literal["live", "spoof", "undecided"]

_MOST_KEPT = 64
"""Looks kept, newest first; with one look in each `spacing_s` far fewer would do."""


class LivenessCheck(Protocol):
    """Says how much faces look like people and not like pictures of people. One instance belongs to one thread."""

    def score(self, image: Image, boxes: Sequence[Box]) -> NDArray[np.float32]:
        """Return the probability, 0 to 1, that each of `boxes` in `image` holds a live face: (n,) float32.

        Boxes may be of any size and reach outside of the picture. Raises ValueError for a picture that is not
        (height, width, 3) uint8 and for a box that is not finite.
        """
        ...


@dataclass(frozen=True, slots=True)
class LivenessLimits:
    """How many moments a verdict rests on, how far apart they are and what their mean must reach."""

    spacing_s: float = 0.5
    """As for evidence: looks closer together than this make the same errors."""
    min_samples: int = 3
    """Moments before anything is said."""
    max_samples: int = 5
    """The latest moments that count."""
    live_from: float = 0.5
    """Mean probability from which a track counts as live: the networks' makers take the likelier side."""
    spoof_below: float = 0.5
    """Mean probability under which it counts as a picture; between the two it stays undecided."""

    def __post_init__(self) -> None:
        """Refuse limits under which nothing, or everything at once, could be said."""
        if not (0 <= self.spoof_below <= self.live_from <= 1 and self.spacing_s >= 0):
            raise ValueError("spoof_below and live_from must lie between 0 and 1 in this order, spacing_s not under 0")
        if not 1 <= self.min_samples <= self.max_samples <= _MOST_KEPT:
            raise ValueError(f"min_samples and max_samples must lie between 1 and {_MOST_KEPT}, in this order")


class TrackLiveness:
    """The looks at one track. It ends with the track; whoever comes next begins a new one. One thread."""

    def __init__(self, limits: LivenessLimits | None = None) -> None:
        self._limits = limits or LivenessLimits()
        self._looks: list[tuple[float, float]] = []

    @property
    def samples(self) -> int:
        """Number of moments that count for the verdict now."""
        return len(self._chosen())

    @property
    def mean(self) -> float | None:
        """Mean probability of those moments, None without any."""
        chosen = self._chosen()
        return sum(chosen) / len(chosen) if chosen else None

    def wants(self, at_s: float) -> bool:
        """Say whether a look at `at_s` (seconds) would count beside those there are."""
        return all(abs(at_s - seen_s) >= self._limits.spacing_s for seen_s, _ in self._looks)

    def add(self, live_probability: float, at_s: float) -> None:
        """Take the probability that the face seen at `at_s` is live. Raises ValueError for numbers that are none.

        Looks may come in any order and more than once; the verdict depends on the set of them alone.
        """
        if not (0 <= live_probability <= 1 and isfinite(at_s)):
            raise ValueError(f"a liveness of {live_probability} at {at_s} s")
        look = (at_s, live_probability)
        if look not in self._looks:
            insort(self._looks, look)
            del self._looks[:-_MOST_KEPT]

    def verdict(self) -> Verdict:
        """Decide from the looks held, as if for the first time: a track is never settled for good."""
        chosen = self._chosen()
        if len(chosen) < self._limits.min_samples:
            return "undecided"
        mean = sum(chosen) / len(chosen)
        if mean >= self._limits.live_from:
            return "live"
        return "spoof" if mean < self._limits.spoof_below else "undecided"

    def _chosen(self) -> list[float]:
        """Return the probabilities of the latest moments, each `spacing_s` or more before the one after it."""
        chosen: list[float] = []
        next_s = float("inf")
        for at_s, probability in reversed(self._looks):
            if next_s - at_s >= self._limits.spacing_s and len(chosen) < self._limits.max_samples:
                chosen.append(probability)
                next_s = at_s
        return chosen
