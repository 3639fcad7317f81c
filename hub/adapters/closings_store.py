"""Who closed a lesson's register and when, in MySQL; what the lesson's page is made of beside it."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from hub.adapters.schema import audit, closings, lesson_states, lessons

_ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Closing:
    """A lesson was closed; `reopened_at` None while it is."""

    lesson_id: str
    closed_at: datetime
    closed_by: str
    reopened_at: datetime | None = None
    reopened_by: str | None = None


@dataclass(frozen=True, slots=True)
class HowManySeen:
    """Of a lesson that is over: how many were seen, how many of those a unit could have seen were not."""

    seen: int
    unseen: int
    held: bool


@dataclass(frozen=True, slots=True)
class Change:
    """A status that changed, as the audit log has it."""

    at: datetime
    student_id: str
    before: str
    after: str
    rule: str
    cause: str


def lock(connection: Connection, lesson_ids: Collection[str]) -> None:
    """Let nobody else close or open these lessons until this transaction ends."""
    # In the order of the key, so that two who close the same lessons wait for each other.
    query = select(lessons.c.id).where(lessons.c.id.in_(sorted(set(lesson_ids)))).order_by(lessons.c.id)
    connection.execute(query.with_for_update())


def standing(connection: Connection, lesson_ids: Collection[str]) -> dict[str, Closing]:
    """Return which of these lessons are closed, by lesson; of several closings that stand, the last."""
    found: dict[str, Closing] = {}
    wanted = sorted(set(lesson_ids))
    for start in range(0, len(wanted), _ROWS_AT_ONCE):
        part = closings.c.lesson_id.in_(wanted[start : start + _ROWS_AT_ONCE])
        query = select(closings).where(part, closings.c.reopened_at.is_(None))
        for row in connection.execute(query.order_by(closings.c.closed_at, closings.c.id)):
            found[row.lesson_id] = _closing(row)
    return found


def history(connection: Connection, lesson_id: str) -> list[Closing]:
    """Return every closing of a lesson, the oldest first."""
    query = select(closings).where(closings.c.lesson_id == lesson_id)
    return [_closing(row) for row in connection.execute(query.order_by(closings.c.closed_at, closings.c.id))]


def close(connection: Connection, ids: Mapping[str, str], at: datetime, by: str) -> None:
    """Close lessons, given as lesson to the id of its closing."""
    if ids:
        rows = [
            {"id": closing_id, "lesson_id": lesson_id, "closed_at": at, "closed_by": by[:100]}
            for lesson_id, closing_id in sorted(ids.items())
        ]
        connection.execute(insert(closings), rows)


def closed_as(connection: Connection, ids: Iterable[str]) -> set[str]:
    """Return which of these closings are on record."""
    return set(connection.execute(select(closings.c.id).where(closings.c.id.in_(sorted(ids)))).scalars())


def reopen(connection: Connection, lesson_ids: Collection[str], at: datetime, by: str) -> None:
    """Open lessons again."""
    change = update(closings).where(closings.c.lesson_id.in_(sorted(lesson_ids)), closings.c.reopened_at.is_(None))
    connection.execute(change.values(reopened_at=at, reopened_by=by[:100]))


def reopened_at(connection: Connection, lesson_ids: Collection[str], at: datetime, by: str) -> set[str]:
    """Return which of these lessons were opened at that very moment: by a transaction whose answer was lost."""
    found = select(closings.c.lesson_id).where(
        closings.c.lesson_id.in_(sorted(lesson_ids)), closings.c.reopened_at == at, closings.c.reopened_by == by[:100]
    )
    return set(connection.execute(found).scalars())


def how_many_seen(connection: Connection, lesson_ids: Collection[str]) -> dict[str, HowManySeen]:
    """Return what is derived of these lessons as a whole, by lesson."""
    found: dict[str, HowManySeen] = {}
    wanted = sorted(set(lesson_ids))
    for start in range(0, len(wanted), _ROWS_AT_ONCE):
        query = select(lesson_states).where(lesson_states.c.lesson_id.in_(wanted[start : start + _ROWS_AT_ONCE]))
        found |= {row.lesson_id: HowManySeen(row.seen, row.unseen, row.held) for row in connection.execute(query)}
    return found


def changes_since(connection: Connection, lesson_id: str, since: datetime) -> list[Change]:
    """Return which statuses of a lesson changed after a moment, by the audit log; but not by closing it."""
    query = select(audit.c.at, audit.c.subject, audit.c.detail).where(
        audit.c.object == f"lesson:{lesson_id}", audit.c.at > since, audit.c.action == "register.change"
    )
    found = []
    for row in connection.execute(query.order_by(audit.c.at, audit.c.seq)):
        said = json.loads(row.detail)
        words = {name: str(said.get(name) or "") for name in ("before", "after", "rule", "cause")}
        if words["cause"] != "closing":
            found.append(Change(row.at, row.subject.removeprefix("student:"), **words))
    return found


def _closing(row: Row[Any]) -> Closing:
    return Closing(row.lesson_id, row.closed_at, row.closed_by, row.reopened_at, row.reopened_by)
