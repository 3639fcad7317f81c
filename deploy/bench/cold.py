"""Cold single frames: everybody on the same frames, in turns, so that a noisy moment hits all of them."""

from dataclasses import dataclass, field

import numpy as np

from deploy.bench.contest import (
    DLIB_OPENCV,
    FACENET_OPENCV,
    OURS,
    OURS_INT8,
    OURS_YUNET_INT8,
    PEERS,
    Contest,
    file_in,
)
from deploy.bench.figures import Target, quiet_median
from deploy.bench.frames import COUNTS, SIZES, BenchFrame, compose, read_portraits

JUDGED_SIZE = "1280x720"
# Judged with the quicker variant: which one a unit runs is a line in its settings.
DLIB_TARGETS = {OURS_INT8: {1: 7.0, 10: 18.0, 24: 28.0}, OURS_YUNET_INT8: {1: 25.0, 10: 40.0, 24: 55.0}}
FACENET_TARGET = 7.0


@dataclass(slots=True)
class _Times:
    """Milliseconds and faces found, by rival, on one frame."""

    frame: BenchFrame
    ms: dict[str, list[float]] = field(default_factory=dict)
    faces: dict[str, int] = field(default_factory=dict)


def measure_cold(contest: Contest) -> None:
    """Measure detection to decision on single frames, and everybody's memory."""
    contest.bring([*PEERS, *OURS])
    portraits = read_portraits(contest.shared)
    for size in SIZES:
        measured: list[_Times] = []
        try:
            frames = [compose(portraits, size, faces) for faces in COUNTS]
            contest.say(f"cold frames of {frames[0].size}")
            _warm_up(contest, frames)
            for frame in frames:
                measured.append(_Times(frame))
                _take_turns(contest, measured[-1])
        finally:
            # Ctrl-C keeps what there is.
            _report(contest, [times for times in measured if times.ms])
    _report_memory(contest)


def _warm_up(contest: Contest, frames: list[BenchFrame]) -> None:
    """Let everybody see this size once; those who prepare themselves for each number of faces, every number."""
    for frame in frames:
        with file_in(contest.scratch, "frame.npy") as path:
            np.save(path, frame.image)
            for rival in list(contest.field.present):
                compiles = rival.name in OURS or rival.name == FACENET_OPENCV
                if compiles or (rival.name in PEERS and frame.faces == 1):
                    contest.field.ask(rival, "frame", path=str(path), repeat=1)


def _take_turns(contest: Contest, times: _Times) -> None:
    effort = contest.effort
    rounds = effort.rounds_720 if times.frame.size == JUDGED_SIZE else effort.rounds
    with file_in(contest.scratch, "frame.npy") as path:
        np.save(path, times.frame.image)
        for _ in range(rounds):
            for rival in list(contest.field.present):
                if rival.name in OURS or rival.name in PEERS:
                    repeat = effort.own_repeats if rival.name in OURS else 1
                    answer = contest.field.ask(rival, "frame", path=str(path), repeat=repeat)
                    if answer:
                        times.ms.setdefault(rival.name, []).extend(answer["ms"])
                        times.faces[rival.name] = answer["faces"]


def _report(contest: Contest, measured: list[_Times]) -> None:
    report = contest.report
    if not measured:
        return
    report.tables.append(_table(contest, measured))
    for times in measured:
        for name, ms in times.ms.items():
            report.tabled(f"cold frame {times.frame.name}: {_label(contest, name)}", quiet_median(ms), "ms")
            found = f"faces found, {times.frame.name}: {_label(contest, name)}"
            report.tabled(found, times.faces[name], f"of {times.frame.faces}")
    for times in measured:
        _compare(contest, times)
    for name in (*PEERS, *OURS):
        if name in contest.field.absent:
            report.missing(f"cold frames of {measured[0].frame.size}: {name}", contest.field.absent[name])


def _compare(contest: Contest, times: _Times) -> None:
    judged = times.frame.size == JUDGED_SIZE
    for name in (name for name in OURS if name in times.ms):
        mine = quiet_median(times.ms[name])
        for peer in (peer for peer in PEERS if peer in times.ms and (judged or peer == DLIB_OPENCV)):
            target = _target(name, peer, times.frame.faces) if judged else None
            title, other = (
                f"cold frame {times.frame.name}, {name}",
                (_label(contest, peer), quiet_median(times.ms[peer])),
            )
            if target or peer == DLIB_OPENCV:
                contest.report.compare(title, mine, other, target)
            else:
                contest.report.tabled_beside(title, mine, other)


def _target(name: str, peer: str, faces: int) -> Target | None:
    if peer == DLIB_OPENCV:
        wanted = DLIB_TARGETS.get(name, {}).get(faces)
        return Target(ratio=wanted) if wanted else None
    return Target(ratio=FACENET_TARGET) if peer == FACENET_OPENCV and name == OURS_INT8 and faces else None


def _report_memory(contest: Contest) -> None:
    for rival in list(contest.field.present):
        memory = contest.field.ask(rival, "memory") if rival.name in OURS or rival.name in PEERS else None
        if memory:
            contest.report.add(f"memory at most, {_label(contest, rival.name)}", memory["peak"], "MB")


def _table(contest: Contest, measured: list[_Times]) -> str:
    """Return milliseconds by rival and number of faces; where other than all faces were found, how many."""
    head = "".join(f"{_faces(times.frame.faces):>20}" for times in measured)
    lines = [f"{'cold frame ' + measured[0].frame.size + ', ms':<44}{head}"]
    for name in (*PEERS, *OURS):
        if any(name in times.ms for times in measured):
            cells = "".join(f"{_cell(times, name):>20}" for times in measured)
            lines.append(f"{_label(contest, name):<44}{cells}")
    return "\n".join(lines)


def _faces(count: int) -> str:
    return f"{count} face{'' if count == 1 else 's'}"


def _cell(times: _Times, name: str) -> str:
    if name not in times.ms:
        return "-"
    found, there = times.faces[name], times.frame.faces
    return f"{quiet_median(times.ms[name]):.1f}" + ("" if found == there else f" ({found} found)")


def _label(contest: Contest, name: str) -> str:
    return f"{name} (random weights)" if name == FACENET_OPENCV and contest.facenet_is_random else name
