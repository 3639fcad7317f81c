"""What the hub's keys have sealed in the database: re-sealed with the newest, some rows at a time, and counted by key.

The rows are templates, kept pictures and units' own keys. Each step is a transaction, and what it has done it does not
do again, so a rotation that was interrupted goes on where it was. Rows that no key opens are left as they are.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, func, select, update

from hub.adapters.gallery_revisions import data_key_context
from hub.adapters.key_ring import KeyRing, key_id_of, sealed_with
from hub.adapters.schema import photos, templates, units
from protocol.errors import SealBroken
from protocol.sealing import stored_photo_context, stored_template_context, unseal

BEFORE_ALL = "00000000-0000-0000-0000-000000000000"
UNKNOWN = ""
"""In counts: rows of which nobody noted the key, and that were not tried."""
DAMAGED = "damaged"
"""In counts: rows that no key opens."""


@dataclass(frozen=True, slots=True)
class SealedKind:
    """A kind of rows that are sealed with the hub's key."""

    name: str
    table: Table
    column: str
    context: Callable[[Any], tuple[str, ...]]
    at_once: int
    """How many rows one transaction re-seals."""
    noted: bool = True
    """Whether rows say which key they are sealed with; otherwise each is tried."""


KINDS = (
    # Units first: a hub that cannot see the next key then keeps the galleries that are there. After the templates, it
    # would make new ones, without whoever it cannot open.
    SealedKind("units", units, "data_key_sealed", lambda row: data_key_context(row.id), 500, noted=False),
    SealedKind("templates", templates, "sealed", lambda row: stored_template_context(row.student_id, row.pack_id), 500),
    # Each may have megabytes.
    SealedKind(
        "photos",
        photos,
        "sealed",
        lambda row: stored_photo_context(row.student_id, bytes(row.picture_sha256).hex()),
        10,
    ),
)


@dataclass(frozen=True, slots=True)
class Slice:
    """What one step did. `last` is the id to go on after; None: nothing is left."""

    last: str | None
    resealed: int = 0
    damaged: tuple[str, ...] = ()
    """Ids of rows that no key opens."""


def reseal(connection: Connection, kind: SealedKind, ring: KeyRing, key: bytes, after: str) -> Slice:
    """Re-seal the next rows with `key`, one of the ring's; rows are locked meanwhile. Raises KeyUnusable."""
    key_id = key_id_of(key)
    query = select(kind.table).where(kind.table.c.id > after).order_by(kind.table.c.id).limit(kind.at_once)
    if kind.noted:
        query = query.where(kind.table.c.key_id != key_id)
    rows = connection.execute(query.with_for_update()).all()
    resealed, damaged = 0, []
    for row in rows:
        context, sealed = kind.context(row), bytes(row._mapping[kind.column])
        if not kind.noted and _opens(key, sealed, context):
            continue
        try:
            content = ring.opened(sealed, *context)
        except SealBroken:
            damaged.append(row.id)
            continue
        values = {kind.column: sealed_with(key, content, *context).content} | ({"key_id": key_id} if kind.noted else {})
        connection.execute(update(kind.table).where(kind.table.c.id == row.id).values(**values))
        resealed += 1
    return Slice(rows[-1].id if len(rows) == kind.at_once else None, resealed, tuple(damaged))


def waiting(connection: Connection, kind: SealedKind, key: bytes) -> int:
    """Return how many rows a pass with this key looks at."""
    query = select(func.count()).select_from(kind.table)
    return int(
        connection.execute(query.where(kind.table.c.key_id != key_id_of(key)) if kind.noted else query).scalar_one()
    )


def counted(connection: Connection, kind: SealedKind, keys: Sequence[bytes], *, try_all: bool = False) -> Counter[str]:
    """Return how many rows each key has sealed, by its id.

    Rows that do not say it are tried; pictures only with `try_all`, else they count as UNKNOWN. Rows that no key opens
    count as `damaged`.
    """
    found: Counter[str] = Counter()
    if kind.noted:
        noted = select(kind.table.c.key_id, func.count().label("rows")).group_by(kind.table.c.key_id)
        for row in connection.execute(noted):
            found[row.key_id] = int(row.rows)
        if kind.name == "photos" and not try_all:
            return found
        del found[UNKNOWN]
    after: str | None = BEFORE_ALL
    while after is not None:
        query = select(kind.table).where(kind.table.c.id > after).order_by(kind.table.c.id).limit(kind.at_once)
        if kind.noted:
            query = query.where(kind.table.c.key_id == UNKNOWN)
        rows = connection.execute(query).all()
        for row in rows:
            found[_sealed_by(keys, bytes(row._mapping[kind.column]), kind.context(row))] += 1
        after = rows[-1].id if len(rows) == kind.at_once else None
    return found


def _sealed_by(keys: Sequence[bytes], sealed: bytes, context: tuple[str, ...]) -> str:
    return next((key_id_of(key) for key in keys if _opens(key, sealed, context)), DAMAGED)


def _opens(key: bytes, sealed: bytes, context: tuple[str, ...]) -> bool:
    try:
        unseal(key, sealed, *context)
    except SealBroken:
        return False
    return True
