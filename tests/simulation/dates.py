"""How right the dates are: the hub's own dating of everything on record beside the true time, which tests know."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from hub.core.dating_stream import Reading, date_all
from tests.simulation.checker import Checker
from tests.simulation.clocks import MONDAY_US
from tests.simulation.database import Record

ANCHORED = "boots with an anchor"
SYNCED = "boots with a set clock and no anchor"
UNDATED = "boots never dated"
_ADDED_US = MONDAY_US - 86_400_000_000
ERROR_US = 1_000_000


@dataclass(slots=True)
class Errors:
    """How far dates are from the truth, in microseconds, for one kind of boot."""

    sizes: list[int] = field(default_factory=list)
    beyond: int = 0
    """Over a second."""
    outside: int = 0
    """Estimates whose bounds do not hold the truth."""
    highest_us: int = 0
    worst: str = ""

    @property
    def highest_s(self) -> float:
        """The largest error."""
        return self.highest_us / 1e6

    def quantile_s(self, share: float) -> float:
        """Return the error that this share of the events does not exceed."""
        return sorted(self.sizes)[int(share * (len(self.sizes) - 1))] / 1e6 if self.sizes else 0.0


def judge_dates(checker: Checker) -> dict[str, Errors]:
    """Date everything on record and compare; an event of a boot with an anchor that is over a second off is wrong."""
    found: dict[str, Errors] = {ANCHORED: Errors(), SYNCED: Errors(), UNDATED: Errors()}
    by_unit: dict[str, list[Record]] = defaultdict(list)
    for record in checker.database.by_id.values():
        by_unit[record.place[0]].append(record)
    for records in by_unit.values():
        _judge_unit(checker, records, found)
    errors = found[ANCHORED]
    if errors.beyond:
        checker.fail(f"T: {errors.beyond} events of boots with an anchor are dated over a second off; {errors.worst}")
    return found


def _judge_unit(checker: Checker, records: list[Record], found: dict[str, Errors]) -> None:
    dates = date_all([record.reading for record in records], _ADDED_US)
    anchored = _boots(record.reading for record in records if record.reading.anchor_us is not None)
    dated = _boots(record.reading for record in records if record.reading.set_right)
    for record in records:
        reading = record.reading
        date = dates[reading.epoch, reading.seq]
        kind = ANCHORED if reading.boot_id in anchored else SYNCED if reading.boot_id in dated else UNDATED
        errors = found[kind]
        truth_us = checker.ledger[record.event_id].true_us
        error_us = abs(date.at_us - truth_us)
        if error_us > ERROR_US:
            errors.beyond += 1
            if error_us > errors.highest_us:
                errors.worst = f"{record.event_id} by {error_us / 1e6:.3f} s ({date.basis}, clock {reading.clock})"
        errors.highest_us = max(errors.highest_us, error_us)
        errors.sizes.append(error_us)
        earliest, latest = date.earliest_us, date.latest_us
        if earliest is not None and latest is not None and not earliest - ERROR_US <= truth_us <= latest + ERROR_US:
            errors.outside += 1


def _boots(readings: Iterable[Reading]) -> set[str]:
    return {reading.boot_id for reading in readings}
