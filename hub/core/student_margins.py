"""How much further a student must lead the next one, after people rejected sightings of them without naming anybody.

Such a rejection says that somebody who is not this student looks like them to the machine, and not who. So from then on
the student is told apart by more than others are: below that lead a person is asked, as for any thin lead.

**The step.** Strangers' highest scores fall off about exponentially, with the measured `tail_scale`. The best of many
such scores then leads the second by an exponential amount of the same scale, however many there are. A lead that is
larger by `tail_scale` x ln 2 is therefore reached by half as many wrong first places, and that is the step: each
rejection says "wrong twice as often as the operating point allows for" and halves what gets through. A tail that ends
falls off faster than that, so the step is rather too large.

**The bound.** A student must remain somebody whom the machine finds: the whole margin never exceeds half of what
students usually lead by, the mean of own scores less what the best of the others reaches. In a room of 30 with the pack
dlib: 0.007 for everybody, 0.005 more with each rejection, 0.0137 more at most, which the third reaches; usual is a lead
of 0.041, with a deviation of 0.014.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isclose, log

from hub.core.calibration import Calibration
from protocol.content import Scope
from recognition.core.calibration import ScoreStatistics

_SHARE = 0.5
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class MarginRise:
    """What each rejection adds to a student's margin, and the most that all of them add (both cosines)."""

    step: float = 0.0
    most: float = 0.0

    def after(self, rejections: int) -> float:
        """Return what is added after so many rejections; 0 for none."""
        # Rounded: equal facts have to give equal bytes on every machine.
        return round(min(self.step * max(0, rejections), self.most), _DIGITS)


def rise_of(statistics: ScoreStatistics, gallery_size: int) -> MarginRise:
    """Return the rise in a gallery of this many students, by the scores that were measured.

    Without own scores nobody knows what students lead by: then the margin at most doubles.
    """
    step = max(row.tail_scale for row in statistics.strangers) * log(2)
    margin = max(row.margin for row in statistics.strangers)
    if not statistics.genuine:
        return MarginRise(step, margin)
    own = min(statistics.genuine, key=lambda row: row.samples)
    best_of_the_others = statistics.strangers_for(own.samples).threshold(1 / max(1, gallery_size))
    return MarginRise(step, max(0.0, _SHARE * (own.mean - best_of_the_others) - margin))


def rises_for(
    newest: Calibration | None, pack: ScoreStatistics | None, sizes: Sequence[int], fpir: float
) -> dict[Scope, MarginRise]:
    """Return the rise for each scope of a gallery, by the statistics that its points come from.

    `sizes` are those of `hub.core.galleries.sizes`. Where two statistics set the points, the larger step holds,
    as the stricter points do, and the smaller bound, which keeps students findable by both.
    """
    in_force = _in_force(newest, pack, fpir)
    found: dict[Scope, MarginRise] = {}
    scopes: tuple[Scope, ...] = ("room", "wider")
    for scope, size in zip(scopes, sizes, strict=False):
        rises = [rise_of(statistics, size) for statistics in in_force]
        if rises:
            found[scope] = MarginRise(max(one.step for one in rises), min(one.most for one in rises))
    return found


def _in_force(newest: Calibration | None, pack: ScoreStatistics | None, fpir: float) -> list[ScoreStatistics]:
    """Return whose scores set the points; see `hub.core.calibration.points_for`."""
    own = newest.statistics if newest is not None and isclose(newest.fpir, fpir) else None
    method = newest.method if newest is not None and own is not None else "pack"
    chosen = {"own": [own], "both": [own, pack]}.get(method, [pack])
    return [one for one in chosen if one is not None]
