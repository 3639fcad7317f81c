"""A school's own scores: everybody's pictures against everybody else's templates, and who is hard to tell apart."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from recognition.core.calibration import (
    LONGEST_TRACK,
    GenuineScores,
    OperatingPoints,
    ScoreStatistics,
    StrangerScores,
    operating_points,
    point_once,
)
from recognition.core.calibration_fit import extrapolate_stranger_scores, fit_genuine_scores, fit_stranger_scores
from recognition.core.gallery import Template, fuse

LEAST_STUDENTS = 100
"""Students with at least two pictures below which a school's own scores are not looked at: a dozen pairs that are
alike by chance would decide. The statistics in a pack rest on no fewer people."""

MOST_STUDENTS = 1000
"""Students compared at most, three million comparisons. Ids are random, so that the first by id are a fair sample."""

MOST_PAIRS = 5000
"""Look-alikes kept at most, the closest: more of them mean that something else is wrong with the pictures."""

GROUPS = 10
"""Parts of the students: each is judged by points that were set without it."""

_MOST_SAMPLES = 3
_TRACKS_EACH = 3
_SMALLEST_MARGIN = 0.005
_LEAD_SHARE = 0.95
_FLOOR_SHARE = 0.01
_ROWS_AT_ONCE = 256

Scores = NDArray[np.float32]
Rows = NDArray[np.float32]
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Taken:
    """Of `students` compared with everybody but themselves, how many a unit would have taken for somebody else."""

    students: int
    own: int
    """With points from the school's own scores, each tenth of the students judged by the scores of the others."""
    pack: int | None
    """With the points of the pack; None without statistics in the pack."""


@dataclass(frozen=True, slots=True)
class OwnScores:
    """What a school's templates say. `statistics` is None below LEAST_STUDENTS, or when scores have no tail."""

    students: int
    """With a template."""
    several: int
    """With at least two pictures."""
    statistics: ScoreStatistics | None = None
    taken: Taken | None = None

    @property
    def comparisons(self) -> int:
        """Comparisons of single pictures."""
        return 0 if self.statistics is None else self.statistics.strangers_for(1).comparisons


@dataclass(frozen=True, slots=True, eq=False)
class _Tracks:
    """Fused pictures `vectors` (t, d) of the students in rows `owners` (t,)."""

    owners: NDArray[np.int64]
    vectors: Rows


def measure(
    templates: Sequence[Template], apart: Collection[Pair], pack: ScoreStatistics | None, fpir: float
) -> OwnScores:
    """Compare all pictures with the templates of all other students; members are (m, d) unit rows of one pack.

    `apart` are pairs of which a person said that they are two people: they are for review anyway, and would stretch
    the tail for everybody. `pack` gives the margin and the floor when it has them.
    """
    several = sum(1 for template in templates if len(template.members) > 1)
    if several < LEAST_STUDENTS:
        return OwnScores(len(templates), several)
    chosen = sorted(templates, key=lambda template: template.student_id)[:MOST_STUDENTS]
    centroids = np.stack([template.fused for template in chosen])
    excluded = _excluded(chosen, apart)
    compared = [
        _against_the_others(samples, _tracks(chosen, samples), centroids, excluded)
        for samples in range(1, _MOST_SAMPLES + 1)
        if sum(1 for template in chosen if len(template.members) >= samples) >= LEAST_STUDENTS
    ]
    try:
        whole, alike = _statistics(chosen, centroids, compared, pack)
        taken = _taken(whole, alike, compared, pack, fpir)
    except ValueError:
        # Equal pictures of everybody, or the like: nothing that could be called a tail.
        return OwnScores(len(templates), several)
    return OwnScores(len(templates), several, whole, taken)


def look_alikes(templates: Sequence[Template], statistics: ScoreStatistics, fpir: float) -> dict[Pair, float]:
    """Return the pairs whose fused templates score above the point of a gallery of everybody, with their scores.

    At most MOST_PAIRS, the closest. The point is the one of as many samples as the smaller template has pictures.
    """
    ordered = sorted(templates, key=lambda template: template.student_id)
    if not ordered:
        return {}
    points = [point_once(statistics, len(ordered), fpir, samples).threshold for samples in range(1, LONGEST_TRACK + 1)]
    asked = np.array([points[min(len(template.members), LONGEST_TRACK) - 1] for template in ordered])
    centroids = np.stack([template.fused for template in ordered])
    found: list[tuple[float, Pair]] = []
    for start in range(0, len(ordered), _ROWS_AT_ONCE):
        scores = np.clip(centroids[start : start + _ROWS_AT_ONCE] @ centroids.T, -1.0, 1.0)
        over = scores >= np.minimum(asked[start : start + _ROWS_AT_ONCE, np.newaxis], asked)
        for row, column in np.argwhere(over):
            if column > start + row:
                pair = ordered[start + row].student_id, ordered[column].student_id
                found.append((float(scores[row, column]), pair))
        # Cut as it grows: a school in which everybody has the same picture has millions of pairs.
        found = sorted(found, reverse=True)[:MOST_PAIRS]
    return {pair: round(score, 4) for score, pair in found}


@dataclass(frozen=True, slots=True, eq=False)
class _Compared:
    """Scores (t, n) of tracks with templates; `valid` leaves out a track's owner and excluded pairs."""

    samples: int
    owners: NDArray[np.int64]
    scores: Scores
    valid: NDArray[np.bool_]


