"""`run --overlay`: a video beside the record that can be played, also when the run was interrupted."""

import signal
import stat
from pathlib import Path

import cv2
import pytest

from deploy.own_process import wait_until
from tests.edge_cli.units import UnitFolder


@pytest.fixture
def ready(unit: UnitFolder, pack_folder: Path) -> UnitFolder:
    unit.changes |= {"recognition.pack_dir": str(pack_folder), "delivery.drain_s": 0}
    return unit


def frames_in(path: Path) -> int:
    capture = cv2.VideoCapture(str(path))
    count = sum(1 for _ in iter(capture.grab, False))
    capture.release()
    return count


def run(unit: UnitFolder, arguments: str) -> tuple[int, str]:
    program = unit.start(f"exec $EDGE run --config $CONFIG {arguments}")
    _out, err = program.communicate(timeout=60)
    return program.returncode, err


def test_the_video_has_the_whole_recording_and_the_log_says_that_it_shows_faces(ready: UnitFolder) -> None:
    code, err = run(ready, "--overlay look.avi")
    path = ready.folder / "look.avi"

    assert code == 0, err
    # Four pictures half a second apart, at 25 a second.
    assert frames_in(path) == 39
    assert "shows faces: delete it" in err
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("ending", ["avi", "mp4"])
def test_a_run_that_is_interrupted_leaves_a_video_that_can_be_played(ready: UnitFolder, ending: str) -> None:
    ready.changes |= {"camera.at_end": "again", "camera.replay_pace": "own"}
    program = ready.start(f"exec $EDGE run --config $CONFIG --overlay look.{ending}")
    path = ready.folder / f"look.{ending}"
    try:
        wait_until(lambda: path.exists() and path.stat().st_size > 0, timeout_s=40)
        program.send_signal(signal.SIGINT)
        _out, err = program.communicate(timeout=30)
    finally:
        program.kill()

    assert program.returncode == 0, err
    assert frames_in(path) > 0


@pytest.mark.parametrize("target", ["look.txt", "gone/look.mp4"])
def test_a_video_that_cannot_be_written_stops_the_start_with_a_sentence(ready: UnitFolder, target: str) -> None:
    code, err = run(ready, f"--overlay {target}")

    assert code == 2
    assert "fix:" in err
    assert not ready.data.exists(), "nothing was begun"


def test_ids_without_a_video_are_refused(ready: UnitFolder) -> None:
    code, err = run(ready, "--overlay-ids")

    assert code == 2
    assert "--overlay FILE" in err


def test_the_help_says_what_such_a_video_shows_and_that_it_must_be_deleted(ready: UnitFolder) -> None:
    text = " ".join(ready.run("run", "--help").stdout.replace("│", " ").split())

    assert "shows faces and must be deleted" in text
