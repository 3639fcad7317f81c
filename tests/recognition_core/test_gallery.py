"""The gallery finds who is closest, exactly, and refuses what must never be compared."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognition.core.errors import PackMismatch
from recognition.core.gallery import ROWS_AT_ONCE, Gallery, Match, Template, fuse
from tests.recognition_core.builders import DIMENSIONS, PACK, moment, person, template


def gallery(*numbers: int) -> Gallery:
    return Gallery.build([template(number) for number in numbers], PACK, DIMENSIONS)


def test_the_closest_student_is_found_with_the_next_one() -> None:
    people = gallery(1, 2, 3)
    (match,) = people.match(moment(2, seed=77)[np.newaxis])
    assert match.student_id == "s2"
    assert match.score > 0.9
    assert match.runner_up_id in {"s1", "s3"}
    assert match.margin == pytest.approx(match.score - match.runner_up_score)


def test_an_empty_gallery_knows_nobody() -> None:
    assert gallery().match(person(1)[np.newaxis]) == [Match(None, -1.0, None, -1.0)]
    assert gallery().size == 0


def test_a_gallery_of_one_has_no_runner_up() -> None:
    (match,) = gallery(1).match(moment(1, 5)[np.newaxis])
    assert (match.student_id, match.runner_up_id, match.runner_up_score) == ("s1", None, -1.0)


def test_no_probes_give_no_matches() -> None:
    assert gallery(1).match(np.zeros((0, DIMENSIONS), dtype=np.float32)) == []


@settings(max_examples=30)  # each example builds many vectors or frames
@given(
    numbers=st.lists(st.integers(0, 60), min_size=2, max_size=25, unique=True),
    probes=st.lists(st.integers(0, 60), min_size=1, max_size=40),
)
def test_the_search_agrees_with_comparing_one_by_one(numbers: list[int], probes: list[int]) -> None:
    templates = [template(number) for number in numbers]
    vectors = np.stack([moment(number, seed=9) for number in probes])
    found = Gallery.build(templates, PACK, DIMENSIONS).match(vectors)
    for vector, match in zip(vectors, found, strict=True):
        scores = sorted(((float(t.fused @ vector), t.student_id) for t in templates), reverse=True)
        assert match.student_id == scores[0][1]
        assert match.score == pytest.approx(scores[0][0], abs=1e-5)
        assert match.runner_up_score == pytest.approx(scores[1][0], abs=1e-5)


@settings(max_examples=30)  # each example builds many vectors or frames
@given(order=st.permutations(range(6)), members=st.permutations(range(4)))
def test_the_order_of_students_and_members_changes_nothing(order: list[int], members: list[int]) -> None:
    plain = [Template(f"s{n}", PACK, np.stack([moment(n, k) for k in range(4)])) for n in range(6)]
    mixed = [Template(f"s{n}", PACK, np.stack([moment(n, k) for k in members])) for n in order]
    one, other = Gallery.build(plain, PACK, DIMENSIONS), Gallery.build(mixed, PACK, DIMENSIONS)
    assert one.student_ids == other.student_ids
    np.testing.assert_array_equal(one.centroids, other.centroids)


def test_a_tie_is_won_by_the_same_student_every_time() -> None:
    twins = [Template(name, PACK, person(1)[np.newaxis]) for name in ("b", "a")]
    (match,) = Gallery.build(twins, PACK, DIMENSIONS).match(person(1)[np.newaxis])
    assert (match.student_id, match.runner_up_id, match.margin) == ("a", "b", 0.0)


def test_templates_of_another_pack_are_never_compared() -> None:
    foreign = Template("s9", "other-1-000000000000", person(9)[np.newaxis])
    with pytest.raises(PackMismatch, match=r"s9.*other-1"):
        Gallery.build([template(1), foreign], PACK, DIMENSIONS)


def test_a_template_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="dimensions"):
        Gallery.build([template(1)], PACK, DIMENSIONS + 1)


def test_a_student_listed_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        gallery(1, 1)


@pytest.mark.parametrize(
    "members",
    [
        np.full((1, DIMENSIONS), np.nan, dtype=np.float32),
        np.full((1, DIMENSIONS), np.inf, dtype=np.float32),
        np.zeros((1, DIMENSIONS), dtype=np.float32),
        np.ones((1, DIMENSIONS), dtype=np.float32),
        np.zeros((0, DIMENSIONS), dtype=np.float32),
        np.zeros(DIMENSIONS, dtype=np.float32),
        np.stack([person(1), -person(1)]),
    ],
    ids=["nan", "infinite", "zero", "too long", "none", "flat", "opposite"],
)
def test_members_that_are_no_unit_vectors_are_refused(members: np.ndarray) -> None:
    with pytest.raises(ValueError, match="template of student s1"):
        Template("s1", PACK, members)


def test_a_probe_that_is_no_unit_vector_is_refused() -> None:
    """A vector of nan compares as smaller than everything: it would pass as a stranger, silently."""
    for probe in (np.full((1, DIMENSIONS), np.nan), np.zeros((1, DIMENSIONS)), np.ones((2, DIMENSIONS - 1))):
        with pytest.raises(ValueError, match="probe"):
            gallery(1, 2).match(probe.astype(np.float32))


def test_a_gallery_cannot_be_changed_through_what_it_was_built_from() -> None:
    members = person(1)[np.newaxis].copy()
    built = Gallery.build([Template("s1", PACK, members)], PACK, DIMENSIONS)
    members[:] = 0
    with pytest.raises(ValueError, match="read-only"):
        built.centroids[0, 0] = 1
    assert built.match(person(1)[np.newaxis])[0].score == pytest.approx(1.0, abs=1e-6)


def test_the_score_against_one_named_student_is_the_one_of_the_search() -> None:
    people = gallery(1, 2)
    vector = moment(1, 8)
    assert people.score(vector, "s1") == pytest.approx(people.match(vector[np.newaxis])[0].score, abs=1e-6)
    with pytest.raises(KeyError):
        people.score(vector, "nobody")


def test_vectors_that_cancel_out_have_no_mean() -> None:
    with pytest.raises(ValueError, match="common direction"):
        fuse(np.array([[1, 0], [-1, 0]], dtype=np.float32))


def test_one_person_enrolled_twice_with_one_picture_leads_nobody() -> None:
    """Both names are equally close: the lead is nothing but rounding, so that no margin is ever reached."""
    picture = moment(4, 1)[np.newaxis]
    twins = [Template(name, PACK, picture) for name in ("twin-a", "twin-b")]
    (match,) = Gallery.build([*twins, template(5)], PACK, DIMENSIONS).match(moment(4, 2)[np.newaxis])
    assert {match.student_id, match.runner_up_id} == {"twin-a", "twin-b"}
    assert match.margin == pytest.approx(0.0, abs=1e-6)


def test_a_crowd_before_a_big_gallery_is_scored_a_few_rows_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """All at once, a thousand faces against a hundred thousand templates would be 400 MB of scores."""
    seen: list[tuple[int, ...]] = []
    clip = np.clip

    def watched(scores: np.ndarray, low: float, high: float) -> np.ndarray:
        seen.append(scores.shape)
        clipped: np.ndarray = clip(scores, low, high)
        return clipped

    monkeypatch.setattr(np, "clip", watched)
    probes = np.stack([moment(number % 3, number) for number in range(1000)])
    found = gallery(0, 1, 2).match(probes)
    assert [match.student_id for match in found] == [f"s{number % 3}" for number in range(1000)]
    assert max(rows for rows, _ in seen) == ROWS_AT_ONCE
    assert sum(rows for rows, _ in seen) == 1000


def test_a_hundred_thousand_templates_are_searched() -> None:
    centroids = np.random.default_rng(0).standard_normal((100_000, DIMENSIONS), dtype=np.float32)
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    big = Gallery(PACK, DIMENSIONS, tuple(map(str, range(len(centroids)))), centroids)
    found = big.match(centroids[::2500])
    assert [match.student_id for match in found] == [str(n) for n in range(0, 100_000, 2500)]
