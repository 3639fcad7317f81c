"""What could not be taken, kept for a person to look at: poison events for ever, other messages up to a bound."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.mysql import insert

from hub.adapters.audit_log import new_id
from hub.adapters.schema import quarantine
from hub.core.ingest import Refused, Unusable
from protocol.base import MAX_MESSAGE_BYTES, sha256_hex

TABLE = quarantine
MOST_UNUSABLE = 1000
"""How many messages that are no event are kept: anybody who may publish could fill the disk otherwise."""


def keep_refused(connection: Connection, refused: Sequence[tuple[Refused, datetime]]) -> None:
    """Keep refused events in the caller's transaction; the same poison sent ten times is one row."""
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
