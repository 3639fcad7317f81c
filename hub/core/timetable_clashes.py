"""Lessons that cannot both be: in one room at once, or with one section, one student or one teacher in two places."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Literal

from hub.core.roster_lessons import Group, Key, LessonFields

Span = tuple[datetime, datetime | None]
"""From a moment until before another, or for good."""
Shared = Mapping[tuple[Group, Group], Mapping[Span, Sequence[str]]]
"""When two groups had students in common, with their serial numbers; each pair once, in either order."""

_SHOWN = 5

_Partners = Mapping[Group, Sequence[tuple[Group, Span, Sequence[str]]]]
Reason = Literal["room", "section", "student", "teacher"]


@dataclass(frozen=True, slots=True)
class Clash:
    """Two lessons that cannot both be; `later` starts later or was given later."""

    reason: Reason
    earlier: LessonFields
    later: LessonFields
    students: tuple[str, ...] = ()
    """Serial numbers of who would be in both, where that is the reason."""

    def sentence(self, own: LessonFields, zone: tzinfo) -> str:
        """Return the clash in words, told from the side of `own`, one of the two."""
        other = self.earlier if own is self.later else self.later
        both = f"{own.described(zone)} overlaps with {other.described(zone)}"
        if self.reason == "room":
            return both
        if self.reason == "teacher":
            return f"{both}: {own.teacher} would teach in two places at once"
        who = own.who if self.reason == "section" else f"{self._named()} of {own.who} and {other.who}"
        return f"{both}: {who} would be in two places at once"

    def _named(self) -> str:
        named = ", ".join(self.students[:_SHOWN])
        more = f" and {len(self.students) - _SHOWN} more" if len(self.students) > _SHOWN else ""
        return f"student{'s' if len(self.students) > 1 else ''} {named}{more}"


def clashes(lessons: Iterable[LessonFields], shared: Shared | None = None, *, teachers: bool = True) -> list[Clash]:
    """Return the clashes among lessons that take place, in the order of time.

    One sweep: every lesson is held against the one that began before it and needs the same longest, so each of them is
    found once however many overlap. Without `teachers` one teacher may be in two places.
    """
    latest: dict[tuple[str, ...], LessonFields] = {}
    groups: defaultdict[str, set[str]] = defaultdict(set)
    partners = _partners(shared or {})
    found: dict[tuple[int, int], Clash] = {}
    for lesson in sorted(lessons, key=lambda one: (one.starts_at, one.ends_at)):
        groups[lesson.section].add(lesson.group)
        for reason, needed in _needed(lesson, groups[lesson.section], partners, teachers=teachers):
            before = latest.get(needed)
            if before is not None and lesson.starts_at < before.ends_at:
                students = _in_both(before, lesson, partners) if reason == "student" else ()
                found.setdefault((id(before), id(lesson)), Clash(reason, before, lesson, students))
        for taken in _taken(lesson):
            before = latest.get(taken)
            if before is None or lesson.ends_at > before.ends_at:
                latest[taken] = lesson
    return list(found.values())


def clashes_of(
    own: Collection[LessonFields], others: Iterable[LessonFields], shared: Shared, *, teachers: bool = True
) -> list[tuple[LessonFields, Clash]]:
    """Return the clashes that any of `own` has part in, each with the one of `own` that is the later of the two.

    What clashes among the `others` was there before.
    """
    keys: set[Key] = {lesson.key for lesson in own}
    found: list[tuple[LessonFields, Clash]] = []
    for clash in clashes([*others, *own], shared, teachers=teachers):
        for lesson in (clash.later, clash.earlier):
            if lesson.key in keys:
                found.append((lesson, clash))
                break
    return found


def _taken(lesson: LessonFields) -> Iterator[tuple[str, ...]]:
    yield "room", lesson.room
    yield "section", lesson.section, lesson.group
    if lesson.teacher:
        yield "teacher", lesson.teacher


def _needed(
    lesson: LessonFields, groups: set[str], partners: _Partners, *, teachers: bool
) -> Iterator[tuple[Reason, tuple[str, ...]]]:
    yield "room", ("room", lesson.room)
    # The whole section meets all its parts, a part itself and the whole.
    for group in sorted(groups) if not lesson.group else (lesson.group, ""):
        yield "section", ("section", lesson.section, group)
    for other, span, _ in partners.get((lesson.section, lesson.group), ()):
        if _within(lesson.starts_at, span):
            yield "student", ("section", *other)
    if lesson.teacher and teachers:
        yield "teacher", ("teacher", lesson.teacher)


def _in_both(earlier: LessonFields, later: LessonFields, partners: _Partners) -> tuple[str, ...]:
    """Return the serial numbers of who belongs to the groups of both lessons when the later one begins."""
    of_later = partners.get((later.section, later.group), ())
    found = [
        students
        for other, span, students in of_later
        if other == (earlier.section, earlier.group) and _within(later.starts_at, span)
    ]
    return tuple(sorted({serial for students in found for serial in students}))


def _within(moment: datetime, span: Span) -> bool:
    since, until = span
    return since <= moment and (until is None or moment < until)


def _partners(shared: Shared) -> _Partners:
    found: defaultdict[Group, list[tuple[Group, Span, Sequence[str]]]] = defaultdict(list)
    for (one, other), spans in shared.items():
        for span, students in spans.items():
            found[one].append((other, span, students))
            found[other].append((one, span, students))
    return dict(found)
