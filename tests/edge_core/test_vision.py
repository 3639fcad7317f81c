"""From frames to events: who is seen, who is asked about, and who is never named."""

from math import cos, radians, sin

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from protocol.events import Coverage, Left, Review, Seen
from recognition.core.calibration import (
    GenuineScores,
    OperatingPoint,
    OperatingPoints,
    ScoreStatistics,
    StrangerScores,
)
from recognition.core.tracking import TrackingLimits
from tests.builders import POINTS, lesson, stamp, student, unit_vector
from tests.edge_core.painted import PaintedEmbedder, Person, Room, about, known_students, points_of, whom

STRANGER = 9
ALIKE = {1: unit_vector(0.0, 1.0), 2: unit_vector(0.0, 1.0, 0.2)}


def alike_room(*look_alikes: tuple[int, int]) -> Room:
    """Two students whom nobody can tell apart by machine."""
    return Room(known_students(1, 2, vectors=ALIKE, look_alikes=look_alikes), PaintedEmbedder(ALIKE))


def look(degrees: float) -> NDArray[np.float32]:
    """Return how one face looks in a moment: this far away from student 1, always to the same side."""
    return unit_vector(0.0, cos(radians(degrees)), 0.0, sin(radians(degrees)))


LOOKS = {11: look(50)}
"""POINTS ask for 0.6, which is 53 degrees."""


def test_a_stranger_is_never_seen_and_counted_as_unknown() -> None:
    room = Room()
    room.watch(0, 20, Person(STRANGER))
    room.finish(21)
    assert whom(room.events) == []
    assert room.of("review") == []
    (covered,) = room.of("coverage")
    assert isinstance(covered, Coverage)
    assert (covered.tracks, covered.unknown_faces, covered.unusable_faces) == (1, 1, 0)


def test_a_student_is_seen_once_and_has_left_after_a_minute_away() -> None:
    room = Room()
    room.watch(0, 20, Person(1))
    room.watch(20, 90, every_s=1.0)
    assert whom(room.events) == [about("seen", 1), about("left", 1)]
    opened, closed = room.of("seen")[0], room.of("left")[0]
    assert isinstance(opened, Seen)
    assert isinstance(closed, Left)
    assert (opened.at, opened.gallery_revision) == (stamp(0.0).at, 4)
    assert (closed.at, closed.cause) == (stamp(19.5).at, "absence")


def test_several_students_are_recognised_at_once_in_one_batch() -> None:
    room = Room()
    room.watch(0, 1, Person(1, x=10), Person(2, x=110), Person(STRANGER, x=210))
    assert room.embedder.batches == [3, 3]
    assert sorted(whom(room.events)) == [about("seen", 1), about("seen", 2)]


def test_a_student_is_seen_in_the_first_frame_that_is_good_enough() -> None:
    room = Room()
    room.frame(0, Person(1, flaw="dark"))
    assert whom(room.events) == []
    room.frame(0.2, Person(1, x=36))
    (opened,) = room.of("seen")
    assert isinstance(opened, Seen)
    assert (opened.at, opened.samples) == (stamp(0.2).at, 1)


def test_frames_closer_together_than_half_a_second_are_one_look() -> None:
    """They make the same mistakes: they are no second opinion, and no second chance for a stranger."""
    room = Room()
    for tick in range(5):
        room.frame(tick * 0.1, Person(STRANGER, x=20 + tick % 2 * 16))
    assert room.vision.totals.embedded == 1
    room.frame(0.5, Person(STRANGER, x=36))
    assert room.vision.totals.embedded == 2


def looks_of(*degrees: float, points: OperatingPoints = POINTS) -> Room:
    """Show one face that looks like this in one moment after the other; each is embedded once."""
    known = known_students(1, 2, points=points)
    room = Room(known, embedder=PaintedEmbedder({30 + n: look(angle) for n, angle in enumerate(degrees)}))
    for n in range(len(degrees)):
        # Five are kept; further ones are taken two seconds apart.
        at_s = n * 0.5 if n < 5 else 2.0 + (n - 4) * 2.0
        if n >= 5:
            room.frame(at_s - 1.0, Person(30 + n - 1, x=20 + (n - 1) % 2 * 16))
        room.frame(at_s, Person(30 + n, x=20 + n % 2 * 16))
    assert (room.vision.totals.embedded, room.vision.totals.tracks) == (len(degrees), 1)
    return room


