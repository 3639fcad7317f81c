"""How certain the school's own scores are, and which operating points follow. Pure: templates in, numbers out.

A pack brings scores of public pictures. A school's own cameras, students and pictures are others, so its own
cross-student scores replace them as soon as they say enough: every picture (and every two and three of one student,
fused) is compared with the fused templates of all other students, as if its owner were a stranger. An enrolled
picture is looked at in more ways than a face in a lesson, so it is a little more alike to everybody: points from it
are rather too strict than too lenient.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import exp, fsum, isclose, lgamma, log, sqrt
from typing import Literal

from hub.core.calibration_scores import LEAST_STUDENTS, OwnScores, Taken
from recognition.core.calibration import (
    TRACK_SPENDING,
    OperatingPoints,
    ScoreStatistics,
    nothing_matches,
    operating_points,
)

Method = Literal["own", "both", "pack", "none"]
"""own: the school's own scores. pack: those in the model pack. both: the pack's points have been seen to take too many
students for others, and the school's own scores are too few: the stricter of the two. none: nothing was measured, and
nobody is marked."""

CERTAIN_WITHIN = 3.0
"""Own scores resolve the target when, with 95 % confidence, at most so many times the stated share of students is
taken for somebody else. For 1 % that takes about 260 students: an error that happens to three of them is inside the
data, one that should happen to a single one is not."""

FLOOR = 3.0
"""While the threshold lies beyond what was seen often enough, own points are never more lenient than the pack's for
an error so many times as large."""

LEAST_SEEN = 10.0
"""Scores that should lie above a threshold for it to count as seen, and not only as extrapolated."""

_DOUBT = 0.05

_MANY = 10_000

AGAIN_AFTER = timedelta(days=7)
AGAIN_CHANGED = 0.10
"""A calibration is made again a week after the last when anybody changed, and at once when a tenth did."""


@dataclass(frozen=True, slots=True)
class Certainty:
    """How far a school's own scores can be trusted for a gallery of everybody, at the stated error."""

    more_students: int
    """How many more students, with at least two pictures each, would resolve the target; 0 when it is resolved."""
    seen: float = 0.0
    """How many of the scores measured are expected above the first look's threshold."""
    taken: Taken | None = None
    most_taken: float | None = None
    """The share of students taken for somebody else with own points, at most, with 95 % confidence."""

    @property
    def resolved(self) -> bool:
        """Whether the school's own scores may set the points."""
        return self.more_students == 0

    @property
    def thin(self) -> bool:
        """Whether the threshold is an extrapolation, so that the floor holds."""
        return self.seen < LEAST_SEEN


@dataclass(frozen=True, slots=True)
class Calibration:
    """Which scores operating points come from. The newest of a pack holds."""

    calibration_id: str
    pack_id: str
    at: datetime
    fpir: float
    method: Method
    students: int
    """Consented students with a template of the pack."""
    comparisons: int
    statistics: ScoreStatistics | None
    certainty: Certainty
    software: str
    actor: str

    def same_result(self, other: "Calibration") -> bool:
        """Whether another calibration gives the same points."""
        floors = self.certainty.thin == other.certainty.thin
        return (self.method, self.fpir, self.statistics) == (other.method, other.fpir, other.statistics) and floors


@dataclass(frozen=True, slots=True)
class Change:
    """How a pack's templates have changed since a calibration."""

    students: int
    """With a template now."""
    changed: int
    """Students who came, went, or got another picture."""


def is_due(newest: Calibration | None, fpir: float, change: Change, now: datetime) -> bool:
    """Say whether to calibrate again; a second process that asks after the first has done it hears no."""
    if newest is None:
        return change.students > 0
    if not isclose(newest.fpir, fpir):
        return True
    if change.changed == 0:
        return False
    return now - newest.at >= AGAIN_AFTER or change.changed >= AGAIN_CHANGED * max(1, newest.students)


def choose(scores: OwnScores, pack: ScoreStatistics | None, fpir: float) -> tuple[Method, Certainty]:
    """Say whose scores set the points. Own ones only when they resolve the stated error for a gallery of everybody."""
    certainty = certainty_of(scores, fpir)
    if certainty.resolved:
        return "own", certainty
    if pack is None:
        return "none", certainty
    taken = scores.taken
    too_many = taken is not None and taken.pack is not None and at_least(taken.pack) > fpir * taken.students
    return ("both" if too_many else "pack"), certainty


