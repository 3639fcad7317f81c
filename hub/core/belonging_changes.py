"""What becomes of a student's sections and groups when people change them, or the days of joining and leaving."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, tzinfo
from itertools import pairwise
from typing import TypeVar

from hub.core.belonging import SINCE_EVER, Belonging, GroupBelonging
from hub.core.roster_times import day_bounds

FOR_EVER = datetime.max.replace(tzinfo=UTC)
Row = TypeVar("Row", Belonging, GroupBelonging)


@dataclass(frozen=True, slots=True)
class Stay:
    """From when until when (exclusive; None: nobody said) a student is at the school."""

    start: datetime = SINCE_EVER
    end: datetime | None = None

    def after(self, before: "Stay") -> bool:
        """Whether the student had left and came back later: what was before stays as it was."""
        return before.end is not None and self.start >= before.end


@dataclass(frozen=True, slots=True)
class Places:
    """Everything that is noted of one student: sections by their beginning, groups."""

    sections: tuple[Belonging, ...] = ()
    groups: tuple[GroupBelonging, ...] = ()


@dataclass(frozen=True, slots=True)
class Placing:
    """What people say of a student, before and after; groups by id, None: as they are."""

    stay_before: Stay
    stay: Stay
    section_before: str | None
    section: str | None
    groups: frozenset[str] | None
    at: datetime
    """From when on another section and other groups count."""
    section_said: bool = False
    """A person says from when on: the section counts from `at` on also if it is the same by now."""
    only_group: str | None = None
    """`groups` is said of this one alone; in the others the student stays as they are and were."""


@dataclass(frozen=True, slots=True)
class Span:
    """Between two moments a student belongs to a section or a group and did not, or the other way round."""

    place_id: str
    since: datetime
    until: datetime


def stay_of(joined_on: date | None, left_on: date | None, zone: tzinfo) -> Stay:
    """Return the moments that the first and the last day mean: midnight, and the midnight after."""
    return Stay(
        SINCE_EVER if joined_on is None else day_bounds(joined_on, zone)[0],
        None if left_on is None else day_bounds(left_on, zone)[1],
    )


def begun(stay: Stay, section: str | None, groups: Iterable[str]) -> Places:
    """Return what is noted of a new student."""
    return Places(
        () if section is None else (Belonging(section, stay.start, stay.end),),
        tuple(GroupBelonging(group, stay.start, stay.end) for group in sorted(groups)),
    )


def placed(before: Places, placing: Placing) -> Places:
    """Return what is to be noted instead. Another section ends the groups of the one before."""
    old, new, at = placing.stay_before, placing.stay, max(placing.at, placing.stay.start)
    sections, groups = list(before.sections), list(before.groups)
    returns = new.after(old)
    if not sections and new.start != SINCE_EVER:
        at = new.start
    if returns:
        at = new.start
        if placing.section is not None:
            sections.append(Belonging(placing.section, new.start, new.end))
    else:
        if old != new:
            sections = _bounded(sections, placing.section_before, old, new)
            groups = _groups_bounded(groups, old, new)
        if placing.section != placing.section_before or placing.section_said:
            sections = _moved(sections, placing.section, at, new)
    wanted = placing.groups
    if wanted is None and (returns or placing.section != placing.section_before):
        wanted = frozenset()
    if wanted is not None:
        said = [row for row in groups if placing.only_group in {None, row.group_id}]
        others = [row for row in groups if row not in said]
        groups = sorted([*others, *_in_groups(said, wanted, at, new)], key=lambda row: (row.since, row.group_id))
    return Places(tuple(sections), tuple(groups))


def differences(before: Sequence[Row], after: Sequence[Row]) -> list[Span]:
    """Return where two histories differ."""
    found: list[Span] = []
    for place_id in sorted({_place(row) for row in (*before, *after)}):
        old: list[Row] = [row for row in before if _place(row) == place_id]
        new: list[Row] = [row for row in after if _place(row) == place_id]
        moments = sorted({moment for row in (*old, *new) for moment in (row.since, row.until or FOR_EVER)})
        for since, until in pairwise(moments):
            if _holds(old, since) != _holds(new, since):
                found.append(Span(place_id, since, until))
    return found


def _bounded(rows: Sequence[Belonging], current: str | None, old: Stay, new: Stay) -> list[Belonging]:
    """Return the rows with the days of joining and leaving changed; those of an earlier stay are left alone."""
    earlier = [row for row in rows if row.until is not None and row.until <= old.start]
    stay = [row for row in rows if row not in earlier]
    begins = max([new.start, *(row.until for row in earlier if row.until is not None)])
    if stay and new.start != old.start:
        stay[0] = replace(stay[0], since=begins)
    if stay and current is not None and (stay[-1].section_id, stay[-1].until) == (current, old.end):
        stay[-1] = replace(stay[-1], until=new.end)
    elif current is not None and old.end is not None:
        # Moved after the last day: the days that are added are those of the new section.
        stay.append(Belonging(current, old.end, new.end))
    return [*earlier, *_cut(stay, begins, new.end)]


def _moved(rows: Iterable[Belonging], section: str | None, at: datetime, stay: Stay) -> list[Belonging]:
    kept = _cut(rows, SINCE_EVER, at)
    if section is None or (stay.end is not None and stay.end <= at):
        return kept
    if kept and kept[-1].section_id == section and kept[-1].until == at:
        kept[-1] = replace(kept[-1], until=stay.end)
    else:
        kept.append(Belonging(section, at, stay.end))
    return kept


def _groups_bounded(rows: Sequence[GroupBelonging], old: Stay, new: Stay) -> list[GroupBelonging]:
    earlier = [row for row in rows if row.until is not None and row.until <= old.start]
    stay = [
        replace(
            row,
            since=new.start if row.since == old.start else row.since,
            until=new.end if row.until == old.end else row.until,
        )
        for row in rows
        if row not in earlier
    ]
    return [*earlier, *_cut(stay, new.start, new.end)]


def _in_groups(
    rows: Iterable[GroupBelonging], wanted: frozenset[str], at: datetime, stay: Stay
) -> list[GroupBelonging]:
    kept = _cut(rows, SINCE_EVER, at)
    if stay.end is not None and stay.end <= at:
        return kept
    going_on = {row.group_id for row in kept if row.until == at} & wanted
    kept = [replace(row, until=stay.end) if row.until == at and row.group_id in wanted else row for row in kept]
    return kept + [GroupBelonging(group, at, stay.end) for group in sorted(wanted - going_on)]


def _cut(rows: Iterable[Row], since: datetime, until: datetime | None) -> list[Row]:
    """Return what of the rows lies within the bounds."""
    end = until or FOR_EVER
    found = []
    for row in rows:
        last = min(row.until or FOR_EVER, end)
        first = max(row.since, since)
        if first < last:
            found.append(replace(row, since=first, until=None if last == FOR_EVER else last))
    return found


def _place(row: Belonging | GroupBelonging) -> str:
    return row.section_id if isinstance(row, Belonging) else row.group_id


def _holds(rows: Iterable[Belonging | GroupBelonging], at: datetime) -> bool:
    return any(row.since <= at and (row.until is None or at < row.until) for row in rows)
