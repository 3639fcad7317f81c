"""Who the tracks are: no trick of timing names a stranger, nobody outlives a template, vectors end with the track."""

import gc
import weakref
from collections.abc import Sequence
from math import cos, radians, sin

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.core.frame import Frame
from protocol.events import Left, Review, Seen
from recognition.core.calibration import (
    GenuineScores,
    OperatingPoint,
    OperatingPoints,
    ScoreStatistics,
    StrangerScores,
    operating_points,
)
from recognition.core.face import Box, Face, Image
from tests.builders import stamp, student, unit_vector
from tests.edge_core.painted import (
    PaintedDetector,
    PaintedEmbedder,
    Person,
    Room,
    about,
    known_students,
    picture,
    points_of,
    whom,
)

STRANGER = 9
HALF_S = 0.5

COMPILED = ScoreStatistics(
    strangers=(
        StrangerScores(1, 54204, 0.9246, 0.0100177, 0.007254, -0.1589, 0.007),
        StrangerScores(2, 29007, 0.93362, 0.0100321, 0.006188, -0.1847, 0.007),
        StrangerScores(3, 9603, 0.93589, 0.010101, 0.006117, -0.2372, 0.007),
        StrangerScores(5, 9603, 0.93884, 0.010101, 0.006136, -0.2372, 0.007),
    ),
    same_person_floor=0.8882,
    measured_on="the figures of the pack `dlib`",
    genuine=(GenuineScores(1, 295, 0.96592, 0.013677),),
)


def look(degrees: float) -> NDArray[np.float32]:
    """Return how a face looks in a moment: this far away from student 1, always to the same side."""
    return unit_vector(0.0, cos(radians(degrees)), 0.0, sin(radians(degrees)))


def rising(*thresholds: float) -> OperatingPoints:
    """Points that ask for more with each look."""
    rows = tuple((n, OperatingPoint(threshold, margin=0.1)) for n, threshold in enumerate(thresholds, 1))
    return OperatingPoints(100, 0.01, rows)


def show(room: Room, numbers: Sequence[int], every_s: float = HALF_S, from_s: float = 0.0) -> None:
    """Show one face in one place that looks like these numbers, one moment after the other."""
    for count, number in enumerate(numbers):
        room.frame(from_s + count * every_s, Person(number, x=20 + count % 2 * 16))


class InAnyOrder(PaintedDetector):
    """Lists what it finds as a test says."""

    def __init__(self, order: Sequence[int]) -> None:
        super().__init__()
        self._order = order

    def detect(self, image: Image) -> list[Face]:
        faces = super().detect(image)
        return [faces[index] for index in self._order if index < len(faces)]


@settings(max_examples=15)  # each example looks at several frames
@given(order=st.permutations(range(3)))
def test_the_order_in_which_a_detector_lists_faces_changes_nobody(order: list[int]) -> None:
    people = [Person(1, x=10, width=70), Person(2, x=110, width=70), Person(STRANGER, x=210, width=70)]
    usual, other = Room(), Room(detector=InAnyOrder(order))
    for room in (usual, other):
        room.watch(0, 3, *people)
        room.finish(3)
    assert sorted(whom(other.events)) == sorted(whom(usual.events))
    assert other.vision.totals == usual.vision.totals


@settings(max_examples=25)  # each example looks at several frames
@given(
    again=st.lists(st.integers(1, 3), min_size=12, max_size=12),
    dropped=st.sets(st.integers(1, 11)),
    angle=st.floats(54.0, 90.0),
)
def test_frames_that_come_twice_or_never_make_no_student_of_a_stranger(
    again: list[int], dropped: set[int], angle: float
) -> None:
    room = Room(embedder=PaintedEmbedder({30: look(angle)}))
    for count, times in enumerate(again):
        for _ in range(0 if count in dropped else times):
            room.frame(count * HALF_S, Person(30, x=20 + count % 2 * 16))
    room.finish(10)
    assert whom(room.events) == []


