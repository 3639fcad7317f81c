"""The audit log's chain in the database: entries get their number and hash when their transaction commits.

Numbers have no gaps and follow the order of the commits, so two transactions cannot number at once: whoever appends
holds the row of `audit_head` until the commit. That row is taken last, after everything else the transaction does
(`Database.transaction` calls `append`), and whoever holds it asks for no other lock that anybody might hold: rows
that are only being inserted belong to nobody else, and what is deleted of the log is older than what is appended. So
it can be part of no deadlock, and is held for the time of two statements and a commit.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, delete, func, insert, or_, select, union, update
from sqlalchemy.dialects.mysql import insert as upsert

from hub.adapters.schema import audit, audit_head, hub_facts
from hub.core.audit_chain import START, ChainEntry, Link, entry_hash
from hub.core.errors import StoreRefused

FORGOTTEN = "audit.forgotten"
"""The fact that holds the last entry that was deleted because it was old."""

_HEAD = "head"
_PENDING = "rollcall_audit"
_AT_ONCE = 500


def collect(connection: Connection) -> list[ChainEntry]:
    """Let entries wait on this connection until `append`; return the list they wait in."""
    entries: list[ChainEntry] = []
    # An option and not `connection.info`, which belongs to the pool's connection and outlives the transaction.
    connection.execution_options(**{_PENDING: entries})
    return entries


def pending(connection: Connection) -> list[ChainEntry] | None:
    """Return the list in which this connection's entries wait; None for a connection that does not wait."""
    found: list[ChainEntry] | None = connection.get_execution_options().get(_PENDING)
    return found


def append(connection: Connection, entries: Sequence[ChainEntry]) -> None:
    """Write entries at the end of the chain; the transaction has to end right after it.

    In REPEATABLE READ a server may call the head changed since the transaction began (MariaDB's error 1020): then the
    transaction is lost and run again, as any other that was beaten. Raises StoreRefused without the row of the head.
    """
    if not entries:
        return
    query = select(audit_head.c.seq, audit_head.c.hash).where(audit_head.c.name == _HEAD)
    row = connection.execute(query.with_for_update()).one_or_none()
    if row is None:
        raise StoreRefused("the end of the audit log is not on record", hint="see: rollcall-hub audit verify")
    last = Link(int(row.seq), bytes(row.hash))
    rows = []
    for entry in entries:
        last = Link(last.seq + 1, entry_hash(last.hash_, last.seq + 1, entry))
        rows.append(_row(entry, last))
    for start in range(0, len(rows), _AT_ONCE):
        connection.execute(insert(audit), rows[start : start + _AT_ONCE])
    connection.execute(update(audit_head).where(audit_head.c.name == _HEAD).values(seq=last.seq, hash=last.hash_))


def _row(entry: ChainEntry, link: Link) -> dict[str, Any]:
    return {
        "id": entry.entry_id,
        "at": entry.at,
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "object": entry.object_,
        "detail": entry.detail,
        "seq": link.seq,
        "hash": link.hash_,
    }


def head(connection: Connection) -> Link | None:
    """Return the newest entry as the hub noted it; None when even that row is gone."""
    row = connection.execute(select(audit_head).where(audit_head.c.name == _HEAD)).one_or_none()
    return None if row is None else Link(int(row.seq), bytes(row.hash))


