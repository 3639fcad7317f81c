"""What the events of a boot say of which no moment is known, summed up, so that nobody reads them again. Pure.

Moments are whole microseconds since 1970, those of the boot's clock since it began, as in `hub.core.dating`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from hub.core.batches import EventRow
from hub.core.dating import TOLERANCE_US, micros
from hub.core.dating_bounds import Estimate, Stretch, UndatedBoot

_END = 2**62


@dataclass(frozen=True, slots=True)
class Facts:
    """What the events of an undated boot in one epoch say of time. `first_us` None: not summed up."""

    first_seq: int
    last_seq: int
    first_us: int | None = None
    last_us: int = 0
    lowest_us: int = 0
    highest_us: int = 0
    received_us: int = 0
    claimed_seq: int = 0
    claimed_us: int = 0
    before_seq: int | None = None
    before_us: int | None = None
    after_seq: int | None = None
    after_us: int | None = None
    earliest_us: int | None = None
    latest_us: int | None = None
    begin_us: int | None = None
    widest_earliest_us: int | None = None
    widest_latest_us: int | None = None

    @property
    def guess(self) -> Estimate | None:
        """The estimate its events have."""
        if self.earliest_us is None or self.latest_us is None:
            return None
        return Estimate(self.earliest_us, self.latest_us, self.begin_us)

    @property
    def widest(self) -> tuple[int, int] | None:
        """Between which moments its boot began by any estimate so far."""
        if self.widest_earliest_us is None or self.widest_latest_us is None:
            return None
        return self.widest_earliest_us, self.widest_latest_us

    def guessed(self, guess: Estimate, widest: tuple[int, int]) -> "Facts":
        """Return the same with another estimate."""
        return replace(
            self,
            earliest_us=guess.earliest_us,
            latest_us=guess.latest_us,
            begin_us=guess.begin_us,
            widest_earliest_us=widest[0],
            widest_latest_us=widest[1],
        )

    def beside(self, first_seq: int, last_seq: int) -> bool:
        """Tell whether any of these seqs lies where it would tell something about this boot."""
        return (self.before_seq or 0) <= last_seq and first_seq <= (_END if self.after_seq is None else self.after_seq)

    def within(self) -> bool:
        """Tell whether its events still lie between the neighbours that are written down."""
        return (self.before_seq or 0) < self.first_seq and self.last_seq < (self.after_seq or _END)

    def with_news(self, rows: Iterable[tuple[EventRow, datetime]]) -> "Facts":
        """Return the same with more events of the boot in this epoch; those that are in it already change nothing."""
        told = [
            (row.event.boottime_ns // 1000, row.event.seq, micros(row.event.at), micros(received_at))
            for row, received_at in rows
        ]
        begins = [at_us - boot_us for boot_us, _, at_us, _ in told]
        last_us, last_seq, last_at_us, _ = max(told)
        seqs = [seq for _, seq, _, _ in told]
        first_us = min(boot_us for boot_us, *_ in told)
        found = Facts(
            first_seq=min(seqs),
            last_seq=max(seqs),
            first_us=first_us,
            last_us=last_us,
            lowest_us=min(begins),
            highest_us=max(begins),
            received_us=min(received_us - boot_us for boot_us, _, _, received_us in told),
            claimed_seq=last_seq,
            claimed_us=last_at_us - last_us,
        )
        return found if self.first_us is None else self._with(found)

    def _with(self, more: "Facts") -> "Facts":
        later = (more.last_us, more.claimed_seq) > (self.last_us, self.claimed_seq)
        return replace(
            self,
            first_seq=min(self.first_seq, more.first_seq),
            last_seq=max(self.last_seq, more.last_seq),
            first_us=min(one for one in (self.first_us, more.first_us) if one is not None),
            last_us=max(self.last_us, more.last_us),
            lowest_us=min(self.lowest_us, more.lowest_us),
            highest_us=max(self.highest_us, more.highest_us),
            received_us=min(self.received_us, more.received_us),
            claimed_seq=more.claimed_seq if later else self.claimed_seq,
            claimed_us=more.claimed_us if later else self.claimed_us,
        )


def boot_of(boot_id: str, facts: Mapping[str, Facts]) -> UndatedBoot:
    """Return a boot, given what is summed up of it by epoch."""
    told = facts.values()
    _, last = max(facts.items(), key=lambda item: (item[1].last_us, item[0]))
    return UndatedBoot(
        boot_id=boot_id,
        stretches=tuple(_stretch(epoch, one) for epoch, one in sorted(facts.items())),
        first_us=min(one.first_us for one in told if one.first_us is not None),
        last_us=last.last_us,
        claimed_us=last.claimed_us,
        steady=max(one.highest_us for one in told) - min(one.lowest_us for one in told) <= TOLERANCE_US,
        received_us=min(one.received_us for one in told),
    )


def _stretch(epoch: str, one: Facts) -> Stretch:
    before = None if one.before_seq is None or one.before_us is None else (one.before_seq, one.before_us)
    after = None if one.after_seq is None or one.after_us is None else (one.after_seq, one.after_us)
    return Stretch(epoch, one.first_seq, one.last_seq, before, after)
