"""Pairs of students of whom a person said that they merely look alike. Kept in `hub_facts` as JSON."""

import json
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.mysql import insert

from hub.adapters.schema import hub_facts
from hub.core.errors import StoreRefused

FACT = "look_alikes"

Pair = tuple[str, str]
"""Two students' ids, the smaller first."""


def pair_of(one: str, other: str) -> Pair:
    """Return the pair of two students, the same whichever is named first."""
    return (one, other) if one < other else (other, one)


def read(connection: Connection) -> frozenset[Pair]:
    """Return all pairs."""
    return _pairs(connection.execute(select(hub_facts.c.value).where(hub_facts.c.name == FACT)).scalar())


def lock(connection: Connection, at: datetime) -> frozenset[Pair]:
    """Return all pairs, and let no other enrolment or withdrawal begin until this transaction ends.

    Without it, two people who enrol twins at the same moment would each find nobody who looks like them.
    """
    nothing = insert(hub_facts).values(name=FACT, value="[]", changed_at=at)
    connection.execute(nothing.on_duplicate_key_update(name=hub_facts.c.name))
    return _pairs(
        connection.execute(select(hub_facts.c.value).where(hub_facts.c.name == FACT).with_for_update()).scalar()
    )


def add(connection: Connection, student_id: str, others: Iterable[str], at: datetime) -> None:
    """Add pairs of a student with others; the caller holds the lock."""
    pairs = read(connection)
    _write(connection, pairs | {pair_of(student_id, other) for other in others}, pairs, at)


def forget(connection: Connection, student_id: str, at: datetime) -> None:
    """Remove the student's pairs; the caller holds the lock."""
    pairs = read(connection)
    _write(connection, frozenset(pair for pair in pairs if student_id not in pair), pairs, at)


def _write(connection: Connection, pairs: frozenset[Pair], before: frozenset[Pair], at: datetime) -> None:
    if pairs != before:
        value = json.dumps(sorted(pairs), separators=(",", ":"))
        connection.execute(update(hub_facts).where(hub_facts.c.name == FACT).values(value=value, changed_at=at))


def _pairs(value: str | None) -> frozenset[Pair]:
    try:
        return frozenset(pair_of(one, other) for one, other in json.loads(value or "[]"))
    except (ValueError, TypeError) as exc:
        raise StoreRefused(f"the fact {FACT!r} in the database is damaged") from exc
