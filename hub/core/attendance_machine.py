"""What the machine alone says: of a student in a lesson, and on a part of a day without lessons. Pure.

docs/register.md, sections 3, 8 and 9.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, tzinfo

from hub.core.attendance_facts import DayWindow, Doubt, Interval, Lesson, Rules, Status, StudentsDay, Watch


@dataclass(frozen=True, slots=True)
class Word:
    """What the machine says, and by which rule."""

    status: Status
    rule: str
    timestamp: datetime
    last_seen_at: datetime | None = None
    left_early_at: datetime | None = None
    unit_id: str | None = None
    """Who saw the student first; where nobody did, who would have."""
    notes: str = ""

    @property
    def saw(self) -> bool:
        """Whether a unit saw the student."""
        return self.status in ("Present", "Late")


def opens_at(lesson: Lesson, lessons: Iterable[Lesson], rules: Rules) -> datetime:
    """Return from when on a sighting counts for a lesson; `lessons` are the student's."""
    # Whoever was in the room for the lesson before is not early for this one.
    ended = [one.ends_at for one in lessons if one is not lesson and one.ends_at <= lesson.starts_at]
    return max([lesson.starts_at - rules.early, *ended])


def of_lesson(lesson: Lesson, facts: StudentsDay, rules: Rules, now: datetime) -> Word | None:
    """Return what the machine says of an expected student; None while nothing can be said yet."""
    opens = opens_at(lesson, facts.lessons, rules)
    here = [one for one in facts.intervals if one.room_id == lesson.room_id]
    seen = [one for one in here if one.within is None and one.start < lesson.ends_at and one.end >= opens]
    guessed = [one for one in here if one.within and one.within[0] < lesson.ends_at and one.within[1] >= opens]
    if seen:
        word = _seen(seen, opens, lesson, rules)
        late = word.status == "Late"
        on_time = [one for one in guessed if one.within and one.within[0] <= lesson.starts_at + rules.late_after]
        if now >= lesson.ends_at and not guessed:
            word = replace(word, left_early_at=_left_early_at(lesson, seen, facts.watches, rules))
        return replace(word, notes=_note(on_time, lesson.day, facts.zone)) if late else word
    surely = [one for one in guessed if surely_in(one.within, opens, lesson.ends_at)]
    if surely:
        return _seen_sometime(surely, lesson.day, facts.zone)
    decided = decided_at(lesson)
    if now < decided:
        return None
    word = _unseen(lesson, decided, facts.watches, rules)
    return _doubted(word, lesson, facts, rules, guessed, opens) if word.rule == "not_seen" else word


def of_window(window: DayWindow, facts: StudentsDay) -> Word | None:
    """Return what the machine says of a part of a day without lessons; None where nobody was seen."""
    opens, closes = window.opens_at, window.closes_at
    seen = [one for one in facts.intervals if one.within is None and one.start < closes and one.end >= opens]
    if seen:
        first = _first(seen)
        last = max(min(one.end, closes) for one in seen)
        return Word("Present", "day", max(first.start, opens), last, unit_id=first.unit_id)
    surely = [one for one in facts.intervals if surely_in(one.within, opens, closes)]
    return _seen_sometime(surely, window.day, facts.zone) if surely else None


def surely_in(within: tuple[datetime, datetime] | None, opens: datetime, ends: datetime) -> bool:
    """Tell whether an uncertain moment can only have been from `opens` on and before `ends`."""
    return within is not None and opens <= within[0] and within[1] < ends


def decided_at(lesson: Lesson) -> datetime:
    """Return when it is said who was not seen: at the end, or when the lesson was closed in the middle."""
    closed = lesson.closed_at
    return closed if closed is not None and lesson.starts_at < closed < lesson.ends_at else lesson.ends_at


def _first(seen: Sequence[Interval]) -> Interval:
    return min(seen, key=lambda one: (one.start, one.unit_id))


def _seen(seen: Sequence[Interval], opens: datetime, lesson: Lesson, rules: Rules) -> Word:
    first = _first(seen)
    on_time = first.start <= lesson.starts_at + rules.late_after
    return Word(
        status="Present" if on_time else "Late",
        rule="seen" if on_time else "seen_late",
        timestamp=max(first.start, opens),
        last_seen_at=max(min(one.end, lesson.ends_at) for one in seen),
        unit_id=first.unit_id,
    )


def _seen_sometime(surely: Sequence[Interval], day: date, zone: tzinfo) -> Word:
    first = _first(surely)
    return Word("Present", "seen_estimated", first.start, unit_id=first.unit_id, notes=_note([first], day, zone))


