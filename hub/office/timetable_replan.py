"""Makes the single lessons what the timetable says: after a change of a term, of holidays or of what comes again."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from sqlalchemy import Connection

from hub.adapters import audit_log, lesson_store
from hub.adapters.lesson_store import PlaceIds
from hub.core.roster_lessons import Lesson, LessonFields
from hub.core.timetable import Holiday, Series, Term, expand, lesson_id, lesson_of
from hub.core.timetable_replan import Replan, Wanted, replan
from hub.office.context import Office
from hub.office.lesson_effects import follow, refuse_clashes

FIRST_DIFFERENCES = 20


@dataclass(frozen=True, slots=True)
class ReplanChoice:
    """How lessons are planned again: also those that have begun, only to look, one teacher in two places allowed."""

    past_too: bool = False
    dry_run: bool = False
    teacher_conflicts: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """What happens, or would happen, to one lesson; `before` only where it changes."""

    what: Literal["add", "change", "cancel", "delete"]
    lesson: LessonFields
    before: LessonFields | None = None


@dataclass(frozen=True, slots=True)
class Replanned:
    """How many lessons were made, changed, cancelled and deleted, or would be when `dry_run`.

    `by_hand`: a person decided otherwise, and it stays. `begun`: begun lessons that stay as they are although the
    timetable says otherwise. `odd_clocks`: lessons at a time that the clocks skip, or show twice, on that day.
    """

    added: int = 0
    changed: int = 0
    cancelled: int = 0
    deleted: int = 0
    unchanged: int = 0
    by_hand: int = 0
    begun: int = 0
    odd_clocks: tuple[Wanted, ...] = ()
    first: tuple[Difference, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Desired:
    """What the timetable says now: what comes again in which term, and what no longer does."""

    series: Sequence[tuple[Series, Term]]
    holidays: Sequence[Holiday]
    gone: Sequence[str] = ()
    days: tuple[date, date] | None = None
    """Only lessons of these days are concerned; None: all."""


def replan_series(
    connection: Connection, office: Office, desired: Desired, ids: PlaceIds, choice: ReplanChoice, at: datetime
) -> Replanned:
    """Make the lessons of these series what the timetable says, in the caller's transaction.

    Raises LessonsClash when some of them cannot be.
    """
    zone = office.settings.zone
    wanted = [
        Wanted(
            lesson_id(series.series_id, planned.day),
            lesson_of(series.fields, planned),
            series.series_id,
            planned.day,
            clock=planned.clock,
        )
        for series, term in desired.series
        for planned in expand(series.fields, term, desired.holidays, zone)
        if desired.days is None or desired.days[0] <= planned.day <= desired.days[1]
    ]
    concerned = [*(series.series_id for series, _ in desired.series), *desired.gone]
    known = lesson_store.lessons_of_series(connection, concerned, desired.days)
    known += _remembered(connection, wanted, {one.lesson_id for one in known})
    plan = replan(wanted, known, at, past_too=choice.past_too)
    return carry_out(connection, office, plan, ids, choice, at)


def carry_out(
    connection: Connection, office: Office, plan: Replan, ids: PlaceIds, choice: ReplanChoice, at: datetime
) -> Replanned:
    """Do what was planned, unless it is a dry run; with the register and the galleries. Raises LessonsClash."""
    changed = {one.before.lesson_id: one for one in plan.change}
    coming = [*plan.add, *(one.after for one in plan.change)]
    cancel, delete = _dropped(connection, plan.drop)
    refuse_clashes(
        connection,
        office,
        coming,
        leaving={*changed, *(one.lesson_id for one in delete)},
        cancelled={one.lesson_id for one in cancel},
        teachers=not choice.teacher_conflicts,
    )
    if not choice.dry_run:
        lesson_store.delete_lessons(connection, [one.lesson_id for one in delete])
        lesson_store.cancel_lessons(connection, [one.lesson_id for one in cancel], at)
        lesson_store.update_lessons(
            connection,
            {key: one.after for key, one in changed.items()},
            ids,
            at,
            by_hand={key: one.before.by_hand for key, one in changed.items()},
        )
        lesson_store.insert_lessons(connection, plan.add, ids)
        before = [*cancel, *delete, *(one.before for one in plan.change)]
        follow(connection, office, [*(one.fields for one in before), *(one.fields for one in coming)], at, ids)
    return Replanned(
        added=len(plan.add),
        changed=len(plan.change),
        cancelled=len(cancel),
        deleted=len(delete),
        unchanged=plan.unchanged,
        by_hand=plan.by_hand,
        begun=plan.begun,
        odd_clocks=plan.odd_clocks,
        first=_first(plan, cancel, delete),
        dry_run=choice.dry_run,
    )


def counted(done: Replanned) -> dict[str, audit_log.Json]:
    """Return what was done to lessons as numbers, for the audit log."""
    return {"added": done.added, "changed": done.changed, "cancelled": done.cancelled, "deleted": done.deleted}


def _remembered(connection: Connection, wanted: Sequence[Wanted], known: Collection[str]) -> list[Lesson]:
    """Return what ended before and was kept as cancelled, since something was said of it, at places now wanted."""
    if not wanted:
        return []
    starts = [one.fields.starts_at for one in wanted]
    keys = {one.fields.key for one in wanted}
    found = lesson_store.cancelled_lessons(connection, min(starts), max(starts))
    return [one for one in found if one.fields.key in keys and one.lesson_id not in known]


def _dropped(connection: Connection, drop: Sequence[Lesson]) -> tuple[list[Lesson], list[Lesson]]:
    """Return which lessons are cancelled, because something was said about them, and which are deleted."""
    referred = lesson_store.referred_to(connection, [one.lesson_id for one in drop])
    cancel = [one for one in drop if one.lesson_id in referred and not one.cancelled]
    return cancel, [one for one in drop if one.lesson_id not in referred]


def _first(plan: Replan, cancel: Iterable[Lesson], delete: Iterable[Lesson]) -> tuple[Difference, ...]:
    found = [
        *(Difference("add", one.fields) for one in plan.add),
        *(Difference("change", one.after.fields, one.before.fields) for one in plan.change),
        *(Difference("cancel", one.fields) for one in cancel),
        *(Difference("delete", one.fields) for one in delete),
    ]
    return tuple(sorted(found, key=lambda one: (one.lesson.starts_at, one.lesson.room))[:FIRST_DIFFERENCES])
