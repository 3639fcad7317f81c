"""From what a machine measured to the settings it should have, each with its reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor

from edge.core.pace import PaceLimits

_USUAL_FACES = 2
"""Faces in a frame for which the rate is chosen: a door rarely shows more at once, and a busy unit slows down."""
_ENOUGH_PER_S = 5.0
_MOST_PER_S = 15.0
_BUSY_SHARE = PaceLimits(_MOST_PER_S).busy_share
_WORTH = 1.3
"""A variant that is less exact must be this much faster to be suggested."""
_EXACT = 0.999
"""Lowest cosine to the reference from which on a variant counts as exact."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What suggestions rest on; times in seconds, medians."""

    embed_s: Mapping[tuple[str, int], float]
    """One face, by variant and threads."""
    detect_s: Mapping[int, float]
    """A whole frame with nobody in it, by the smallest face that is looked for."""
    align_s: float
    parity: Mapping[str, float]
    """Lowest cosine to the reference by variant, as the pack's manifest says; a variant may be missing."""
    min_face_px: int


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A setting and why."""

    key: str
    value: str | int | float
    reason: str


def suggest(measured: Measured) -> list[Suggestion]:
    """Return settings for this machine; empty when too little was measured."""
    if not measured.embed_s or not measured.detect_s:
        return []
    threads = _threads(measured)
    variant = _variant(measured, int(threads.value))
    smallest = _smallest_face(measured)
    embed_s = measured.embed_s[str(variant.value), int(threads.value)]
    frame_s = measured.detect_s[int(smallest.value)] + _USUAL_FACES * (measured.align_s + embed_s)
    rate = max(1.0, min(_MOST_PER_S, floor(_BUSY_SHARE / frame_s * 2) / 2))
    reason = f"a frame with {_USUAL_FACES} faces takes {frame_s * 1000:.0f} ms, and a sixth of the time stays free"
    if _BUSY_SHARE / frame_s > _MOST_PER_S:
        reason = f"more than {_MOST_PER_S:g} show nothing that these do not, and warm the machine"
    return [
        Suggestion("recognition.variant", variant.value, variant.reason),
        Suggestion("recognition.threads", threads.value, threads.reason),
        Suggestion("recognition.smallest_face_px", smallest.value, smallest.reason),
        Suggestion("camera.frames_per_s", rate, reason),
    ]


def _threads(measured: Measured) -> Suggestion:
    # Over every variant: one that scales badly must not decide alone.
    totals: dict[int, float] = {}
    for (_variant_name, threads), seconds in measured.embed_s.items():
        totals[threads] = totals.get(threads, 0.0) + seconds
    best = min(totals, key=lambda threads: (totals[threads], threads))
    fewer = [threads for threads in totals if threads < best and totals[threads] < 1.1 * totals[best]]
    if fewer:
        return Suggestion("", min(fewer), f"{best} threads are hardly faster and leave nothing for the rest")
    if len(totals) == 1:
        return Suggestion("", best, "the only number measured")
    if best == min(totals):
        return Suggestion("", best, "more are not faster here")
    slower = max(totals.values()) / totals[best]
    return Suggestion("", best, f"{slower:.1f} times as fast as the slowest number of threads")


def _variant(measured: Measured, threads: int) -> Suggestion:
    times = {name: seconds for (name, count), seconds in measured.embed_s.items() if count == threads}
    exact = {name: s for name, s in times.items() if measured.parity.get(name, 0.0) >= _EXACT} or times
    # Among exact ones, f32 is the reference: another must be faster by more than chance.
    chosen = min(exact, key=exact.__getitem__)
    if "f32" in exact and exact["f32"] < 1.05 * exact[chosen]:
        chosen = "f32"
    fastest = min(times, key=times.__getitem__)
    if times[fastest] * _WORTH < times[chosen]:
        agrees = measured.parity.get(fastest)
        words = f"; its vectors agree with the reference to a cosine of {agrees:.4f}" if agrees is not None else ""
        return Suggestion("", fastest, f"{times[chosen] / times[fastest]:.1f} times as fast as {chosen}{words}")
    reason = f"{times[chosen] * 1000:.1f} ms a face"
    return Suggestion(
        "", chosen, reason if chosen == fastest else f"{reason}; {fastest} is less exact and not worth it"
    )


def _smallest_face(measured: Measured) -> Suggestion:
    """Look for faces well before they are wide enough to be compared, as long as that leaves enough frames a second."""
    useful = sorted(px for px in measured.detect_s if px <= measured.min_face_px) or sorted(measured.detect_s)
    for px in useful:
        if measured.detect_s[px] <= _BUSY_SHARE / _ENOUGH_PER_S / 2:
            reason = f"a search takes {measured.detect_s[px] * 1000:.0f} ms; faces are compared from "
            return Suggestion("", px, f"{reason}{measured.min_face_px} px on, and are followed from here")
    px = useful[-1]
    reason = f"smaller ones cost too much here: a search for {useful[0]} px takes "
    return Suggestion("", px, f"{reason}{measured.detect_s[useful[0]] * 1000:.0f} ms")
