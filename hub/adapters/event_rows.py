"""Writes many events in one statement, several times faster than bound values are.

The connector converts and quotes each bound value in Python, which costs more than everything else together. Here each
value is a hexadecimal literal, a number, or a time printed by us: nothing of a message is ever quoted into the text.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from sqlalchemy import Connection

from hub.adapters.schema import events
from hub.core.ingest import EventRow

_MOST_BYTES = 2 * 1024 * 1024
"""Of one statement; servers take at least 16 MiB by default, and a statement that is too large is refused."""

_COLUMNS = (
    events.c.event_id,
    events.c.unit_id,
    events.c.epoch,
    events.c.seq,
    events.c.kind,
    events.c.student_id,
    events.c.at_claimed,
    events.c.at_corrected,
    events.c.received_at,
    events.c.clock,
    events.c.boot_id,
    events.c.boottime_ns,
    events.c.body,
    events.c.payload_sha256,
)
_INSERT = f"INSERT INTO {events.name} ({', '.join(column.name for column in _COLUMNS)}) VALUES "  # noqa: S608 (constants)


def insert_events(connection: Connection, rows: Iterable[tuple[EventRow, datetime]]) -> None:
    """Insert events with the moments they were received. Raises an integrity error when a key is taken.

    A plain INSERT: IGNORE truncates what does not fit and swallows collisions with other keys, and an update on a
    duplicate key hides the second kind too.
    """
    for statement in _statements(rows):
        connection.exec_driver_sql(statement)


def _statements(rows: Iterable[tuple[EventRow, datetime]]) -> Iterator[str]:
    waiting: list[str] = []
    size = 0
    for row, received_at in rows:
        values = _values(row, received_at)
        if waiting and size + len(values) > _MOST_BYTES:
            yield _INSERT + ",".join(waiting)
            waiting, size = [], 0
        waiting.append(values)
        size += len(values)
    if waiting:
        yield _INSERT + ",".join(waiting)


def _values(row: EventRow, received_at: datetime) -> str:
    event = row.event
    at = _time(event.at)
    student = "NULL" if row.student_id is None else _uuid(row.student_id)
    return (
        f"({_uuid(event.event_id)},{_uuid(row.unit_id)},{_hex(row.epoch)},{event.seq:d},{_hex(event.kind)},{student},"
        f"{at},{at},{_time(received_at)},{_hex(event.clock)},{_uuid(event.boot_id)},{event.boottime_ns:d},"
        f"x'{row.body.hex()}',x'{bytes.fromhex(row.sha256).hex()}')"
    )


def _uuid(text: str) -> str:
    # Through bytes, so that only hexadecimal digits can come out, whatever went in.
    return f"x'{bytes.fromhex(text.replace('-', '')).hex()}'"


def _hex(text: str) -> str:
    return f"x'{text.encode().hex()}'"


def _time(moment: datetime) -> str:
    return f"'{moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=' ', timespec='microseconds')}'"
