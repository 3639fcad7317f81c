"""Whole evaluations of a handful of portraits with the real pack, and what is handed over at the end."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image as Pillow

from deploy.environment import PROJECT
from recognition.adapters.analysis import Engine, open_engine
from recognition.adapters.chips_opencv import cut_chip
from recognition.adapters.pictures import read_picture
from recognition.core.face import Box, Face, Image
from recognition.core.ports import FaceDetector
from recognition.evaluation import report as report_module
from recognition.evaluation.bounds import Interval
from recognition.evaluation.dataset import EvaluationRefused, read_data_set
from recognition.evaluation.evaluate import Evaluation, Run, evaluate
from recognition.evaluation.figures import Choices
from recognition.evaluation.operating import GroupRow
from recognition.evaluation.original import RawVectors
from recognition.evaluation.outcome import as_csv, as_json
from recognition.evaluation.report import as_html, write_report
from recognition.evaluation.resume import FOLDER, Memory, NoMemory, SealedMemory

SAMPLES = PROJECT / "deploy" / "samples"
GROUP = "<script>alert(1)</script>"
INDEX = f"""file,identity,role,group
obama.jpg,Barack Obama,enrol,{GROUP}
obama2.jpg,Barack Obama,probe,{GROUP}
obama3.jpg,Barack Obama,probe,{GROUP}
copy.jpg,Barack Obama,probe,{GROUP}
blank.png,Barack Obama,probe,{GROUP}
biden.jpg,Joe Biden,enrol,=1+1
broken.jpg,Joe Biden,probe,=1+1
astronaut.jpg,somebody,stranger,
"""
CHOICES = Choices(galleries=(2,), samples=(1, 2), images=1)


class Silent:
    """A Watcher that nobody looks at; it can end the run after some steps."""

    def __init__(self, stop_after: int | None = None) -> None:
        self._left = stop_after

    @contextmanager
    def stage(self, text: str, total: int) -> Iterator[Callable[[], None]]:  # noqa: ARG002 (the protocol's signature)
        yield self._step

    def _step(self) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                raise KeyboardInterrupt


class CountingDetector:
    """Counts how often the real one is asked."""

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector
        self.asked = 0

    def detect(self, image: Image) -> list[Face]:
        self.asked += 1
        return self._detector.detect(image)

    def follow(self, image: Image, boxes: Sequence[Box]) -> list[Face | None]:
        return self._detector.follow(image, boxes)


@pytest.fixture(scope="module")
def engine(pack_folder: Path) -> Engine:
    return open_engine(pack_folder, threads=1)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for name in ("obama", "obama2", "obama3", "biden", "astronaut"):
        shutil.copy(SAMPLES / f"{name}.jpg", folder)
    shutil.copy(SAMPLES / "obama.jpg", folder / "copy.jpg")
    Pillow.new("RGB", (200, 200), "white").save(folder / "blank.png")
    (folder / "broken.jpg").write_bytes((folder / "biden.jpg").read_bytes()[:500])
    path = folder / "index.csv"
    path.write_text(INDEX, encoding="utf-8")
    return path


def run(engine: Engine, memory: Memory | None = None, watcher: Silent | None = None, **choices: object) -> Run:
    chosen = replace(CHOICES, **choices)  # type: ignore[arg-type]
    return Run(engine, memory or NoMemory(), watcher or Silent(), chosen, "f32 mtcnn 40")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the run of `found` keeps."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(scope="module")
def found(engine: Engine, index: Path, kept: Path) -> Evaluation:
    return evaluate(read_data_set(index), run(engine, SealedMemory(kept)))


def test_pictures_without_a_face_count_as_misses_and_copies_not_at_all(found: Evaluation) -> None:
    captures = found.captures
    assert (captures.enrolment_failures, captures.probe_pictures, captures.probe_failures) == (0, 4, 2)
    assert (captures.stranger_pictures, captures.copies_left_out) == (1, 1)
    assert dict(captures.problems) == {"damaged": 1, "no_face": 1}
    # Two of four are found at any threshold: the blank and the broken one never are.
    assert found.ranks[0].without_threshold == 0.5
    assert max(row.tpir for row in found.open_set if row.k == 1) == 0.5


def test_json_has_what_the_design_promises_and_no_names(found: Evaluation) -> None:
    text = json.dumps(as_json(found), allow_nan=False)
    content = json.loads(text)
    assert [set(row) for row in content["open_set"]] == [
        {"gallery", "k", "fpir", "tpir", "ci_low", "ci_high"} for _ in content["open_set"]
    ]
    assert [(row["gallery"], row["k"], row["fpir"]) for row in content["open_set"]][:3] == [
        (2, 1, 0.01), (2, 1, 0.003), (2, 1, 0.001),
    ]  # fmt: skip
    assert content["verification"]["genuine"] == 4
    assert content["original_system"]["applicable"] is False
    assert {row["condition"] for row in content["conditions"]} >= {"as it is", "face width", "blur"}
    assert not any(name in text for name in ("Obama", "Biden", "somebody", "obama", "astronaut", ".jpg"))


def test_the_report_is_one_safe_file_with_curves_and_without_names(found: Evaluation) -> None:
    page = as_html(found)
    assert GROUP not in page
    assert "&lt;script&gt;" in page
    assert page.count("<svg") == 5
    assert not any(name in page for name in ("Obama", "Biden", "astronaut", "<script", "<img", "src=", 'href="http'))
    for part in page.split("<svg")[1:]:
        ElementTree.fromstring("<svg" + part[: part.index("</svg>")] + "</svg>")  # noqa: S314 (our own text)
    assert page == as_html(found)


@pytest.fixture
def without_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that look at the rest of a report: drawing takes seconds."""
    monkeypatch.setattr(report_module, "draw_curves", lambda _: [])


