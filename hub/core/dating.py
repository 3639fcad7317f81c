"""When events really were, from what a unit's clock said, its anchors, and the order of its stream. Pure.

Within a boot the boot-time clock is never set and tells true distances, so one moment that is known dates all of it:

- An anchor does: what lies between two anchors is dated by both when they differ as clocks drift, else by the nearer
  one. After the last one the boot's clock is taken to drift on as it surely did before. An anchor beside which a
  better one stands, even if a clock drifts in between, does not count. An event whose clock was set keeps what it said,
  unless the anchors contradict it by more than two seconds and their own error.
- Without an anchor, the first event whose clock was set dates those whose clock was not.
- A boot without either is estimated (`hub.core.dating_bounds`): it began after the last certain event before it in
  the stream and after the unit was added, and was over when the next one began and when the hub received it. What its
  clock said holds if it lies in between; else the boot is moved as a block, order and distances kept, to the nearest
  end.

Everything is a function of the set of events: the order in which they arrive changes nothing. Moments are whole
microseconds since 1970 (`us`). `begin` is the moment at which a boot's clock was zero.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from hub.core.dating_bounds import DRIFT_PPM

Basis = Literal["claimed", "anchor", "estimated"]

TOLERANCE_US = 2_000_000
"""How far an event whose clock was set may be from what the anchors say, beside the error that these own up to."""

MOST_ERROR_US = 60_000_000
"""No anchor is taken to be worse: it would say nothing, and a unit may write any number."""

AHEAD_US = 86_400_000_000
"""How far ahead of the hub's clock a moment may be that is believed: nothing is received before it was.

