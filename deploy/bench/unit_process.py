"""The unit as a process of its own, as systemd runs it: how long until it decides, how much memory it holds."""

import select
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deploy.bench.clips import DOOR, STREET, make_door, street_clip, write_video
from deploy.bench.contest import Contest
from deploy.bench.figures import Target
from deploy.bench.groups import read_image
from deploy.bench.own_unit import OwnUnit, make_unit
from deploy.bench.rivals import RivalLost
from deploy.bench.servant import read_memory_mb
from deploy.environment import PROJECT, program_environment
from deploy.stage import camera_variables
from recognition.adapters.analysis import open_engine

START_TARGET = Target(at_most=3.0)
MEMORY_TARGET = Target(at_most=300.0)
LONGEST_S = 60.0
SAMPLE_EVERY_S = 0.25
CAMERA_FRAMES_PER_S = 5.0
SIZES = ((1280, 720), (1920, 1080))


def measure_unit_process(contest: Contest) -> None:
    """Measure start to first recorded arrival, and memory on both sizes."""
    folder = contest.scratch / "unit"
    shutil.rmtree(folder, ignore_errors=True)
    unit = make_unit(folder, contest.pack, open_engine(contest.pack))
    scenes = make_door(contest.scratch / "door")
    door = [read_image(picture) for picture in scenes[1].frames]
    clip = contest.scratch / "one.mp4"
    write_video(door, SIZES[0], CAMERA_FRAMES_PER_S, clip)
    _measure_start(contest, unit, clip)
    street = contest.shared / "video" / "street.mp4"
    for size_px in SIZES:
        name = f"{STREET if street.is_file() else DOOR} {size_px[0]}x{size_px[1]}"
        contest.say(f"memory of a unit on {name}")
        video = contest.scratch / "memory.mp4"
        if street.is_file():
            with street_clip(street, size_px, contest.scratch) as frames:
                write_video(frames.read(), size_px, frames.frames_per_s, video)
        else:
            write_video(door, size_px, CAMERA_FRAMES_PER_S, video)
        _measure_memory(contest, unit, video, name)


def _measure_start(contest: Contest, unit: OwnUnit, clip: Path) -> None:
    contest.say(f"start of a unit to the first recorded arrival, {contest.effort.starts} times")
    times: list[float] = []
    name = "start of the unit to the first recorded arrival"
    fresh = unit.data.with_name("data.fresh")
    shutil.copytree(unit.data, fresh)
    try:
        for _ in range(contest.effort.starts):
            # As it was: what an earlier run left open would be closed, and recorded, first.
            shutil.rmtree(unit.data)
            shutil.copytree(fresh, unit.data)
            times.append(_time_start(unit, clip))
    except RivalLost as exc:
        contest.report.missing(name, str(exc))
    finally:
        if times:
            contest.report.add(name, statistics.median(times), "s", START_TARGET)


def _time_start(unit: OwnUnit, clip: Path) -> float:
    began = time.monotonic()
    with _running(unit, {"kind": "replay", "source": str(clip), "at_end": "again"}) as process:
        while (left_s := began + LONGEST_S - time.monotonic()) > 0:
            line = _next_line(process, left_s)
            if " recorded " in line and "kind=seen" in line:
                return time.monotonic() - began
    raise RivalLost(f"nobody was recorded in {LONGEST_S:.0f} s")


def _measure_memory(contest: Contest, unit: OwnUnit, video: Path, name: str) -> None:
    status_of = "memory of the unit on {name}, {what}"
    try:
        with _running(unit, {"kind": "replay", "source": str(video), "at_end": "again"}) as process:
            while "unit runs" not in _next_line(process, LONGEST_S):
                pass
            samples = []
            until = time.monotonic() + contest.effort.memory_s
            while time.monotonic() < until:
                _drain(process, SAMPLE_EVERY_S)
                samples.append(read_memory_mb(Path(f"/proc/{process.pid}/status")))
    except (RivalLost, OSError, KeyError) as exc:
        contest.report.missing(f"memory of the unit on {name}", str(exc))
        return
    # The first half is warming up: interpreters for every batch size, the video's own buffers.
    steady = statistics.median(sample["now"] for sample in samples[len(samples) // 2 :])
    contest.report.add(status_of.format(name=name, what="at most"), samples[-1]["peak"], "MB", MEMORY_TARGET)
    contest.report.add(status_of.format(name=name, what="steady"), steady, "MB")


@contextmanager
def _running(unit: OwnUnit, camera: Mapping[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `rollcall-edge run`; it is killed on the way out: nothing of it is kept."""
    process = subprocess.Popen(
        [sys.executable, "-m", "edge", "run", "--config", str(unit.settings)],
        cwd=PROJECT,
        env=program_environment(camera_variables(camera)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        bufsize=0,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stderr:
            process.stderr.close()


def _next_line(process: "subprocess.Popen[bytes]", timeout_s: float) -> str:
    """Return the next line of its log. Raises RivalLost when it ended or says nothing."""
    log = process.stderr
    if log is None:
        raise RivalLost("the unit has no log")
    line = b""
    deadline = time.monotonic() + timeout_s
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([log], [], [], max(0.0, deadline - time.monotonic()))
        character = log.read(1) if ready else b""
        if not character:
            raise RivalLost("the unit said nothing" if not ready else f"the unit ended: {line.decode()[-160:]}")
        line += character
    return line.decode(errors="replace")


def _drain(process: "subprocess.Popen[bytes]", for_s: float) -> None:
    """Read away what it logs for a while, so that it never waits for us."""
    log, until = process.stderr, time.monotonic() + for_s
    while log and (left_s := until - time.monotonic()) > 0:
        ready, _, _ = select.select([log], [], [], left_s)
        if ready and not log.read(65536):
            raise RivalLost("the unit ended")
