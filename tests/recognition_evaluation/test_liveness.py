"""The measurement counts what the check says, by kind of attack, and never calls a simulation more than that."""

import json
import shutil
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from deploy.environment import PROJECT
from recognition.adapters.analysis import open_engine
from recognition.build.liveness_pack import LivenessBuilt
from recognition.core.errors import PictureRefused
from recognition.core.face import Box, Face, Image
from recognition.core.liveness import LivenessLimits, Verdict
from recognition.evaluation import liveness_command
from recognition.evaluation.liveness import (
    LOOKS,
    LivenessMaterial,
    Presentation,
    Role,
    TrackOutcome,
    liveness_report,
    measure_liveness,
    presentations_of,
)
from recognition.evaluation.liveness_scenes import TREATMENTS, HeldPhotograph
from tests.recognition_build.published_liveness import compiled_once

pytestmark = pytest.mark.slow

SAMPLES = PROJECT / "deploy" / "samples"


class WhiteFaces:
    """A detector that takes each white rectangle for a face."""

    def detect(self, image: Image) -> list[Face]:
        white = (image.min(axis=2) > 250).astype(np.uint8)
        found = [cv2.boundingRect(outline) for outline in cv2.findContours(white, cv2.RETR_EXTERNAL, 2)[0]]
        points = np.zeros((5, 2), dtype=np.float32)
        return [Face(Box(x, y, width, height), points, 0.9) for x, y, width, height in found if width > 20]

    def follow(self, image: Image, boxes: Sequence[Box]) -> list[Face | None]:
        raise AssertionError(f"{len(boxes)} faces of {image.shape} followed: the measurement looks at whole frames")


class ByPlace:
    """A check that calls what is in the left half live."""

    def score(self, image: Image, boxes: Sequence[Box]) -> NDArray[np.float32]:
        middle = image.shape[1] / 2
        return np.array([0.9 if box.centre[0] < middle else 0.2 for box in boxes], dtype=np.float32)


def film(*places: int, count: int = 6, spacing_s: float = 0.5, side: int = 80) -> Iterator[tuple[float, Image]]:
    for index in range(count):
        image = np.zeros((120, 800, 3), dtype=np.uint8)
        for left in places:
            image[20 : 20 + side, left : left + side] = 255
        yield index * spacing_s, image


def shown(role: Role, *places: int, several: bool = False, count: int = 6, side: int = 80) -> Presentation:
    return Presentation("test", role, lambda: film(*places, count=count, side=side), several)


def outcomes_of(presentation: Presentation) -> list[TrackOutcome]:
    return list(measure_liveness([presentation], WhiteFaces(), ByPlace()))


def test_each_face_of_a_video_is_a_track_with_its_own_vote() -> None:
    outcomes = outcomes_of(shown("live", 50, 600, several=True))
    assert sorted(outcome.verdict for outcome in outcomes) == ["live", "spoof"]
    assert [len(outcome.looks) for outcome in outcomes] == [6, 6]
    (row,) = liveness_report(outcomes).rows
    assert (row.measure, row.wrong_tracks, row.decided, row.wrong_looks, row.looks) == ("BPCER", 1, 2, 6, 12)
    assert row.look_interval is None
    assert row.median_face_px == 80


def test_an_attack_that_is_called_live_is_the_wrong_one() -> None:
    passed = outcomes_of(shown("attack", 50))
    caught = outcomes_of(shown("attack", 600))
    (row,) = liveness_report([*passed, *caught, *caught]).rows
    assert (row.measure, row.wrong_tracks, row.decided, row.wrong_looks) == ("APCER", 1, 3, 6)
    assert row.track_interval.low < 1 / 3 < row.track_interval.high


def test_a_single_look_is_counted_as_a_look_and_left_undecided_as_a_track() -> None:
    (row,) = liveness_report(outcomes_of(shown("attack", 50, count=1))).rows
    assert (row.wrong_looks, row.looks, row.undecided, row.decided) == (1, 1, 1, 0)
    assert (row.track_interval.low, row.track_interval.high) == (0, 1)
    assert row.look_interval is not None


