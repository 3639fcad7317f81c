"""An enrolment picture is looked at in several ways, and its vector is their mean."""

import numpy as np

from recognition.adapters.analysis import Engine
from recognition.adapters.chips_opencv import cut_chip
from recognition.adapters.enrolment_views import enrolment_vector
from recognition.core.face import Image, View


def test_a_picture_and_its_mirror_image_are_one_vector_when_both_sides_are_looked_at(
    engine: Engine, portraits: dict[str, Image]
) -> None:
    views = (View(), View(mirrored=True))
    image = portraits["biden"]
    face = engine.detector.detect(image)[0]
    chip = cut_chip(image, face, engine.embedder.geometry)
    both = engine.embedder.embed([chip, np.ascontiguousarray(chip[:, ::-1])])
    vector = enrolment_vector(image, face, engine.embedder, views)
    assert np.allclose(vector, (both[0] + both[1]) / np.linalg.norm(both[0] + both[1]), atol=1e-5)


def test_one_plain_view_is_what_a_probe_is(engine: Engine, portraits: dict[str, Image]) -> None:
    image = portraits["obama"]
    face = engine.detector.detect(image)[0]
    probe = engine.embedder.embed([cut_chip(image, face, engine.embedder.geometry)])[0]
    assert np.allclose(enrolment_vector(image, face, engine.embedder, (View(),)), probe, atol=1e-5)


def test_the_views_of_the_pack_bring_pictures_of_one_person_closer_together(
    engine: Engine, portraits: dict[str, Image]
) -> None:
    def vector(name: str, views: tuple[View, ...]) -> np.ndarray:
        face = engine.detector.detect(portraits[name])[0]
        return enrolment_vector(portraits[name], face, engine.embedder, views)

    def closeness(views: tuple[View, ...]) -> float:
        return float(vector("obama", views) @ vector("obama2", views))

    assert len(engine.pack.views) > 1
    assert closeness(engine.pack.views) > closeness((View(),))


def test_a_view_enlarges_around_the_middle_of_the_chip_and_moves_by_pixels(engine: Engine) -> None:
    geometry = engine.embedder.geometry
    larger = geometry.seen(View(zoom=2.0))
    middle = geometry.size_px / 2
    assert np.allclose(larger.landmarks - middle, 2 * (geometry.landmarks - middle), atol=1e-3)
    moved = geometry.seen(View(right_px=4, down_px=-3))
    assert np.allclose(moved.landmarks - geometry.landmarks, [4, -3], atol=1e-3)
