"""The weekly timetable: terms, holidays and lessons that come again, and the single lessons that come of them.

Weeks are those of ISO 8601, from Monday, and counted from the week in which the term begins; a week of holidays counts
like any other, so that what week it is can be told without a list of holidays. Times are the school's clock.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from uuid import UUID, uuid5

from hub.core.errors import BadInput
from hub.core.roster_lessons import LONGEST_LESSON, LessonFields
from hub.core.roster_times import Clock, moment_on

WEEKS = "ABCD"
"""What the weeks that come in turn are called."""
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
LONGEST_TERM = timedelta(days=366)
_WEEK = 7


@dataclass(frozen=True, slots=True)
class Term:
    """A stretch of school days, both inclusive. `weeks` come in turn (1: all alike), beginning with `first_week`."""

    term_id: str
    name: str
    first_day: date
    last_day: date
    weeks: int = 1
    first_week: int = 0

    def week_of(self, day: date) -> str:
        """Return the letter of the week of a day: "A" in every week where all are alike."""
        passed = (_monday(day) - _monday(self.first_day)).days // _WEEK
        return WEEKS[(self.first_week + passed) % self.weeks]

    def overlaps(self, first: date, last: date) -> bool:
        """Whether the term has a day from `first` to `last`."""
        return self.first_day <= last and first <= self.last_day


@dataclass(frozen=True, slots=True)
class Holiday:
    """Days without any lesson, both inclusive."""

    holiday_id: str
    first_day: date
    last_day: date
    label: str


@dataclass(frozen=True, slots=True)
class SeriesFields:
    """A lesson that comes again on a weekday (1: Monday). `week` is empty where it comes in every week.

    One that ends at or before its start ends on the next day. The days bound it, inclusive; None: as long as the term.
    """

    weekday: int
    week: str
    starts: time
    ends: time
    room: str
    section: str
    group: str = ""
    label: str = ""
    teacher: str = ""
    from_day: date | None = None
    until_day: date | None = None

    @property
    def key(self) -> tuple[str, str, int, str, time, date]:
        """What makes two rows of a timetable the same lesson: who, when, and from when on."""
        return self.section, self.group, self.weekday, self.week, self.starts, self.from_day or date.min

    @property
    def length(self) -> timedelta:
        """How long it lasts by the clock."""
        start, end = (datetime.combine(date.min, clock) for clock in (self.starts, self.ends))
        return end - start if end > start else end + timedelta(days=1) - start

    def described(self) -> str:
        """Return it in words."""
        label = repr(self.label) if self.label else "a lesson"
        who = f"{self.section} ({self.group})" if self.group else self.section
        week = f" (week {self.week})" if self.week else ""
        clock = f"{self.starts:%H:%M}-{self.ends:%H:%M}"
        return f"{label} of {who} in {self.room}, {WEEKDAYS[self.weekday - 1]}{week} {clock}"


@dataclass(frozen=True, slots=True)
class Series:
    """A lesson that comes again, on record."""

    series_id: str
    term_id: str
    fields: SeriesFields


@dataclass(frozen=True, slots=True)
class Planned:
    """The lesson of a series on a day; `clock` says what is odd about its times on that day."""

    day: date
    starts_at: datetime
    ends_at: datetime
    clock: Clock = ""


def checked_term(term: Term) -> Term:
    """Return the term. Raises BadInput for one that cannot be."""
    if term.last_day < term.first_day:
        raise BadInput(f"the term would end on {term.last_day}, before it begins on {term.first_day}")
    if term.last_day - term.first_day > LONGEST_TERM:
        raise BadInput(f"the term lasts longer than {LONGEST_TERM.days} days: are the years right?")
    if not 1 <= term.weeks <= len(WEEKS):
        raise BadInput(f"1 to {len(WEEKS)} weeks may come in turn, not {term.weeks}")
    if not 0 <= term.first_week < term.weeks:
        raise BadInput(f"the term cannot begin with week {WEEKS[term.first_week]}: its weeks are {WEEKS[: term.weeks]}")
    return term


def checked_series(fields: SeriesFields, term: Term) -> SeriesFields:
    """Return what a series says. Raises BadInput for one that cannot be in this term."""
    if fields.length > LONGEST_LESSON:
        hours = LONGEST_LESSON.total_seconds() / 3600
        raise BadInput(f"it lasts {fields.length.total_seconds() / 3600:g} hours, at most {hours:g} are possible")
    if fields.week and (term.weeks == 1 or fields.week not in WEEKS[: term.weeks]):
        has = f"the weeks {', '.join(WEEKS[: term.weeks])}" if term.weeks > 1 else "weeks that are all alike"
        raise BadInput(f"there is no week {fields.week}: term {term.name!r} has {has}")
    if fields.from_day and fields.until_day and fields.until_day < fields.from_day:
        raise BadInput(f"it would end on {fields.until_day}, before it begins on {fields.from_day}")
    # Days beyond the term bound nothing: the term may have become shorter since.
    first, last = fields.from_day or term.first_day, fields.until_day or term.last_day
    if not term.overlaps(first, last):
        raise BadInput(f"it would never come in term {term.name!r}, {term.first_day} to {term.last_day}")
    return fields


def lesson_id(series_id: str, day: date) -> str:
    """Return the identifier of a series' lesson on a day: the same whenever the timetable is expanded."""
    return str(uuid5(UUID(series_id), day.isoformat()))


def expand(series: SeriesFields, term: Term, holidays: Iterable[Holiday], zone: tzinfo) -> list[Planned]:
    """Return the lessons of a series in a term, by day: none on a holiday.

    A time that the clocks skip is later by what they skip, of one that happens twice it is the first; where that leaves
    no lesson, it lasts as long as its times say, and never longer than `LONGEST_LESSON`.
    """
    free = [(one.first_day, one.last_day) for one in holidays if term.overlaps(one.first_day, one.last_day)]
    first = max(term.first_day, series.from_day or term.first_day)
    last = min(term.last_day, series.until_day or term.last_day)
    day = first + timedelta(days=(series.weekday - first.isoweekday()) % _WEEK)
    found: list[Planned] = []
    while day <= last:
        in_turn = not series.week or term.week_of(day) == series.week
        if in_turn and not any(since <= day <= until for since, until in free):
            found.append(_planned(series, day, zone))
        day += timedelta(days=_WEEK)
    return found


def lesson_of(series: SeriesFields, planned: Planned) -> LessonFields:
    """Return the lesson of a series on a day."""
    return LessonFields(
        series.room, series.section, series.label, planned.starts_at, planned.ends_at, series.group, series.teacher
    )


def _planned(series: SeriesFields, day: date, zone: tzinfo) -> Planned:
    starts_at, odd = moment_on(day, series.starts, zone)
    after = day if series.ends > series.starts else day + timedelta(days=1)
    ends_at, odd_end = moment_on(after, series.ends, zone)
    if ends_at <= starts_at:
        ends_at = starts_at + series.length
    return Planned(day, starts_at, min(ends_at, starts_at + LONGEST_LESSON), odd or odd_end)


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())