def _tracks(templates: Sequence[Template], samples: int) -> _Tracks:
    """Return up to three tracks of each student who has enough pictures, of neighbouring pictures, round the end."""
    owners, vectors = [], []
    for row, template in enumerate(templates):
        count = len(template.members)
        windows = 0 if count < samples else 1 if count == samples else min(count, _TRACKS_EACH)
        for start in range(windows):
            chosen = [(start + step) % count for step in range(samples)]
            owners.append(row)
            vectors.append(fuse(template.members[chosen]))
    return _Tracks(np.array(owners), np.stack(vectors))


def _excluded(templates: Sequence[Template], apart: Collection[Pair]) -> NDArray[np.bool_]:
    """Return (n, n): who is not compared with whom."""
    rows = {template.student_id: row for row, template in enumerate(templates)}
    excluded = np.eye(len(templates), dtype=np.bool_)
    for one, other in apart:
        if one in rows and other in rows:
            excluded[rows[one], rows[other]] = excluded[rows[other], rows[one]] = True
    return excluded


def _against_the_others(samples: int, tracks: _Tracks, centroids: Rows, excluded: NDArray[np.bool_]) -> _Compared:
    scores = np.clip(tracks.vectors @ centroids.T, -1.0, 1.0)
    return _Compared(samples, tracks.owners, scores, ~excluded[tracks.owners])


def _statistics(
    templates: Sequence[Template], centroids: Rows, compared: Sequence[_Compared], pack: ScoreStatistics | None
) -> tuple[ScoreStatistics, float]:
    """Return the statistics and the mean cosine between pictures of one student."""
    pairs = np.array([float(a @ b) for one in templates for a, b in combinations(one.members[:_TRACKS_EACH], 2)])
    alike = float(np.clip(pairs.mean(), 0.01, 1.0))
    margin = _margin(templates, centroids) if pack is None else max(row.margin for row in pack.strangers)
    rows = [fit_stranger_scores(one.samples, one.scores[one.valid], margin) for one in compared]
    floor = round(float(np.quantile(pairs, _FLOOR_SHARE)), 4) if pack is None else pack.same_person_floor
    genuine = tuple(_genuine(templates, samples) for samples in range(1, len(compared)))
    measured_on = f"the school's own {len(templates)} students"
    return ScoreStatistics(_extended(rows, alike), floor, measured_on, genuine), alike


def _extended(rows: Sequence[StrangerScores], alike: float) -> tuple[StrangerScores, ...]:
    last = rows[-1]
    beyond = range(last.samples + 1, LONGEST_TRACK + 1)
    return (*rows, *(extrapolate_stranger_scores(last, samples, alike) for samples in beyond))


def _taken(
    whole: ScoreStatistics, alike: float, compared: Sequence[_Compared], pack: ScoreStatistics | None, fpir: float
) -> Taken:
    """Count the students of whom a look at their first pictures passes for another student."""
    count = len(compared[0].valid[0])
    own = sum(
        int(
            _passing(compared, operating_points(_without(whole, alike, compared, group), count, fpir))[
                group::GROUPS
            ].sum()
        )
        for group in range(GROUPS)
    )
    from_pack = None if pack is None else int(_passing(compared, operating_points(pack, count, fpir)).sum())
    return Taken(count, own, from_pack)


def _passing(compared: Sequence[_Compared], points: OperatingPoints) -> NDArray[np.bool_]:
    """Return (n,): whose first track passes for somebody else with one of its samples."""
    passing = np.zeros(compared[0].valid.shape[1], dtype=np.bool_)
    for one in compared:
        first = np.unique(one.owners, return_index=True)[1]
        over = (one.scores[first] >= points.for_samples(one.samples).threshold) & one.valid[first]
        passing[one.owners[first]] |= over.any(axis=1)
    return passing


def _without(whole: ScoreStatistics, alike: float, compared: Sequence[_Compared], group: int) -> ScoreStatistics:
    """Fit again without the students of one group, as owners of tracks and as owners of templates."""
    rows = []
    for one in compared:
        tracks, templates = one.owners % GROUPS != group, np.arange(one.scores.shape[1]) % GROUPS != group
        kept = one.valid & tracks[:, np.newaxis] & templates
        rows.append(fit_stranger_scores(one.samples, one.scores[kept], whole.strangers[0].margin))
    return replace(whole, strangers=_extended(rows, alike))


def _genuine(templates: Sequence[Template], samples: int) -> GenuineScores:
    """Compare tracks of each student with the template of their other pictures."""
    scores = []
    for template in templates:
        count = len(template.members)
        for start in range(min(count, _TRACKS_EACH) if count > samples else 0):
            chosen = [(start + step) % count for step in range(samples)]
            scores.append(float(fuse(template.members[chosen]) @ fuse(np.delete(template.members, chosen, axis=0))))
    return fit_genuine_scores(samples, np.array(scores))


def _margin(templates: Sequence[Template], centroids: Rows) -> float:
    """Return the lead over the next student that hardly any wrong first place has, each picture left out in turn."""
    leads = []
    for row, template in enumerate(templates):
        for left_out in range(len(template.members) if len(template.members) > 1 else 0):
            scores = centroids @ template.members[left_out]
            scores[row] = fuse(np.delete(template.members, left_out, axis=0)) @ template.members[left_out]
            if int(scores.argmax()) != row:
                highest = np.partition(scores, -2)[-2:]
                leads.append(float(highest[1] - highest[0]))
    return round(max([_SMALLEST_MARGIN, *([float(np.quantile(leads, _LEAD_SHARE))] if leads else [])]), 4)