def forgotten(connection: Connection) -> Link:
    """Return the last entry that was deleted because it was old: what the first one on record follows.

    Raises StoreRefused where what was noted cannot be read.
    """
    value = connection.execute(select(hub_facts.c.value).where(hub_facts.c.name == FORGOTTEN)).scalar()
    if value is None:
        return START
    try:
        noted = json.loads(value)
        link = Link(int(noted["seq"]), bytes.fromhex(noted["hash"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        link = None
    if link is None or link.seq < 0 or len(link.hash_) != len(START.hash_):
        raise StoreRefused(
            f"what retention deleted of the audit log cannot be read: hub_facts, {FORGOTTEN}",
            hint="bring the table hub_facts back from a backup",
        )
    return link


@dataclass(frozen=True, slots=True)
class Ends:
    """Between which entries the log stands, and how many rows of the table stand outside of it."""

    forgotten: Link | None
    """The last that retention deleted; None: what was noted cannot be read."""
    head: Link | None
    """The newest as the hub noted it; None: even that row is gone."""
    unnumbered: int
    """Nothing of ours writes rows without a number, nor such that were deleted or are yet to come."""
    outside: int


def ends(connection: Connection) -> Ends:
    """Return where the log begins and ends; the transaction has to see one state of the database."""
    try:
        start: Link | None = forgotten(connection)
    except StoreRefused:
        start = None
    newest_one = head(connection)
    outside = 0
    if start is not None:
        outside += _count(connection, audit.c.seq <= start.seq)
    if newest_one is not None:
        outside += _count(connection, audit.c.seq > newest_one.seq)
    return Ends(start, newest_one, _count(connection, audit.c.seq.is_(None)), outside)


def _count(connection: Connection, condition: ColumnElement[bool]) -> int:
    return int(connection.execute(select(func.count()).select_from(audit).where(condition)).scalar_one())


def entries(connection: Connection, after: int, up_to: int, most: int) -> list[tuple[int, bytes, ChainEntry]]:
    """Return entries with a number above `after`, up to `up_to`, by number, at most so many; each with its hash."""
    query = select(audit).where(audit.c.seq > after, audit.c.seq <= up_to).order_by(audit.c.seq).limit(most)
    return [(row.seq, bytes(row.hash or b""), _entry(row)) for row in connection.execute(query)]


def _entry(row: Any) -> ChainEntry:
    return ChainEntry(row.id, row.at, row.actor, row.action, row.subject, row.object, row.detail)


def forget_before(connection: Connection, moment: datetime, at: datetime, most: int) -> tuple[int, Link]:
    """Delete about `most` of the oldest entries that are all before `moment`; return how many, and the last of them.

    An entry of a day to come was written while the clock was ahead: it is as old as the next that was not.
    """
    # Locked first, so that two who forget at once take turns.
    connection.execute(
        upsert(hub_facts)
        .values(name=FORGOTTEN, value=_noted(START), changed_at=at)
        .on_duplicate_key_update(name=FORGOTTEN)
    )
    last = forgotten(connection)
    gone = 0
    for looked_at, row in enumerate(_from(connection, last.seq, most), start=1):
        if row.hash is None:
            # Edited: it stays, to be found.
            break
        if row.at < moment:
            gone, last = looked_at, Link(int(row.seq), bytes(row.hash))
        if moment <= row.at <= at or gone >= most:
            break
    if gone:
        connection.execute(delete(audit).where(audit.c.seq <= last.seq))
        connection.execute(
            update(hub_facts).where(hub_facts.c.name == FORGOTTEN).values(value=_noted(last), changed_at=at)
        )
    return gone, last


def _from(connection: Connection, after: int, most: int) -> Iterator[Row[*tuple[Any, ...]]]:
    query = select(audit.c.seq, audit.c.hash, audit.c.at).order_by(audit.c.seq).limit(most)
    while rows := connection.execute(query.where(audit.c.seq > after)).all():
        yield from rows
        after = rows[-1].seq


def _noted(link: Link) -> str:
    return json.dumps({"seq": link.seq, "hash": link.hash_.hex()})


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are listed; None and empty: all."""

    about: tuple[str, ...] = ()
    """Each of these has to be the subject or the object: `student:<uuid>`, `lesson:<uuid>`."""
    action: str = ""
    """An action such as `student.add`, or its first word: `student`."""
    actor: str = ""
    since: datetime | None = None
    until: datetime | None = None
    """Before this moment."""


def newest(connection: Connection, wanted: AuditFilter, most: int) -> list[tuple[int | None, ChainEntry]]:
    """Return the newest entries that the filter lets through, newest first, with their numbers."""
    return [(row.seq, _entry(row)) for row in connection.execute(newest_query(wanted, most))]


def newest_query(wanted: AuditFilter, most: int) -> Select[Any]:
    """Return the query of `newest`."""
    order = audit.c.at.desc(), audit.c.seq.desc()
    conditions = list(_conditions(wanted))
    if not wanted.about:
        return select(audit).where(*conditions).order_by(*order).limit(most)
    about = wanted.about[-1]
    # Each half by an index of its own, from the newest on: of one student there is little among very much.
    halves = [
        select(audit.c.id).where(column == about, *conditions).order_by(*order).limit(most).subquery()
        for column in (audit.c.subject, audit.c.object)
    ]
    ids = union(*(select(half.c.id) for half in halves)).subquery()
    return select(audit).join(ids, ids.c.id == audit.c.id).order_by(*order).limit(most)


def _conditions(wanted: AuditFilter) -> Iterator[ColumnElement[bool]]:
    for about in wanted.about[:-1]:
        yield or_(audit.c.subject == about, audit.c.object == about)
    if wanted.action:
        within = and_(audit.c.action >= f"{wanted.action}.", audit.c.action < f"{wanted.action}/")
        yield or_(audit.c.action == wanted.action, within)
    if wanted.actor:
        yield audit.c.actor == wanted.actor
    if wanted.since is not None:
        yield audit.c.at >= wanted.since
    if wanted.until is not None:
        yield audit.c.at < wanted.until
