"""Quality names what is wrong with a face, in stable words and in sentences."""

import dataclasses

import numpy as np
import pytest

from recognition.core.face import Face
from recognition.core.quality import REASONS, QualityLimits, Refusal, describe, judge, measure
from tests.recognition_core.builders import a_chip, a_face

LIMITS = QualityLimits()


def reasons(face: Face, chip: np.ndarray | None = None, size: tuple[int, int] = (640, 480)) -> list[str]:
    quality = measure(face, a_chip() if chip is None else chip, *size)
    return [refusal.reason for refusal in judge(quality, LIMITS)]


def moved(face: Face, index: int, dx: float = 0, dy: float = 0) -> Face:
    landmarks = face.landmarks.copy()
    landmarks[index] += (dx, dy)
    return dataclasses.replace(face, landmarks=landmarks)


def blurred(chip: np.ndarray, times: int) -> np.ndarray:
    soft = chip.astype(np.float64)
    for _ in range(times):
        soft = (soft + np.roll(soft, 1, 0) + np.roll(soft, 1, 1) + np.roll(soft, -1, 0) + np.roll(soft, -1, 1)) / 5
    spread = (soft - soft.mean()) / soft.std() * 40 + 128
    result: np.ndarray = np.clip(spread, 0, 255).astype(np.uint8)
    return result


def test_a_good_face_has_no_reason_against_it() -> None:
    assert reasons(a_face()) == []


@pytest.mark.parametrize(
    ("face", "chip", "reason"),
    [
        (a_face(width=59), a_chip(), "too_small"),
        (a_face(x=-40), a_chip(), "cut_by_border"),
        (a_face(x=620, y=450), a_chip(), "cut_by_border"),
        (a_face(), a_chip(mean=20, spread=15), "too_dark"),
        (a_face(), a_chip(mean=250, spread=30), "too_bright"),
        (a_face(), a_chip(spread=8), "low_contrast"),
        (a_face(), blurred(a_chip(), 60), "blurred"),
        (moved(a_face(), 2, dx=25), a_chip(), "turned_away"),
        (moved(a_face(), 2, dx=-25), a_chip(), "turned_away"),
        (moved(moved(a_face(), 0, dy=-30), 1, dy=30), a_chip(), "tilted"),
        (a_face(confidence=0.5), a_chip(), "low_confidence"),
    ],
)
def test_each_fault_is_named(face: Face, chip: np.ndarray, reason: str) -> None:
    assert reason in reasons(face, chip)


def test_a_face_of_exactly_the_limit_is_accepted() -> None:
    assert "too_small" not in reasons(a_face(width=LIMITS.min_face_px))


def test_every_reason_has_words_with_the_numbers_in_them() -> None:
    assert describe(Refusal("too_small", 43.4, 60)) == (
        "the face is 43 pixels wide; at least 60 are needed: come closer"
    )
    for reason in REASONS:
        assert "{" not in describe(Refusal(reason, 0.5, 0.6))


@pytest.mark.parametrize(("share", "reason"), [(0.05, "looking_up"), (0.97, "looking_down")])
def test_a_nose_close_to_the_eyes_or_to_the_mouth_is_a_face_turned_up_or_down(share: float, reason: str) -> None:
    face = a_face()
    eyes, mouth = face.landmarks[:2].mean(axis=0), face.landmarks[3:].mean(axis=0)
    landmarks = face.landmarks.copy()
    landmarks[2] = eyes + (mouth - eyes) * share
    assert reasons(dataclasses.replace(face, landmarks=landmarks)) == [reason]


def test_a_face_that_leans_to_the_side_is_not_taken_for_one_that_looks_down() -> None:
    face = a_face()
    turn = np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]])
    middle = face.landmarks.mean(axis=0)
    leaning = dataclasses.replace(face, landmarks=((face.landmarks - middle) @ turn.T + middle).astype(np.float32))
    upright, tilted = measure(face, a_chip(), 640, 480), measure(leaning, a_chip(), 640, 480)
    assert tilted.pitch_ratio == pytest.approx(upright.pitch_ratio, abs=1e-4)
    assert tilted.yaw_ratio == pytest.approx(upright.yaw_ratio, abs=1e-4)


@pytest.mark.parametrize("rows", [slice(0, 75), slice(75, 150)])
def test_a_covered_half_of_the_face_is_a_reason(rows: slice) -> None:
    chip = a_chip().copy()
    chip[rows] = (chip[rows].astype(np.float64).mean() + (chip[rows] - chip[rows].mean()) * 0.2).astype(np.uint8)
    assert "partly_covered" in reasons(a_face(), chip)


def test_a_chip_without_any_detail_is_refused_and_does_not_divide_by_zero() -> None:
    flat = np.full((150, 150, 3), 128, dtype=np.uint8)
    assert {"low_contrast", "blurred"} <= set(reasons(a_face(), flat))


def test_eyes_in_one_place_count_as_turned_away() -> None:
    face = a_face()
    landmarks = face.landmarks.copy()
    landmarks[1] = landmarks[0]
    assert "turned_away" in reasons(dataclasses.replace(face, landmarks=landmarks))


def test_a_box_without_area_is_outside_of_every_picture() -> None:
    assert measure(a_face(width=0), a_chip(), 640, 480).inside == 0.0


def test_sharpness_does_not_depend_on_how_bright_the_light_is() -> None:
    bright = measure(a_face(), a_chip(mean=128, spread=40), 640, 480).sharpness
    dim = measure(a_face(), a_chip(mean=64, spread=20), 640, 480).sharpness
    assert dim == pytest.approx(bright, rel=0.05)