@pytest.mark.usefixtures("without_curves")
def test_tables_are_written_and_spreadsheets_see_no_formula(found: Evaluation, tmp_path: Path) -> None:
    report = write_report(found, tmp_path / "new" / "folder")
    assert report.read_text(encoding="utf-8").startswith("<!doctype html>")
    groups = (report.parent / "groups.csv").read_text(encoding="utf-8")
    assert "'=1+1" in groups
    assert (report.parent / "open_set.csv").read_text(encoding="utf-8").startswith("gallery,k,fpir,tpir,")
    assert as_csv([{"a": None, "b": "@x"}]) == "a,b\n,'@x\n"


def test_a_report_that_cannot_be_written_is_a_sentence(found: Evaluation, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EvaluationRefused, match="cannot be written"):
        write_report(found, tmp_path / "file")


def test_a_stopped_run_goes_on_where_it_was_and_gives_the_same_figures(
    engine: Engine, index: Path, found: Evaluation, tmp_path: Path
) -> None:
    counting = CountingDetector(engine.detector)
    watched = replace(engine, detector=counting)
    with pytest.raises(KeyboardInterrupt):
        evaluate(read_data_set(index), run(watched, SealedMemory(tmp_path), Silent(stop_after=4)))
    before = counting.asked
    again = evaluate(read_data_set(index), run(watched, SealedMemory(tmp_path), worse_pictures=False))
    # Eight files; one is broken and never reaches the detector.
    assert counting.asked == 7
    assert 0 < before < 7
    assert again.open_set == found.open_set
    assert again.verification == found.verification


def test_a_run_over_kept_vectors_computes_nothing_again(
    engine: Engine, index: Path, found: Evaluation, kept: Path
) -> None:
    counting = CountingDetector(engine.detector)
    entries = sorted((kept / FOLDER).iterdir())
    assert evaluate(read_data_set(index), run(replace(engine, detector=counting), SealedMemory(kept))) == found
    assert counting.asked == 0
    assert sorted((kept / FOLDER).iterdir()) == entries


def test_other_settings_do_not_find_what_was_kept(engine: Engine, index: Path, tmp_path: Path) -> None:
    counting = CountingDetector(engine.detector)
    watched = replace(engine, detector=counting)
    first = run(watched, SealedMemory(tmp_path), worse_pictures=False)
    evaluate(read_data_set(index), first)
    evaluate(read_data_set(index), replace(first, context="f32 mtcnn 60"))
    assert counting.asked == 14


def test_pictures_in_which_nobody_can_be_enrolled_are_refused(engine: Engine, tmp_path: Path) -> None:
    for name in ("ann", "bob"):
        (tmp_path / name).mkdir()
        for number in range(2):
            Pillow.new("RGB", (100 + number, 100), "white").save(tmp_path / name / f"{number}.png")
    with pytest.raises(EvaluationRefused, match="a face to enrol was found of 0 people"):
        evaluate(read_data_set(tmp_path), run(engine))


def test_dlib_itself_can_be_measured_in_the_same_run(engine: Engine, index: Path) -> None:
    pytest.importorskip("dlib")
    from recognition.evaluation.references import open_reference

    with_dlib = replace(run(engine, worse_pictures=False), references=[open_reference("dlib", "dlib")])
    (peer,) = evaluate(read_data_set(index), with_dlib).peers
    assert peer.name == "dlib"
    assert [(row.gallery, row.k) for row in peer.open_set] == [(2, 1)] * 3 + [(2, 2)] * 3
    assert max(row.tpir for row in peer.open_set if row.k == 1) == 0.5


@pytest.mark.usefixtures("without_curves")
def test_a_failing_group_is_named_everywhere(found: Evaluation) -> None:
    row = GroupRow("x & y", 40, 1.0, Interval(0.9, 1.0), 0.5, Interval(0.3, 0.7), 0.01, 40)
    failing = replace(found, groups=(row,))
    assert as_json(failing)["failing_groups"] == ["x & y"]
    assert "Group x &amp; y fails: FPIR 50.00%, at least 30.00%, target 1.00%." in as_html(failing)
    assert as_json(found)["failing_groups"] == []


def test_raw_vectors_point_where_the_packs_vectors_point_but_keep_their_length(engine: Engine) -> None:
    image = read_picture(SAMPLES / "obama.jpg")
    (face, *_) = engine.detector.detect(image)
    raw = RawVectors(engine.pack, engine.embedder.geometry).vector(image, face)
    unit = engine.embedder.embed([cut_chip(image, face, engine.embedder.geometry)])[0]
    assert raw is not None
    length = float(np.linalg.norm(raw))
    assert abs(length - 1) > 0.05
    assert raw / length == pytest.approx(unit, abs=1e-4)
