"""Times as a school writes them: ISO format, in the school's time zone unless an offset is written."""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Literal

from hub.core.errors import BadInput

_FORM = re.compile(r"^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2})?)(Z|[+-]\d{2}:\d{2})?$", re.ASCII)
_EXAMPLE = "write it like 2026-09-01T08:00 or 2026-09-01T08:00+02:00"
_YEARS_AROUND = 5
_HOURS = 24
_MINUTES = 60

Clock = Literal["", "skipped", "twice"]
"""What is odd about a time of day on a day: the clocks skip it, or it happens twice."""


def school_time(text: str, zone: tzinfo, what: str) -> datetime:
    """Return the moment in UTC.

    Raises BadInput for another format, for a time that the zone skips when its clocks go forward, and for one that
    happens twice when they go back.
    """
    form = _FORM.match(text.strip())
    if form is None:
        raise BadInput(f"{what} {text.strip()[:40]!r} is not a time: {_EXAMPLE}")
    try:
        written = datetime.fromisoformat(f"{form[1]}T{form[2]}{form[3] or ''}")
        return written.astimezone(UTC) if written.tzinfo is not None else _from_local(written, zone, what)
    except (ValueError, OverflowError) as exc:
        raise BadInput(f"{what} {text.strip()!r} is not a time that exists: {_EXAMPLE}") from exc


def _from_local(local: datetime, zone: tzinfo, what: str) -> datetime:
    first, second = (local.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return first.astimezone(UTC)
    clock, day = f"{local:%H:%M}", f"{local:%Y-%m-%d}"
    if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != local:
        raise BadInput(f"{what} {clock} on {day} does not exist in {zone}: the clocks go forward over it that day")
    offsets = " or ".join(moment.isoformat(timespec="minutes") for moment in (first, second))
    raise BadInput(f"{what} {clock} on {day} happens twice in {zone}, because the clocks go back: write {offsets}")


def checked_span(starts_at: datetime, ends_at: datetime, now: datetime, longest: timedelta) -> None:
    """Raise BadInput for a lesson that ends before it starts, is too long, or lies absurdly far from now."""
    if ends_at <= starts_at:
        raise BadInput("it ends before it starts" if ends_at < starts_at else "it ends when it starts")
    if ends_at - starts_at > longest:
        raise BadInput(f"it lasts longer than {longest.total_seconds() / 3600:g} hours: is the date of its end right?")
    if abs(starts_at - now) > timedelta(days=366 * _YEARS_AROUND):
        raise BadInput(f"it is more than {_YEARS_AROUND} years from now: is the year right?")


def school_day(text: str) -> date:
    """Return a day written as 2026-09-01. Raises BadInput."""
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text.strip(), re.ASCII):
            return date.fromisoformat(text.strip())
    except ValueError as exc:
        raise BadInput(f"there is no day {text.strip()!r}") from exc
    raise BadInput(f"{text.strip()[:40]!r} is not a day: write it like 2026-09-01")


def day_bounds(day: date, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return the UTC moments at which a day of the school begins and ends: 23 to 25 hours apart."""
    start = datetime(day.year, day.month, day.day, tzinfo=zone)
    following = day + timedelta(days=1)
    end = datetime(following.year, following.month, following.day, tzinfo=zone)
    return start.astimezone(UTC), end.astimezone(UTC)


def day_of(moment: datetime, zone: tzinfo) -> date:
    """Return the school's day at that moment."""
    return moment.astimezone(zone).date()


def local_iso(moment: datetime, zone: tzinfo) -> str:
    """Return the moment in the school's time zone with its offset, to the second."""
    return moment.astimezone(zone).replace(microsecond=0).isoformat()


def school_clock(text: str, what: str) -> time:
    """Return a time of day written as 08:00 or 8:00. Raises BadInput."""
    form = re.fullmatch(r"(\d{1,2}):(\d{2})(?::00)?", text.strip(), re.ASCII)
    if form is not None and int(form[1]) < _HOURS and int(form[2]) < _MINUTES:
        return time(int(form[1]), int(form[2]))
    raise BadInput(f"{what} {text.strip()[:40]!r} is not a time of day: write it like 08:00")


def moment_on(day: date, clock: time, zone: tzinfo) -> tuple[datetime, Clock]:
    """Return the moment in UTC at which the school's clock shows `clock` on `day`, and what is odd about it.

    As in RFC 5545: a time that the clocks skip is later by what they skip, of one that happens twice it is the first.
    """
    first, second = (datetime.combine(day, clock, zone).replace(fold=fold) for fold in (0, 1))
    moment = first.astimezone(UTC)
    if first.utcoffset() == second.utcoffset():
        return moment, ""
    skipped = moment.astimezone(zone).replace(tzinfo=None) != first.replace(tzinfo=None)
    return moment, "skipped" if skipped else "twice"
