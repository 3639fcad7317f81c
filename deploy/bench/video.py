"""Steady state: frames a second on clips, the unit's vision with its tracks against a frame-by-frame path."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from deploy.bench.clips import Clip, door_clip, make_door, street_clip
from deploy.bench.contest import DLIB_OPENCV, OURS, OURS_INT8, Contest
from deploy.bench.figures import Target, quiet_median
from deploy.bench.rivals import Rival

SIZES = ((1280, 720), (1920, 1080))
JUDGED_SIZE = (1280, 720)
TARGET = Target(ratio=40.0)
UNIT_FRAMES_PER_S = 5.0
"""What a unit asks its camera for unless its settings say otherwise."""


@dataclass(slots=True)
class _Speeds:
    """Milliseconds a frame of each pass, by (rival, every how manieth frame)."""

    passes: dict[tuple[str, int], list[float]] = field(default_factory=dict)

    def add(self, name: str, step: int, ms: list[float]) -> None:
        if ms:
            self.passes.setdefault((name, step), []).append(sum(ms) / len(ms))

    def frames_per_s(self, name: str, step: int) -> float | None:
        passes = self.passes.get((name, step))
        return 1000 / quiet_median(passes) if passes else None


def measure_video(contest: Contest) -> None:
    """Measure the street clip, where it is present, and the door clip, in two sizes."""
    contest.bring([DLIB_OPENCV, *OURS])
    scenes = make_door(contest.scratch / "door")
    street = contest.shared / "video" / "street.mp4"
    for size_px in SIZES:
        clips: list[AbstractContextManager[Clip]] = [door_clip(scenes, size_px, contest.scratch)]
        if street.is_file():
            clips.insert(0, street_clip(street, size_px, contest.scratch))
        for opening in clips:
            with opening as clip:
                _measure(contest, clip)


def _measure(contest: Contest, clip: Clip) -> None:
    contest.say(f"video {clip.title}")
    effort, speeds = contest.effort, _Speeds()
    seen: dict[str, dict[str, int]] = {}
    try:
        for number in range(effort.clip_passes_720 if clip.size_px == JUDGED_SIZE else effort.clip_passes):
            peer = contest.field.named(DLIB_OPENCV)
            if peer:
                _peer_pass(contest, peer, clip, number, speeds)
            for name in contest.own_names():
                _own_pass(contest, name, clip, speeds, seen)
    finally:
        _report(contest, clip, speeds, seen)


def _peer_pass(contest: Contest, peer: Rival, clip: Clip, number: int, speeds: _Speeds) -> None:
    every = contest.effort.peers_every
    # Another frame in each pass, so that together they see what is in the clip.
    start = (number * 5 + every // 2) % every
    answer = contest.field.ask(peer, "clip", path=str(clip.frames), step=every, start=start)
    speeds.add(peer.name, 1, answer["ms"] if answer else [])


def _own_pass(contest: Contest, name: str, clip: Clip, speeds: _Speeds, seen: dict[str, dict[str, int]]) -> None:
    for step in (1, _unit_step(clip)):
        rival = contest.field.named(name)
        if rival is None:
            return
        request = {"path": str(clip.frames), "step": step, "start": 0, "frames_per_s": clip.frames_per_s}
        answer = contest.field.ask(rival, "clip", **request)
        if answer:
            speeds.add(name, step, answer.pop("ms"))
            if step == 1:
                seen[name] = answer


def _unit_step(clip: Clip) -> int:
    return max(2, round(clip.frames_per_s / UNIT_FRAMES_PER_S))


def _report(contest: Contest, clip: Clip, speeds: _Speeds, seen: dict[str, dict[str, int]]) -> None:
    report = contest.report
    peer = speeds.frames_per_s(DLIB_OPENCV, 1)
    if peer is None:
        report.missing(f"video {clip.title}: {DLIB_OPENCV}", contest.field.why_absent(DLIB_OPENCV))
    else:
        report.add(f"video {clip.title}: {DLIB_OPENCV}", peer, "frames/s")
    for name in OURS:
        for step in (1, _unit_step(clip)):
            rate = speeds.frames_per_s(name, step)
            if rate is None:
                continue
            pace = f"{clip.frames_per_s / step:g} frames/s given"
            title = f"video {clip.title}, {pace}: {name}"
            judged = name == OURS_INT8 and step == 1 and clip.size_px == JUDGED_SIZE
            if peer is None:
                report.add(title, rate, "frames/s")
            else:
                report.compare_rate(title, rate, (DLIB_OPENCV, peer), TARGET if judged else None)
    for name, totals in seen.items():
        report.tabled(f"video {clip.title}, tracks: {name}", totals["tracks"], "tracks")
        report.tabled(f"video {clip.title}, embedded: {name}", totals["embedded"], f"of {totals['faces']} faces")
