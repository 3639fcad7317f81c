"""What could not be taken, kept for a person to look at: up to a bound, since one unit's fault may make any number.

What finds no room is answered as refused all the same: its unit holds it as a dead letter. Here it is counted.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, func, select, text, update
from sqlalchemy.dialects.mysql import insert

from hub.adapters import erased_notes
from hub.adapters.audit_log import new_id
from hub.adapters.quarantine_room import Room, count_dropped, keep_places
from hub.adapters.schema import quarantine
from hub.core.ingest import CONFLICT, MOVED, Refused, Unusable, Verdict
from protocol.base import MAX_MESSAGE_BYTES, sha256_hex

MOST_UNUSABLE = 1000
"""How many messages that are no event wait at most: anybody who may publish could fill the disk otherwise."""

TAKEN, DUPLICATE, DISCARDED = "taken", "duplicate", "discarded"
"""What became of a row: its event is on record now, was on record before, or a person decided against it."""
BY_THE_UNIT = "the unit"
_BY_THE_HUB = "the hub"
_OPEN = quarantine.c.resolved_at.is_(None)


# ---- refused events ------------------------------------------------------------------------------------------------


def keep_refused(connection: Connection, refused: Sequence[tuple[Refused, datetime]]) -> None:
    """Keep refused events in the caller's transaction; the same poison sent ten times is one row.

    A late copy of what is on record elsewhere (`moved`) is settled with it: it fills its place in the stream, and there
    is nothing to decide. Where there is no room, only the place is kept.
    """
    if not refused:
        return
    fresh = _fresh(connection, refused)
    room = Room(connection) if any(event.code != MOVED for event, _ in fresh) else None
    kept: list[dict[str, Any]] = []
    dropped: list[tuple[Refused, datetime]] = []
    for event, at in fresh:
        if room is None or event.code == MOVED or room.take(event.unit_id, len(event.body)):
            kept.append(_refused_row(event, at))
        else:
            dropped.append((event, at))
    if kept:
        statement = insert(quarantine)
        connection.execute(statement.on_duplicate_key_update(received_at=quarantine.c.received_at), kept)
    if dropped:
        keep_places(connection, [event for event, _ in dropped])
        count_dropped(connection, [(event.unit_id, at) for event, at in dropped])


def _fresh(connection: Connection, refused: Sequence[tuple[Refused, datetime]]) -> list[tuple[Refused, datetime]]:
    """Return those that are not in quarantine, each once."""
    seqs: dict[tuple[str, str], set[int]] = {}
    for event, _ in refused:
        seqs.setdefault((event.unit_id, event.epoch), set()).add(event.seq)
    seen: set[tuple[str, str, int, str]] = set()
    for (unit_id, epoch), theirs in seqs.items():
        found = connection.execute(
            select(quarantine.c.seq, quarantine.c.body_sha256).where(*_places(unit_id, epoch, theirs))
        ).all()
        seen |= {(unit_id, epoch, row.seq, bytes(row.body_sha256).hex()) for row in found}
    fresh = []
    for event, at in refused:
        key = (event.unit_id, event.epoch, event.seq, event.sha256)
        if key not in seen:
            seen.add(key)
            fresh.append((event, at))
    return fresh


def _refused_row(event: Refused, at: datetime) -> dict[str, Any]:
    moved = event.code == MOVED
    # What was moved is on record, the same but for its number: a second copy would only fill the disk.
    body = b"" if moved else event.body
    return {
        "id": new_id(at),
        "unit_id": event.unit_id,
        "epoch": event.epoch,
        "seq": event.seq,
        "code": event.code,
        "detail": event.detail,
        "topic": "",
        "body": body,
        "body_bytes": len(body),
        "body_sha256": bytes.fromhex(event.sha256),
        "received_at": at,
        "resolved_at": at if moved else None,
        "resolved_by": _BY_THE_HUB if moved else None,
        "outcome": DUPLICATE if moved else None,
    }


# ---- whole messages ------------------------------------------------------------------------------------------------


def keep_unusable(connection: Connection, unusable: Sequence[Unusable]) -> int:
    """Keep messages that cannot be used, each once, where there is room; return how many were kept now."""
    if not unusable:
        return 0
    rows = {(row["unit_id"], row["body_sha256"]): row for row in map(_unusable_row, unusable)}
    of_messages = quarantine.c.epoch.is_(None)
    hashes = sorted({sha256 for _, sha256 in rows})
    for one in connection.execute(
        select(quarantine.c.unit_id, quarantine.c.body_sha256).where(quarantine.c.body_sha256.in_(hashes), of_messages)
    ).all():
        rows.pop((one.unit_id, bytes(one.body_sha256)), None)
    held = connection.execute(select(func.count()).select_from(quarantine).where(of_messages, _OPEN)).scalar_one()
    room = Room(connection)
    kept: list[dict[str, Any]] = []
    dropped: list[tuple[str | None, datetime]] = []
    for row in rows.values():
        if held + len(kept) < MOST_UNUSABLE and room.take(row["unit_id"], row["body_bytes"]):
            kept.append(row)
        else:
            dropped.append((row["unit_id"], row["received_at"]))
    for row, body in zip(kept, erased_notes.drop_from(connection, [row["body"] for row in kept]), strict=True):
        row |= {"body": body, "body_bytes": len(body)}
    if kept:
        connection.execute(insert(quarantine), kept)
    if dropped:
        count_dropped(connection, dropped)
    return len(kept)


def _unusable_row(message: Unusable) -> dict[str, Any]:
    arrival = message.arrival
    body = arrival.payload[:MAX_MESSAGE_BYTES]
    return {
        "id": new_id(arrival.received_at),
        "unit_id": message.unit_id,
        "code": message.code,
        "detail": message.detail,
        "topic": arrival.topic[:200],
        "body": body,
        "body_bytes": len(body),
        "body_sha256": bytes.fromhex(sha256_hex(arrival.payload)),
        "received_at": arrival.received_at,
    }


# ---- settled by their units ----------------------------------------------------------------------------------------


def waiting(connection: Connection, unit_ids: Collection[str]) -> set[str]:
    """Return which of these units have rows that wait for a decision: mostly none, and then nothing is to be done."""
    wanted = quarantine.c.unit_id.in_(list(unit_ids))
    found = connection.execute(
        select(quarantine.c.unit_id).distinct().where(wanted, quarantine.c.resolved_at.is_(None))
    )
    return set(found.scalars())


def resolve(connection: Connection, verdict: Verdict) -> int:
    """Close the rows of events that a unit sent again and that are on record; return how many.

    To be called in the transaction that takes them, for units that `waiting` names. What waits with another event_id
    is another machine's event at the same place, and stays open, as does a conflict.
    """
    new = {row.event.event_id for row in verdict.new}
    known = set(verdict.duplicate)
    before = {row.event.event_id for row in verdict.batch.rows if row.event.seq in known} - new
    closed = _close(connection, verdict, {row.event.seq for row in verdict.new}, new, TAKEN)
    return closed + _close(connection, verdict, known, before, DUPLICATE)


def _close(connection: Connection, verdict: Verdict, seqs: Collection[int], ids: Collection[str], outcome: str) -> int:
    if not seqs:
        return 0
    found = connection.execute(
        select(quarantine.c.id, quarantine.c.body).where(
            *_places(verdict.batch.unit_id, verdict.batch.epoch, seqs), _OPEN, quarantine.c.code != CONFLICT
        )
    ).all()
    row_ids = [row.id for row in found if sent_id(bytes(row.body)) in {None, *ids}]
    if not row_ids:
        return 0
    return connection.execute(
        update(quarantine)
        .where(quarantine.c.id.in_(row_ids), _OPEN)
        .values(
            resolved_at=text("utc_timestamp(6)"),
            # A person whose replay is under way: see `quarantine_rows.claim`.
            resolved_by=func.coalesce(quarantine.c.resolved_by, BY_THE_UNIT),
            outcome=outcome,
        )
    ).rowcount


def sent_id(body: bytes) -> str | None:
    """Return the event_id of what a unit sent as an event; None when it has none that could be one."""
    try:
        event = json.loads(body)
        event_id = event["event_id"]
        return event_id if str(UUID(event_id)) == event_id else None
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None


def _places(unit_id: str, epoch: str, seqs: Iterable[int]) -> tuple[ColumnElement[bool], ...]:
    wanted = quarantine.c.seq.in_(sorted(seqs))
    return quarantine.c.unit_id == unit_id, quarantine.c.epoch == epoch, wanted


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


def open_counts(connection: Connection) -> dict[str, int]:
    """Return how many rows of each unit wait for a decision."""
    found = connection.execute(
        select(quarantine.c.unit_id, func.count().label("number"))
        .where(_OPEN, quarantine.c.unit_id.is_not(None))
        .group_by(quarantine.c.unit_id)
    )
    return {row.unit_id: row.number for row in found}
