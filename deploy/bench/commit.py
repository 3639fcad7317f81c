"""From a frame at hand to its event on the disk: the unit's vision, recorder and database, one face."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from deploy.bench.clips import make_door
from deploy.bench.contest import OURS_F32, Contest
from deploy.bench.figures import Target, percentile
from deploy.bench.groups import read_image

TARGET = Target(at_most=150.0)


def measure_commit(contest: Contest) -> None:
    """Let a student arrive again and again; report the 99th percentile of the frames that made the events."""
    contest.bring([OURS_F32])
    rival = contest.field.named(OURS_F32)
    if rival is None:
        contest.report.missing("frame to commit", contest.field.why_absent(OURS_F32))
        return
    contest.say(f"frame to commit, {contest.effort.arrivals} arrivals")
    room, one = contest.scratch / "room.npy", contest.scratch / "one.npy"
    scenes = make_door(contest.scratch / "door")
    for path, scene in ((room, scenes[0]), (one, scenes[1])):
        np.save(path, np.stack([read_image(picture) for picture in scene.frames]))
    folder = contest.scratch / "record"
    arrived = _Arrived()
    try:
        # In parts, so that no answer takes longer than an answer may.
        for count in _parts(contest.effort.arrivals):
            request = {"empty": str(room), "faces": str(one), "folder": str(folder), "count": count}
            answer = contest.field.ask(rival, "commits", **request)
            if answer is None:
                break
            arrived.add(count, answer)
    finally:
        _report(contest, arrived)


@dataclass(slots=True)
class _Arrived:
    """What the parts brought together."""

    asked: int = 0
    commit_ms: list[float] = field(default_factory=list)
    looked_s: list[float] = field(default_factory=list)

    def add(self, count: int, answer: Mapping[str, list[float]]) -> None:
        self.asked += count
        self.commit_ms += answer["ms"]
        self.looked_s += answer["looked_s"]


def _parts(count: int, most: int = 50) -> list[int]:
    return [min(most, count - done) for done in range(0, count, most)]


def _report(contest: Contest, arrived: _Arrived) -> None:
    report, ms = contest.report, arrived.commit_ms
    if not ms:
        why = contest.field.why_absent(OURS_F32) if not arrived.asked else f"none of {arrived.asked} was recorded"
        report.missing("frame to commit", why)
        return
    report.add(f"frame to commit, 1280x720, one face, p99: {OURS_F32}", percentile(ms, 0.99), "ms", TARGET)
    report.add(f"frame to commit, 1280x720, one face, median: {OURS_F32}", statistics.median(ms), "ms")
    report.add(f"arrivals recorded: {OURS_F32}", len(ms), f"of {arrived.asked}")
    in_view_s = statistics.median(arrived.looked_s)
    report.add(f"in view until recorded, by the camera's clock: {OURS_F32}", in_view_s, "s")
