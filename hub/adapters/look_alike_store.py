"""Pairs of students whom the machine does not tell apart: an operator said so, or a calibration found it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, delete, or_, select
from sqlalchemy.dialects.mysql import insert

from hub.adapters.schema import hub_facts, look_alikes

FACT = "look_alikes"
"""The row of `hub_facts` that is locked while pairs change; the pairs themselves are in `look_alikes`."""

OPERATOR: Literal["operator"] = "operator"
CALIBRATION: Literal["calibration"] = "calibration"
REVIEW: Literal["review"] = "review"
"""A teacher said whom a sighting really showed: that one and whom the machine took them for are two people."""
SAID_BY_PEOPLE = (OPERATOR, REVIEW)
_ROWS_AT_ONCE = 500

SaidBy = Literal["operator", "review"]
Pair = tuple[str, str]
"""Two students' ids, the smaller first."""


@dataclass(frozen=True, slots=True)
class PairLine:
    """A pair on record. `score` is the cosine of the two fused templates, if it was measured."""

    pair: Pair
    origin: str
    score: float | None
    decided_by: str
    decided_at: datetime


def pair_of(one: str, other: str) -> Pair:
    """Return the pair of two students, the same whichever is named first."""
    return (one, other) if one < other else (other, one)


def read(connection: Connection) -> frozenset[Pair]:
    """Return all pairs, whoever found them: none of them is told apart by machine."""
    return frozenset(line.pair for line in lines(connection))


def confirmed(connection: Connection) -> frozenset[Pair]:
    """Return the pairs of whom a person said that they are two people. Only these may be enrolled side by side."""
    return frozenset(line.pair for line in lines(connection) if line.origin in SAID_BY_PEOPLE)


def lines(connection: Connection) -> list[PairLine]:
    """Return all pairs with what is known of them, in a fixed order."""
    query = select(look_alikes).order_by(look_alikes.c.student_id, look_alikes.c.other_id)
    return [
        PairLine(pair_of(row.student_id, row.other_id), row.origin, row.score, row.decided_by, row.decided_at)
        for row in connection.execute(query).all()
    ]


def lock(connection: Connection, at: datetime) -> frozenset[Pair]:
    """Return the confirmed pairs, and let no other enrolment or withdrawal begin until this transaction ends.

    Without it, two people who enrol twins at the same moment would each find nobody who looks like them.
    """
    nothing = insert(hub_facts).values(name=FACT, value="[]", changed_at=at)
    connection.execute(nothing.on_duplicate_key_update(name=hub_facts.c.name))
    connection.execute(select(hub_facts.c.value).where(hub_facts.c.name == FACT).with_for_update())
    return confirmed(connection)


def add(
    connection: Connection,
    student_id: str,
    others: Iterable[str],
    at: datetime,
    decided_by: str = "",
    *,
    origin: SaidBy = OPERATOR,
) -> None:
    """Add pairs of whom a person said that they are two people; the caller holds the lock.

    A pair that a calibration found is one that a person spoke of from now on, and keeps its score.
    """
    for other in others:
        one, two = pair_of(student_id, other)
        statement = insert(look_alikes).values(
            student_id=one, other_id=two, origin=origin, decided_by=decided_by[:100], decided_at=at
        )
        new = statement.inserted
        connection.execute(
            statement.on_duplicate_key_update(origin=new.origin, decided_by=new.decided_by, decided_at=new.decided_at)
        )


def forget(connection: Connection, student_id: str) -> None:
    """Remove the student's pairs; the caller holds the lock."""
    connection.execute(
        delete(look_alikes).where(or_(look_alikes.c.student_id == student_id, look_alikes.c.other_id == student_id))
    )


def replace_found(connection: Connection, found: Mapping[Pair, float], at: datetime, decided_by: str) -> bool:
    """Make `found` the pairs a calibration knows, with their scores; say whether pairs came or went.

    What a person said stays as it is. The caller holds the lock.
    """
    before = lines(connection)
    by_hand = {line.pair for line in before if line.origin in SAID_BY_PEOPLE}
    known = {line.pair for line in before if line.origin == CALIBRATION}
    now = {pair: score for pair, score in found.items() if pair not in by_hand}
    connection.execute(delete(look_alikes).where(look_alikes.c.origin == CALIBRATION))
    rows = [
        {
            "student_id": one,
            "other_id": other,
            "origin": CALIBRATION,
            "score": score,
            "decided_by": decided_by[:100],
            "decided_at": at,
        }
        for (one, other), score in sorted(now.items())
    ]
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        connection.execute(insert(look_alikes), rows[start : start + _ROWS_AT_ONCE])
    return known != set(now)


def remove(connection: Connection, pair: Pair) -> bool:
    """Remove one pair, whoever found it; say whether it was there. The caller holds the lock."""
    one, other = pair
    these = (look_alikes.c.student_id == one, look_alikes.c.other_id == other)
    return bool(connection.execute(delete(look_alikes).where(*these)).rowcount)
