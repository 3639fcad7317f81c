"""The dates of all events of a unit at once: what the database arrives at batch by batch. Pure; for tests, simulations.

Moments are whole microseconds since 1970, as in `hub.core.dating`.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hub.core.dating import MOST_ERROR_US, TOLERANCE_US, Basis, Known, Timeline, credible
from hub.core.dating_bounds import Stretch, UndatedBoot, estimate


@dataclass(frozen=True, slots=True)
class Reading:
    """What one event says of time."""

    epoch: str
    seq: int
    boot_id: str
    boottime_ns: int
    claimed_us: int
    clock: str
    received_us: int
    anchor_us: int | None = None
    """Of an anchor: what time it really was."""
    anchor_error_us: int = 100_000
    """Of an anchor: by how much that may be wrong."""

    @property
    def boot_us(self) -> int:
        """The boot's clock."""
        return self.boottime_ns // 1000

    @property
    def set_right(self) -> bool:
        """Whether the event alone tells when it was."""
        return self.clock == "synced" and credible(self.claimed_us, self.received_us)


@dataclass(frozen=True, slots=True)
class Dated:
    """When an event was, how that is known, and if estimated, between which moments."""

    at_us: int
    basis: Basis
    earliest_us: int | None = None
    latest_us: int | None = None


Place = tuple[str, int]


def date_all(readings: Iterable[Reading], added_us: int) -> dict[Place, Dated]:
    """Return the date of every event of one unit, by epoch and seq: what the database arrives at batch by batch."""
    boots: dict[str, list[Reading]] = defaultdict(list)
    for one in readings:
        boots[one.boot_id].append(one)
    found: dict[Place, Dated] = {}
    undated = []
    for boot_id in sorted(boots):
        boot = sorted(boots[boot_id], key=lambda one: (one.boot_us, one.epoch, one.seq))
        timeline, anchored = timeline_of(boot)
        if timeline is None:
            undated.append(boot)
        else:
            found |= {(one.epoch, one.seq): _dated(one, timeline, anchored=anchored) for one in boot}
    certain = _certain(found, boots)
    guesses = estimate([_facts(boot, certain) for boot in undated], added_us)
    for boot in undated:
        guess = guesses[boot[0].boot_id]
        for one in boot:
            at = one.claimed_us if guess.begin_us is None else guess.begin_us + one.boot_us
            bounds = guess.earliest_us + one.boot_us, guess.latest_us + one.boot_us
            found[one.epoch, one.seq] = Dated(at, "estimated", *bounds)
    return found


def timeline_of(boot: Sequence[Reading]) -> tuple[Timeline | None, bool]:
    """Return the dates of a boot and whether anchors say them; `boot` is in the order of its clock, epoch and seq."""
    anchors = [
        Known(one.boot_us, one.anchor_us, min(one.anchor_error_us, MOST_ERROR_US))
        for one in boot
        if one.anchor_us is not None and credible(one.anchor_us, one.received_us)
    ]
    if anchors:
        return Timeline(anchors), True
    first = next((one for one in boot if one.set_right), None)
    return (None if first is None else Timeline([Known(first.boot_us, first.claimed_us)])), False


def _dated(one: Reading, timeline: Timeline, *, anchored: bool) -> Dated:
    segment = timeline.segment(one.boot_us)
    at = segment.at_us(one.boot_us)
    if one.set_right and (not anchored or abs(one.claimed_us - at) <= segment.tolerance_us):
        return Dated(one.claimed_us, "claimed")
    return Dated(at, "anchor")


_Certain = dict[str, list[tuple[int, int, int]]]
"""By epoch, in the order of the stream: seq, moment, and when that boot began."""


def _certain(found: Mapping[Place, Dated], boots: Mapping[str, Sequence[Reading]]) -> _Certain:
    certain: _Certain = defaultdict(list)
    for boot in boots.values():
        for one in boot:
            dated = found.get((one.epoch, one.seq))
            if dated is not None:
                certain[one.epoch].append((one.seq, dated.at_us, dated.at_us - one.boot_us))
    return {epoch: sorted(rows) for epoch, rows in certain.items()}


def _facts(boot: Sequence[Reading], certain: _Certain) -> UndatedBoot:
    spans: dict[str, list[int]] = defaultdict(list)
    for one in boot:
        spans[one.epoch].append(one.seq)
    stretches = []
    for epoch, seqs in sorted(spans.items()):
        rows = certain.get(epoch, [])
        below, above = bisect_left(rows, (min(seqs),)), bisect_left(rows, (max(seqs) + 1,))
        before = rows[below - 1][:2] if below else None
        after = (rows[above][0], rows[above][2]) if above < len(rows) else None
        stretches.append(Stretch(epoch, min(seqs), max(seqs), before, after))
    begins = [one.claimed_us - one.boot_us for one in boot]
    return UndatedBoot(
        boot_id=boot[0].boot_id,
        stretches=tuple(stretches),
        first_us=boot[0].boot_us,
        last_us=boot[-1].boot_us,
        claimed_us=begins[-1],
        steady=max(begins) - min(begins) <= TOLERANCE_US,
        received_us=min(one.received_us - one.boot_us for one in boot),
    )