A day, since the hub's clock may be the wrong one of the two: that must not make every unit's time doubtful.
"""

FIRST_US = 1_704_067_200_000_000
"""2024: there were no units before. A time server that says less, like a clock that was never set, is not believed."""

_LONG_US = 3_600_000_000
"""Anchors so far apart tell how a clock drifts."""
_GOES_ON_US = 7 * 86_400_000_000
_DRIFT_US = 500_000
_BILLION = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_WATCH = timedelta(hours=6)


def micros(moment: datetime) -> int:
    """Return an aware moment in whole microseconds since 1970."""
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def moment(us: int) -> datetime:
    """Return the moment, aware, in UTC."""
    return _EPOCH + timedelta(microseconds=us)


def credible(us: int, received_us: int) -> bool:
    """Tell whether a clock that said this can have been right."""
    return FIRST_US <= us <= received_us + AHEAD_US


def watched_since(since: datetime, at: datetime, watched_s: float, until: datetime) -> datetime:
    """Return since when a coverage event watched that really ended at `until`; `since` and `at` are what it says.

    A clock that was set in between makes them useless; what was watched was measured by another one.
    """
    length = at - since
    if not timedelta(0) <= length <= _LONGEST_WATCH:
        # As seconds: a unit may say any number, and a span of time cannot hold all of them.
        length = timedelta(seconds=min(watched_s, _LONGEST_WATCH.total_seconds()))
    return until - length


@dataclass(frozen=True, slots=True, order=True)
class Known:
    """One moment of a boot that is known: by its own clock and in truth."""

    boot_us: int
    at_us: int
    error_us: int = 0
    """By how much `at_us` may be wrong."""

    @property
    def begin_us(self) -> int:
        """When the boot began by this."""
        return self.at_us - self.boot_us

    def drifts_to(self, other: "Known") -> bool:
        """Tell whether a clock that drifts, and nothing else, makes this one of another one, which is later."""
        apart_us, moved_us = other.boot_us - self.boot_us, other.begin_us - self.begin_us
        return abs(moved_us) <= max(_DRIFT_US, self.error_us + other.error_us) + _drift_us(apart_us)


def _drift_us(apart_us: int) -> int:
    return apart_us * DRIFT_PPM // 1_000_000


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a boot and its dates: at `b` of its clock it was begin + b + (b - base) * slope / 10**9."""

    from_us: int | None
    """Of the boot's clock; None: from its beginning."""
    until_us: int | None
    """Exclusive; None: to its end."""
    base_us: int
    begin_us: int
    slope_ppb: int
    tolerance_us: int = TOLERANCE_US
    """How far an event whose clock was set may be from these dates."""

    def at_us(self, boot_us: int) -> int:
        """Return when it was; exactly what the database computes."""
        drift = (boot_us - self.base_us) * self.slope_ppb
        return self.begin_us + boot_us + (drift // _BILLION if drift >= 0 else -(-drift // _BILLION))

    def holds(self, boot_us: int) -> bool:
        """Tell whether this stretch has this moment of the boot's clock."""
        return (self.from_us is None or self.from_us <= boot_us) and (self.until_us is None or boot_us < self.until_us)


class Timeline:
    """The dates of a boot of which at least one moment is known."""

    def __init__(self, known: Iterable[Known]) -> None:
        self.known = _telling(known)
        if not self.known:
            raise ValueError("nothing is known of this boot")
        self.segments = self._segments()

    def _segments(self) -> list[Segment]:
        first = self.known[0]
        found = [_by_one(first, None, first.boot_us)]
        for one, other in zip(self.known, self.known[1:], strict=False):
            if one.drifts_to(other):
                apart_us, moved_us = other.boot_us - one.boot_us, other.begin_us - one.begin_us
                slope = abs(moved_us) * _BILLION // apart_us * (1 if moved_us >= 0 else -1)
                tolerance_us = TOLERANCE_US + max(one.error_us, other.error_us)
                found.append(Segment(one.boot_us, other.boot_us, one.boot_us, one.begin_us, slope, tolerance_us))
            else:
                middle = (one.boot_us + other.boot_us) // 2
                found.append(_by_one(one, one.boot_us, middle))
                found.append(_by_one(other, middle, other.boot_us))
        return [*found, *self._after_the_last()]

    def _after_the_last(self) -> list[Segment]:
        last, slope = self.known[-1], self._sure_slope_ppb()
        if not slope:
            return [_by_one(last, last.boot_us, None)]
        end, tolerance_us = last.boot_us + _GOES_ON_US, TOLERANCE_US + last.error_us
        drifting = Segment(last.boot_us, end, last.boot_us, last.begin_us, slope, tolerance_us)
        return [drifting, Segment(end, None, end, drifting.at_us(end) - end, 0, tolerance_us)]

    def _sure_slope_ppb(self) -> int:
        """Return the least drift that explains what is known up to the last moment: no more of it than is proved.

        So it is never worse to carry it on than not to.
        """
        last = first = self.known[-1]
        for one in reversed(self.known[:-1]):
            if not one.drifts_to(first):
                break
            first = one
        apart_us, moved_us = last.boot_us - first.boot_us, last.begin_us - first.begin_us
        sure_us = abs(moved_us) - first.error_us - last.error_us
        if apart_us < _LONG_US or sure_us <= 0:
            return 0
        return min(sure_us * _BILLION // apart_us, DRIFT_PPM * 1000) * (1 if moved_us >= 0 else -1)

    def changed_since(self, before: "Timeline") -> list[Segment]:
        """Return the stretches in which something may have another date than in an earlier timeline of this boot."""
        same = set(before.segments)
        return [one for one in self.segments if one not in same]

    def at_us(self, boot_us: int) -> int:
        """Return when it was at this moment of the boot's clock."""
        return self.segment(boot_us).at_us(boot_us)

    def segment(self, boot_us: int) -> Segment:
        """Return the stretch that has this moment of the boot's clock."""
        return next(one for one in self.segments if one.holds(boot_us))

    def range_us(self) -> tuple[int, int]:
        """Return the earliest and the latest moment at which the boot began, by any of its stretches."""
        begins = [*(one.begin_us for one in self.known), *(one.begin_us for one in self.segments)]
        return min(begins), max(begins)


def _by_one(known: Known, from_us: int | None, until_us: int | None) -> Segment:
    return Segment(from_us, until_us, known.boot_us, known.begin_us, 0, TOLERANCE_US + known.error_us)


def _telling(known: Iterable[Known]) -> list[Known]:
    """Return what tells more than its neighbours do, in the order of the boot's clock."""
    # Of two at one moment the better one, and of two that are as good the earlier of what they say.
    ranked = sorted(known, key=lambda one: (one.boot_us, one.error_us, one.at_us), reverse=True)
    one_each = sorted({one.boot_us: one for one in ranked}.values())
    from_before = _excelled(one_each)
    from_after = _excelled(one_each[::-1])
    return [one for one in one_each if one not in from_before and one not in from_after]


def _excelled(known: Iterable[Known]) -> set[Known]:
    """Return those of which an earlier one in this order tells more, whatever the clock drifted since."""
    found: set[Known] = set()
    at_us = error_us = 0
    for number, one in enumerate(known):
        reach_us = error_us + _drift_us(abs(one.boot_us - at_us))
        if number and reach_us < one.error_us:
            found.add(one)
        else:
            at_us, error_us = one.boot_us, one.error_us
    return found
