"""Writes many events in one statement, several times faster than bound values are.

The connector converts and quotes each bound value in Python, which costs more than everything else together. Here each
value is a hexadecimal literal, a number, or a time printed by us: nothing of a message is ever quoted into the text.
"""

from binascii import unhexlify
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache

from sqlalchemy import Connection

from hub.adapters.schema import events
from hub.adapters.sql_literals import run_text, time_text, uuid_text, word_text
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
    duplicate key hides the second kind too. Errors are the connector's own; `Database` knows them.
    """
    for statement in _statements(_values(row, received_at) for row, received_at in rows):
        run_text(connection, statement)


def _statements(values: Iterable[str]) -> Iterator[str]:
    waiting: list[str] = []
    size = 0
    for one in values:
        if waiting and size + len(one) > _MOST_BYTES:
            yield _INSERT + ",".join(waiting)
            waiting, size = [], 0
        waiting.append(one)
        size += len(one)
    if waiting:
        yield _INSERT + ",".join(waiting)


def _values(row: EventRow, received_at: datetime) -> str:
    event = row.event
    at = time_text(event.at)
    student_id = row.student_id
    student = "NULL" if student_id is None else _often_uuid(student_id)
    # As in `uuid_text`: hexadecimal digits only.
    unhexlify(row.sha256)
    return (
        f"({uuid_text(event.event_id)},{_often_uuid(row.unit_id)},{_often_word(row.epoch)},{event.seq},"
        f"{_often_word(event.kind)},{student},{at},{at},{_often_time(received_at)},{_often_word(event.clock)},"
        f"{_often_uuid(event.boot_id)},{event.boottime_ns},x'{row.body.hex()}',x'{row.sha256}')"
    )


# What is the same in many rows is written once.
_often_uuid = lru_cache(maxsize=20_000)(uuid_text)
_often_word = lru_cache(maxsize=1_000)(word_text)
_often_time = lru_cache(maxsize=1_000)(time_text)
