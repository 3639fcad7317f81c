"""The hub's rules and the oracle come to the same rows, for schools that nobody thought of."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.hub_register.facts import Hub, differences
from tests.hub_register.oracle import Oracle
from tests.hub_register.records import (
    AbsenceRule,
    Closing,
    Event,
    Held,
    Lesson,
    Membership,
    OfficeMark,
    Place,
    RuleVersion,
    School,
)
from tests.hub_register.seen import Units

ZONE = ZoneInfo("Europe/Berlin")
EVER = datetime(2026, 1, 1, tzinfo=UTC)
STUDENTS, ROOMS, UNITS = ("s1", "s2"), ("r1", "r2"), ("u1", "u2", "u3")
BASES = (
    datetime(2026, 9, 1, 9, tzinfo=ZONE).astimezone(UTC),
    # Over midnight, over the hour that comes twice, and just before the part of a day that counts.
    datetime(2026, 9, 1, 23, 30, tzinfo=ZONE).astimezone(UTC),
    datetime(2026, 10, 25, 1, 30, tzinfo=ZONE).astimezone(UTC),
    datetime(2026, 9, 1, 6, 30, tzinfo=ZONE).astimezone(UTC),
)
HALVES = (("AM", time(7), time(12)), ("PM", time(12), time(18)))


class Draw:
    """Draws what a school is made of from a string of bytes; moments are steps of five minutes from `base`."""

    def __init__(self, tape: bytes) -> None:
        self._tape = iter(tape)
        self.base: datetime = self.one(*BASES)

    def below(self, most: int) -> int:
        """Return a number from 0 to below `most`; 0 when the tape is at its end."""
        return next(self._tape, 0) % most

    def one(self, *of: Any) -> Any:
        """Return one of these."""
        return of[self.below(len(of))]

    def some(self, most: int) -> range:
        """Return a range of a length up to `most`."""
        return range(self.below(most + 1))

    def at(self, low: int = -12, high: int = 30) -> datetime:
        """Return a moment."""
        return self.base + timedelta(minutes=5 * (low + self.below(high - low + 1)))


def _rules(draw: Draw, version: int, from_day: date) -> RuleVersion:
    return RuleVersion(
        version,
        from_day,
        early_min=draw.one(10, 0, 5, 20),
        late_after_min=draw.one(10, 0, 5),
        left_early_min=draw.one(10, 5),
        covered_share=draw.one(0.87, 0.43),
        held_share=draw.one(0.5, 0.0, 0.61),
        sessions=draw.one((("", time(7), time(18)),), HALVES),
    )


def _lessons(draw: Draw) -> tuple[Lesson, ...]:
    found = []
    start, room = draw.at(-4, 12), draw.one(*ROOMS)
    for number in draw.some(3):
        end = start + timedelta(minutes=draw.one(45, 20, 60))
        found.append(
            Lesson(
                f"l{number}",
                room,
                "sec",
                start,
                end,
                draw.one(None, None, "grp"),
                draw.one(*[False] * 4, True),
            )
        )
        room = draw.one(room, room, *ROOMS)
        start = draw.one(end, end, end + timedelta(minutes=5), end + timedelta(minutes=20), start)
    return tuple(found)


class Streams:
    """What units write down; their streams begin with a hole now and then."""

    def __init__(self, first: int) -> None:
        self.events: list[Event] = []
        self._seqs = dict.fromkeys(UNITS, first)

    def add(self, unit: str, kind: str, at: datetime, **fields: Any) -> Event:
        """Write an event down."""
        self._seqs[unit] += 1
        self.events.append(Event(f"e{len(self.events):02}", unit, "aa", self._seqs[unit], kind, at, **fields))
        return self.events[-1]


def _events(draw: Draw, lessons: tuple[Lesson, ...]) -> tuple[Event, ...]:
    streams = Streams(draw.one(0, 0, 0, 0, 0, 1))
    _see(draw, lessons, streams.add)
    _watch(draw, lessons, streams)
    return tuple(streams.events)


def _see(draw: Draw, lessons: tuple[Lesson, ...], add: Callable[..., Event]) -> None:
    for _ in draw.some(6):
        unit, at, student = draw.one(*UNITS), draw.at(), draw.one("s1", "s1", "s2")
        lesson = draw.one(None, *lessons, *lessons)
        if lesson is not None:
            unit = draw.one("u1", "u3") if lesson.room == "r1" else "u2"
            at = draw.one(lesson.start, lesson.end) + timedelta(minutes=5 * (draw.below(8) - 3))
        kind = draw.one("seen", "seen", "seen", "mark", "review")
        within = (at - timedelta(minutes=draw.one(0, 5, 15)), at + timedelta(minutes=draw.one(0, 5, 15)))
        fields: dict[str, Any] = {"within": draw.one(None, None, None, within)}
        if kind == "seen":
            seen = add(unit, kind, at, student=student, **fields)
            if draw.one(True, False):
                until = at + timedelta(minutes=draw.one(5, 20, 60))
                add(unit, "left", until, student=student, interval=seen.event, **fields)
        elif kind == "mark":
            add(
                unit,
                kind,
                at,
                student=student,
                status=draw.one("present", "late", "excused", "absent"),
                lesson=draw.one(None, "l0", "l1"),
                note=draw.one("", "said so"),
                within=draw.one(None, None, None, within),
            )
        else:
            add(unit, kind, at, candidates=draw.one(("s1",), ("s2", "s1")), **fields)


def _watch(draw: Draw, lessons: tuple[Lesson, ...], streams: Streams) -> None:
    for lesson in lessons:
        if draw.one(True, False):
            # Watched from before its start until its end, as units do.
            since, whole_s = lesson.start - timedelta(minutes=2), (lesson.end - lesson.start).total_seconds() + 120
            unit = "u1" if lesson.room == "r1" else "u2"
            streams.add(unit, "coverage", lesson.end, since=since, watched_s=whole_s, revision=1)
    for _ in draw.some(3):
        since, until, unit = _stretch(draw, lessons)
        if any((one.unit, one.since, one.at) == (unit, since, until) for one in streams.events):
            continue
        streams.add(
            unit,
            "coverage",
            until,
            since=since,
            watched_s=(until - since).total_seconds() * draw.one(1.0, 1.0, 1.2, 0.5),
            mode=draw.one("door", "door", "door", "door", "sweep"),
            revision=draw.one(1, 1, 2),
        )


def _stretch(draw: Draw, lessons: tuple[Lesson, ...]) -> tuple[datetime, datetime, str]:
    """Return since when until when which unit watched: mostly a lesson."""
    lesson = draw.one(None, *lessons)
    if lesson is None:
        since = draw.at(-4, 20)
        return since, since + timedelta(minutes=draw.one(60, 30, 10)), draw.one(*UNITS)
    since, until = draw.one(lesson.start, draw.base), lesson.end + timedelta(minutes=draw.one(0, 0, 10, -15))
    since = since if since < until else lesson.start
    return since, until, draw.one("u1", "u3") if lesson.room == "r1" else "u2"


def _marks(draw: Draw, lessons: tuple[Lesson, ...]) -> tuple[OfficeMark, ...]:
    found = []
    for number in draw.some(3):
        lesson = draw.one(None, *lessons)
        day = (lesson.start if lesson else draw.base).astimezone(ZONE).date()
        found.append(
            OfficeMark(
                f"m{number}",
                draw.one(*STUDENTS),
                f"lesson:{lesson.lesson}" if lesson else f"day:{day.isoformat()}",
                day,
                draw.one("present", "late", "excused", "absent", "machine"),
                draw.at(),
                lesson.lesson if lesson else None,
                draw.one(None, draw.at()),
                draw.one("Manual", "Face Recognition"),
                draw.one("", "ill"),
                draw.one("", "called"),
                draw.one(False, False, True),
            )
        )
    return tuple(found)


def a_school(tape: bytes) -> School:
    """Two students, up to three lessons, a few events, and what people said."""
    draw = Draw(tape)
    lessons = _lessons(draw)
    events = _events(draw, lessons)
    first = draw.base.date()
    members = [Membership(one, "sec", EVER, draw.one(None, None, draw.at())) for one in STUDENTS]
    members += [Membership(one, "grp", draw.one(EVER, draw.at())) for one in STUDENTS[:1]]
    places = [Place(one, EVER, room) for one, room in zip(UNITS, ("r1", "r2", "r1"), strict=True)]
    if draw.one(False, False, True):
        places.append(Place("u1", draw.at() + timedelta(minutes=1), "r2"))
    school = School(
        ZONE,
        draw.one(draw.base + timedelta(hours=6), draw.at(0, 60)),
        STUDENTS,
        _rules(draw, 0, date.min),
        tuple(_rules(draw, 1, first + timedelta(days=1)) for _ in draw.some(1)),
        tuple(members),
        lessons,
        tuple(places),
        tuple(Closing(one.lesson, draw.at(), draw.one(False, False, True)) for one in lessons if draw.one(False, True)),
        tuple(AbsenceRule("r1", first, draw.one(None, first + timedelta(days=1))) for _ in draw.some(1)),
        _marks(draw, lessons),
        events,
        tuple(
            Held(unit, one, 1, draw.one(None, 2)) for unit in UNITS for one in STUDENTS if draw.one(True, True, False)
        ),
    )
    return replace(school, decided=_decided(draw, school))


def _decided(draw: Draw, school: School) -> frozenset[tuple[str, frozenset[str]]]:
    units = Units(school)
    found = set()
    for one in school.events:
        if one.kind == "review" and draw.one(False, True):
            room = units.room(one.unit, one.at) or ""
            found.add((units.place(room, one.at), frozenset(one.candidates)))
    return frozenset(found)


@given(st.binary(min_size=250, max_size=250).map(a_school))
@settings(max_examples=300)
def test_the_hubs_rules_and_the_oracle_say_the_same_of_any_small_school(school: School) -> None:
    today = school.now.date()
    span = today - timedelta(days=2), today + timedelta(days=1)
    assert differences(Oracle(school).register(*span), Hub(school).register(*span)) == []