def rising(*thresholds: float) -> OperatingPoints:
    """Points that ask for more with each look."""
    rows = tuple((n, OperatingPoint(threshold, margin=0.1)) for n, threshold in enumerate(thresholds, 1))
    return OperatingPoints(100, 0.01, rows)


def test_looks_together_name_somebody_though_none_did_alone() -> None:
    room = looks_of(55, 55, 44)
    (opened,) = room.of("seen")
    assert isinstance(opened, Seen)
    assert (opened.student_id, opened.samples) == (student(1), 3)


def test_each_look_has_to_reach_the_point_of_its_own_number() -> None:
    asked = [0.65, 0.75, 0.85, 0.9, 0.95, 0.99]
    almost = [49.9, 49.9, 49.9]  # cos is 0.644: below every one of them
    assert whom(looks_of(*almost, points=rising(*asked)).events) == []
    passing = looks_of(45, points=rising(*asked))  # 0.707
    assert whom(passing.events) == [about("seen", 1)]
    late = looks_of(55, 45, 45, 45, 45, 45, 45, points=rising(*asked))
    assert whom(late.events) == []


@given(data=st.data())
@pytest.mark.slow
def test_a_stranger_who_reaches_no_look_s_own_point_is_never_seen(data: st.DataObject) -> None:
    """However many looks there are, at whatever distance from a student each is."""
    angles = data.draw(st.lists(st.floats(54.0, 90.0), min_size=1, max_size=9))
    assert whom(looks_of(*angles).events) == []


def test_a_student_stays_after_the_look_that_passed_although_later_ones_ask_for_more() -> None:
    """While they would still pass a first look: they need no further chance."""
    room = Room(
        known_students(1, 2, points=rising(0.6, 0.99)),
        PaintedEmbedder(LOOKS),
        statistics=ScoreStatistics(
            strangers=(StrangerScores(1, 1000, 0.3, 0.01, 0.05, -0.1, 0.05),),
            same_person_floor=0.5,
            measured_on="nothing",
            genuine=(GenuineScores(1, 100, 0.7, 0.1),),
        ),
    )
    room.watch(0, 100, Person(11))
    assert whom(room.events) == [about("seen", 1)]
    without = Room(known_students(1, 2, points=rising(0.65, 0.99)), PaintedEmbedder({11: look(46), 12: look(52)}))
    without.watch(0, 10, Person(11))
    without.watch(10, 100, Person(12))
    # What is seen of them falls under the point of a first look, and nothing else is known of this pack.
    assert whom(without.events) == [about("seen", 1), about("left", 1)]


def test_a_slow_camera_does_not_end_every_track_between_its_frames() -> None:
    """Otherwise there would never be a second look at anybody."""
    room = Room(tracking=TrackingLimits(lost_after_s=5.0))
    room.watch(0, 10, Person(1), every_s=2.0)
    assert whom(room.events) == [about("seen", 1)]
    assert room.vision.totals.tracks == 1


def test_a_face_that_cannot_be_compared_any_more_keeps_nobody_present() -> None:
    """Whoever is in the place may long be somebody else."""
    room = Room()
    room.watch(0, 5, Person(1))
    looked_at_last_s = 4.0
    room.watch(5, 200, Person(1, flaw="dark"))
    assert room.vision.totals.tracks == 1
    assert whom(room.events) == [about("seen", 1), about("left", 1)]
    assert room.of("left")[0].at == stamp(looked_at_last_s + 10).at


def test_a_face_that_cannot_be_compared_any_more_is_not_present_in_the_next_lesson() -> None:
    room = Room(known_students(1, lessons=[lesson(1, 0, 30), lesson(2, 30, 90)]))
    room.watch(0, 10, Person(1))
    room.watch(10, 60, Person(1, flaw="dark"))
    assert room.vision.totals.tracks == 1
    assert whom(room.events) == [about("seen", 1), about("left", 1)]
    room.watch(60, 62, Person(1))
    assert whom(room.events) == [about("seen", 1), about("left", 1), about("seen", 1)]
    opened = room.of("seen")[-1]
    assert isinstance(opened, Seen)
    assert (opened.at, opened.lesson_id) == (stamp(60).at, lesson(2, 30, 90).lesson_id)


