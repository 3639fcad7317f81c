"""Who belongs where and when, as people change it; the register of the days in question and the galleries follow."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from hub.adapters import attendance_store, gallery_revisions, group_store, membership, roster_store
from hub.core.belonging_changes import Places, Placing, Span, begun, differences, placed, stay_of
from hub.core.errors import BadInput
from hub.core.roster import Student, StudentFields
from hub.core.roster_plan import StudentChange
from hub.core.roster_times import day_bounds, day_of
from hub.office.context import Office


@dataclass(frozen=True, slots=True)
class Said:
    """What counts from a moment on even if it is on record already: the past is corrected by it."""

    section: bool = False
    groups: bool = False
    only_group: str | None = None
    """This one alone is said; in other groups students stay as they are and were."""


_NOTHING_SAID = Said()
_FARTHEST = timedelta(days=366)
_PAIRS_AT_ONCE = 10_000


def moment_of(office: Office, from_day: date | None, at: datetime) -> datetime:
    """Return from when on a change counts: the midnight at which a day begins, or now. Raises BadInput."""
    if from_day is None:
        return at
    moment = day_bounds(from_day, office.settings.zone)[0]
    if abs(moment - at) > _FARTHEST:
        raise BadInput(f"{from_day} is more than a year from now: is the year right?")
    return moment


def begin(connection: Connection, office: Office, at: datetime, new: Mapping[str, StudentFields]) -> None:
    """Note where new students belong, given as id to fields: since they joined, or since ever."""
    sections, groups = roster_store.section_ids(connection), group_store.group_ids(connection)
    after = {}
    for student_id, fields in new.items():
        stay = stay_of(fields.joined_on, fields.left_on, office.settings.zone)
        after[student_id] = begun(stay, sections.get(fields.section or ""), _ids(groups, fields))
    membership.write(connection, {}, after)
    _mark(connection, office, at, {key: _spans(Places(), places) for key, places in after.items()})
    gallery_revisions.touch_galleries(connection, at)


def moving(
    connection: Connection, office: Office, changes: Iterable[StudentChange], since: datetime, said: Said
) -> list[StudentChange]:
    """Return those of the changes that change where a student belongs, or belonged."""
    changes = list(changes)
    before, after = _placed(connection, office, changes, since, said)
    moved = {key for key in after if _spans(before[key], after[key])}
    return [change for change in changes if change.before.student_id in moved]


def follow(
    connection: Connection,
    office: Office,
    at: datetime,
    changes: Iterable[StudentChange],
    since: datetime,
    said: Said = _NOTHING_SAID,
) -> None:
    """Note where students belong whose section, groups or days of joining and leaving changed.

    Another section and other groups count from `since` on, and what is `said`; the days bound all of it.
    """
    before, after = _placed(connection, office, list(changes), since, said)
    membership.write(connection, before, after)
    spans = {key: found for key in after if (found := _spans(before[key], after[key]))}
    _mark(connection, office, at, spans)
    _mark_from_today(connection, office, at, spans)
    # Every unit: a room without lessons may expect everybody, and names are in the gallery as well.
    gallery_revisions.touch_galleries(connection, at)


def _placed(
    connection: Connection, office: Office, changes: Sequence[StudentChange], since: datetime, said: Said
) -> tuple[dict[str, Places], dict[str, Places]]:
    """Return what is noted of these students, and what is to be noted instead."""
    sections, groups = roster_store.section_ids(connection), group_store.group_ids(connection)
    before = membership.places(connection, [change.before.student_id for change in changes])
    after = {}
    for change in changes:
        old, new = change.before.fields, change.after
        stay_before, stay = (stay_of(one.joined_on, one.left_on, office.settings.zone) for one in (old, new))
        same = old.groups == new.groups and old.section == new.section and not stay.after(stay_before)
        wanted = None if same and not said.groups else _ids(groups, new)
        if said.only_group is not None:
            wanted = _ids(groups, new) & {said.only_group}
        placing = Placing(
            stay_before,
            stay,
            sections.get(old.section or ""),
            sections.get(new.section or ""),
            wanted,
            since,
            said.section,
            said.only_group,
        )
        student_id = change.before.student_id
        after[student_id] = placed(before[student_id], placing)
    return before, after


def changed_groups(student: Student, groups: Iterable[str]) -> StudentChange:
    """Return the student with other groups."""
    return StudentChange(student, replace(student.fields, groups=tuple(sorted(set(groups)))))


def _ids(groups: Mapping[tuple[str, str], str], fields: StudentFields) -> frozenset[str]:
    return frozenset(groups[fields.section or "", name] for name in fields.groups)


def _spans(before: Places, after: Places) -> list[Span]:
    return differences(before.sections, after.sections) + differences(before.groups, after.groups)


def _mark(connection: Connection, office: Office, at: datetime, spans: Mapping[str, list[Span]]) -> None:
    """Have the register of the lessons in these spans derived, up to today's last: what comes is derived then."""
    every = [span for found in spans.values() for span in found]
    if not every:
        return
    zone = office.settings.zone
    end = day_bounds(day_of(at, zone), zone)[1]
    starts = membership.lesson_starts(
        connection, {span.place_id for span in every}, min(span.since for span in every), end
    )
    days_of: dict[Span, set[date]] = {}
    for span in every:
        if span not in days_of:
            begins = starts[span.place_id]
            within = begins[bisect_left(begins, span.since) : bisect_left(begins, span.until)]
            days_of[span] = {day_of(moment, zone) for moment in within}
    _write(connection, {(key, day) for key, found in spans.items() for span in found for day in days_of[span]})


def _mark_from_today(connection: Connection, office: Office, at: datetime, spans: Mapping[str, list[Span]]) -> None:
    """Also today, on which a lesson may be there or gone, and what is written already of days to come."""
    zone = office.settings.zone
    today = day_of(at, zone)
    first, end = day_bounds(today, zone)
    ahead = [key for key, found in spans.items() if any(span.until > first for span in found)]
    pairs = set(membership.written_after(connection, ahead, today))
    pairs |= {(key, today) for key in ahead if any(span.since < end and span.until > first for span in spans[key])}
    _write(connection, pairs)


def _write(connection: Connection, pairs: set[tuple[str, date]]) -> None:
    ordered = sorted(pairs)
    for start in range(0, len(ordered), _PAIRS_AT_ONCE):
        attendance_store.mark_pairs(connection, ordered[start : start + _PAIRS_AT_ONCE], "member")
