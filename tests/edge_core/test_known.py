"""Whom the unit knows: opened, checked, and refused when it does not fit."""

import numpy as np
import pytest

from edge.core.known import KnownStudents, know, knows_nobody, template_of
from protocol.content import GalleryManifest
from recognition.core.calibration import OperatingPoint, OperatingPoints
from recognition.core.errors import PackMismatch
from tests.builders import DIMENSIONS, PACK, POINTS, HubSide, face_of, lesson, student, unit_vector
from tests.edge_core.painted import known_students

HUB = HubSide()


def test_a_gallery_knows_its_students_names_look_alikes_and_lessons() -> None:
    known = known_students(1, 2, revision=7, lessons=[lesson(1, 0, 60)], look_alikes=[(1, 2)], without_template=[3])
    assert known.revision == 7
    assert set(known.gallery.student_ids) == {student(1), student(2)}
    assert known.names[student(3)] == "0003_Student 3"
    assert known.look_alikes == {frozenset({student(1), student(2)})}
    assert known.points == POINTS
    assert known.lessons == (lesson(1, 0, 60),)


def test_a_student_is_found_by_the_vectors_that_came_from_the_hub() -> None:
    known = known_students(1, 2)
    (match,) = known.gallery.match(face_of(2)[np.newaxis])
    assert match.student_id == student(2)


def test_before_its_first_gallery_a_unit_knows_nobody() -> None:
    known = knows_nobody(PACK, DIMENSIONS)
    assert (known.revision, known.gallery.size, known.names) == (0, 0, {})


@pytest.mark.parametrize(
    "vector",
    [
        np.zeros(DIMENSIONS, dtype=np.float32),
        np.full(DIMENSIONS, np.nan, dtype=np.float32),
        np.full(DIMENSIONS, np.inf, dtype=np.float32),
        face_of(1) * 2,
    ],
    ids=["zero", "not a number", "infinite", "too long"],
)
def test_vectors_that_are_no_embeddings_are_refused(vector: np.ndarray) -> None:
    with pytest.raises(ValueError, match="template of student"):
        template_of(HUB.blob(1, [vector]))


def test_vectors_that_cancel_out_are_refused() -> None:
    with pytest.raises(ValueError, match="cancel"):
        template_of(HUB.blob(1, [unit_vector(1.0), unit_vector(-1.0)]))


def test_vectors_of_another_length_are_refused() -> None:
    gallery = HUB.gallery(1, {1: [face_of(1)]})
    with pytest.raises(ValueError, match="dimensions"):
        know(gallery.body, gallery.manifest, [HUB.blob(1, [face_of(1)])], (), DIMENSIONS * 2)


def test_templates_of_another_pack_are_refused() -> None:
    gallery = HUB.gallery(1, {1: [face_of(1)]})
    foreign = HUB.blob(1, [face_of(1)]).model_copy(update={"pack_id": "other"})
    with pytest.raises(PackMismatch):
        know(gallery.body, gallery.manifest, [foreign], (), DIMENSIONS)


@pytest.mark.parametrize("points", [None, {}, {"threshold": 0.5}, {**POINTS.to_dict(), "fpir": 0}])
def test_templates_without_usable_operating_points_are_refused(points: dict[str, object] | None) -> None:
    """With thresholds that nobody measured, strangers would be marked as students, or nobody would ever match."""
    gallery = HubSide(points=points).gallery(1, {1: [face_of(1)]})
    with pytest.raises(ValueError, match=r"point|field"):
        know(gallery.body, gallery.manifest, [HUB.blob(1, [face_of(1)])], (), DIMENSIONS)


def test_a_list_without_templates_needs_no_operating_points() -> None:
    gallery = HubSide(points=None).gallery(1, {}, without_template=[3])
    assert know(gallery.body, gallery.manifest, [], (), DIMENSIONS).names == {student(3): "0003_Student 3"}


WIDE_POINTS = OperatingPoints(2, 0.01, ((1, OperatingPoint(0.97, 0.1)),))


def known_with_wider(points: dict[str, object] | None) -> KnownStudents:
    hub = HubSide(points={**POINTS.to_dict(), **({"wider": points} if points is not None else {})})
    faces = {number: [face_of(number)] for number in (1, 9)}
    gallery = hub.gallery(1, faces, wider=[9])
    return know(gallery.body, gallery.manifest, [hub.blob(*one) for one in faces.items()], (), DIMENSIONS)


def test_students_of_other_rooms_are_kept_apart_with_points_of_their_own() -> None:
    known = known_with_wider(WIDE_POINTS.to_dict())
    assert known.gallery.student_ids == (student(1),)
    assert known.points == POINTS
    assert known.wider is not None
    assert known.wider.student_ids == (student(9),)
    assert known.wider_points == WIDE_POINTS
    assert (known.recognises(student(9)), known.recognises_elsewhere(student(9))) == (False, True)
    assert (known.recognises(student(1)), known.recognises_elsewhere(student(1))) == (True, False)
    assert known.templates == 2
    assert student(9) in known.names


def test_without_students_of_other_rooms_there_is_no_wider_scope() -> None:
    known = known_students(1, 2)
    assert (known.wider, known.wider_points, known.templates) == (None, None, 2)
    assert not known.recognises_elsewhere(student(1))


@pytest.mark.parametrize("points", [None, {}, {"threshold": 0.5}])
def test_students_of_other_rooms_without_usable_points_are_refused(points: dict[str, object] | None) -> None:
    """The room's points are for fewer people: with them, strangers would be taken for somebody of the whole school."""
    with pytest.raises(ValueError, match=r"point|field"):
        known_with_wider(points)


def test_of_the_students_whose_sightings_were_rejected_the_margins_are_known() -> None:
    assert known_students(1, 2, extra_margins={2: 0.05}).extra_margins == {student(2): 0.05}
    assert known_students(1, 2).extra_margins == {}


def test_a_list_of_an_older_hub_names_only_students_of_the_room() -> None:
    gallery = HUB.gallery(1, {1: [face_of(1)]})
    plain = gallery.manifest.model_dump_json().replace(',"scope":"room"', "")
    assert GalleryManifest.model_validate_json(plain) == gallery.manifest
