"""A gallery tested with its own templates: it finds twins, mixed-up and single pictures, and bounds what it saw."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognition.core.calibration import OperatingPoint, OperatingPoints
from recognition.core.gallery import Template
from recognition.evaluation.leave_one_out import GalleryFigures, Lesson, examine_gallery, false_presents
from tests.recognition_evaluation.builders import vectors_of

LESSON = Lesson(students=30, strangers=2.0)


def school(students: int = 20, pictures: int = 3, noise: float = 0.15, seed: int = 1) -> list[Template]:
    generator = np.random.default_rng(seed)
    found = []
    for number in range(students):
        members = [vector for vector in vectors_of(generator, pictures, noise) if vector is not None]
        found.append(Template(f"s{number:03}", "pack", np.stack(members)))
    return found


def examined(templates: list[Template], threshold: float = 0.9, floor: float = 0.5) -> GalleryFigures:
    def points(gallery_size: int) -> OperatingPoints:
        return OperatingPoints(max(1, gallery_size), 0.01, ((1, OperatingPoint(threshold, 0.01)),))

    return examine_gallery(templates, points, floor, LESSON, lambda: None)


def test_a_good_gallery_is_recognised_and_bounds_what_it_never_saw() -> None:
    figures = examined(school())
    assert [(row.samples, row.fnir) for row in figures.missed] == [(1, 0.0), (2, 0.0)]
    assert (figures.strangers.taken, figures.weak, figures.alike) == (0, (), ())
    assert figures.missed[0].interval.high == pytest.approx(0.168, abs=0.01)
    assert figures.false_presents.expected == 0.0
    assert figures.false_presents.upper > 0.0
    assert figures.holds


def test_the_same_face_enrolled_twice_is_found_on_both_sides() -> None:
    """Identical twins, or one person under two serial numbers."""
    templates = school()
    templates.append(Template("twin", "pack", templates[0].members))
    figures = examined(templates)
    assert [(pair.student_id, pair.other_id) for pair in figures.alike] == [("s000", "twin")]
    assert figures.alike[0].score > 0.99
    assert figures.strangers.taken == 2
    assert figures.missed[0].fnir == pytest.approx(2 / 21)
    assert not figures.holds


def test_a_picture_of_somebody_else_is_noticed() -> None:
    templates = school()
    members = templates[1].members.copy()
    members[0] = templates[0].members[0]
    templates[1] = Template("s001", "pack", members)
    weak = {(each.student_id, each.reason) for each in examined(templates).weak}
    assert ("s001", "more_like_another") in weak
    assert ("s001", "pictures_disagree") in weak


def test_students_with_one_picture_are_listed_and_not_counted_as_missed() -> None:
    templates = [*school(), *(Template(f"t{n}", "pack", t.members[:1]) for n, t in enumerate(school(3, seed=9)))]
    figures = examined(templates)
    assert [each.student_id for each in figures.weak if each.reason == "single_picture"] == ["t0", "t1", "t2"]
    assert figures.missed[0].students == 20
    assert figures.strangers.students == 23


def test_pictures_that_nobody_recognises_are_weak() -> None:
    weak = {each.reason for each in examined(school(noise=1.0), threshold=0.99).weak}
    assert "not_recognised" in weak


def test_every_student_is_a_step_and_the_order_does_not_matter() -> None:
    templates, steps = school(), []

    def points(gallery_size: int) -> OperatingPoints:
        return OperatingPoints(max(1, gallery_size), 0.01, ((1, OperatingPoint(0.6, 0.0)),))

    first = examine_gallery(templates, points, 0.5, LESSON, lambda: steps.append(1))
    assert len(steps) == 20
    assert examine_gallery(templates[::-1], points, 0.5, LESSON, lambda: None) == first


def test_fewer_than_two_students_or_no_lesson_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two"):
        examined(school(1))


def test_the_formula_of_false_presents() -> None:
    """Ten people; one reaches one template of the nine others. A lesson of three holds it with 3/9, two strangers."""
    found = false_presents([1] + [0] * 9, [False] * 10, Lesson(3, 2.0))
    assert found.stranger_chance == pytest.approx(1 / 10 * 3 / 9)
    assert found.expected == pytest.approx(1000 * 2 * (1 / 30) / 3)


def test_students_mistaken_for_each_other_count_whatever_the_strangers() -> None:
    found = false_presents([0] * 10, [True] + [False] * 9, Lesson(5, 0.0))
    assert found.expected == pytest.approx(1000 * 0.1)


@settings(deadline=None)
@given(
    reached=st.lists(st.integers(0, 3), min_size=5, max_size=30),
    mistaken=st.lists(st.booleans(), max_size=30),
    students=st.integers(1, 60),
    strangers=st.floats(0, 20),
)
def test_bounds_are_never_below_what_is_expected_and_chances_stay_chances(
    reached: list[int], mistaken: list[bool], students: int, strangers: float
) -> None:
    found = false_presents(reached, mistaken, Lesson(students, strangers))
    assert 0.0 <= found.expected <= found.upper + 1e-9
    assert 0.0 <= found.stranger_chance <= found.stranger_chance_upper <= 1.0
    assert 0.0 <= found.mistaken_chance <= found.mistaken_chance_upper <= 1.0


@settings(deadline=None)
@given(reached=st.lists(st.integers(0, 4), min_size=6, max_size=20), students=st.integers(1, 20))
def test_a_larger_class_holds_whoever_is_reached_more_often(reached: list[int], students: int) -> None:
    small, large = (false_presents(reached, [], Lesson(size, 1.0)) for size in (students, students + 1))
    assert small.stranger_chance <= large.stranger_chance + 1e-12
