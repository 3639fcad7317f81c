"""Adds rules of the register to those on record; none is ever changed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.dialects.mysql import insert as insert_or

from hub.adapters import lesson_finding
from hub.adapters.attendance_store import Pair
from hub.adapters.schema import attendance, hub_facts, register_rules, students
from hub.core.attendance_facts import Rules
from hub.core.retention import FROZEN_UNTIL
from hub.core.roster_times import day_bounds

_FACT = "register.rules"
"""The row of `hub_facts` that is locked while rules are added."""
_DAYS_AT_ONCE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Made:
    """Who made a version of the rules, and when."""

    version: int
    made_at: datetime
    made_by: str


def lock(connection: Connection, at: datetime) -> None:
    """Let nobody else add rules until this transaction ends."""
    nothing = insert_or(hub_facts).values(name=_FACT, value="", changed_at=at)
    connection.execute(nothing.on_duplicate_key_update(name=hub_facts.c.name))
    connection.execute(select(hub_facts.c.name).where(hub_facts.c.name == _FACT).with_for_update())


def made(connection: Connection) -> list[Made]:
    """Return who made which version, by version."""
    query = select(register_rules.c.version, register_rules.c.made_at, register_rules.c.made_by)
    return [Made(*row) for row in connection.execute(query.order_by(register_rules.c.version))]


def next_version(connection: Connection) -> int:
    """Return the number of the next version."""
    return int(connection.execute(select(func.coalesce(func.max(register_rules.c.version), 0))).scalar_one()) + 1


def add(connection: Connection, rules: Rules, at: datetime, by: str) -> None:
    """Add rules with a version of their own; their lengths are whole minutes."""
    connection.execute(
        insert(register_rules).values(
            version=rules.version,
            from_day=rules.from_day,
            early_min=_minutes(rules.early.total_seconds()),
            late_after_min=_minutes(rules.late_after.total_seconds()),
            left_early_min=_minutes(rules.left_early.total_seconds()),
            covered_share=rules.covered_share,
            held_share=rules.held_share,
            sessions=_sessions(rules),
            made_at=at,
            made_by=by[:100],
        )
    )


def frozen_until(connection: Connection) -> date:
    """Return the first local day that may still be derived: of days before it retention deleted the events."""
    said = connection.execute(select(hub_facts.c.value).where(hub_facts.c.name == FROZEN_UNTIL)).scalar()
    return date.fromisoformat(said) if said else date.min


def everybody(connection: Connection) -> list[str]:
    """Return the ids of all students but those who were erased."""
    return list(connection.execute(select(students.c.id).where(students.c.erased_at.is_(None))).scalars())


def concerned(connection: Connection, days: tuple[date, date], derived_until: date | None, zone: ZoneInfo) -> set[Pair]:
    """Return students and days whose register follows other rules.

    Whoever is expected in a lesson of `days` (from the first until before the second), and of everybody what is derived
    already: from the first on, until `derived_until` (exclusive; None: for good). Those are also the days of guests, of
    whoever has no lesson, and days to come.
    """
    first, until = days
    found: set[Pair] = set()
    since = first
    while since < until:
        # Some weeks at once: a year of a school is a million of them.
        before = min(until, since + _DAYS_AT_ONCE)
        lessons_of = lesson_finding.expected_starts(connection, day_bounds(since, zone)[0], day_bounds(before, zone)[0])
        found.update((student_id, starts_at.astimezone(zone).date()) for student_id, starts_at in lessons_of)
        since = before
    derived = select(attendance.c.student_id, attendance.c.day).distinct().where(attendance.c.day >= first)
    if derived_until is not None:
        derived = derived.where(attendance.c.day < derived_until)
    return found.union((row.student_id, row.day) for row in connection.execute(derived))


def _minutes(seconds: float) -> int:
    return round(seconds / 60)


def _sessions(rules: Rules) -> str:
    said: Sequence[Sequence[str]] = [
        (one.name, one.since.isoformat("minutes"), one.until.isoformat("minutes")) for one in rules.sessions
    ]
    return json.dumps(said)
