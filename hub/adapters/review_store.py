"""Sightings that a person has to decide, what was decided, and what followed from it for recognition."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, or_, select, update
from sqlalchemy.dialects.mysql import insert

from hub.adapters.event_dates import ESTIMATE, of_undated_boot, when
from hub.adapters.schema import (
    attendance,
    audit,
    events,
    hub_facts,
    look_alikes,
    review_decisions,
    student_margins,
    undated_boots,
)
from hub.adapters.unit_rooms import rooms_over_time
from hub.core.reviews import Sighting

_FACT = "reviews"
"""The row of `hub_facts` that is locked while somebody decides."""
_KEYS_AT_ONCE = 500


def sightings(connection: Connection, since: datetime, until: datetime) -> list[Sighting]:
    """Return the sightings of a span of time that show nobody for certain, by their best known time."""
    places = rooms_over_time(connection)
    if not places:
        return []
    # Unit by unit: so the index gives the few of them.
    theirs = (events.c.unit_id.in_(sorted(places)), events.c.kind == "review")
    then = (events.c.at_corrected >= since, events.c.at_corrected < until, events.c.time_basis != "estimated")
    found = [(row, row.at_corrected) for row in connection.execute(select(events).where(*theirs, *then))]
    undated = select(events, *ESTIMATE).select_from(undated_boots).join(events, of_undated_boot())
    estimated = (events.c.kind == "review", events.c.time_basis == "estimated")
    for row in connection.execute(undated.where(*estimated)):
        at, _ = when(row)
        if since <= at < until:
            found.append((row, at))
    return [_sighting(row, at, places[row.unit_id].room_at(at)) for row, at in found if row.unit_id in places]


def _sighting(row: Row[Any], at: datetime, room_id: str) -> Sighting:
    body = json.loads(row.body)
    candidates = tuple(one["student_id"] for one in body["candidates"])
    scores = tuple(one.get("score", -1.0) for one in body["candidates"])
    return Sighting(row.event_id, row.unit_id, room_id, at, candidates, body.get("reason", ""), scores)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided about a question; `student_id`: whom it shows, `mark_id`: the mark that came of it."""

    id: str
    review_key: str
    outcome: str
    student_id: str | None
    mark_id: str | None
    decided_at: datetime
    decided_by: str
    undone_at: datetime | None = None
    undone_by: str | None = None


_COLUMNS = tuple(Decision.__dataclass_fields__)


def lock(connection: Connection, at: datetime) -> None:
    """Let nobody else decide until this transaction ends."""
    nothing = insert(hub_facts).values(name=_FACT, value="", changed_at=at)
    connection.execute(nothing.on_duplicate_key_update(name=hub_facts.c.name))
    connection.execute(select(hub_facts.c.name).where(hub_facts.c.name == _FACT).with_for_update())


def decisions(connection: Connection, keys: Iterable[str]) -> dict[str, Decision]:
    """Return what stands of what was decided about these questions, by key; the newest."""
    found: dict[str, Decision] = {}
    wanted = sorted(set(keys))
    for start in range(0, len(wanted), _KEYS_AT_ONCE):
        part = review_decisions.c.review_key.in_(wanted[start : start + _KEYS_AT_ONCE])
        query = select(review_decisions).where(part, review_decisions.c.undone_at.is_(None))
        for row in connection.execute(query.order_by(review_decisions.c.decided_at)):
            found[row.review_key] = _decision(row)
    return found


def by_id(connection: Connection, ids: Iterable[str], *, or_taken_back_at: datetime) -> list[Decision]:
    """Return those of these decisions that stand, and those that were taken back at that very moment."""
    named = review_decisions.c
    stands = or_(named.undone_at.is_(None), named.undone_at == or_taken_back_at)
    found: list[Decision] = []
    wanted = sorted(set(ids))
    for start in range(0, len(wanted), _KEYS_AT_ONCE):
        query = select(review_decisions).where(named.id.in_(wanted[start : start + _KEYS_AT_ONCE]), stands)
        found += [_decision(row) for row in connection.execute(query.order_by(named.id))]
    return found


@dataclass(frozen=True, slots=True)
class Asked:
    """What a question was: where ("lesson:<id>" or "day:<date>:<room id>"), and who it may have been."""

    place: str
    candidates: tuple[str, ...]


def asked(connection: Connection, keys: Iterable[str]) -> dict[str, Asked]:
    """Return what the questions with these keys were when they were answered, as far as the audit log still says."""
    found: dict[str, Asked] = {}
    wanted = sorted(f"review:{key}" for key in set(keys))
    for start in range(0, len(wanted), _KEYS_AT_ONCE):
        query = select(audit.c.subject, audit.c.object, audit.c.detail).where(
            audit.c.subject.in_(wanted[start : start + _KEYS_AT_ONCE]),
            audit.c.action.in_(("review.accept", "review.reject")),
        )
        for row in connection.execute(query):
            candidates = tuple(json.loads(row.detail)["candidates"])
            found[row.subject.removeprefix("review:")] = Asked(row.object, candidates)
    return found