def _note(guessed: Iterable[Interval], day: date, zone: tzinfo) -> str:
    """Return what somebody who looks at the row has to know: when it may have been."""
    bounds = [one.within for one in guessed if one.within is not None]
    if not bounds:
        return ""
    since, until = (moment.astimezone(zone) for moment in min(bounds, key=lambda one: (one[1] - one[0], one)))
    form = "%H:%M" if since.date() == until.date() == day else "%Y-%m-%d %H:%M"
    return f"The unit's clock was not set: seen between {since:{form}} and {until:{form}}. Please check."


def _unseen(lesson: Lesson, decided: datetime, watches: Iterable[Watch], rules: Rules) -> Word:
    """Say whether a student who was not seen would have been.

    All of the lesson decides, not only its first minutes: who comes late is seen late, so `Not seen` may be said
    only of a lesson that was watched throughout.
    """
    here = [one for one in watches if one.room_id == lesson.room_id]
    span = lesson.starts_at, decided
    able = _watched_by(here, span, rules, lambda one: one.able)
    if able is not None:
        return Word("Not seen", "not_seen", lesson.starts_at, unit_id=able)
    # It watched, but did not have this student's template, or not the right time.
    anybody = _watched_by(here, span, rules, lambda _one: True)
    return Word("Not observed", "not_able" if anybody else "not_watched", lesson.starts_at, unit_id=anybody)


def _watched_by(
    watches: Sequence[Watch], span: tuple[datetime, datetime], rules: Rules, counts: Callable[[Watch], bool]
) -> str | None:
    """Return the first unit, by its id, that watched enough of a span; only the stretches that count do."""
    of_unit: dict[str, list[Watch]] = {}
    for watch in watches:
        if watch.since < span[1] and watch.until > span[0] and counts(watch):
            of_unit.setdefault(watch.unit_id, []).append(watch)
    enough = (unit_id for unit_id in sorted(of_unit) if _share(span, of_unit[unit_id]) >= rules.covered_share)
    return next(enough, None)


def _share(span: tuple[datetime, datetime], watches: Iterable[Watch]) -> float:
    """Return the share, 0 to 1, of a span that one unit watched."""
    covered_s, reached = 0.0, span[0]
    for watch in sorted(watches, key=lambda one: (one.since, one.until, one.watched_s)):
        since, until = max(watch.since, reached), min(watch.until, span[1])
        length_s = (watch.until - watch.since).total_seconds()
        if until > since and length_s > 0:
            covered_s += (until - since).total_seconds() * min(1.0, watch.watched_s / length_s)
            reached = until
    return covered_s / (span[1] - span[0]).total_seconds()


def _doubted(
    word: Word, lesson: Lesson, facts: StudentsDay, rules: Rules, guessed: Sequence[Interval], opens: datetime
) -> Word:
    """Return what is said instead of Not seen where the student may have been there."""
    if any(_may_be_in(doubt, opens, lesson.ends_at) for doubt in facts.doubts):
        return replace(word, status="Not observed", rule="in_review")
    if guessed:
        note = _note(guessed, lesson.day, facts.zone)
        return replace(word, status="Not observed", rule="seen_sometime", notes=note)
    if _may_have_stayed(lesson, facts, rules):
        return replace(word, status="Not observed", rule="may_have_stayed")
    return word


def _may_be_in(doubt: Doubt, opens: datetime, ends: datetime) -> bool:
    earliest, latest = doubt.within or (doubt.at, doubt.at)
    return earliest < ends and latest >= opens


def _may_have_stayed(lesson: Lesson, facts: StudentsDay, rules: Rules) -> bool:
    """Tell whether the student was seen in the lesson before in the same room: nobody walks in for a second half."""
    before = [
        one
        for one in facts.lessons
        if one is not lesson
        and one.room_id == lesson.room_id
        and lesson.starts_at - rules.early <= one.ends_at <= lesson.starts_at
    ]
    return any(
        sighting.room_id == lesson.room_id
        and sighting.within is None
        and sighting.start < one.ends_at
        and sighting.end >= one.starts_at - rules.early
        for one in before
        for sighting in facts.intervals
    )


def _left_early_at(lesson: Lesson, seen: Sequence[Interval], watches: Iterable[Watch], rules: Rules) -> datetime | None:
    """Return when a student went out through the door for good: in and out again, and nobody came back in.

    Only where a unit was watching that would have seen it.
    """
    last = max(one.end for one in seen)
    if len(seen) % 2 or last >= lesson.ends_at - rules.left_early:
        return None
    here = [one for one in watches if one.room_id == lesson.room_id]
    watched = _watched_by(here, (last, lesson.ends_at), rules, lambda one: one.able)
    return last if watched is not None else None
