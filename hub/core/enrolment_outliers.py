"""Pictures of one student judged together: which show one person, and which is the odd one.

Judged one after the other, a bad first picture would make all the good ones refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hub.core.enrolment_gallery import Limits
from recognition.core.face import Vector

MAX_TOGETHER = 16
"""Pictures that are judged at once, enrolled ones included: every group of them is looked at."""

_ROUNDING = 1e-6
_CANCELLED = 1e-6

Standing = Literal["agrees", "not_like_the_others", "not_like_own", "not_like_each_other", "earlier_odd"]
"""What is to be done with a new picture: all but `agrees` stay out.

not_like_the_others   it is the odd one of those that came with it
not_like_own          it is the odd one beside pictures that are enrolled, or nothing decides between it and them
not_like_each_other   as many say one thing as another: nobody can tell which of them are wrong
earlier_odd           the new ones agree, and it is what was enrolled earlier that is not like them
"""


@dataclass(frozen=True, slots=True)
class Together:
    """What pictures of one student say of each other. Scores are cosines to those that agree, without the picture.

    Where nothing is decided they are those to the closest other picture.
    """

    standings: tuple[Standing, ...]
    scores: tuple[float, ...]
    known_odd: tuple[int, ...]
    """Places of enrolled pictures that are not like those that agree."""
    agreeing: int
    """How many agree, enrolled ones included; 0 where nothing is decided."""


def judge_together(vectors: Sequence[Vector], own_known: Sequence[Vector], limits: Limits) -> Together:
    """Say which of the new `vectors` show the person whom most pictures show; all are unit vectors of one pack.

    Those who agree are the largest group whose members each reach `limits.own` with the mean of the others of the
    group: with its own part in the mean, any picture would agree with any other. Of several groups of that size the
    one that agrees best counts, unless another has nobody in common with it: then nothing is decided.
    Raises ValueError for none, or more than MAX_TOGETHER together.
    """
    known, count = len(own_known), len(own_known) + len(vectors)
    if not vectors or count > MAX_TOGETHER:
        raise ValueError(f"{len(vectors)} new pictures and {known} enrolled ones cannot be judged together")
    rows = np.asarray([*own_known, *vectors], dtype=np.float64)
    alike = rows @ rows.T
    group = _largest_group(alike, limits.own)
    if group is None:
        np.fill_diagonal(alike, -1.0)
        standing: Standing = "not_like_own" if known else "not_like_each_other"
        return Together((standing,) * len(vectors), tuple(map(float, alike.max(axis=1)[known:])), (), 0)
    scores = _to_others(alike, group[np.newaxis])[0]
    standings = tuple(_standing(group, known, place) for place in range(known, count))
    odd = tuple(place for place in range(known) if not group[place])
    return Together(standings, tuple(map(float, scores[known:])), odd, int(group.sum()))


def _standing(group: NDArray[np.bool_], known: int, place: int) -> Standing:
    if not group[place]:
        return "not_like_the_others" if group[known:].any() else "not_like_own"
    return "earlier_odd" if known and not group[:known].any() else "agrees"


def _largest_group(alike: NDArray[np.float64], least: float) -> NDArray[np.bool_] | None:
    """Return who agrees (n,) bool, or None where as many say something else."""
    count = len(alike)
    groups = (np.arange(1, 1 << count)[:, np.newaxis] >> np.arange(count)) % 2 == 1
    scores = _to_others(alike, groups)
    agreeing = np.where(groups, scores >= least - _ROUNDING, True).all(axis=1)
    groups, scores = groups[agreeing], scores[agreeing]
    sizes = groups.sum(axis=1)
    largest = sizes == sizes.max()
    groups, scores = groups[largest], scores[largest]
    best = groups[int(np.where(groups, scores, 0.0).sum(axis=1).argmax())]
    return best if (groups & best).any(axis=1).all() else None


def _to_others(alike: NDArray[np.float64], groups: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return each picture's cosine to the mean of each group's other members: (groups, n); alone it is like itself."""
    members = groups.astype(np.float64)
    sums = members @ alike
    own = np.diagonal(alike) * members
    # The squared length of the sum of the others, from the products alone.
    lengths = (members * sums).sum(axis=1, keepdims=True) - members * (2 * sums - own)
    others = np.sqrt(np.maximum(lengths, 0.0))
    scores = np.divide(sums - own, others, out=np.full_like(sums, -1.0), where=others > _CANCELLED)
    alone = groups & (groups.sum(axis=1, keepdims=True) == 1)
    return np.clip(np.where(alone, 1.0, scores), -1.0, 1.0)
