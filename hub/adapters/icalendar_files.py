"""Reads calendar files (iCalendar, RFC 5545): the times at which their events take place in a stretch of days."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

import icalendar
import recurring_ical_events  # type: ignore[import-untyped]  # it has no types

from hub.core.errors import BadInput
from hub.core.timetable_calendar import Occurrence, Source

MAX_CALENDAR_BYTES = 10 * 1024 * 1024
MAX_OCCURRENCES = 50_000
_MAX_EVENTS = 10_000
_MAX_TIMES_A_DAY = 24
_OLDEST = timedelta(days=20 * 366)
_FIRST_YEAR, _LAST_YEAR = 1900, 2200
_SHOWN = 10
_WEEK = 7
_TIMES = {"DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID"}
_RULES = {"DAILY", "WEEKLY", "MONTHLY", "YEARLY"}
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CalendarFile:
    """What a calendar says about a stretch of days: when its events take place, and how many last whole days."""

    occurrences: tuple[Occurrence, ...]
    all_day: int
    uids: frozenset[str]
    """Of all its events, also those that do not take place in these days."""


def read_calendar(data: bytes, first: date, last: date, zone: tzinfo) -> CalendarFile:
    """Return what takes place on the days from `first` to `last`; times without a zone are those of `zone`.

    Raises BadInput for a file that is too large, is no calendar, or has events that cannot be understood.
    """
    if len(data) > MAX_CALENDAR_BYTES:
        raise BadInput(f"the file has {len(data)} bytes; at most {MAX_CALENDAR_BYTES} are read", hint="split it")
    calendars = _parsed(data)
    events = [event for calendar in calendars for event in calendar.walk("VEVENT")]
    _check(events, first, last)
    masters = {_uid(event): event for event in events if "RECURRENCE-ID" not in event}
    found: dict[tuple[str, datetime], Occurrence] = {}
    all_day: set[str] = set()
    for calendar in calendars:
        for event in _expanded(calendar, first - _DAY, last + 2 * _DAY):
            if not isinstance(event.start, datetime):
                all_day.add(_uid(event))
                continue
            one = _occurrence(event, masters.get(_uid(event), event), zone)
            if first <= one.starts_at.astimezone(zone).date() <= last:
                found[one.uid, one.original] = one
    if len(found) > MAX_OCCURRENCES:
        raise BadInput(f"the calendar has {len(found)} lessons in these days; at most {MAX_OCCURRENCES} are read")
    ordered = sorted(found.values(), key=lambda one: (one.starts_at, one.uid))
    return CalendarFile(tuple(ordered), len(all_day), frozenset(_uid(event) for event in events))


def _parsed(data: bytes) -> list[Any]:
    try:
        calendars: Sequence[Any] = icalendar.Calendar.from_ical(data.decode("utf-8-sig"), multiple=True)
    except UnicodeDecodeError as exc:
        raise BadInput("the file is not UTF-8: is it a calendar?") from exc
    except (ValueError, LookupError, AttributeError, OSError) as exc:
        # What the library lets through on files that are damaged in odd places; OSError: a time zone that is the name
        # of a folder where those are kept.
        raise BadInput(f"the file is not a calendar: {str(exc)[:200]}", hint="export it as iCalendar (.ics)") from exc
    if not calendars:
        raise BadInput("the file is not a calendar, or not all of one", hint="export it as iCalendar (.ics)")
    return list(calendars)


def _expanded(calendar: Any, first: date, end: date) -> Iterable[Any]:
    try:
        found: Iterable[Any] = recurring_ical_events.of(calendar).between(first, end)
    except (ValueError, OverflowError, TypeError, AttributeError) as exc:
        raise BadInput(f"the calendar has an event whose times make no sense: {str(exc)[:200]}") from exc
    return found


def _check(events: Sequence[Any], first: date, last: date) -> None:
    """Raise BadInput for what cannot be understood, and for what would be too much, before any of it is expanded."""
    if len(events) > _MAX_EVENTS:
        raise BadInput(f"the calendar has {len(events)} events; at most {_MAX_EVENTS} are read", hint="split it")
    problems = [f"{_titled(event)}: {reason}" for event in events for reason in _problems(event, first)]
    if problems:
        more = f"\n... and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise BadInput("the calendar cannot be read; nothing was changed\n" + "\n".join(problems[:_SHOWN]) + more)
    most = sum(_at_most(event, (last - first).days + 1) for event in events)
    if most > 2 * MAX_OCCURRENCES:
        raise BadInput(f"the calendar may have {most} lessons in these days; at most {MAX_OCCURRENCES} are read")


def _problems(event: Any, first: date) -> Iterator[str]:
    # What could not be understood cannot be looked at.
    wrong = [f"{name}: {text}" for name, text in event.errors if name in _TIMES] or _times_problems(event)
    if "DTSTART" not in event:
        wrong.append("it has no DTSTART")
    if "UID" not in event:
        wrong.append("it has no UID")
    yield from wrong
    if not wrong:
        start, end = event["DTSTART"].dt, event.get("DTEND")
        if end is not None and _utc(end.dt, UTC) < _utc(start, UTC):
            yield "it ends before it starts"
        began = start.date() if isinstance(start, datetime) else start
        if first - began > _OLDEST and "RRULE" in event:
            yield f"it began in {began.year}: too long ago to be a lesson of this term"
        for rule in _rules(event):
            yield from _rule_problems(rule)


def _times_problems(event: Any) -> list[str]:
    wrong = [reason for name in ("DTSTART", "DTEND", "RECURRENCE-ID") for reason in _moment_problems(event, name)]
    length = event.get("DURATION")
    if length is not None and not isinstance(getattr(length, "dt", None), timedelta):
        wrong.append("DURATION is not how long it lasts")
    return wrong


def _moment_problems(event: Any, name: str) -> Iterator[str]:
    value = event.get(name)
    if value is None:
        return
    moment = getattr(value, "dt", None)
    if not isinstance(moment, date):
        yield f"{name} is not one time"
    elif not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        yield f"{name} is in the year {moment.year}: no lesson is"
    elif "TZID" in value.params and isinstance(moment, datetime) and moment.tzinfo is None:
        yield f"its time zone {value.params['TZID']!r} is not known"


def _rule_problems(rule: Any) -> Iterator[str]:
    frequency = str(_values(rule, "FREQ")[0]) if _values(rule, "FREQ") else ""
    if frequency not in _RULES:
        yield f"it comes again {frequency or 'without a rule'}: no lesson does"
    if _times_a_day(rule) > _MAX_TIMES_A_DAY or _values(rule, "BYSECOND"):
        yield "it comes again too often on a day: no lesson does"


def _at_most(event: Any, days: int) -> int:
    """Return a bound of how often an event takes place in so many days."""
    dates = event.get("RDATE", ())
    most = sum(len(part.dts) for part in (dates if isinstance(dates, list) else [dates] if dates else []))
    for rule in _rules(event):
        weekly = str(_values(rule, "FREQ")[0]) == "WEEKLY"
        places = (days // _WEEK + 2) * max(1, len(_values(rule, "BYDAY"))) if weekly else days + 1
        most += places * _times_a_day(rule)
    return most + 1


def _times_a_day(rule: Any) -> int:
    return max(1, len(_values(rule, "BYHOUR"))) * max(1, len(_values(rule, "BYMINUTE")))


def _rules(event: Any) -> list[Any]:
    rules = event.get("RRULE", [])
    return rules if isinstance(rules, list) else [rules]


def _values(rule: Any, name: str) -> list[Any]:
    found = rule.get(name, [])
    return found if isinstance(found, list) else [found]


def _occurrence(event: Any, master: Any, zone: tzinfo) -> Occurrence:
    # What a changed occurrence does not say is as in the event it belongs to.
    def text(name: str) -> list[str]:
        value = event.get(name) or master.get(name)
        return [stripped] if (stripped := str(value or "").strip()) else []

    texts: dict[Source, Sequence[str]] = {
        "location": text("LOCATION"),
        "summary": text("SUMMARY"),
        "description": text("DESCRIPTION"),
        "categories": _categories(event) or _categories(master),
    }
    original = event.get("RECURRENCE-ID")
    start = event.start
    return Occurrence(
        uid=_uid(event),
        original=_utc(start if original is None else original.dt, zone),
        starts_at=_utc(start, zone),
        ends_at=_utc(event.end, zone),
        texts=texts,
        cancelled=str(event.get("STATUS", "")).upper() == "CANCELLED",
    )


def _categories(event: Any) -> list[str]:
    found = event.get("CATEGORIES") or []
    parts = found if isinstance(found, list) else [found]
    return [text for part in parts for one in part.cats if (text := str(one).strip())]


def _utc(moment: date, zone: tzinfo) -> datetime:
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, datetime.min.time())
    # Without a zone it is the school's clock: as in RFC 5545, the first of two, and later where clocks skip it.
    return (moment.replace(tzinfo=zone, fold=0) if moment.tzinfo is None else moment).astimezone(UTC)


def _uid(event: Any) -> str:
    return str(event.get("UID", ""))


def _titled(event: Any) -> str:
    return f"{str(event.get('SUMMARY', 'an event'))[:60]!r} ({_uid(event)[:60] or 'no UID'})"
