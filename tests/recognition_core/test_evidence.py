"""Evidence decides from all moments of a track together, and can always change its mind."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognition.core.calibration import (
    GenuineScores,
    OperatingPoint,
    OperatingPoints,
    ScoreStatistics,
    StrangerScores,
)
from recognition.core.evidence import Decision, EvidenceLimits, Scope, TrackEvidence
from recognition.core.face import Vector
from recognition.core.gallery import Gallery, Template
from recognition.core.quality import FaceQuality
from tests.recognition_core.builders import DIMENSIONS, PACK, moment, person, points, template, unit

FLOOR = 0.6
PEOPLE = Gallery.build([template(number) for number in (1, 2, 3)], PACK, DIMENSIONS)
QUALITY = FaceQuality(100, 1, 0.05, 128, 40, 0, 0, 0.55, 0.8, 0.99)


def decided(*vectors: Vector, gallery: Gallery = PEOPLE, limits: EvidenceLimits | None = None) -> Decision:
    evidence = TrackEvidence(FLOOR, limits)
    for index, vector in enumerate(vectors):
        assert evidence.add(vector, index * 0.5)
    return evidence.decide(Scope(gallery, points()))


def test_a_known_person_is_present() -> None:
    decision = decided(moment(2, 1))
    assert (decision.kind, decision.student_id, decision.reason, decision.samples) == ("present", "s2", "", 1)
    assert decision.candidates[0] == ("s2", decision.score)
    assert len(decision.candidates) == 2


def test_a_stranger_is_undecided_at_first_and_unknown_after_three_moments() -> None:
    moments = [moment(50, seed) for seed in range(3)]
    assert decided(*moments[:2]).kind == "undecided"
    decision = decided(*moments)
    assert (decision.kind, decision.student_id, decision.reason) == ("unknown", None, "below_threshold")


def test_without_a_sample_nothing_is_decided() -> None:
    decision = TrackEvidence(FLOOR).decide(Scope(PEOPLE, points()))
    assert (decision.kind, decision.reason, decision.samples) == ("undecided", "no_samples", 0)


def test_an_empty_gallery_makes_everybody_unknown() -> None:
    nobody = Gallery.build([], PACK, DIMENSIONS)
    decision = decided(*[moment(1, seed) for seed in range(3)], gallery=nobody)
    assert (decision.kind, decision.reason, decision.candidates) == ("unknown", "empty_gallery", ())


def test_too_small_a_lead_goes_to_review_with_both_names() -> None:
    twin = unit(person(1) + 0.05 * person(7))
    twins = Gallery.build(
        [Template("s1", PACK, person(1)[np.newaxis]), Template("twin", PACK, twin[np.newaxis])], PACK, DIMENSIONS
    )
    decision = decided(moment(1, 3), gallery=twins)
    assert (decision.kind, decision.reason) == ("review", "look_alike")
    assert {name for name, _ in decision.candidates} == {"s1", "twin"}


def test_known_look_alikes_go_to_review_only_when_both_are_expected() -> None:
    evidence = TrackEvidence(FLOOR)
    evidence.add(moment(1, 1), 0.0)
    both = evidence.decide(Scope(PEOPLE, points()), frozenset({frozenset({"s1", "s3"})}))
    assert (both.kind, both.reason, both.student_id) == ("review", "known_look_alike", "s1")
    assert [name for name, _ in both.candidates] == ["s1", "s3"]
    absent = evidence.decide(Scope(PEOPLE, points()), frozenset({frozenset({"s1", "elsewhere"})}))
    assert absent.kind == "present"


def test_more_moments_before_present_can_be_asked_for() -> None:
    limits = EvidenceLimits(min_present_samples=2)
    assert decided(moment(1, 1), limits=limits).kind == "undecided"
    assert decided(moment(1, 1), moment(1, 2), limits=limits).kind == "present"


def test_the_point_of_the_number_of_samples_is_used() -> None:
    strict_later = OperatingPoints(3, 0.01, ((1, OperatingPoint(0.5, 0.0)), (2, OperatingPoint(1.0, 0.0))))
    evidence = TrackEvidence(FLOOR)
    evidence.add(moment(1, 1), 0.0)
    assert evidence.decide(Scope(PEOPLE, strict_later)).kind == "present"
    evidence.add(moment(1, 2), 0.5)
    assert evidence.decide(Scope(PEOPLE, strict_later)).kind == "undecided"


def test_another_person_in_the_track_is_reported_and_not_mixed_in() -> None:
    evidence = TrackEvidence(FLOOR)
    evidence.add(moment(1, 1), 0.0)
    assert not evidence.add(moment(2, 1), 0.5)
    assert evidence.samples == 1
    assert evidence.decide(Scope(PEOPLE, points())).student_id == "s1"


def test_samples_are_wanted_half_a_second_apart_and_rarely_once_there_are_five() -> None:
    evidence = TrackEvidence(FLOOR)
    assert evidence.wants(0.0, QUALITY)
    for index in range(5):
        assert not evidence.wants(index * 0.5 - 0.1) or index == 0
        assert evidence.wants(index * 0.5, QUALITY)
        evidence.add(moment(1, index), index * 0.5, QUALITY)
    assert not evidence.wants(2.5, QUALITY)
    assert evidence.wants(4.0, QUALITY)
    closer = dataclasses.replace(QUALITY, face_px=140)
    assert evidence.wants(2.5, closer)


def test_only_the_latest_five_are_kept() -> None:
    evidence = TrackEvidence(-1.0)
    for index in range(5):
        evidence.add(moment(1, index), index * 0.5)
    for index in range(5):
        evidence.add(moment(2, index), 10 + index * 0.5)
    assert evidence.samples == 5
    assert evidence.decide(Scope(PEOPLE, points())).student_id == "s2"


def test_a_vector_that_is_no_embedding_is_refused() -> None:
    evidence = TrackEvidence(FLOOR)
    for vector in (np.full(DIMENSIONS, np.nan), np.zeros(DIMENSIONS), np.ones(DIMENSIONS)):
        with pytest.raises(ValueError, match="sample"):
            evidence.add(vector.astype(np.float32), 0.0)
    assert evidence.samples == 0


@settings(max_examples=30)  # each example builds many vectors or frames
@given(order=st.permutations(range(5)), who=st.integers(1, 60), noise=st.floats(0.01, 0.2))
def test_the_order_in_which_samples_arrive_changes_nothing(order: list[int], who: int, noise: float) -> None:
    straight, mixed = TrackEvidence(-1.0), TrackEvidence(-1.0)
    for index in range(5):
        straight.add(moment(who, index, noise), index * 0.5)
    for index in order:
        mixed.add(moment(who, index, noise), index * 0.5)
    assert straight.decide(Scope(PEOPLE, points())) == mixed.decide(Scope(PEOPLE, points()))


@settings(max_examples=30)  # each example builds many vectors or frames
@given(
    who=st.lists(st.integers(1, 6), max_size=8),
    threshold=st.floats(0, 1),
    margin=st.floats(0, 0.5),
)
def test_present_always_means_over_the_threshold_and_the_margin(
    who: list[int], threshold: float, margin: float
) -> None:
    evidence = TrackEvidence(FLOOR)
    for index, number in enumerate(who):
        evidence.add(moment(number, index), index * 0.5)
    decision = evidence.decide(Scope(PEOPLE, points(threshold, margin)))
    if decision.kind == "present":
        assert decision.score >= threshold
        assert decision.margin >= margin
    if decision.kind in ("unknown", "undecided"):
        assert decision.student_id is None


def test_the_head_turned_is_a_different_moment_sooner() -> None:
    evidence = TrackEvidence(FLOOR)
    evidence.add(moment(1, 0), 0.0, QUALITY)
    turned = dataclasses.replace(QUALITY, yaw_ratio=0.2)
    assert not evidence.wants(0.3, QUALITY)
    assert evidence.wants(0.3, turned)
    assert not evidence.wants(0.1, turned)
    evidence.add(moment(1, 1), 0.3, turned)
    assert not evidence.wants(0.55, turned)
    assert not evidence.wants(0.45, QUALITY)
    assert evidence.wants(0.55, QUALITY)


@given(at_s=st.floats(0, 5), yaw=st.floats(-0.4, 0.4), taken=st.lists(st.floats(0, 5), max_size=6))
def test_what_may_not_be_wanted_is_never_wanted(at_s: float, yaw: float, taken: list[float]) -> None:
    evidence = TrackEvidence(FLOOR)
    for index, moment_s in enumerate(taken):
        evidence.add(moment(1, index), moment_s, QUALITY)
    if evidence.wants(at_s, dataclasses.replace(QUALITY, yaw_ratio=yaw)):
        assert evidence.may_want(at_s)


def test_every_look_counts_also_those_whose_sample_is_no_longer_held() -> None:
    later = OperatingPoints(10, 0.01, ((1, OperatingPoint(0.8, 0.05)), (7, OperatingPoint(1.0, 0.05))))
    evidence = TrackEvidence(FLOOR)
    for index in range(6):
        evidence.add(moment(1, index), index * 0.5)
    assert evidence.decide(Scope(PEOPLE, later)).kind == "present"
    evidence.add(moment(1, 6), 3.0)
    assert (evidence.samples, evidence.looks) == (5, 7)
    assert evidence.decide(Scope(PEOPLE, later)).kind == "unknown"


ELSEWHERE = Gallery.build([template(number) for number in (50, 51)], PACK, DIMENSIONS)


def test_somebody_who_belongs_to_another_room_is_a_question_and_never_present() -> None:
    evidence = TrackEvidence(FLOOR)
    evidence.add(moment(50, 1), 0.0)
    decision = evidence.decide(Scope(PEOPLE, points()), wider=Scope(ELSEWHERE, points()))
    assert (decision.kind, decision.student_id, decision.reason) == ("review", "s50", "wrong_room")
    strict = evidence.decide(Scope(PEOPLE, points()), wider=Scope(ELSEWHERE, points(1.0)))
    assert strict.kind == "undecided"


def test_who_is_expected_in_the_room_is_not_looked_for_elsewhere() -> None:
    evidence = TrackEvidence(FLOOR)
    evidence.add(moment(1, 1), 0.0)
    both = Gallery.build([template(number) for number in (1, 50)], PACK, DIMENSIONS)
    decision = evidence.decide(Scope(PEOPLE, points()), wider=Scope(both, points()))
    assert (decision.kind, decision.student_id) == ("present", "s1")


ALIKE = unit(person(1) + 0.4 * person(7))
TWINS = Gallery.build(
    [Template("s1", PACK, person(1)[np.newaxis]), Template("s2", PACK, ALIKE[np.newaxis])], PACK, DIMENSIONS
)


@settings(max_examples=30)  # each example builds many vectors or frames
@given(turned=st.floats(-0.2, 0.6), extra=st.floats(0.0, 0.3), whose=st.sampled_from(["s1", "s2"]))
def test_a_margin_of_ones_own_makes_a_question_of_a_thin_lead_and_never_names_another(
    turned: float, extra: float, whose: str
) -> None:
    evidence = TrackEvidence(FLOOR)
    evidence.add(unit(person(1) + turned * person(7)), 0.0)
    before = evidence.decide(Scope(TWINS, points(0.7, 0.01)))
    after = evidence.decide(Scope(TWINS, points(0.7, 0.01), {whose: extra}))
    if before.kind == "present" and before.student_id == whose and before.margin < 0.01 + extra:
        assert (after.kind, after.reason, after.student_id) == ("review", "look_alike", whose)
        assert after.candidates == before.candidates
    else:
        assert after == before


def test_a_lead_between_the_margins_is_a_question_only_for_whom_people_rejected() -> None:
    evidence = TrackEvidence(FLOOR)
    evidence.add(moment(1, 1), 0.0)
    lead = evidence.decide(Scope(TWINS, points(0.7, 0.01))).margin
    assert 0.03 < lead < 0.2
    for whose, extra, kind in (("s1", lead, "review"), ("s1", lead / 2, "present"), ("s2", lead, "present")):
        decision = evidence.decide(Scope(TWINS, points(0.7, 0.01), {whose: extra}))
        assert (decision.kind, decision.student_id) == (kind, "s1")


def test_who_was_rejected_in_a_wrong_room_is_asked_about_there_only_with_a_larger_lead() -> None:
    evidence = TrackEvidence(FLOOR)
    evidence.add(moment(1, 1), 0.0)
    lead = evidence.decide(Scope(TWINS, points(0.7, 0.01))).margin
    nobody = Scope(Gallery.build([], PACK, DIMENSIONS), points())
    asked = evidence.decide(nobody, wider=Scope(TWINS, points(0.7, 0.01), {"s1": lead / 2}))
    assert (asked.kind, asked.reason) == ("review", "wrong_room")
    assert evidence.decide(nobody, wider=Scope(TWINS, points(0.7, 0.01), {"s1": lead})).student_id is None


STATISTICS = ScoreStatistics(
    strangers=(StrangerScores(1, 1000, 0.5, 0.01, 0.02, -0.1, 0.05),),
    same_person_floor=FLOOR,
    measured_on="nothing",
    genuine=(GenuineScores(1, 100, 0.9, 0.05),),
)


def test_who_passed_once_stays_while_they_are_the_closest_and_would_pass_a_first_look() -> None:
    evidence = TrackEvidence(FLOOR)
    evidence.add(moment(1, 1), 0.0)
    strict = evidence.decide(Scope(PEOPLE, points(1.0)))
    assert evidence.still("s1", strict, points(0.8))
    assert not evidence.still("s1", strict, points(1.0))
    assert not evidence.still("s2", strict, points(0.8))


def test_who_became_a_question_no_longer_stays() -> None:
    evidence = TrackEvidence(FLOOR, statistics=STATISTICS)
    evidence.add(moment(1, 1), 0.0)
    asked = evidence.decide(Scope(PEOPLE, points()), frozenset({frozenset({"s1", "s3"})}))
    assert asked.kind == "review"
    assert not evidence.still("s1", asked, points())


def test_the_log_likelihood_of_a_stranger_is_lower_than_that_of_a_student() -> None:
    def likelihood(who: int) -> float:
        evidence = TrackEvidence(FLOOR, statistics=STATISTICS)
        evidence.add(moment(who, 1), 0.0)
        value = evidence.decide(Scope(PEOPLE, points())).log_likelihood
        assert value is not None
        return value

    assert likelihood(50) < 0 < likelihood(1)
