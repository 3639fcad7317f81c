"""Whether a picture shows somebody who is enrolled."""

import numpy as np
import pytest

from hub.core.enrolment_gallery import EnrolmentGallery, Limits
from recognition.core.face import Vector
from recognition.core.gallery import Gallery, Template

LIMITS = Limits(anybody=0.8, own=0.6)
NOBODY: frozenset[str] = frozenset()


def at(degrees: float) -> Vector:
    """A face in the plane: two faces are as alike as the cosine of the angle between them."""
    angle = np.radians(degrees)
    return np.array([np.cos(angle), np.sin(angle), 0.0], dtype=np.float32)


def gallery(**faces: float) -> EnrolmentGallery:
    made = EnrolmentGallery([], "test-pack", 3)
    for student_id, degrees in faces.items():
        made.add(student_id, at(degrees))
    return made


def test_the_first_picture_of_anyone_is_accepted() -> None:
    verdict = gallery().judge("ada", at(0), LIMITS, allowed=NOBODY)
    assert (verdict.outcome, verdict.looks_like) == ("accepted", None)


def test_a_face_of_somebody_else_is_named() -> None:
    verdict = gallery(ada=0, bob=90).judge("new", at(10), LIMITS, allowed=NOBODY)
    assert (verdict.outcome, verdict.looks_like) == ("look_alike", "ada")


def test_a_known_look_alike_is_accepted() -> None:
    verdict = gallery(ada=0).judge("twin", at(10), LIMITS, allowed={"ada"})
    assert (verdict.outcome, verdict.looks_like) == ("accepted", "ada")


def test_a_known_look_alike_does_not_hide_another_person() -> None:
    verdict = gallery(ada=0, bob=25).judge("twin", at(10), LIMITS, allowed={"ada"})
    assert (verdict.outcome, verdict.looks_like) == ("look_alike", "bob")
    both = gallery(ada=0, bob=25).judge("twin", at(10), LIMITS, allowed={"ada", "bob"})
    assert (both.outcome, both.looks_like) == ("accepted", "ada")


def test_being_like_oneself_does_not_hide_a_look_alike() -> None:
    verdict = gallery(ada=0, bob=30).judge("ada", at(10), LIMITS, allowed=NOBODY)
    assert (verdict.outcome, verdict.looks_like) == ("look_alike", "bob")


def test_a_gallery_that_grew_is_the_gallery_built_at_once() -> None:
    grown = gallery(ada=0, bob=90)
    grown.add("ada", at(20))
    built = Gallery.build(
        [
            Template("ada", "test-pack", np.stack([at(0), at(20)])),
            Template("bob", "test-pack", at(90)[np.newaxis]),
        ],
        "test-pack",
        3,
    )
    assert grown._gallery.student_ids == built.student_ids
    np.testing.assert_allclose(grown._gallery.centroids, built.centroids, atol=1e-7)
    assert (grown.size, grown.pictures_of("ada"), grown.pictures_of("nobody")) == (2, 2, 0)
    np.testing.assert_allclose(grown.members_of("ada"), [at(0), at(20)], atol=1e-7)
    assert grown.members_of("nobody") == []


def test_a_vector_that_is_no_embedding_is_refused() -> None:
    with pytest.raises(ValueError, match="unit length"):
        gallery(ada=0).add("bob", np.array([3.0, 0.0, 0.0], dtype=np.float32))
