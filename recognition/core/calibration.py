"""From measured scores of strangers to thresholds for a stated error, per number of fused samples and gallery size."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, expm1, isfinite, log, log1p, pi, sqrt
from typing import Self

HIGHEST_THRESHOLD = 0.9999

TRACK_SPENDING = ((1, 0.36), (2, 0.27), (3, 0.18), (4, 0.05), (5, 0.04))
"""How a track's error budget is divided over its looks: (number of fused samples, share).

A track is decided again with every sample, and a stranger gets a chance to pass with each. The chance that any of the
looks passes is at most the sum of their chances, so shares that add up to 1, with LATER_SPENDING, keep the whole track
within the budget, whatever the looks have in common and however the decision weighs them. On tracks of one, two and
three pictures of enrolled people (galleries of 30 to 400) shares in these proportions find 0.2 % fewer than the best
division, which gives the first look 55 % and finds 0.7 % fewer with three pictures; giving the third look half finds 2
to 3 % fewer with one picture.
"""

LATER_SPENDING = 0.10
"""What is kept for all looks after those: somebody may sit before a camera for hours. The next six looks get half of
it, the twelve after them half of the rest, and so on: the longer it takes, the more must be shown."""

_LATER_BLOCKS = 9
"""Blocks of later looks, the last one for looks 1,536 to 3,071: at one each two seconds, an hour and a half."""

LONGEST_TRACK = TRACK_SPENDING[-1][0]

_EXPONENTIAL = 1e-9
"""Shapes nearer to 0 than this are computed as exponential."""


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

    `by_samples` holds (number of looks, point), ascending, the first for one look. As many samples are fused, up to the
    number that is kept.
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

    def not_below(self, floor: "OperatingPoints") -> Self:
        """Return these points, each at least as strict as `floor` is for as many samples."""
        raised = []
        for samples, point in self.by_samples:
            least = floor.for_samples(samples)
            strict = OperatingPoint(max(point.threshold, least.threshold), max(point.margin, least.margin))
            raised.append((samples, strict))
        return type(self)(self.gallery_size, self.fpir, tuple(raised))

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
        excess = steps if abs(self.tail_shape) < _EXPONENTIAL else expm1(self.tail_shape * steps) / self.tail_shape
        return min(self.tail_start + self.tail_scale * excess, HIGHEST_THRESHOLD)

    def density(self, score: float) -> float:
        """Return the density of strangers' scores at `score`; below the tail, where none was fitted, at its start."""
        reached = 1 + self.tail_shape * max(0.0, score - self.tail_start) / self.tail_scale
        if reached <= 0.0:
            return 0.0
        if abs(self.tail_shape) < _EXPONENTIAL:
            falls = exp(-max(0.0, score - self.tail_start) / self.tail_scale)
        else:
            falls = reached ** (-1 / self.tail_shape - 1)
        return self.tail_share / self.tail_scale * falls


@dataclass(frozen=True, slots=True)
class GenuineScores:
    """How high a person scores against their own fused template, for tracks of `samples` fused vectors."""

    samples: int
    comparisons: int
    mean: float
    deviation: float

    def __post_init__(self) -> None:
        """Raise ValueError for numbers that no cosines can have."""
        if self.samples < 1 or self.comparisons < 1 or not (isfinite(self.mean) and isfinite(self.deviation)):
            raise ValueError("genuine scores hold impossible counts or numbers that are not finite")
        if not (-1.0 <= self.mean <= 1.0 and 0.0 < self.deviation < 1.0):
            raise ValueError("genuine scores hold a mean or a deviation that no cosines can have")

    def density(self, score: float) -> float:
        """Return the normal density at `score`; above the mean that of the mean: nobody can be too like themselves."""
        steps = min(0.0, score - self.mean) / self.deviation
        return exp(-steps * steps / 2) / (self.deviation * sqrt(2 * pi))


