"""What could not be taken, kept for a person to look at: poison events for ever, other messages up to a bound."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select, text, update
from sqlalchemy.dialects.mysql import insert

from hub.adapters.audit_log import new_id
from hub.adapters.schema import quarantine, units
from hub.core.ingest import CONFLICT, MOVED, Refused, Unusable
from protocol.base import MAX_MESSAGE_BYTES, sha256_hex

TABLE = quarantine
MOST_UNUSABLE = 1000
"""How many messages that are no event are kept: anybody who may publish could fill the disk otherwise."""

TAKEN, DUPLICATE, DISCARDED = "taken", "duplicate", "discarded"
"""What became of a row: its event is on record now, was on record before, or a person decided against it."""
BY_THE_UNIT = "the unit"
_BY_THE_HUB = "the hub"


def keep_refused(connection: Connection, refused: Sequence[tuple[Refused, datetime]]) -> None:
    """Keep refused events in the caller's transaction; the same poison sent ten times is one row.

    A late copy of what is on record elsewhere (`moved`) is settled with it: it fills its place in the stream, and there
    is nothing to decide.
    """
    if not refused:
        return
    statement = insert(quarantine)
    connection.execute(
        statement.on_duplicate_key_update(received_at=quarantine.c.received_at),
        [
            {
                "id": new_id(at),
                "unit_id": event.unit_id,
                "epoch": event.epoch,
                "seq": event.seq,
                "code": event.code,
                "detail": event.detail,
                "topic": "",
                "body": event.body,
                "body_sha256": bytes.fromhex(event.sha256),
                "received_at": at,
                "resolved_at": at if event.code == MOVED else None,
                "resolved_by": _BY_THE_HUB if event.code == MOVED else None,
                "outcome": DUPLICATE if event.code == MOVED else None,
            }
            for event, at in refused
        ],
    )


def keep_unusable(connection: Connection, unusable: Sequence[Unusable]) -> int:
    """Keep messages that cannot be used, at most MOST_UNUSABLE in all; return how many were kept now."""
    held = connection.execute(
        select(func.count()).select_from(quarantine).where(quarantine.c.epoch.is_(None))
    ).scalar_one()
    kept = unusable[: max(0, MOST_UNUSABLE - held)]
    if kept:
        connection.execute(insert(quarantine), [_row(message) for message in kept])
    return len(kept)


def _row(message: Unusable) -> dict[str, object]:
    arrival = message.arrival
    return {
        "id": new_id(arrival.received_at),
        "unit_id": message.unit_id,
        "code": message.code,
        "detail": message.detail,
        "topic": arrival.topic[:200],
        "body": arrival.payload[:MAX_MESSAGE_BYTES],
        "body_sha256": bytes.fromhex(sha256_hex(arrival.payload)),
        "received_at": arrival.received_at,
    }


def waiting(connection: Connection, unit_ids: Collection[str]) -> set[str]:
    """Return which of these units have rows that wait for a decision: mostly none, and then nothing is to be done."""
    wanted = quarantine.c.unit_id.in_(list(unit_ids))
    found = connection.execute(
        select(quarantine.c.unit_id).distinct().where(wanted, quarantine.c.resolved_at.is_(None))
    )
    return set(found.scalars())


def resolve(connection: Connection, unit_id: str, epoch: str, seqs: Collection[int]) -> int:
    """Close the rows of events that a unit sent again and that are on record now; return how many.

    To be called in the transaction that takes them, for units that `waiting` names. A conflict stays open: what is on
    record at its place is another event.
    """
    if not seqs:
        return 0
    return connection.execute(
        update(quarantine)
        .where(
            quarantine.c.unit_id == unit_id,
            quarantine.c.epoch == epoch,
            quarantine.c.seq.in_(sorted(seqs)),
            quarantine.c.resolved_at.is_(None),
            quarantine.c.code != CONFLICT,
        )
        .values(
            resolved_at=text("utc_timestamp(6)"),
            # A person whose replay is under way: see `claim`.
            resolved_by=func.coalesce(quarantine.c.resolved_by, BY_THE_UNIT),
            outcome=TAKEN,
        )
    ).rowcount


def confirmed_by_unit(connection: Connection, unit_id: str, epoch: str, seqs: Collection[int]) -> None:
    """Note that a unit has sent events that were on record already: it holds a receipt for them from now on.

    Until then it holds what a person had taken as a dead letter, and does not count it in its audit.
    """
    connection.execute(
        update(quarantine)
        .where(*_replayed(unit_id, epoch), quarantine.c.seq.in_(sorted(seqs)))
        .values(resolved_by=BY_THE_UNIT)
    )


def replayed(connection: Connection, unit_id: str, epoch: str) -> list[int]:
    """Return the seqs of a stream that are on record because a person had them taken, not because a unit sent them."""
    return sorted(connection.execute(select(quarantine.c.seq).where(*_replayed(unit_id, epoch))).scalars())


def _replayed(unit_id: str, epoch: str) -> tuple[ColumnElement[bool], ...]:
    return (
        quarantine.c.unit_id == unit_id,
        quarantine.c.epoch == epoch,
        quarantine.c.outcome == TAKEN,
        quarantine.c.resolved_by != BY_THE_UNIT,
    )


@dataclass(frozen=True, slots=True)
class Kept:
    """One row of the quarantine. `label` is the unit's, if the unit is known; the rest as in the table."""

    row_id: str
    unit_id: str | None
    label: str | None
    epoch: str | None
    seq: int | None
    code: str
    detail: str
    topic: str
    body: bytes
    fixed_body: bytes | None
    received_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    outcome: str | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows are asked for; `None` asks for any."""

    label: str | None = None
    code: str | None = None
    resolved_too: bool = False
    row_ids: tuple[str, ...] | None = None


def find(connection: Connection, wanted: Wanted) -> list[Kept]:
    """Return the rows asked for, oldest first."""
    query = select(quarantine, units.c.label).outerjoin(units, units.c.id == quarantine.c.unit_id)
    if wanted.label is not None:
        query = query.where(units.c.label == wanted.label)
    if wanted.code is not None:
        query = query.where(quarantine.c.code == wanted.code)
    if not wanted.resolved_too:
        query = query.where(quarantine.c.resolved_at.is_(None))
    if wanted.row_ids is not None:
        query = query.where(quarantine.c.id.in_(wanted.row_ids))
    return [
        _kept(row)
        for row in connection.execute(query.order_by(quarantine.c.received_at, quarantine.c.seq, quarantine.c.id))
    ]


def _kept(row: Row[Any]) -> Kept:
    return Kept(
        row_id=row.id,
        unit_id=row.unit_id,
        label=row.label,
        epoch=row.epoch,
        seq=row.seq,
        code=row.code,
        detail=row.detail,
        topic=row.topic,
        body=bytes(row.body),
        fixed_body=None if row.fixed_body is None else bytes(row.fixed_body),
        received_at=row.received_at,
        resolved_at=row.resolved_at,
        resolved_by=row.resolved_by,
        outcome=row.outcome,
    )


def put_fixed(connection: Connection, row_id: str, body: bytes) -> None:
    """Put a corrected event beside what the unit sent."""
    connection.execute(update(quarantine).where(quarantine.c.id == row_id).values(fixed_body=body))


def claim(connection: Connection, row_id: str, by: str | None) -> None:
    """Note on an open row whose replay it is, before that begins; None: it was in vain.

    The transaction that takes the event settles the row: whose doing it was is then known whatever breaks off.
    """
    mine = (quarantine.c.id == row_id, quarantine.c.resolved_at.is_(None))
    connection.execute(update(quarantine).where(*mine).values(resolved_by=None if by is None else by[:100]))


def close(connection: Connection, row_id: str, *, at: datetime, by: str, outcome: str) -> None:
    """Note what became of a row."""
    changes = {"resolved_at": at, "resolved_by": by[:100], "outcome": outcome}
    connection.execute(update(quarantine).where(quarantine.c.id == row_id).values(**changes))


def open_counts(connection: Connection) -> dict[str, int]:
    """Return how many rows of each unit wait for a decision."""
    found = connection.execute(
        select(quarantine.c.unit_id, func.count().label("number"))
        .where(quarantine.c.resolved_at.is_(None), quarantine.c.unit_id.is_not(None))
        .group_by(quarantine.c.unit_id)
    )
    return {row.unit_id: row.number for row in found}
