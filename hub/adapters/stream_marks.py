"""The streams of units: locked while they are written, and how far each is on record without a gap.

`high_water` is the seq up to which everything is on record or refused, `highest_seq` the highest one that is. While
they are equal nothing waits above a gap, and a batch moves the mark without a look at the events.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, func, select

from hub.adapters.schema import epochs, events, quarantine, refused_places, unit_dating
from hub.adapters.sql_literals import run_text, time_text, uuid_text, word_text
from hub.core.ingest import advance

Stream = tuple[str, str]
"""Unit and epoch."""
MOST_NEW_A_DAY = 50
"""Streams that a unit may begin in a day. One that was given an old file, or whose disk failed, begins a few."""

_DAY = timedelta(days=1)
_CHUNK = 1000
_SETTLED = (events, quarantine, refused_places)
"""What stands in one of these is not missing from its stream."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a stream is on record. `highest_seq` is None when it is not known; `heard_at` is of what came last."""

    high_water: int
    highest_seq: int | None
    heard_at: datetime


def lock_units(connection: Connection, unit_ids: Collection[str]) -> None:
    """Hold these units' events until the transaction ends: the dates of a unit's events depend on each other.

    By writing rows that no foreign key refers to, and by their keys: nobody else waits, and no other row is looked at.
    """
    if not unit_ids:
        return
    # In the order of the key, so that two transactions wait for each other instead of deadlocking.
    rows = ",".join(f"({uuid_text(unit_id)})" for unit_id in sorted(unit_ids))
    run_text(
        connection,
        f"insert into {unit_dating.name} (unit_id) values {rows}"  # noqa: S608 (literals made by us)
        f" on duplicate key update unit_id={unit_dating.name}.unit_id",
    )


def lock(
    connection: Connection, heard: Mapping[Stream, datetime], replayed_at: datetime | None = None
) -> dict[Stream, Mark]:
    """Lock these streams and return their marks: one transaction at a time writes a stream.

    `heard` is when each was heard. Streams that were never heard begin, MOST_NEW_A_DAY of a unit before now, which is
    `replayed_at` for what was heard long ago; of the others nothing is returned.
    """
    marks = _lock_known(connection, heard)
    new = {stream: heard[stream] for stream in sorted(heard.keys() - marks.keys())}
    if new:
        new = _may_begin(connection, new, replayed_at)
    if new:
        _write(connection, {stream: Mark(0, 0, at) for stream, at in new.items()}, keeping=True)
        marks |= _lock_known(connection, new)
    return marks


def begun_lately(connection: Connection, unit_id: str, at: datetime) -> int:
    """Return how many streams of a unit began in the day before `at`."""
    lately = (epochs.c.unit_id == unit_id, epochs.c.first_heard_at > at - _DAY)
    return connection.execute(select(func.count()).select_from(epochs).where(*lately)).scalar_one()


def _may_begin(
    connection: Connection, new: Mapping[Stream, datetime], replayed_at: datetime | None
) -> dict[Stream, datetime]:
    allowed: dict[Stream, datetime] = {}
    for unit_id in sorted({unit_id for unit_id, _ in new}):
        theirs = {stream: at for stream, at in new.items() if stream[0] == unit_id}
        left = MOST_NEW_A_DAY - begun_lately(connection, unit_id, replayed_at or max(theirs.values()))
        allowed |= dict(list(theirs.items())[: max(0, left)])
    return allowed


def _lock_known(connection: Connection, heard: Mapping[Stream, datetime]) -> dict[Stream, Mark]:
    if not heard:
        return {}
    # In the order of the key, so that two transactions wait for each other instead of deadlocking.
    places = " or ".join(f"(unit_id={uuid_text(unit_id)} and epoch={word_text(epoch)})" for unit_id, epoch in heard)
    found = connection.exec_driver_sql(
        # Whatever the planner thinks of a small table: reading all of it would wait for rows that are not asked for.
        "select unit_id, epoch, high_water, highest_seq from epochs force index (primary)"  # noqa: S608 (literals by us)
        f" where {places} order by unit_id, epoch for update"
    ).all()
    streams = [(str(UUID(bytes=bytes(row.unit_id))), str(row.epoch)) for row in found]
    return {
        stream: Mark(row.high_water, row.highest_seq, heard[stream]) for stream, row in zip(streams, found, strict=True)
    }


def _write(connection: Connection, marks: Mapping[Stream, Mark], *, keeping: bool = False) -> None:
    """Write the marks of these streams; with `keeping`, of those that are there only when they were heard."""
    rows = ",".join(
        f"({uuid_text(unit_id)},{word_text(epoch)},{mark.high_water:d},"
        f"{'NULL' if mark.highest_seq is None else format(mark.highest_seq, 'd')},{at},{at})"
        for (unit_id, epoch), mark in sorted(marks.items())
        for at in (time_text(mark.heard_at),)
    )
    # What is replayed from the quarantine was heard long ago.
    changes = "last_heard_at=greatest(last_heard_at, values(last_heard_at))"
    if not keeping:
        changes += ", high_water=values(high_water), highest_seq=values(highest_seq)"
    run_text(
        connection,
        "insert into epochs (unit_id, epoch, high_water, highest_seq, first_heard_at, last_heard_at)"  # noqa: S608
        f" values {rows} on duplicate key update {changes}",
    )


@dataclass(frozen=True, slots=True)
class Advanced:
    """Where the marks of streams are now; `passed` are those that went over a gap that is closed, from after what."""

    high_water: dict[Stream, int]
    passed: dict[Stream, int]


def move(connection: Connection, marks: Mapping[Stream, Mark], settled: Mapping[Stream, Collection[int]]) -> Advanced:
    """Move the marks over what this transaction settled, and over what waited above a gap that it closed."""
    after: dict[Stream, Mark] = {}
    passed: dict[Stream, int] = {}
    for stream, mark in marks.items():
        now = settled.get(stream, ())
        high_water = advance(mark.high_water, now)
        highest = mark.highest_seq
        if highest is None:
            highest = _highest(connection, stream)
            waits = highest > high_water
        else:
            # The mark is always as far as it can be, so where it did not move there is still the gap.
            waits = highest > high_water > mark.high_water
        if waits:
            beyond = _beyond(connection, stream, high_water)
            if beyond > high_water:
                passed[stream] = high_water
                high_water = beyond
        after[stream] = Mark(high_water, max(highest, high_water, *now), mark.heard_at)
    if after:
        _write(connection, after)
    return Advanced({stream: mark.high_water for stream, mark in after.items()}, passed)


def _highest(connection: Connection, stream: Stream) -> int:
    highest = 0
    for table in _SETTLED:
        of_stream = (table.c.unit_id == stream[0], table.c.epoch == stream[1])
        highest = max(highest, connection.execute(select(func.max(table.c.seq)).where(*of_stream)).scalar() or 0)
    return highest


def _beyond(connection: Connection, stream: Stream, high_water: int) -> int:
    """Return how far the record goes on without a gap above `high_water`."""
    while True:
        waiting: set[int] = set()
        for table in _SETTLED:
            waiting.update(
                connection.execute(
                    select(table.c.seq)
                    .where(table.c.unit_id == stream[0], table.c.epoch == stream[1], table.c.seq > high_water)
                    .order_by(table.c.seq)
                    .limit(_CHUNK)
                ).scalars()
            )
        after = advance(high_water, waiting)
        if after == high_water:
            return high_water
        high_water = after
