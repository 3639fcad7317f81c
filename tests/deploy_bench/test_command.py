"""`make bench` keeps what it measured, whatever happens, and says what is short of its target."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.bench import __main__ as bench
from deploy.bench.cold import _report
from deploy.bench.contest import DLIB_OPENCV, OURS_INT8, QUICK, Contest
from deploy.bench.figures import Report, Target


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    folder = tmp_path / "pack"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    return folder


def run_with(
    parts: dict[str, Callable[[Contest], None]], pack: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> int:
    # The parts are replaced: what is tested here is what happens around them.
    monkeypatch.setattr(bench, "PARTS", parts)
    monkeypatch.setattr("signal.signal", lambda *_arguments: None)
    out = pack.parent / "bench.json"
    return bench.main(["--pack", str(pack), "--out", str(out), *arguments])


def measure_short(contest: Contest) -> None:
    contest.report.add("memory", 400.0, "MB", Target(at_most=300.0))


def break_down(_contest: Contest) -> None:
    raise OSError("no space left on the disk")


def stop(_contest: Contest) -> None:
    raise KeyboardInterrupt


def test_without_a_pack_it_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--pack", str(tmp_path)]) == 1
    assert "make setup" in capsys.readouterr().err


def test_a_missed_target_is_said_and_is_no_failure(
    pack: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_with({"one": measure_short}, pack, monkeypatch) == 0
    assert "short of the target (at most 300)" in capsys.readouterr().out


def test_a_missed_target_fails_a_strict_run(pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_with({"one": measure_short}, pack, monkeypatch, "--strict") == 1


def test_ctrl_c_keeps_what_was_measured_until_then(pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_with({"one": measure_short, "two": stop}, pack, monkeypatch) == 130
    (figure,) = json.loads((pack.parent / "bench.json").read_text())
    assert figure["name"] == "memory"


def test_a_part_that_cannot_be_measured_is_noted_and_the_next_one_measured(
    pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_with({"one": break_down, "two": measure_short}, pack, monkeypatch) == 0
    figures = json.loads((pack.parent / "bench.json").read_text())
    assert [figure["name"] for figure in figures] == ["one", "memory"]
    assert figures[0]["unit"] == "not measured: no space left on the disk"


def test_json_on_standard_output_is_nothing_but_json(
    pack: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_with({"one": measure_short}, pack, monkeypatch, "--json")
    assert json.loads(capsys.readouterr().out) == json.loads((pack.parent / "bench.json").read_text())


def test_only_the_wanted_part_is_measured(pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_with({"one": measure_short, "two": stop}, pack, monkeypatch, "--only", "one") == 0


def test_a_part_that_does_not_exist_is_refused(pack: Path) -> None:
    with pytest.raises(SystemExit):
        bench.main(["--pack", str(pack), "--only", "everything"])


def test_the_table_says_who_found_fewer_faces(tmp_path: Path) -> None:
    """Nobody is compared while finding fewer faces unnoticed."""
    import numpy as np

    from deploy.bench.cold import _Times
    from deploy.bench.frames import BenchFrame

    contest = Contest(tmp_path, tmp_path, QUICK, Report(), lambda _text: None, tmp_path)
    frame = BenchFrame(np.zeros((720, 1280, 3), np.uint8), 10)
    times = _Times(frame, {DLIB_OPENCV: [900.0], OURS_INT8: [60.0]}, {DLIB_OPENCV: 8, OURS_INT8: 10})
    _report(contest, [times])
    assert "900.0 (8 found)" in contest.report.tables[0]
    found = {figure.name: figure.value for figure in contest.report.figures if figure.name.startswith("faces found")}
    assert found[f"faces found, 1280x720, 10 faces: {DLIB_OPENCV}"] == 8
    (figure, target) = contest.report.short[0]
    assert (figure.ratio, str(target)) == (15.0, "at least 18x")


@pytest.mark.machine
@pytest.mark.build
def test_a_quick_run_measures_embeddings_with_real_networks(
    pack_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_arguments: None)
    out = tmp_path / "bench.json"
    assert bench.main(["--quick", "--only", "embed", "--pack", str(pack_folder), "--out", str(out)]) == 0
    figures = {figure["name"]: figure for figure in json.loads(out.read_text())}
    assert figures["embedding, one face, Rollcall MTCNN f32, 2 threads"]["against"] == "dlib itself"


@pytest.mark.machine
def test_a_quick_run_lets_a_student_arrive_and_be_recorded(
    pack_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_arguments: None)
    out = tmp_path / "bench.json"
    assert bench.main(["--quick", "--only", "commit", "--pack", str(pack_folder), "--out", str(out)]) == 0
    figures = {figure["name"]: figure for figure in json.loads(out.read_text())}
    assert figures["arrivals recorded: Rollcall MTCNN f32"]["value"] == 5