def test_a_presentation_without_a_usable_face_is_counted_as_unseen_and_as_nobodys_success() -> None:
    for outcomes in (outcomes_of(shown("attack")), outcomes_of(shown("attack", 50, side=40))):
        (row,) = liveness_report(outcomes).rows
        assert (row.tracks, row.unseen, row.undecided, row.decided, row.looks) == (1, 1, 1, 0, 0)
        assert row.mean_probability is None


def test_of_a_photograph_only_the_widest_face_is_meant() -> None:
    assert len(outcomes_of(shown("attack", 50, 600))) == 1


def test_frames_closer_than_half_a_second_are_not_looked_at() -> None:
    close = Presentation("test", "live", lambda: film(50, count=10, spacing_s=0.1), several=True)
    (outcome,) = outcomes_of(close)
    assert len(outcome.looks) == 2
    assert outcome.verdict == "undecided"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["attack", "live", "control"]),
            st.sampled_from(["a", "b"]),
            st.lists(st.floats(0, 1), max_size=6),
            st.sampled_from(["live", "spoof", "undecided"]),
        )
    )
)
def test_every_track_and_look_is_counted_once(drawn: list[tuple[Role, str, list[float], Verdict]]) -> None:
    outcomes = [TrackOutcome(kind, role, tuple(looks), verdict, 100.0) for role, kind, looks, verdict in drawn]
    rows = liveness_report(outcomes).rows
    assert sum(row.tracks for row in rows) == len(outcomes)
    assert sum(row.looks for row in rows) == sum(len(outcome.looks) for outcome in outcomes)
    for row in rows:
        assert 0 <= row.wrong_tracks <= row.decided <= row.tracks
        assert 0 <= row.wrong_looks <= row.looks
        assert 0 <= row.track_interval.low <= row.track_interval.high <= 1


def portrait(height: int = 300, width: int = 240) -> Image:
    rows = np.linspace(40, 200, height, dtype=np.float32)[:, np.newaxis, np.newaxis]
    return np.broadcast_to(rows, (height, width, 3)).astype(np.uint8).copy()


@pytest.mark.parametrize("treatment", TREATMENTS)
def test_a_held_photograph_moves_and_is_the_same_film_each_time(treatment: str) -> None:
    held = HeldPhotograph(portrait(), Box(60, 60, 120, 150), treatment, 7)  # type: ignore[arg-type]
    first, second = list(held.frames(4, 0.5)), list(held.frames(4, 0.5))
    assert [at_s for at_s, _ in first] == [0.0, 0.5, 1.0, 1.5]
    for (_, one), (_, other) in zip(first, second, strict=True):
        assert one.shape == (720, 1280, 3)
        np.testing.assert_array_equal(one, other)
    steps = [float(np.abs(a.astype(int) - b).mean()) for (_, a), (_, b) in pairwise(first)]
    assert min(steps) > 3  # more than the camera's noise


def test_a_sheet_larger_than_the_view_is_held_farther_away() -> None:
    held = HeldPhotograph(portrait(900, 900), Box(430, 430, 40, 40), "print", 1)
    frame = next(iter(held.frames(1, 0.5)))[1]
    assert frame.shape == (720, 1280, 3)


@pytest.mark.model
def test_portraits_become_simulations_that_say_so_beside_a_control(pack_folder: Path) -> None:
    detector = open_engine(pack_folder, threads=1).detector
    material = LivenessMaterial(portraits=(SAMPLES / "biden.jpg",))
    presentations = list(presentations_of(material, detector))
    assert [(one.kind, one.role) for one in presentations] == [
        ("portrait_file_colour", "control"),
        *[(f"simulated_{treatment}_colour", "attack") for treatment in TREATMENTS],
    ]
    for presentation in presentations[1:]:
        (outcome,) = measure_liveness([presentation], detector, ByPlace())
        assert len(outcome.looks) == LOOKS, "the face in the simulation is found in every frame"


