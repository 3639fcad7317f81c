"""A gallery tested with its own templates: each picture plays its owner's next look, each student plays a stranger.

What it cannot see: enrolment pictures are better than what a camera sees, so that the share that is missed is a lower
bound; and they were chosen by people, so that a stranger in the doorway may be unlike any of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from math import exp, log1p
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from recognition.core.calibration import OperatingPoint, OperatingPoints
from recognition.core.gallery import Template, fuse
from recognition.evaluation.bounds import Interval, exact_interval, upper_bound

MOST_LOOKS = 3
MOST_CHOICES = 20

Weakness = Literal["single_picture", "pictures_disagree", "not_recognised", "more_like_another"]
Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Lesson:
    """What the estimate of false Presents assumes of a lesson.

    `students` are expected (the room's gallery), `strangers` are different people in view who are not in the gallery.
    """

    students: int
    strangers: float


@dataclass(frozen=True, slots=True)
class MissedRow:
    """Share of students' left-out pictures that were not recognised, with `samples` of them fused."""

    samples: int
    fnir: float
    interval: Interval
    searches: int
    students: int


@dataclass(frozen=True, slots=True)
class Weak:
    """A student whose enrolment deserves a look; `score` is the cosine that says so."""

    student_id: str
    reason: Weakness
    score: float | None


@dataclass(frozen=True, slots=True)
class Alike:
    """Two students of whom one's pictures would be taken for the other when they are not listed themselves."""

    student_id: str
    other_id: str
    score: float


@dataclass(frozen=True, slots=True)
class Strangers:
    """Students who played strangers to everybody else, each with all of their tracks."""

    students: int
    taken: int
    """Who would be taken for somebody else in at least one track."""
    share: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class FalsePresents:
    """Expected false Presents per 1,000 student-lessons, and an upper bound with 95 % confidence for each part.

    expected = 1000 x (strangers x F + students x M) / students, where F is the chance that a person who is not in the
    gallery is taken for anybody of the lesson in any of their tracks, and M the chance that an enrolled student is
    taken for another one. A face that is tracked again is the same person, so it is in F once, with all its looks; a
    false Present counts although the student may be there anyway.
    """

    lesson: Lesson
    expected: float
    upper: float
    stranger_chance: float
    stranger_chance_upper: float
    mistaken_chance: float
    mistaken_chance_upper: float


@dataclass(frozen=True, slots=True)
class GalleryFigures:
    """Everything that a gallery says about itself."""

    students: int
    pictures: int
    fpir: float
    missed: tuple[MissedRow, ...]
    strangers: Strangers
    false_presents: FalsePresents
    alike: tuple[Alike, ...]
    weak: tuple[Weak, ...]

    @property
    def holds(self) -> bool:
        """Whether the stated FPIR is not surely exceeded."""
        return self.strangers.interval.low <= self.fpir


@dataclass(slots=True)
class _Student:
    """What became of one student's left-out pictures."""

    found: dict[int, list[bool]]
    own: list[float]
    mistaken: bool = False
    """In a class of the lesson's size."""
    stronger_other: float | None = None
    taken: bool = False
    reached: int = 0
    """How many others' templates a stranger with this face reaches at the points of the lesson."""


def examine_gallery(
    templates: Sequence[Template],
    points: Callable[[int], OperatingPoints],
    same_person_floor: float,
    lesson: Lesson,
    step: Callable[[], None],
) -> GalleryFigures:
    """Examine everybody in `templates`, each student once; `points` gives those of a gallery of a size.

    Raises ValueError for fewer than two students or an impossible lesson.
    """
    if len(templates) < 2 or lesson.students < 1 or lesson.strangers < 0:
        raise ValueError("a test needs at least two students, and a lesson at least one")
    ordered = sorted(templates, key=lambda template: template.student_id)
    centroids = np.stack([template.fused for template in ordered])
    everybody, of_lesson = points(len(ordered)), points(lesson.students)
    alike: dict[tuple[int, int], float] = {}
    students = []
    for index, template in enumerate(ordered):
        student = _Student({}, [])
        _look_for(student, template.members, index, centroids, (everybody, of_lesson))
        _play_stranger(student, template.members, index, centroids, (everybody, of_lesson), alike)
        students.append(student)
        step()
    strangers = _strangers(students)
    return GalleryFigures(
        students=len(ordered),
        pictures=sum(len(template.members) for template in ordered),
        fpir=everybody.fpir,
        missed=tuple(_missed(students)),
        strangers=strangers,
        false_presents=false_presents(
            [student.reached for student in students], [s.mistaken for s in students if s.own], lesson
        ),
        alike=_alike(alike, ordered),
        weak=tuple(_weak(students, ordered, same_person_floor)),
    )


def false_presents(reached: Sequence[int], mistaken: Sequence[bool], lesson: Lesson) -> FalsePresents:
    """Return the estimate from how many templates each of n people reaches among the n - 1 others.

    A class is any `lesson.students` of the others: the chance that it holds one of the templates reached is exact. The
    upper bound takes the people who reach any as a binomial count, and scales its bound to the class.
    """
    others = len(reached) - 1
    listed = min(lesson.students, others)
    chance = float(np.mean([_chance_of_one(others, count, listed) for count in reached]))
    most = upper_bound(sum(count > 0 for count in reached), len(reached))
    chance_upper = max(chance, -_expm1_of(listed / others * log1p(-most)) if most < 1 else 1.0)
    wrong = float(np.mean(mistaken)) if mistaken else 0.0
    wrong_upper = upper_bound(sum(mistaken), len(mistaken))
    each = 1000 / lesson.students
    return FalsePresents(
        lesson=lesson,
        expected=each * (lesson.strangers * chance + lesson.students * wrong),
        upper=each * (lesson.strangers * chance_upper + lesson.students * wrong_upper),
        stranger_chance=chance,
        stranger_chance_upper=chance_upper,
        mistaken_chance=wrong,
        mistaken_chance_upper=wrong_upper,
    )


def _look_for(
    student: _Student,
    members: Vectors,
    index: int,
    centroids: Vectors,
    points: tuple[OperatingPoints, OperatingPoints],
) -> None:
    everybody, of_lesson = points
    for samples in range(1, min(MOST_LOOKS, len(members) - 1) + 1):
        point, smaller = everybody.for_samples(samples), of_lesson.for_samples(samples)
        for chosen in islice(combinations(range(len(members)), samples), MOST_CHOICES):
            probe = fuse(members[list(chosen)])
            own = float(fuse(np.delete(members, chosen, axis=0)) @ probe)
            other = _best(np.delete(centroids @ probe, index))
            student.found.setdefault(samples, []).append(own >= point.threshold and own - other >= point.margin)
            student.mistaken |= other >= smaller.threshold and other - own >= smaller.margin
            if samples == 1:
                student.own.append(own)
                if other > own and other >= point.threshold:
                    student.stronger_other = max(other, student.stronger_other or -1.0)


def _play_stranger(
    student: _Student,
    members: Vectors,
    index: int,
    centroids: Vectors,
    points: tuple[OperatingPoints, OperatingPoints],
    alike: dict[tuple[int, int], float],
) -> None:
    reached: set[int] = set()
    for start in range(min(len(members), MOST_CHOICES)):
        for samples in range(1, min(MOST_LOOKS, len(members)) + 1):
            track = fuse(members[[(start + step) % len(members) for step in range(samples)]])
            scores = (centroids @ track).astype(np.float64)
            scores[index] = -np.inf
            reached.update(np.flatnonzero(scores >= points[1].for_samples(samples).threshold).tolist())
            point = points[0].for_samples(samples)
            student.taken |= _is_taken(scores, point)
            for other in np.flatnonzero(scores >= point.threshold).tolist():
                pair = min(index, other), max(index, other)
                alike[pair] = max(alike.get(pair, -1.0), float(scores[other]))
    student.reached = len(reached)


def _is_taken(scores: NDArray[np.float64], point: OperatingPoint) -> bool:
    second, best = np.sort(np.concatenate([[-1.0], scores]))[-2:]
    return bool(best >= point.threshold and best - max(second, -1.0) >= point.margin)


def _missed(students: Sequence[_Student]) -> list[MissedRow]:
    rows = []
    for samples in range(1, MOST_LOOKS + 1):
        outcomes = [student.found[samples] for student in students if samples in student.found]
        if not outcomes:
            continue
        # Students weigh the same however many pictures they have, and bounds count students: pictures err together.
        shares = [1 - sum(found) / len(found) for found in outcomes]
        fnir = float(np.mean(shares))
        interval = exact_interval(round(sum(shares)), len(shares)).holding(fnir)
        rows.append(MissedRow(samples, fnir, interval, sum(map(len, outcomes)), len(outcomes)))
    return rows


def _strangers(students: Sequence[_Student]) -> Strangers:
    taken = sum(student.taken for student in students)
    return Strangers(len(students), taken, taken / len(students), exact_interval(taken, len(students)))


def _alike(pairs: dict[tuple[int, int], float], ordered: Sequence[Template]) -> tuple[Alike, ...]:
    by_score = sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple(Alike(ordered[a].student_id, ordered[b].student_id, round(score, 4)) for (a, b), score in by_score)


def _weak(students: Sequence[_Student], ordered: Sequence[Template], floor: float) -> list[Weak]:
    found = []
    for student, template in zip(students, ordered, strict=True):
        if not student.own:
            found.append(Weak(template.student_id, "single_picture", None))
            continue
        lowest = min(student.own)
        if student.stronger_other is not None:
            found.append(Weak(template.student_id, "more_like_another", round(student.stronger_other, 4)))
        if lowest < floor:
            found.append(Weak(template.student_id, "pictures_disagree", round(lowest, 4)))
        if not any(student.found[1]):
            found.append(Weak(template.student_id, "not_recognised", round(max(student.own), 4)))
    return found


def _best(scores: Vectors) -> float:
    return float(scores.max(initial=-1.0))


def _chance_of_one(others: int, reached: int, listed: int) -> float:
    """Return the chance that `listed` of `others`, drawn without putting back, hold at least one of those `reached`."""
    if reached == 0:
        return 0.0
    if listed > others - reached:
        return 1.0
    none = sum(log1p(-reached / (others - drawn)) for drawn in range(listed))
    return 1 - exp(none)


def _expm1_of(value: float) -> float:
    return float(np.expm1(value))