@settings(max_examples=25)  # each example looks at several frames
@given(again=st.lists(st.integers(1, 3), min_size=8, max_size=8))
def test_a_frame_that_comes_twice_is_no_second_look(again: list[int]) -> None:
    once, often = Room(), Room()
    for count, times in enumerate(again):
        person = Person(1, x=20 + count % 2 * 16)
        once.frame(count * HALF_S, person)
        for _ in range(times):
            often.frame(count * HALF_S, person)
    assert whom(often.events) == whom(once.events) == [about("seen", 1)]
    assert often.vision.totals.embedded == once.vision.totals.embedded


@settings(max_examples=25)  # each example looks at several frames
@given(gone_after=st.integers(1, 30), back_after=st.integers(1, 20), stays_listed=st.booleans())
@pytest.mark.slow
def test_whose_template_disappears_is_not_sighted_from_then_on(
    gone_after: int, back_after: int, *, stays_listed: bool
) -> None:
    room = Room(known_students(1, 2), absence_s=1.0)
    show(room, [1] * gone_after)
    room.known = known_students(2, revision=5, without_template=[1] if stays_listed else [])
    gone_s = gone_after * HALF_S
    before = len(room.events)
    show(room, [1] * (6 + back_after), from_s=gone_s)
    later = room.events[before:]
    assert [event.kind for event in later if event.kind != "coverage"] == ["left"]
    (left,) = (event for event in later if isinstance(event, Left))
    assert left.at < stamp(gone_s).at


def held_by(room: Room) -> list["weakref.ref[NDArray[np.float32]]"]:
    """Return weak references to all vectors that the tracks hold now, and to what those are views of."""
    vectors = [
        sample.vector for record in room.vision._identities.tracks.values() for sample in record.evidence._samples
    ]
    bases = [vector.base for vector in vectors if isinstance(vector.base, np.ndarray)]
    return [weakref.ref(array) for array in [*vectors, *bases]]


@settings(max_examples=20)  # each example looks at several frames
@given(ways=st.lists(st.sampled_from([1, 2, STRANGER]), min_size=1, max_size=8), cut=st.booleans())
@pytest.mark.slow
def test_no_vector_outlives_its_track(ways: list[int], *, cut: bool) -> None:
    """Also not those of somebody whose track passed to another person, or ended with a cut."""
    room = Room()
    vectors = []
    for count, number in enumerate(ways):
        room.frame(count * HALF_S, Person(number, x=20 + count % 2 * 16))
        vectors += held_by(room)
    assert vectors
    end_s = len(ways) * HALF_S
    if cut:
        room.vision.cut(stamp(end_s), room.known)
    else:
        room.frame(end_s)
        room.frame(end_s + 5.0)
    gc.collect()
    assert room.vision._identities.tracks == {}
    assert [vector() for vector in vectors if vector() is not None] == []


def test_one_student_alone_is_not_everybody() -> None:
    """Without a second student there is no lead to ask for: the score must do."""
    room = Room(known_students(1), PaintedEmbedder({30: look(54)}))
    show(room, [30] * 10)
    room.finish(10)
    assert whom(room.events) == []
    assert room.vision.totals.unknown == 1


def test_two_students_with_one_photograph_are_asked_about_and_never_marked() -> None:
    same = {1: look(0), 2: look(0)}
    room = Room(known_students(1, 2, vectors=same), PaintedEmbedder(same))
    show(room, [1] * 6)
    room.finish(5)
    assert whom(room.events) == []
    assert len(room.of("review")) == 1


def test_a_day_of_passers_by_leaves_nothing_behind() -> None:
    """Nothing that grows with the number of people who came by."""
    room = Room(known_students(1, 2))
    for visit in range(60):
        start_s = visit * 20.0
        show(room, [(1, 2, STRANGER)[visit % 3]] * 4, from_s=start_s)
        room.frame(start_s + 3.0)
        room.frame(start_s + 6.0)
    vision = room.vision
    assert vision._identities.tracks == {}
    assert vision._asked == {}
    assert vision._sight._visible == {}
    assert vision._sight.tracker._tracks == {}