def test_stricter_points_take_a_presence_back_without_waiting_for_the_next_look() -> None:
    room = Room(embedder=PaintedEmbedder(LOOKS))
    room.watch(0, 9, Person(11))
    assert whom(room.events) == [about("seen", 1)]
    embedded = room.vision.totals.embedded
    room.known = known_students(1, 2, revision=5, points=points_of(0.9))
    room.watch(9, 10, Person(11))
    assert room.vision.totals.embedded == embedded
    room.frame(75)
    assert whom(room.events) == [about("seen", 1), about("left", 1)]
    assert room.of("left")[0].at == stamp(8.5).at
    assert (room.vision.totals.present, room.vision.totals.unknown) == (0, 1)


def test_another_gallery_with_the_same_points_interrupts_no_presence() -> None:
    room = Room()
    room.watch(0, 9, Person(1))
    room.known = known_students(1, 2, 3, revision=5)
    room.watch(9, 10, Person(1))
    room.frame(75)
    assert whom(room.events) == [about("seen", 1), about("left", 1)]
    assert room.of("left")[0].at == stamp(9.5).at


def test_a_new_gallery_is_no_second_look() -> None:
    """Looser points count from the next look on: a stranger gets no further chance from one that was held already."""
    room = Room(known_students(1, 2, points=points_of(0.9)), PaintedEmbedder(LOOKS))
    room.frame(0, Person(11))
    for tick in range(1, 5):
        room.known = known_students(1, 2, revision=4 + tick)
        room.frame(tick * 0.1, Person(11, x=20 + tick % 2 * 16))
    assert whom(room.events) == []
    room.frame(0.5, Person(11, x=36))
    assert whom(room.events) == [about("seen", 1)]


def test_still_frames_need_no_detection_and_keep_a_student_present() -> None:
    room = Room()
    for tick in range(300):
        room.frame(tick * 0.4, Person(1))
    assert whom(room.events) == [about("seen", 1)]
    assert room.detector.calls == room.vision.totals.looked_at == 24


def test_somebody_who_stands_still_from_the_start_is_looked_at_again() -> None:
    """Who was refused for a bad moment gets another chance though nothing moved."""
    room = Room()
    room.frame(0, Person(1, flaw="dark"))
    room.watch(0.2, 4.8, Person(1, flaw="dark"), every_s=0.2)
    assert whom(room.events) == []
    room.watch(5, 12, Person(1), every_s=0.2)
    assert whom(room.events) == [about("seen", 1)]


def test_a_cut_ends_every_track() -> None:
    """A recording jumps: whoever stands in the same place now is somebody else."""
    room = Room()
    room.watch(0, 1, Person(1))
    room.frame(0.6, Person(STRANGER, x=36), scene=1)
    room.frame(70, scene=1)
    assert room.vision.totals.tracks == 2
    assert whom(room.events) == [about("seen", 1), about("left", 1)]
    assert room.of("left")[0].at == stamp(0.5).at


def test_a_track_that_passes_to_a_stranger_no_longer_counts_for_the_student() -> None:
    room = Room()
    room.watch(0, 10, Person(1))
    room.watch(10, 90, Person(STRANGER))
    room.finish(91)
    assert whom(room.events) == [about("seen", 1), about("left", 1)]
    assert (room.of("left")[0].at - stamp(10).at).total_seconds() < 2.5
    assert room.vision.totals.tracks == 2
    assert (room.vision.totals.present, room.vision.totals.unknown) == (1, 1)


def test_a_track_that_passes_from_one_student_to_another_counts_for_both() -> None:
    room = Room()
    room.watch(0, 10, Person(1))
    room.watch(10, 20, Person(2))
    assert whom(room.events) == [about("seen", 1), about("seen", 2)]


def test_look_alikes_are_asked_about_once_a_minute_and_never_marked() -> None:
    room = alike_room((1, 2))
    for start_s in range(0, 120, 10):
        room.watch(start_s, start_s + 5, Person(1))
        room.watch(start_s + 5, start_s + 10)
    assert whom(room.events) == []
    reviews = room.of("review")
    assert len(reviews) == 2
    assert isinstance(reviews[0], Review)
    assert reviews[0].reason == "known_look_alike"
    assert {candidate.student_id for candidate in reviews[0].candidates} == {student(1), student(2)}


def test_faces_that_the_models_cannot_tell_apart_are_asked_about() -> None:
    room = alike_room()
    room.watch(0, 5, Person(1))
    room.watch(5, 10)
    (review,) = room.of("review")
    assert isinstance(review, Review)
    assert review.reason == "look_alike"
    assert whom(room.events) == []


