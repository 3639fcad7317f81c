"""What time it is, as others say it: from NTP through the machine's clock, and from the hub's welcome."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from edge.core.actions import Action, Clear, Raise, Record
from edge.core.frame import NS_PER_S
from edge.core.presence import UNNUMBERED
from protocol.events import Anchor, ClockQuality, Stamp

LONGEST_ROUND_TRIP_S = 1.8
"""An answer that took longer says too little of what time it is now: an anchor is to be right to a second."""
_WRONG_S = 2.0
_AGREES_S = 0.25
_NEW_AGAIN_S = 6 * 3600.0
_ERROR_MS = 100
_FIRST_YEAR, _LAST_YEAR = 2000, 2200
"""No school's clock says anything else: such a time is nobody's, and a hub would refuse the event."""


@dataclass(frozen=True, slots=True)
class _Known:
    boot_id: str
    boottime_ns: int
    boot_s: float
    """UTC at the start of this boot: what an anchor says, whatever the wall clock does."""


@dataclass(slots=True)
class TimeBook:
    """Writes an anchor down where it tells something new. One thread."""

    new_id: Callable[[], str]
    _quality: ClockQuality = "unsynced"
    _last: _Known | None = None
    _anchored_connection: bool = False

    def connected(self) -> None:
        """Begin a connection: of each, at most one welcome in six hours is written down."""
        self._anchored_connection = False

    def observe(self, stamp: Stamp) -> list[Action]:
        """Look at the machine's clock; return the anchor when NTP has just set it."""
        before, self._quality = self._quality, stamp.clock
        if stamp.clock != "synced" or before == "synced":
            return []
        return self._anchor(stamp, stamp.at, "ntp", _ERROR_MS)

    def told(self, server_time: datetime, round_trip_s: float, stamp: Stamp) -> list[Action]:
        """Learn the time from a welcome that took `round_trip_s` (at most LONGEST_ROUND_TRIP_S) to come."""
        # The hub said it somewhere between our hello and now: in the middle the error is smallest.
        utc = _later(server_time, round_trip_s / 2)
        actions = self._compare(utc, stamp)
        if not _FIRST_YEAR <= utc.year <= _LAST_YEAR or self._says_nothing_new(utc, stamp):
            return actions
        self._anchored_connection = True
        return [*actions, *self._anchor(stamp, utc, "welcome", round(round_trip_s * 500) + _ERROR_MS)]

    def _compare(self, utc: datetime, stamp: Stamp) -> list[Action]:
        apart_s = abs((utc - stamp.at).total_seconds())
        if apart_s < _WRONG_S:
            return [Clear("clock_wrong")]
        return [Raise("clock_wrong", f"this unit's clock and the hub's are {apart_s:.0f} s apart: check NTP")]

    def _says_nothing_new(self, utc: datetime, stamp: Stamp) -> bool:
        last = self._last
        return (
            last is not None
            and last.boot_id == stamp.boot_id
            and stamp.boottime_ns - last.boottime_ns < _NEW_AGAIN_S * NS_PER_S
            and (self._anchored_connection or abs(_boot_s(utc, stamp) - last.boot_s) <= _AGREES_S)
        )

    def _anchor(self, stamp: Stamp, utc: datetime, source: Literal["ntp", "welcome"], error_ms: int) -> list[Action]:
        self._last = _Known(stamp.boot_id, stamp.boottime_ns, _boot_s(utc, stamp))
        anchor = Anchor(
            **stamp.model_dump(),
            event_id=self.new_id(),
            seq=UNNUMBERED,
            utc=utc,
            source=source,
            error_ms=error_ms,
        )
        return [Record(anchor)]


def _boot_s(utc: datetime, stamp: Stamp) -> float:
    return utc.timestamp() - stamp.boottime_ns / NS_PER_S


def _later(moment: datetime, seconds: float) -> datetime:
    try:
        return moment + timedelta(seconds=seconds)
    except OverflowError:
        # The last second of the year 9999: nobody's time, see above.
        return moment
