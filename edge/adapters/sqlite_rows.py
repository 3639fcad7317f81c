"""How an event, a moment and a stream's count are written down in the unit's database file, and read again."""

import json
from datetime import UTC, datetime
from typing import Any

from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_library import Database
from protocol.base import canonical_bytes, sha256_hex
from protocol.events import Event, event_json

ROWS_AT_ONCE = 500
"""Read or changed in one go; between two such batches, whoever records gets a turn."""


def last_seq(db: Database, epoch: str) -> int:
    """Return the newest seq of a stream, 0 for one that is not known."""
    row = db.execute("SELECT last_seq FROM streams WHERE epoch = ?", [epoch]).fetchone()
    return int(row[0]) if row else 0


def set_last_seq(db: Database, epoch: str, seq: int) -> None:
    """Note the newest seq of a stream."""
    db.execute("UPDATE streams SET last_seq = ? WHERE epoch = ?", [seq, epoch])


def body_hash(body: bytes) -> bytes:
    """Return what stands beside an event's body."""
    return bytes.fromhex(sha256_hex(body))


def event_row(epoch: str, event: Event) -> tuple[Any, ...]:
    """Return (epoch, seq, event_id, kind, at, body, sha256) of an event."""
    body = canonical_bytes(event_json(event))
    return epoch, event.seq, event.event_id, event.kind, utc_text(event.at), body.decode(), body_hash(body)


def read_body(file: UnitFile, body: str, sha256: bytes) -> dict[str, Any]:
    """Return an event as it was written down. Raises StorageDamaged."""
    # SQLite finds damage in its own pages, not in what we wrote into them.
    if body_hash(body.encode()) != sha256:
        raise file.damage("an event is not what was written down")
    event: dict[str, Any] = json.loads(body)
    return event


def utc_text(moment: datetime) -> str:
    """Return a moment as it is stored: all in UTC and in one form, so that they sort as text."""
    return moment.astimezone(UTC).isoformat()


def read_moment(file: UnitFile, text: str) -> datetime:
    """Return a stored moment. Raises StorageDamaged."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise file.damage("a moment is not what was written down") from exc
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