def certainty_of(scores: OwnScores, fpir: float) -> Certainty:
    """Measure how certain own scores are, by counting people: comparisons of one person rise and fall together."""
    taken = scores.taken
    if scores.statistics is None or taken is None:
        return Certainty(more_students=max(1, LEAST_STUDENTS - scores.several))
    allowed = CERTAIN_WITHIN * fpir
    most = at_most(taken.own) / taken.students
    rate = fpir * TRACK_SPENDING[0][1] / scores.students
    seen, more = round(scores.comparisons * rate, 3), 0
    if most > allowed:
        # As many as it would take if it went on like this; at least as many again when it should not go on like this.
        share = max(fpir, taken.own / taken.students)
        counts = range(taken.students, _MANY, 10) if share < allowed else ()
        enough = next((n for n in counts if at_most(round(n * share)) <= allowed * n), 2 * taken.students)
        more = max(1, enough - taken.students)
    return Certainty(more_students=more, seen=seen, taken=taken, most_taken=round(most, 5))


def at_most(count: int) -> float:
    """Return the highest mean, with 95 % confidence, of what was counted `count` times (Poisson, one-sided, exact)."""
    return _solve(lambda mean: _poisson_up_to(count, mean) > _DOUBT, count)


def at_least(count: int) -> float:
    """Return the lowest mean, with 95 % confidence, of what was counted `count` times."""
    return 0.0 if count == 0 else _solve(lambda mean: 1 - _poisson_up_to(count - 1, mean) < _DOUBT, count)


def _solve(below: Callable[[float], bool], count: int) -> float:
    low, high = 0.0, count + 10 * sqrt(count + 1)
    for _ in range(60):
        middle = (low + high) / 2
        if below(middle):
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _poisson_up_to(count: int, mean: float) -> float:
    # In logarithms: e to the minus mean is 0 for a mean of 1,000.
    return fsum(exp(k * log(mean) - mean - lgamma(k + 1)) for k in range(count + 1)) if mean > 0 else 1.0


def points_for(
    newest: Calibration | None, pack: ScoreStatistics | None, gallery_size: int, fpir: float
) -> OperatingPoints:
    """Return the points of a gallery. A calibration for another stated error does not count until it is made again."""
    from_pack = nothing_matches(gallery_size, fpir) if pack is None else operating_points(pack, gallery_size, fpir)
    if newest is None or newest.statistics is None or not isclose(newest.fpir, fpir):
        return from_pack
    if newest.method not in ("own", "both"):
        return from_pack
    own = operating_points(newest.statistics, gallery_size, fpir)
    if pack is None:
        return own
    if newest.method == "both":
        return own.not_below(from_pack)
    floor = operating_points(pack, gallery_size, min(FLOOR * fpir, 0.5))
    return own.not_below(floor) if newest.certainty.thin else own


def matches_nothing(points: Mapping[str, object]) -> bool:
    """Say whether a head's points let nobody of the room be marked."""
    rows = points.get("by_samples")
    return isinstance(rows, list) and all(row["threshold"] >= 1.0 for row in rows)


def describe(calibration: Calibration | None, pack: ScoreStatistics | None) -> list[str]:
    """Return for people where the operating points come from and what would make them better, a sentence each."""
    method: Method = calibration.method if calibration is not None else "none" if pack is None else "pack"
    certainty = calibration.certainty if calibration is not None else None
    more = (
        f"The school's own scores take over once {certainty.more_students} more students have two pictures or more."
        if certainty is not None and certainty.more_students
        else ""
    )
    said = {
        "own": "Operating points come from the school's own scores.",
        "both": "The model pack's operating points take too many students here for others, so each point is the "
        "stricter one of the pack's and the school's own.",
        "pack": "Operating points come from the scores in the model pack"
        + (f": {pack.measured_on}." if pack is not None else "."),
        "none": "Nobody can be marked: nothing was measured of this model pack, and the school's own scores are too "
        "few yet. Use the pack dlib until then.",
    }[method]
    return [sentence for sentence in (said, more) if sentence]


def head_points(
    newest: Calibration | None, pack: ScoreStatistics | None, sizes: Sequence[int], fpir: float
) -> Mapping[str, object]:
    """Return what a gallery's head says: the points of the room and, with a second size, those of the wider scope."""
    content = dict(points_for(newest, pack, sizes[0], fpir).to_dict())
    if len(sizes) > 1:
        content["wider"] = points_for(newest, pack, sizes[1], fpir).to_dict()
    return content