def undone_at(connection: Connection, key: str, at: datetime) -> Decision | None:
    """Return the decision that was taken back at that very moment: by a transaction whose answer was lost."""
    query = select(review_decisions).where(review_decisions.c.review_key == key, review_decisions.c.undone_at == at)
    row = connection.execute(query).first()
    return None if row is None else _decision(row)


def decide(connection: Connection, decision: Decision) -> None:
    """Write a decision down."""
    connection.execute(insert(review_decisions).values({name: getattr(decision, name) for name in _COLUMNS}))


def take_back(connection: Connection, decision_id: str, at: datetime, by: str) -> None:
    """Note that a decision does not stand any more."""
    change = update(review_decisions).where(review_decisions.c.id == decision_id)
    connection.execute(change.values(undone_at=at, undone_by=by[:100]))


def raise_margins(connection: Connection, student_ids: Sequence[str], at: datetime) -> None:
    """Count one more rejection for each of these students: they are told apart by a larger margin."""
    for student_id in sorted(student_ids):
        statement = insert(student_margins).values(student_id=student_id, rejections=1, changed_at=at)
        more = {"rejections": student_margins.c.rejections + 1, "changed_at": at}
        connection.execute(statement.on_duplicate_key_update(more))


def lower_margins(connection: Connection, student_ids: Sequence[str], at: datetime) -> None:
    """Count one rejection less for each of these students."""
    theirs = student_margins.c.student_id.in_(sorted(student_ids))
    change = update(student_margins).where(theirs, student_margins.c.rejections > 0)
    connection.execute(change.values(rejections=student_margins.c.rejections - 1, changed_at=at))
    connection.execute(delete(student_margins).where(theirs, student_margins.c.rejections <= 0))


def forget_pairs(connection: Connection, decision: Decision) -> int:
    """Remove the pairs that a rejection made; return how many. The caller holds their lock.

    A pair that another rejection says too, one that stands, is that one's from now on.
    """
    named = look_alikes.c
    theirs = or_(named.student_id == decision.student_id, named.other_id == decision.student_id)
    made = (theirs, named.origin == "review", named.decided_at == decision.decided_at)
    pairs = [(row.student_id, row.other_id) for row in connection.execute(select(look_alikes).where(*made))]
    again = _said_again(connection, decision, pairs)
    for one, two in pairs:
        this = (named.student_id == one, named.other_id == two)
        if other := again.get((one, two)):
            whose = {"decided_at": other.decided_at, "decided_by": other.decided_by}
            connection.execute(update(look_alikes).where(*this).values(whose))
            continue
        # A pair with a score was found by a calibration before anybody spoke of it.
        found_before = update(look_alikes).where(*this, named.score.is_not(None)).values(origin="calibration")
        if not connection.execute(found_before).rowcount:
            connection.execute(delete(look_alikes).where(*this))
    return len(pairs) - len(again)


def _said_again(
    connection: Connection, decision: Decision, pairs: Collection[tuple[str, str]]
) -> dict[tuple[str, str], Decision]:
    """Return for each of these pairs which another rejection says too the first that does."""
    named = review_decisions.c
    others = select(review_decisions).where(
        named.id != decision.id,
        named.outcome == "rejected",
        named.undone_at.is_(None),
        named.student_id.in_({one for pair in pairs for one in pair}),
    )
    standing = [_decision(row) for row in connection.execute(others.order_by(named.decided_at, named.id))]
    about = asked(connection, {one.review_key for one in standing})
    found: dict[tuple[str, str], Decision] = {}
    for one in standing:
        for pair in pairs:
            # A pair too many is asked about; one too few would be taken for each other. So what is not known says it.
            known = about.get(one.review_key)
            if one.student_id in pair and (known is None or set(pair) <= {one.student_id, *known.candidates}):
                found.setdefault(pair, one)
    return found


@dataclass(frozen=True, slots=True)
class Known:
    """A row of the register, as far as it says that nobody has to ask."""

    student_id: str
    occasion: str
    status: str
    rule: str

    @property
    def settled(self) -> bool:
        """Whether the student was there, or a person has spoken."""
        return self.status in {"Present", "Late"} or self.rule == "mark"


def on_record(connection: Connection, student_ids: Collection[str], first: date, last: date) -> list[Known]:
    """Return the register of these students from one day to another, both included."""
    found: list[Known] = []
    wanted = sorted(set(student_ids))
    for start in range(0, len(wanted), _KEYS_AT_ONCE):
        query = select(attendance.c.student_id, attendance.c.occasion, attendance.c.status, attendance.c.rule).where(
            attendance.c.student_id.in_(wanted[start : start + _KEYS_AT_ONCE]),
            attendance.c.day >= first,
            attendance.c.day <= last,
        )
        found += [Known(row.student_id, row.occasion, row.status, row.rule) for row in connection.execute(query)]
    return found


def _decision(row: Row[Any]) -> Decision:
    return Decision(**{name: getattr(row, name) for name in _COLUMNS})