def test_a_video_that_is_none_is_named_without_its_folder(tmp_path: Path) -> None:
    (tmp_path / "noise.mp4").write_bytes(b"no video")
    material = LivenessMaterial(live=(tmp_path / "noise.mp4",))
    with pytest.raises(PictureRefused, match=r"^noise\.mp4 is neither"):
        list(measure_liveness(presentations_of(material, WhiteFaces()), WhiteFaces(), ByPlace()))


def test_limits_decide_what_counts_as_wrong() -> None:
    outcomes = [TrackOutcome("k", "live", (0.6,), "undecided", 100.0)]
    assert liveness_report(outcomes).rows[0].wrong_looks == 0
    assert liveness_report(outcomes, LivenessLimits(live_from=0.7)).rows[0].wrong_looks == 1


def test_the_command_says_what_it_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "read me.txt").write_text("a folder may hold other files")
    for arguments in ([], ["--portraits", str(tmp_path)]):
        assert liveness_command.main([str(tmp_path), *arguments]) == 2
        assert "give --spoof" in capsys.readouterr().err
    (tmp_path / "a.jpg").write_bytes(b"")
    assert liveness_command.main([str(tmp_path), "--spoof", str(tmp_path / "a.jpg")]) == 1
    assert "there is no model pack" in capsys.readouterr().err


@pytest.fixture(scope="module")
def compiled(shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[LivenessBuilt, Path]:
    """The published networks."""
    return compiled_once(shared_folder, tmp_path_factory)


@pytest.fixture
def compiled_at_once(compiled: tuple[LivenessBuilt, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def copied(_: Path, destination: Path, progress: object) -> LivenessBuilt:  # noqa: ARG001 (its signature)
        built, folder = compiled
        shutil.copytree(folder, destination, dirs_exist_ok=True)
        return built

    monkeypatch.setattr(liveness_command, "build_liveness", copied)  # compiling takes a quarter of a minute


@pytest.mark.build
@pytest.mark.usefixtures("compiled_at_once")
def test_the_command_measures_and_prints_figures_without_names(
    pack_folder: Path, shared_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoof = shared_folder / "spoof"
    arguments = [str(pack_folder), "--weights", str(shared_folder / "models"), "--json"]
    arguments += ["--spoof", str(spoof / "image_F1.jpg"), str(spoof / "image_F2.jpg")]
    arguments += ["--live", str(spoof / "image_T1.jpg"), "--portraits", str(SAMPLES / "biden.jpg")]
    assert liveness_command.main(arguments) == 0
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    rows = {row["kind"]: row for row in report["rows"]}
    assert report["complete"]
    assert (rows["still_of_a_real_attack"]["wrong_looks"], rows["still_of_a_real_attack"]["looks"]) == (0, 2)
    assert (rows["still_of_a_live_person"]["wrong_looks"], rows["still_of_a_live_person"]["looks"]) == (0, 1)
    assert all(row["decided"] == 1 for kind, row in rows.items() if kind.startswith("simulated_"))
    assert "biden" not in printed.out + printed.err


@pytest.mark.build
@pytest.mark.usefixtures("compiled_at_once")
def test_a_command_that_is_stopped_prints_what_it_has(
    pack_folder: Path, shared_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> Iterator[TrackOutcome]:
        yield TrackOutcome("still_of_a_real_attack", "attack", (0.1,), "undecided", 100.0)
        raise KeyboardInterrupt

    monkeypatch.setattr(liveness_command, "measure_liveness", stopped)  # stands for Ctrl-C
    picture = str(shared_folder / "spoof" / "image_F1.jpg")
    weights = str(shared_folder / "models")
    assert liveness_command.main([str(pack_folder), "--weights", weights, "--spoof", picture]) == 130
    printed = capsys.readouterr().out
    assert "still_of_a_real_attack" in printed
    assert "stopped before everything was measured" in printed
