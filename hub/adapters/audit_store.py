"""What the hub has of a unit's stream beside what the unit holds receipts for: the daily audit."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.sql.elements import TextClause

from hub.adapters import quarantine_store, retention_store
from hub.adapters.column_types import UuidColumn
from protocol.delivery import Audit, RangeDigest, SeqRange

MOST_SEQS = 10_000
"""Longest range that is compared; units send ranges of 1,000."""

_MOST_IN_ALL = 1_000_000
_AT_ONCE = 20_000
"""Seqs that one query compares: a fraction of a second, whatever a unit asks."""

_NOTHING = (0, "0" * 16)


def slices(audit: Audit) -> list[list[RangeDigest]]:
    """Return the ranges that are compared, a few together: each list is one query.

    What the unit says nothing is in is not compared, nor a range of more than MOST_SEQS, nor what comes after a million
    seqs in all: twice what a unit asks.
    """
    found: list[list[RangeDigest]] = []
    in_all, at_once = 0, _AT_ONCE
    for one in audit.digests:
        seqs = one.last - one.first + 1
        if not one.count or seqs > MOST_SEQS:
            continue
        in_all += seqs
        if in_all > _MOST_IN_ALL:
            break
        if at_once + seqs > _AT_ONCE:
            found.append([])
            at_once = 0
        found[-1].append(one)
        at_once += seqs
    return found


def differing(connection: Connection, unit_id: str, epoch: str, digests: Sequence[RangeDigest]) -> tuple[SeqRange, ...]:
    """Return in which of these ranges the hub has other events than the unit holds receipts for, in their order.

    Events that a person had taken from the quarantine do not count: the unit holds them as dead letters, which it does
    not count either, until it sends them itself. Nor ranges that begin among what was deleted because it was old: a
    unit that keeps its events longer than the hub is not asked for them again. Only reads.
    """
    besides = quarantine_store.replayed(connection, unit_id, epoch)
    parameters = {"unit_id": unit_id, "epoch": epoch}
    forgotten = retention_store.forgotten(connection, unit_id, epoch)
    held = {row.place: (row.held, row.xor64) for row in connection.execute(comparison(digests, besides), parameters)}
    return tuple(
        SeqRange(first=one.first, last=one.last)
        for place, one in enumerate(digests)
        if one.first > forgotten and held.get(place, _NOTHING) != (one.count, one.xor64)
    )


def comparison(digests: Sequence[RangeDigest], besides: Sequence[int] = ()) -> TextClause:
    """Return the query for count and combination of each of these ranges that has any event, without some seqs."""
    # Written as numbers, which they were checked to be: bound one by one they would cost more than the comparison.
    spans = " union all ".join(
        f"select {place:d} as place, {one.first:d} as lowest, {one.last:d} as highest"
        for place, one in enumerate(digests)
    )
    without = f" and events.seq not in ({','.join(format(seq, 'd') for seq in besides)})" if besides else ""
    # Combined as integers: of bytes MySQL 8 makes bytes and MariaDB a number. Read as text: not every driver has
    # integers of 64 bits without a sign.
    query = (
        "select span.place, count(*) as held,"  # noqa: S608 (numbers only)
        " lower(lpad(hex(bit_xor(cast(conv(hex(left(events.payload_sha256, 8)), 16, 10) as unsigned))), 16, '0'))"
        f" as xor64 from ({spans}) as span join events on events.unit_id = :unit_id and events.epoch = :epoch"
        f" and events.seq between span.lowest and span.highest{without} group by span.place"
    )
    return text(query).bindparams(bindparam("unit_id", type_=UuidColumn))
