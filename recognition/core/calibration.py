"""From measured scores of strangers to thresholds for a stated error, per number of fused samples and gallery size."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import expm1, isfinite, log, log1p
from typing import Self

HIGHEST_THRESHOLD = 0.9999


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A match counts when its score reaches `threshold` and it leads the next student by `margin` (both cosines)."""

    threshold: float
    margin: float

    def __post_init__(self) -> None:
        """Raise ValueError for numbers that no cosine can have."""
        if not (-1.0 <= self.threshold <= 1.0 and 0.0 <= self.margin <= 2.0):
            raise ValueError(f"threshold {self.threshold} and margin {self.margin} are not possible for cosines")


@dataclass(frozen=True, slots=True)
class OperatingPoints:
    """The points of a gallery of at most `gallery_size` students, for at most `fpir` wrong identifications per track.

    `by_samples` holds (number of fused samples, point), ascending, the first for one sample.
    """

    gallery_size: int
    fpir: float
    by_samples: tuple[tuple[int, OperatingPoint], ...]

    def __post_init__(self) -> None:
        """Raise ValueError unless the table starts at one sample and ascends."""
        counts = [samples for samples, _ in self.by_samples]
        if not counts or counts[0] != 1 or counts != sorted(set(counts)):
            raise ValueError(f"points for {counts} samples: expected ascending counts that start at 1")
        if self.gallery_size < 1 or not 0.0 < self.fpir < 1.0:
            raise ValueError(f"points for a gallery of {self.gallery_size} at FPIR {self.fpir} are not possible")

    def for_samples(self, samples: int) -> OperatingPoint:
        """Return the point of the largest tabulated count that is not above `samples`; ValueError below 1."""
        fitting = [point for count, point in self.by_samples if count <= samples]
        if not fitting:
            raise ValueError(f"there is no operating point for {samples} samples")
        return fitting[-1]

    def to_dict(self) -> dict[str, object]:
        """Return what `from_dict` reads, of JSON types only."""
        return {
            "gallery_size": self.gallery_size,
            "fpir": self.fpir,
            "by_samples": [
                {"samples": samples, "threshold": point.threshold, "margin": point.margin}
                for samples, point in self.by_samples
            ],
        }

    @classmethod
    def from_dict(cls, content: object) -> Self:
        """Read what `to_dict` wrote; ValueError for anything else. A newer hub's further keys are ignored."""
        fields = _fields(content, {"gallery_size", "fpir", "by_samples"})
        rows = fields["by_samples"]
        if not isinstance(rows, list) or len(rows) > 100:
            raise ValueError("by_samples is not a list of at most 100 points")
        points = []
        for row in rows:
            point = _fields(row, {"samples", "threshold", "margin"})
            numbers = OperatingPoint(_number(point["threshold"]), _number(point["margin"]))
            points.append((_whole(point["samples"]), numbers))
        return cls(_whole(fields["gallery_size"]), _number(fields["fpir"]), tuple(points))


@dataclass(frozen=True, slots=True)
class StrangerScores:
    """How high strangers score against one student's fused template, for tracks of `samples` fused vectors.

    Above `tail_start`, which a share `tail_share` of `comparisons` reached, the excess follows a generalised Pareto
    distribution of `tail_scale` and `tail_shape` (0: exponential; negative: the tail ends, as a cosine must).
    """

    samples: int
    comparisons: int
    tail_start: float
    tail_share: float
    tail_scale: float
    tail_shape: float
    margin: float
    """Lead over the next student that hardly any wrong first place reaches."""

    def __post_init__(self) -> None:
        """Raise ValueError for numbers from which no threshold can be derived."""
        numbers = (self.tail_start, self.tail_share, self.tail_scale, self.tail_shape, self.margin)
        if not all(isfinite(number) for number in numbers) or self.samples < 1 or self.comparisons < 1:
            raise ValueError("score statistics hold impossible counts or numbers that are not finite")
        if not (-1.0 <= self.tail_start <= 1.0 and 0.0 < self.tail_share < 1.0 and 0.0 <= self.margin <= 2.0):
            raise ValueError("score statistics hold shares or scores that no cosine can have")
        if not (0.0 < self.tail_scale < 1.0 and -1.0 < self.tail_shape <= 0.0):
            raise ValueError("score statistics describe no tail")

    def threshold(self, rate: float) -> float:
        """Return the score that a stranger reaches against one template with probability `rate`, or less often."""
        if rate >= self.tail_share:
            # Below the tail nothing was fitted: stay at its start, which is stricter than asked.
            return self.tail_start
        steps = log(self.tail_share / rate)
        # expm1 keeps the exponential case (shape 0) and shapes next to it exact and continuous.
        excess = steps if abs(self.tail_shape) < 1e-9 else expm1(self.tail_shape * steps) / self.tail_shape
        return min(self.tail_start + self.tail_scale * excess, HIGHEST_THRESHOLD)


@dataclass(frozen=True, slots=True)
class ScoreStatistics:
    """What was measured of one pack: strangers' scores by number of samples, and how alike one person's moments are."""

    strangers: tuple[StrangerScores, ...]
    same_person_floor: float
    """Cosine of a new vector to a track's fused one under which hardly any two moments of one person fall."""
    measured_on: str


def operating_points(statistics: ScoreStatistics, gallery_size: int, fpir: float) -> OperatingPoints:
    """Derive the points at which a stranger's track is taken for anyone of `gallery_size` with probability `fpir`.

    Treats the comparisons of one track as independent, which errs to the safe side: they are positively related.
    An empty gallery gets the points of one student. Raises ValueError for a negative size or an FPIR outside 0 to 1.
    """
    if gallery_size < 0 or not 0.0 < fpir < 1.0:
        raise ValueError(f"points for a gallery of {gallery_size} at FPIR {fpir} are not possible")
    size = max(1, gallery_size)
    rate = -expm1(log1p(-fpir) / size)  # 1 - (1 - fpir) ** (1 / size), exact for large galleries too
    rows = sorted(statistics.strangers, key=lambda scores: scores.samples)
    points = tuple((scores.samples, OperatingPoint(scores.threshold(rate), scores.margin)) for scores in rows)
    return OperatingPoints(size, fpir, points)


def _fields(content: object, names: set[str]) -> Mapping[str, object]:
    if not isinstance(content, Mapping) or not names <= set(content):
        raise ValueError(f"expected the fields {', '.join(sorted(names))}")
    return content


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError(f"{value!r} is not a finite number")
    return float(value)


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{value!r} is not a whole number")  # noqa: TRY004 - the caller reads one kind of error
    return value
