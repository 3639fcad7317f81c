"""The rows of the quarantine as a person works through them: listed without content, read one by one, settled once."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select, update

from hub.adapters.schema import quarantine, units

PAGE = 100
"""How many rows are listed at once."""

SET_ASIDE = "; set aside: "
"""Stands in a row's detail before the reason that a person gave."""
MOST_REASON = 120
_MOST_DETAIL = 200


@dataclass(frozen=True, slots=True)
class Line:
    """One row without its content. `label` is the unit's, if the unit is known; the rest as in the table."""

    row_id: str
    unit_id: str | None
    label: str | None
    epoch: str | None
    seq: int | None
    code: str
    detail: str
    topic: str
    fixed: bool
    """A person wrote something in its place."""
    received_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    outcome: str | None


@dataclass(frozen=True, slots=True)
class Kept(Line):
    """One row with what the unit sent, and with what a person wrote in its place."""

    body: bytes
    fixed_body: bytes | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows are asked for; `None` asks for any."""

    label: str | None = None
    code: str | None = None
    resolved_too: bool = False


_LINE = (
    quarantine.c.id.label("row_id"),
    quarantine.c.unit_id,
    units.c.label,
    quarantine.c.epoch,
    quarantine.c.seq,
    quarantine.c.code,
    quarantine.c.detail,
    quarantine.c.topic,
    quarantine.c.fixed_body.is_not(None).label("fixed"),
    quarantine.c.received_at,
    quarantine.c.resolved_at,
    quarantine.c.resolved_by,
    quarantine.c.outcome,
)
_CONTENT = (quarantine.c.body, quarantine.c.fixed_body)
_JOINED = quarantine.outerjoin(units, units.c.id == quarantine.c.unit_id)


def lines(connection: Connection, wanted: Wanted, *, skip: int = 0, most: int = PAGE) -> list[Line]:
    """Return some of the rows asked for, oldest first, without what was sent."""
    query = _of(select(*_LINE).select_from(_JOINED), wanted)
    ordered = query.order_by(quarantine.c.received_at, quarantine.c.seq, quarantine.c.id)
    return [_line(row) for row in connection.execute(ordered.offset(skip).limit(most))]


def count(connection: Connection, wanted: Wanted) -> int:
    """Return how many rows are asked for."""
    query = _of(select(func.count(quarantine.c.id)).select_from(_JOINED), wanted)
    return int(connection.execute(query).scalar_one())


def _of(query: Select[Any], wanted: Wanted) -> Select[Any]:
    if wanted.label is not None:
        query = query.where(units.c.label == wanted.label)
    if wanted.code is not None:
        query = query.where(quarantine.c.code == wanted.code)
    if not wanted.resolved_too:
        query = query.where(quarantine.c.resolved_at.is_(None))
    return query


def one(connection: Connection, row_id: str) -> Kept | None:
    """Return a row with its content; None when there is none of this id."""
    query = select(*_LINE, *_CONTENT).select_from(_JOINED).where(quarantine.c.id == row_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else _kept(row)


def _line(row: Row[Any]) -> Line:
    return Line(**_fields(row))


def _kept(row: Row[Any]) -> Kept:
    fixed = None if row.fixed_body is None else bytes(row.fixed_body)
    return Kept(**{**_fields(row), "body": bytes(row.body), "fixed_body": fixed})


def _fields(row: Row[Any]) -> dict[str, Any]:
    return {**row._mapping, "fixed": bool(row.fixed)}


# ---- what becomes of them: only ever of a row that is open -----------------------------------------------------------


def put_fixed(connection: Connection, row_id: str, body: bytes) -> bool:
    """Put a corrected event beside what the unit sent; False when the row is settled."""
    return _change(connection, row_id, fixed_body=body)


def claim(connection: Connection, row_id: str, by: str) -> bool:
    """Note on an open row whose replay it is, before that begins; False when the row is settled.

    The transaction that takes the event settles the row: whose doing it was is then known whatever breaks off.
    """
    return _change(connection, row_id, resolved_by=by[:100])


def give_up(connection: Connection, row_id: str, by: str) -> None:
    """Note that somebody's replay of an open row was in vain."""
    mine = (quarantine.c.id == row_id, quarantine.c.resolved_at.is_(None), quarantine.c.resolved_by == by[:100])
    connection.execute(update(quarantine).where(*mine).values(resolved_by=None))


def close(connection: Connection, row_id: str, *, at: datetime, by: str, outcome: str) -> bool:
    """Note what became of an open row; False when it was settled before."""
    return _change(connection, row_id, resolved_at=at, resolved_by=by[:100], outcome=outcome)


def discard(connection: Connection, kept: Line, reason: str, *, at: datetime, by: str, outcome: str) -> bool:
    """As `close`, but not while somebody's replay may be under way: it could take what is set aside here.

    The reason, of at most `MOST_REASON` characters, is added to the row's detail.
    """
    said = f"{SET_ASIDE}{reason}"
    detail = f"{kept.detail[: _MOST_DETAIL - len(said)]}{said}"
    settled = {"resolved_at": at, "resolved_by": by[:100], "outcome": outcome, "detail": detail}
    return _change(connection, kept.row_id, unclaimed=True, **settled)


def _change(connection: Connection, row_id: str, *, unclaimed: bool = False, **values: Any) -> bool:
    conditions = [quarantine.c.id == row_id, quarantine.c.resolved_at.is_(None)]
    if unclaimed:
        conditions.append(quarantine.c.resolved_by.is_(None))
    return connection.execute(update(quarantine).where(*conditions).values(**values)).rowcount > 0
