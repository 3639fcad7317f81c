"""The faces that packs are compared on come with the package and are the ones that were recorded."""

import json
from pathlib import Path

import numpy as np
import pytest

from deploy.environment import PROJECT
from recognition.adapters.analysis import open_engine
from recognition.adapters.chips_opencv import cut_chip
from recognition.adapters.pictures import read_picture
from recognition.build import reference_faces
from recognition.build.reference_faces import (
    GEOMETRY,
    ReferenceVectors,
    checksum_of,
    dlib_reference,
    parse_reference,
    reference_chips,
    reference_json,
)
from recognition.core.errors import PackInvalid, PackMissing

SAMPLES = ("obama", "obama2", "obama3", "biden", "astronaut")


def test_there_are_five_faces_and_their_mirror_images_in_both_sizes() -> None:
    for size_px in (150, 160):
        chips = reference_chips(size_px)
        assert [chip.shape for chip in chips] == [(size_px, size_px, 3)] * 10
        np.testing.assert_array_equal(chips[0][:, ::-1], chips[1])
    np.testing.assert_array_equal(reference_chips(160)[2][5:155, 5:155], reference_chips(150)[2])


@pytest.mark.parametrize("size_px", [0, -1, 161])
def test_there_are_no_larger_faces(size_px: int) -> None:
    with pytest.raises(ValueError, match="no reference faces"):
        reference_chips(size_px)


def test_the_recorded_vectors_belong_to_these_pixels() -> None:
    reference = dlib_reference()
    assert reference.faces_sha256 == checksum_of(reference_chips(150))
    assert reference.vectors.shape == (10, 128)
    np.testing.assert_allclose(np.linalg.norm(reference.vectors, axis=1), 1, atol=1e-6)


def test_the_faces_are_those_of_the_sample_portraits(pack_folder: Path) -> None:
    """Cut anew by today's detector: the same faces at the same place, whatever a detector moves by a pixel."""
    engine = open_engine(pack_folder)
    for name, recorded in zip(SAMPLES, reference_chips(160)[::2], strict=True):
        picture = read_picture(PROJECT / "deploy" / "samples" / f"{name}.jpg")
        face = max(engine.detector.detect(picture), key=lambda found: found.box.width)
        chip = cut_chip(picture, face, GEOMETRY)
        assert np.abs(chip.astype(int) - recorded).mean() < 5


def test_what_is_written_is_read_again() -> None:
    vectors = np.eye(3, 5, dtype=np.float32)
    again = parse_reference(reference_json(ReferenceVectors("somebody", "ab" * 32, vectors)), "here")
    assert (again.made_by, again.faces_sha256) == ("somebody", "ab" * 32)
    np.testing.assert_allclose(again.vectors, vectors)


GOOD = {"made_by": "x", "faces_sha256": "y", "vectors": [[1.0]]}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b"\xff\xfe",
        json.dumps({**GOOD, "vectors": []}).encode(),
        json.dumps({**GOOD, "vectors": [[1.0], [1.0, 2.0]]}).encode(),
        json.dumps({**GOOD, "vectors": [["a"]]}).encode(),
        json.dumps({**GOOD, "vectors": [[float("nan")]]}).encode(),
        json.dumps({**GOOD, "vectors": None}).encode(),
    ],
)
def test_a_damaged_reference_is_refused_with_its_place(content: bytes) -> None:
    with pytest.raises(PackInvalid, match="over there"):
        parse_reference(content, "over there")


def test_an_installation_without_the_faces_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_faces, "DATA", tmp_path)  # the installation here is whole
    with pytest.raises(PackMissing, match=r"faces\.png.*install Rollcall again"):
        reference_chips(150)
    (tmp_path / "faces.png").write_bytes(b"no picture")
    with pytest.raises(PackInvalid, match="damaged"):
        reference_chips(150)