class SeenOnce:
    """`LivenessCheck`: what it says is set from outside."""

    probability = 1.0

    def score(self, image: Image, boxes: Sequence[Box]) -> NDArray[np.float32]:
        assert image.ndim == 3
        return np.full(len(boxes), self.probability, dtype=np.float32)


KIND_STATISTICS = ScoreStatistics(
    strangers=(StrangerScores(1, 1000, 0.3, 0.01, 0.05, -0.1, 0.05),),
    same_person_floor=0.5,
    measured_on="nothing",
    genuine=(GenuineScores(1, 100, 0.7, 0.1),),
)


def test_a_picture_held_up_later_takes_the_presence_back() -> None:
    check = SeenOnce()
    room = Room(liveness=check)
    room.watch(0, 10, Person(1))
    assert whom(room.events) == [about("seen", 1)]
    check.probability = 0.0
    room.watch(10, 90, Person(1))
    assert whom(room.events) == [about("seen", 1), about("left", 1)]
    room.finish(90)
    assert len(room.of("review")) == 1


def test_a_picture_held_up_later_also_ends_a_presence_that_later_looks_only_keep() -> None:
    check = SeenOnce()
    room = Room(
        known_students(1, 2, points=rising(0.6, 0.6, 0.6, 0.99)),
        PaintedEmbedder({11: look(50)}),
        statistics=KIND_STATISTICS,
        liveness=check,
    )
    room.watch(0, 10, Person(11))
    assert whom(room.events) == [about("seen", 1)]
    check.probability = 0.0
    room.watch(10, 120, Person(11))
    assert whom(room.events) == [about("seen", 1), about("left", 1)]


@pytest.mark.parametrize("samples", [1, 2, 3, 5])
def test_a_score_far_below_the_strangers_best_speaks_for_no_student(samples: int) -> None:
    ratio = COMPILED.log_likelihood_ratio(0.8, samples)
    assert ratio is not None
    assert ratio <= 0.0


def test_who_passed_stays_only_while_they_look_like_the_student() -> None:
    """A gallery of one: the closest is always the same. Each look is like those just before, the last like nobody."""
    points = operating_points(COMPILED, 1, 0.01)
    drift = {30 + n: look(n * 4.0) for n in range(26)}
    room = Room(known_students(1, points=points), PaintedEmbedder(drift), statistics=COMPILED)
    for n in range(26):
        room.watch(n * 4.0, n * 4.0 + 4.0, Person(30 + n))
    assert room.vision.totals.tracks == 1
    assert whom(room.events)[0] == about("seen", 1)
    room.watch(104, 200, Person(55))
    assert whom(room.events) == [about("seen", 1), about("left", 1)]


def test_a_stranger_whose_track_is_split_again_and_again_has_no_first_look_each_time() -> None:
    """The points of a track are for the whole track: its looks are counted on, whoever they are taken for."""
    looks = {30: face_away(5), 31: face_away(6), 32: look(50)}
    room = Room(known_students(1, 2, points=rising(0.6, 0.7, 0.8, 0.9, 0.95)), PaintedEmbedder(looks))
    show(room, [30, 31] * 10)
    assert room.vision.totals.tracks > 10
    show(room, [32], from_s=10.0)
    room.finish(11)
    assert whom(room.events) == []


def test_who_takes_over_a_track_once_is_named_at_the_first_look_that_is_good() -> None:
    room = Room()
    show(room, [STRANGER] * 3)
    show(room, [1] * 4, from_s=1.5)
    assert whom(room.events) == [about("seen", 1)]
    (opened,) = room.of("seen")
    assert isinstance(opened, Seen)
    assert opened.at <= stamp(2.5).at


def face_away(axis: int) -> NDArray[np.float32]:
    """Return somebody at right angles to every student."""
    return unit_vector(*([0.0] * axis), 1.0)


class BrokenFor(PaintedEmbedder):
    """Gives numbers that are none for one person, as a network does that overflows."""

    def embed(self, chips: Sequence[Image]) -> NDArray[np.float32]:
        vectors = super().embed(chips).copy()
        for row, chip in enumerate(chips):
            if chip[0, 0, 0] == STRANGER:
                vectors[row] = np.nan
        return vectors