def test_a_question_is_dated_when_the_person_was_last_seen() -> None:
    """The camera was away for an hour: the question belongs to the lesson in which somebody was there."""
    room = alike_room((1, 2))
    room.watch(0, 5, Person(1))
    room.frame(3600)
    (review,) = room.of("review")
    assert review.at == stamp(4.5).at


def test_a_question_is_asked_though_the_track_passed_to_somebody_else() -> None:
    room = alike_room((1, 2))
    room.watch(0, 5, Person(1))
    room.watch(5, 15, Person(STRANGER))
    assert len(room.of("review")) == 1


def test_an_erased_student_is_no_longer_seen_in_the_middle_of_a_track() -> None:
    room = Room()
    room.watch(0, 10, Person(1))
    room.known = known_students(2, revision=5)
    room.watch(10, 80, Person(1))
    assert whom(room.events) == [about("seen", 1), about("left", 1)]
    assert room.of("left")[0].at == stamp(9.5).at


def test_a_student_whose_template_was_withdrawn_is_no_longer_seen_in_the_middle_of_a_track() -> None:
    """Still expected in the room, and still on the list of names: but no machine may say so any more."""
    room = Room()
    room.watch(0, 10, Person(1))
    room.known = known_students(2, revision=5, without_template=[1])
    room.frame(10, Person(1, x=36))
    room.frame(10.1, Person(1, x=36))
    room.frame(75)
    assert whom(room.events) == [about("seen", 1), about("left", 1)]
    assert room.of("left")[0].at == stamp(9.5).at


def test_an_erased_student_is_not_named_in_a_question() -> None:
    room = alike_room((1, 2))
    room.watch(0, 5, Person(1))
    room.known = known_students(2, revision=5, vectors=ALIKE)
    room.frame(7)
    assert all(
        candidate.student_id == student(2)
        for review in room.of("review")
        if isinstance(review, Review)
        for candidate in review.candidates
    )


@pytest.mark.parametrize("person", [Person(1, width=59), Person(1, flaw="dark"), Person(1, flaw="no_eyes")])
def test_faces_that_are_not_good_enough_are_counted_and_never_compared(person: Person) -> None:
    room = Room()
    room.watch(0, 5, person)
    room.finish(6)
    assert room.embedder.batches == []
    assert whom(room.events) == []
    (covered,) = room.of("coverage")
    assert isinstance(covered, Coverage)
    assert (covered.tracks, covered.unknown_faces, covered.unusable_faces) == (1, 0, 1)


def test_with_an_empty_gallery_everybody_is_unknown() -> None:
    room = Room(known_students())
    room.watch(0, 5, Person(1))
    room.finish(6)
    assert whom(room.events) == []
    assert room.vision.totals.unknown == 1


def test_a_sighting_carries_the_lesson_that_runs() -> None:
    room = Room(known_students(1, lessons=[lesson(1, 0, 30), lesson(2, 30, 60)]))
    room.watch(20, 40, Person(1))
    lessons = [event.lesson_id for event in room.events if isinstance(event, Seen)]
    assert lessons == [lesson(1, 0, 30).lesson_id, lesson(2, 30, 60).lesson_id]


def test_finishing_closes_everything_that_is_open() -> None:
    room = Room()
    room.watch(0, 5, Person(1, x=10), Person(2, x=150))
    events = room.finish(5)
    assert whom(events) == [about("left", 1), about("left", 2)]
    assert events[-1].kind == "coverage"
    assert room.finish(6) == []


def test_faces_are_not_embedded_more_often_than_they_tell_something_new() -> None:
    room = Room()
    room.watch(0, 20, Person(1), every_s=0.1)
    assert len(room.vision._identities.tracks) == 1
    assert 10 <= room.vision.totals.embedded <= 15


def test_a_frame_from_before_is_a_mistake_of_the_caller() -> None:
    room = Room()
    room.frame(10, Person(1))
    with pytest.raises(ValueError, match="time went back"):
        room.frame(9, Person(1))


def test_vectors_of_strangers_end_with_their_track() -> None:
    """Nobody without consent is remembered."""
    room = Room()
    room.watch(0, 5, Person(STRANGER))
    room.frame(10)
    assert room.vision._identities.tracks == {}
