"""Between which moments a boot was of which no moment is known: from its neighbours in the unit's stream. Pure.

Moments are whole microseconds since 1970, as in `hub.core.dating`.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

DRIFT_PPM = 200
"""No crystal is worse. A boot of three days may have been half a minute longer or shorter than its clock says."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """The events of an undated boot in one stream, with the nearest certain events around them."""

    epoch: str
    first_seq: int
    last_seq: int
    before: tuple[int, int] | None
    """Seq and moment of the last certain event before it."""
    after: tuple[int, int] | None
    """Seq of the first certain event after it, and the moment at which that one's boot began."""

    @property
    def gap(self) -> tuple[str, int, int]:
        """Names the gap between certain events in which it lies; boots in one gap come one after another."""
        return self.epoch, self.before[0] if self.before else 0, self.after[0] if self.after else 2**62


@dataclass(frozen=True, slots=True)
class UndatedBoot:
    """A boot of which no moment is known."""

    boot_id: str
    stretches: tuple[Stretch, ...]
    first_us: int
    """Of its clock, at its first event."""
    last_us: int
    """Of its clock, at its last event: it ran at least so long."""
    claimed_us: int
    """When it began, by what its clock said last."""
    steady: bool
    """Its clock was not set in between."""
    received_us: int
    """It began no later, since otherwise an event would have been received before it was."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Between which moments a boot began, and at which one it is put; None: its events keep what they claim.

    The bounds leave room for a clock that drifts: with them, every event of the boot lies between `earliest_us` and
    `latest_us` and what its clock said since the beginning.
    """

    earliest_us: int
    latest_us: int
    begin_us: int | None


def estimate(boots: Sequence[UndatedBoot], added_us: int) -> dict[str, Estimate]:
    """Return when these boots of one unit were, which was added at `added_us`.

    To be given every undated boot that shares a gap with one of them: boots in one gap narrow each other.
    """
    by_gap: dict[tuple[str, int, int], list[tuple[Stretch, UndatedBoot]]] = defaultdict(list)
    for boot in boots:
        for stretch in boot.stretches:
            by_gap[stretch.gap].append((stretch, boot))
    lows: dict[str, list[int]] = defaultdict(list)
    highs: dict[str, list[int]] = defaultdict(list)
    for gap in by_gap.values():
        gap.sort(key=lambda one: (one[0].first_seq, one[1].boot_id))
        _from_below(gap, lows, added_us)
        _from_above(gap, highs, added_us)
    bounds = {boot.boot_id: _bounds(max(lows[boot.boot_id]), min(highs[boot.boot_id])) for boot in boots}
    return _placed(by_gap, bounds)


_Gap = list[tuple[Stretch, UndatedBoot]]


def _from_below(gap: _Gap, lows: dict[str, list[int]], added_us: int) -> None:
    before = gap[0][0].before
    # Nothing of a boot that came before is later than the beginning of this one.
    free_us = None if before is None else before[1]
    # Boots that claim to have run for years each would otherwise end in the year 10000.
    most_us = max([boot.received_us for _, boot in gap] + ([] if before is None else [before[1]]))
    for _, boot in gap:
        low = added_us - boot.first_us
        low = low if free_us is None else max(low, min(free_us, most_us))
        lows[boot.boot_id].append(low)
        free_us = low + boot.last_us


def _from_above(gap: _Gap, highs: dict[str, list[int]], added_us: int) -> None:
    after = gap[-1][0].after
    over_us = None if after is None else after[1]
    for _, boot in reversed(gap):
        high = boot.received_us if over_us is None else min(boot.received_us, over_us - boot.last_us)
        high = max(high, added_us - boot.first_us)
        highs[boot.boot_id].append(high)
        over_us = high


def _bounds(low: int, high: int) -> tuple[int, int]:
    # Contradictory when a stream was put together anew from pieces, or a hub's clock was set: then both are doubtful.
    return (low, high) if low <= high else (high, low)


def _placed(by_gap: Mapping[tuple[str, int, int], _Gap], bounds: Mapping[str, tuple[int, int]]) -> dict[str, Estimate]:
    found: dict[str, Estimate] = {}
    for _, gap in sorted(by_gap.items()):
        free_us: int | None = None
        # The boots of a gap are measured against each other, each by its own clock.
        doubt = sum(boot.last_us for _, boot in gap) * DRIFT_PPM // 1_000_000
        for _, boot in gap:
            low, high = bounds[boot.boot_id]
            if boot.boot_id not in found:
                after_others = low if free_us is None else min(max(low, free_us), high)
                begin = min(max(boot.claimed_us, after_others), high)
                keeps = boot.steady and begin == boot.claimed_us
                found[boot.boot_id] = Estimate(low - doubt, high + doubt, None if keeps else begin)
            put = found[boot.boot_id].begin_us
            free_us = (boot.claimed_us if put is None else put) + boot.last_us
    return found