@pytest.mark.parametrize("people", [(STRANGER,), (STRANGER, 1), (1, STRANGER), (1, 2, STRANGER)])
def test_a_face_without_a_usable_vector_is_not_compared_and_keeps_nobody_else_out(people: tuple[int, ...]) -> None:
    room = Room(embedder=BrokenFor())
    room.watch(0, 3, *(Person(number, x=10 + 100 * place, width=70) for place, number in enumerate(people)))
    room.finish(4)
    named = [about(kind, number) for kind in ("left", "seen") for number in people if number != STRANGER]
    assert sorted(whom(room.events)) == sorted(named)


def test_looser_points_alone_name_nobody_and_stricter_ones_give_nothing_back() -> None:
    room = Room(known_students(1, 2, points=points_of(0.9)), PaintedEmbedder({30: look(50)}))
    room.frame(0, Person(30))
    for revision, threshold in enumerate((0.6, 0.9, 0.5, 0.95, 0.1), 5):
        room.known = known_students(1, 2, revision=revision, points=points_of(threshold))
        room.frame(0.05 * revision - 0.2, Person(30))
    assert whom(room.events) == []


def between(lead: float) -> NDArray[np.float32]:
    """Return a face that is like student 1, and this much less like student 2."""
    return unit_vector(0.0, 0.6 + lead, 0.6, *([0.0] * 3), (1 - 0.36 - (0.6 + lead) ** 2) ** 0.5)


def test_a_lead_that_no_longer_does_after_a_rejection_takes_the_presence_back_and_is_a_question() -> None:
    looks = PaintedEmbedder({30: between(0.15)})
    room = Room(known_students(1, 2), looks)
    show(room, [30] * 3)
    assert whom(room.events) == [about("seen", 1)]
    room.known = known_students(1, 2, revision=5, extra_margins={1: 0.1})
    show(room, [30] * 3, from_s=1.5)
    room.finish(3)
    assert whom(room.events) == [about("seen", 1), about("left", 1)]
    (left,) = room.of("left")
    assert left.at <= stamp(1.5).at
    (asked,) = room.of("review")
    assert isinstance(asked, Review)
    assert asked.reason == "look_alike"
    assert [one.student_id for one in asked.candidates] == [student(1), student(2)]


@pytest.mark.parametrize(("raised", "kept"), [(1, False), (2, True)])
def test_who_stays_by_an_earlier_look_has_to_pass_one_again_when_more_is_asked_of_them(
    raised: int, *, kept: bool
) -> None:
    room = Room(known_students(1, 2, points=rising(0.6, 0.99)), PaintedEmbedder({30: look(30)}), absence_s=1.0)
    show(room, [30] * 3)
    assert whom(room.events) == [about("seen", 1)]
    extra = {raised: 0.01}
    room.known = known_students(1, 2, revision=5, points=rising(0.6, 0.99), extra_margins=extra)
    show(room, [30] * 6, from_s=1.5)
    assert whom(room.events) == [about("seen", 1)] + [about("left", 1)] * (not kept)


def test_the_same_student_twice_in_one_frame_is_one_presence() -> None:
    """A poster of a student beside the student: one interval, whatever the order."""
    room = Room()
    room.watch(0, 5, Person(1, x=10, width=70), Person(1 + 16, x=150, width=70))
    room.finish(5)
    assert whom(room.events) == [about("seen", 1), about("left", 1)]
    assert student(1) == room.of("seen")[0].student_id  # type: ignore[union-attr]


def test_a_frame_of_the_same_moment_is_taken_and_an_earlier_one_refused() -> None:
    room = Room()
    for _ in range(3):
        room.frame(1.0, Person(1))
    with pytest.raises(ValueError, match="time went back"):
        room.vision.process(Frame(picture(Person(1)), stamp(0.999)), room.known)
    room.frame(1.5, Person(1, x=36))
    assert whom(room.events) == [about("seen", 1)]