@dataclass(frozen=True, slots=True)
class ScoreStatistics:
    """What was measured of one pack: scores by number of samples, and how alike one person's moments are."""

    strangers: tuple[StrangerScores, ...]
    same_person_floor: float
    """Cosine of a new vector to a track's fused one under which hardly any two moments of one person fall."""
    measured_on: str
    genuine: tuple[GenuineScores, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError without any stranger's scores."""
        if not self.strangers:
            raise ValueError("score statistics hold no strangers' scores")

    def strangers_for(self, samples: int) -> StrangerScores:
        """Return the row of the smallest measured count that is not below `samples`, or of the largest there is.

        Fusing raises strangers' scores as well: a row of fewer samples would promise too much.
        """
        rows = sorted(self.strangers, key=lambda row: row.samples)
        return next((row for row in rows if row.samples >= samples), rows[-1])

    def log_likelihood_ratio(self, score: float, samples: int) -> float | None:
        """Return ln(density of own scores / density of strangers' scores) at `score`; None if none were measured.

        Never falls as the score rises. Its size stays within ln(comparisons): no stronger claim was measured. Below
        the strangers' tail it stays where the tail starts, which says less against a match than would be true.
        Raises ValueError for a score that is not finite.
        """
        if not isfinite(score):
            raise ValueError(f"a score of {score} has no likelihood")
        own = [row for row in self.genuine if row.samples <= samples]
        if not own:
            return None
        # Own scores rise with samples as well, so there a row of fewer samples is the one that does not overstate.
        genuine = max(own, key=lambda row: row.samples)
        strangers = self.strangers_for(samples)
        most = log(max(2, min(genuine.comparisons, strangers.comparisons)))
        above, below = genuine.density(max(score, strangers.tail_start)), strangers.density(score)
        if below <= 0.0:
            return most
        ratio = max(-most, min(most, log(above / below))) if above > 0.0 else -most
        # Where no tail was fitted nothing is known, and own scores of fewer samples may seem likely there.
        return min(0.0, ratio) if score < strangers.tail_start else ratio


def operating_points(statistics: ScoreStatistics, gallery_size: int, fpir: float) -> OperatingPoints:
    """Derive the points at which a stranger's track is taken for anyone of `gallery_size` with probability `fpir`.

    It holds for a track that is decided with each of its looks: `by_samples` counts looks, which up to LONGEST_TRACK
    are the samples that are fused (see TRACK_SPENDING). Treats the comparisons of one look as independent, which errs
    to the safe side: they are positively related. A count that was not measured gets the statistics of the next larger
    one. An empty gallery gets the points of one student.

    Raises ValueError for a negative size or an FPIR outside 0 to 1.
    """
    points: list[tuple[int, OperatingPoint]] = []
    for look, share in (*TRACK_SPENDING, *_later_shares()):
        point = _point(statistics.strangers_for(look), gallery_size, fpir, share)
        # One row is measured on fewer people than another: a later look never asks for less all the same.
        before = points[-1][1].threshold if points else point.threshold
        points.append((look, OperatingPoint(max(point.threshold, before), point.margin)))
    return OperatingPoints(max(1, gallery_size), fpir, tuple(points))


def _later_shares() -> list[tuple[int, float]]:
    """Return (first look of the block, share of each look in it)."""
    blocks = []
    for number in range(_LATER_BLOCKS):
        length = (LONGEST_TRACK + 1) * 2**number
        blocks.append((length, LATER_SPENDING / 2 ** (number + 1) / length))
    return blocks


def point_once(statistics: ScoreStatistics, gallery_size: int, fpir: float, samples: int = 1) -> OperatingPoint:
    """Return the point for a decision that is made once, not again with every sample: it gets the whole budget.

    Raises ValueError for a negative size, an FPIR outside 0 to 1, or fewer than one sample.
    """
    if samples < 1:
        raise ValueError(f"there is no operating point for {samples} samples")
    return _point(statistics.strangers_for(samples), gallery_size, fpir, 1.0)


def nothing_matches(gallery_size: int, fpir: float) -> OperatingPoints:
    """Return points that no match can reach, for a pack of which nothing was measured."""
    never = OperatingPoint(threshold=1.0, margin=2.0)
    return OperatingPoints(max(1, gallery_size), fpir, ((1, never),))


def _point(strangers: StrangerScores, gallery_size: int, fpir: float, share: float) -> OperatingPoint:
    if gallery_size < 0 or not 0.0 < fpir < 1.0:
        raise ValueError(f"points for a gallery of {gallery_size} at FPIR {fpir} are not possible")
    # 1 - (1 - fpir * share) ** (1 / size), exact for large galleries too
    rate = -expm1(log1p(-fpir * share) / max(1, gallery_size))
    return OperatingPoint(strangers.threshold(rate), strangers.margin)


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
