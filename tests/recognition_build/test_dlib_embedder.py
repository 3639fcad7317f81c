"""dlib behind the port: the reference of the dlib packs."""

import sys

import numpy as np
import pytest

from deploy.environment import PROJECT
from recognition.adapters.pictures import read_picture
from recognition.build.chip_layouts import chip_geometry
from recognition.build.dlib_embedder import DlibEmbedder
from recognition.build.reference_faces import dlib_reference, reference_chips
from recognition.core.errors import PackMissing
from recognition.core.face import Box
from tests.recognition_adapters.embedder_contract import check_contract

SAMPLES = PROJECT / "deploy" / "samples"
OBAMA = Box(239, 58, 151, 208)


def test_the_contract_of_the_port_holds() -> None:
    embedder = DlibEmbedder()
    assert embedder.pack_id.startswith("reference-dlib-")
    check_contract(embedder)


def test_without_dlib_the_error_says_where_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)  # it is installed here
    with pytest.raises(PackMissing, match="dlib-bin on PyPI"):
        DlibEmbedder()


def test_chips_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="150 px"):
        DlibEmbedder(chip_geometry("mtcnn", 160))


def test_the_recorded_reference_is_what_dlib_gives_today() -> None:
    vectors = DlibEmbedder().embed(reference_chips(150))
    assert float((vectors * dlib_reference().vectors).sum(axis=1).min()) > 0.999999


def test_dlibs_own_chip_shows_the_same_face_as_ours() -> None:
    """Cut by other landmarks, it must still give nearly the vector of the recorded chip of the same picture."""
    embedder = DlibEmbedder()
    picture = read_picture(SAMPLES / "obama.jpg")
    chip = embedder.own_chips(picture, OBAMA)
    assert chip.shape == (150, 150, 3)
    assert chip.dtype == np.uint8
    vector = embedder.embed([chip])[0]
    recorded = dlib_reference().vectors
    assert float(vector @ recorded[0]) > 0.95
    assert float(vector @ recorded[6]) < 0.9  # another man


def test_a_chip_is_returned_for_a_face_cut_by_the_border() -> None:
    embedder = DlibEmbedder()
    picture = read_picture(SAMPLES / "obama.jpg")
    assert embedder.own_chips(picture, Box(-80, -50, 200, 200)).shape == (150, 150, 3)
    assert embedder.own_chips(np.zeros((1, 1, 3), np.uint8), Box(0, 0, 5, 5)).shape == (150, 150, 3)


@pytest.mark.parametrize(
    "box",
    [Box(0, 0, 0, 10), Box(0, 0, -5, -5), Box(float("nan"), 0, 5, 5), Box(0, 0, float("inf"), 5), Box(1e12, 0, 9, 9)],
)
def test_a_box_that_holds_no_face_is_refused(box: Box) -> None:
    with pytest.raises(ValueError, match="box"):
        DlibEmbedder().own_chips(np.zeros((20, 20, 3), np.uint8), box)


def test_a_picture_of_another_kind_is_refused() -> None:
    embedder = DlibEmbedder()
    for wrong in (np.zeros((20, 20), np.uint8), np.zeros((20, 20, 4), np.uint8), np.zeros((0, 5, 3), np.uint8)):
        with pytest.raises(ValueError, match="picture"):
            embedder.own_chips(wrong, Box(0, 0, 5, 5))
