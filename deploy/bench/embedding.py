"""One embedding of a face that is aligned already: dlib's own network against the same network compiled."""

import numpy as np

from deploy.bench.contest import DLIB, OURS_F32, OURS_INT8, Contest
from deploy.bench.figures import Target, quiet_median
from deploy.bench.frames import compose, read_portraits
from deploy.bench.rivals import Rival

FACES = 10
BATCH = 8
TARGET = Target(ratio=25.0)
ROUNDS = 3


def measure_embedding(contest: Contest) -> None:
    """Compare milliseconds for one face, one at a time; and eight at once beside it."""
    contest.bring([DLIB, OURS_F32, OURS_INT8])
    contest.say("embeddings")
    first = contest.field.named(OURS_F32) or contest.field.named(OURS_INT8)
    dlib = contest.field.named(DLIB)
    if first is None or dlib is None:
        contest.report.missing("embedding, one face", contest.field.why_absent(OURS_F32 if dlib else DLIB))
        return
    contest.scratch.mkdir(parents=True, exist_ok=True)
    frame, chips = contest.scratch / "frame.npy", contest.scratch / "chips.npy"
    np.save(frame, compose(read_portraits(contest.shared), (1280, 720), FACES).image)
    contest.field.ask(first, "chips", path=str(frame), into=str(chips))
    times: dict[tuple[str, int], list[float]] = {}
    for _ in range(min(ROUNDS, contest.effort.chips_repeats)):
        _one_round(contest, str(chips), times)
    _report(contest, dlib, times)


def _one_round(contest: Contest, chips: str, times: dict[tuple[str, int], list[float]]) -> None:
    repeat = contest.effort.chips_repeats
    for name, batch in ((DLIB, 1), (OURS_F32, 1), (OURS_F32, BATCH), (OURS_INT8, 1), (OURS_INT8, BATCH)):
        rival = contest.field.named(name)
        if rival is None:
            continue
        how = {"repeat": 1} if name == DLIB else {"repeat": repeat, "batch": batch}
        answer = contest.field.ask(rival, "embed", path=chips, **how)
        # The first of each round wakes the caches up.
        times.setdefault((name, batch), []).extend(answer["ms"][1:] if answer else [])


def _report(contest: Contest, dlib: Rival, times: dict[tuple[str, int], list[float]]) -> None:
    known = {which: quiet_median(ms) for which, ms in times.items() if ms}
    reference = known.pop((DLIB, 1), None)
    if reference is None:
        contest.report.missing("embedding, one face", contest.field.why_absent(DLIB))
        return
    contest.report.add(f"embedding, one face, {DLIB}", reference, "ms")
    for (name, batch), ms in known.items():
        what = "one face" if batch == 1 else f"a face of {batch} at once"
        target = TARGET if (name, batch) == (OURS_F32, 1) else None
        contest.report.compare(f"embedding, {what}, {name}, 2 threads", ms, (dlib.name, reference), target)
