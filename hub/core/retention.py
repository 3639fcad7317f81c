"""What is kept how long, and what is due to be deleted: pure functions of periods and moments.

Days are the school's. A period of 0 days keeps for ever.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

FROZEN_UNTIL = "register.frozen_until"
"""The row of `hub_facts` that holds the first day whose register may still be derived, as an ISO date.

Of the days before it events may be gone: their rows stay as they are. It never moves back.
"""

QUIET_FROM = time(3, 30)
QUIET_UNTIL = time(6, 0)
"""When the daily run begins, by the school's clock."""

DAYS_BESIDE = 1
"""Deriving a day looks at events of the day before: whoever stayed, and lessons that go on after midnight."""

LONGEST_AWAY = timedelta(days=28)
"""How far our clock may move between two runs and be believed by itself: less than faces are kept after consent ended,
so that nobody's goes by it who may be recognised today."""

_A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Periods:
    """How many days each kind is kept; 0: for ever."""

    events: int
    attendance: int
    audit: int
    quarantine: int
    faces_after_leaving: int
    faces_after_lapse: int = 30
    """After the last consent ended. Never for ever."""


@dataclass(frozen=True, slots=True)
class Due:
    """Everything older than these is due; None: nothing of that kind is.

    `events` and `attendance` are the first days that stay, `left` the first last day at school of whom faces stay.
    """

    events: date | None
    attendance: date | None
    audit: datetime | None
    quarantine: datetime | None
    left: date | None
    lapsed: datetime

    @property
    def frozen(self) -> date | None:
        """The first day that is still to be derived, if nothing speaks against it."""
        return max((day for day in (self.events, self.attendance) if day is not None), default=None)


@dataclass(frozen=True, slots=True)
class Heard:
    """What is known of the present beside our clock; None: nothing of the kind.

    `received_at` and `seen_at` are when the newest event was received, by our clock, and when it was; what units have
    no time of their own for is dated by ours as well.
    """

    received_at: datetime | None
    seen_at: datetime | None
    read_at: datetime | None = None
    """What our clock said when it was last believed."""
    told_at: datetime | None = None
    """The newest moment of a unit that asks a time server and not us."""


def clock_agrees(clock: datetime, heard: Heard) -> bool:
    """Tell whether our clock moved no further than it may since it was last believed."""
    return heard.read_at is not None and clock - heard.read_at <= LONGEST_AWAY


def believed_now(clock: datetime, heard: Heard) -> datetime:
    """Return the moment that periods count from: our clock, as far as it agrees with what it said before.

    A clock that jumped forward by years must not delete years. One that moved further than LONGEST_AWAY since the last
    run is believed only as far as a unit with a time of its own says the same. Units say when what they send was: it
    holds back a clock that is ahead of what they sent today, or one of which nothing else is known. A summer in which
    nothing is heard of any unit holds nothing back.
    """
    agrees = clock_agrees(clock, heard)
    lately = heard.received_at is not None and heard.received_at >= clock - _A_DAY
    if agrees and not lately:
        return clock
    bounds = [moment + _A_DAY for moment in (heard.received_at, heard.seen_at) if moment is not None]
    return min([_reading(clock, heard), *bounds])


def believed_reading(clock: datetime, heard: Heard) -> datetime:
    """Return what is to be noted as the clock's reading that is believed (`Heard.read_at` of the next time).

    A clock that went back by more than LONGEST_AWAY is not: the one before may have been right.
    """
    if heard.read_at is not None and heard.read_at - clock > LONGEST_AWAY:
        return heard.read_at
    return _reading(clock, heard)


def _reading(clock: datetime, heard: Heard) -> datetime:
    if heard.read_at is None or clock_agrees(clock, heard):
        return clock
    told = heard.read_at if heard.told_at is None else heard.told_at + _A_DAY
    return max(heard.read_at, min(clock, told))


def due(periods: Periods, now: datetime, zone: ZoneInfo) -> Due:
    """Return what is due at a moment (`believed_now`)."""
    today = now.astimezone(zone).date()
    return Due(
        events=_first_day(today, periods.events),
        attendance=_first_day(today, periods.attendance),
        audit=_moment(now, periods.audit),
        quarantine=_moment(now, periods.quarantine),
        left=_first_day(today, periods.faces_after_leaving),
        lapsed=now - timedelta(days=max(1, periods.faces_after_lapse)),
    )


def frozen_until(wanted: date | None, before: date | None, waits: Iterable[date | None]) -> date | None:
    """Return the first day whose register may still be derived from now on; None: every day may.

    `wanted` is `Due.frozen`, `before` what holds now. A day stays open while anything on it or before it waits: `waits`
    are the first days of what has to be derived, and of lessons that are over and were not looked at.
    """
    if wanted is None:
        return before
    reached = min([wanted, *(day for day in waits if day is not None)])
    return reached if before is None else max(before, reached)


def events_before(due_day: date | None, frozen: date | None, zone: ZoneInfo) -> datetime | None:
    """Return before which moment events may be deleted; None: none may.

    Only of days that are frozen, and not of the last of them: what is derived of the next day reaches back into it.
    """
    if due_day is None or frozen is None:
        return None
    try:
        first = min(due_day, frozen) - timedelta(days=DAYS_BESIDE)
    except OverflowError:
        return None
    return datetime.combine(first, time(), zone)


def run_due(now: datetime, zone: ZoneInfo, last_day: date | None) -> bool:
    """Tell whether the daily run is to begin: at the quiet hour; at any hour when a whole day went by without one."""
    local = now.astimezone(zone)
    today = local.date()
    if last_day is not None and last_day > today + _A_DAY:
        # A clock that was ahead and was put right: that day is far away.
        last_day = None
    if last_day is not None and last_day >= today:
        return False
    quiet = QUIET_FROM <= local.time() < QUIET_UNTIL
    return quiet or (last_day is not None and today - last_day > _A_DAY)


@dataclass(frozen=True, slots=True)
class UndatedStretch:
    """What of a stream is of a boot of which nobody knows when it was.

    `until` is the latest moment that it may have been; None: nobody can say. `before_seq` and `after_seq` are the
    dated events around it, by which it is estimated.
    """

    first_seq: int
    last_seq: int
    before_seq: int | None
    after_seq: int | None
    until: datetime | None

    def over(self, moment: datetime, high_water: int) -> bool:
        """Whether no anchor can come any more that tells when it was, and all of it was before a moment."""
        complete = self.after_seq is not None and self.after_seq <= high_water
        return complete and self.until is not None and self.until < moment


def deletable_up_to(high_water: int, undated: Collection[UndatedStretch], moment: datetime) -> int:
    """Return up to which seq of a stream events older than `moment` may go; 0: none may.

    Nothing above the first gap, and nothing from the first undated stretch on that may still be told when it was,
    nor the event before it, by which it is estimated.
    """
    limit = high_water
    for one in undated:
        if not one.over(moment, high_water):
            first = one.first_seq if one.before_seq is None else min(one.first_seq, one.before_seq)
            limit = min(limit, first - 1)
    return max(0, limit)


def _first_day(today: date, days: int) -> date | None:
    if not days:
        return None
    try:
        return today - timedelta(days=days)
    except OverflowError:
        return None


def _moment(now: datetime, days: int) -> datetime | None:
    if not days:
        return None
    try:
        return now - timedelta(days=days)
    except OverflowError:
        return None
