"""What units say of themselves, in MySQL: which streams are alive, their status, the gallery they have applied."""

import logging
from collections.abc import Collection
from datetime import datetime

from pydantic import ValidationError
from sqlalchemy import Connection, and_, case, or_, select, update
from sqlalchemy.dialects.mysql import insert

from hub.adapters.schema import epochs, erasures, galleries, unit_status, units
from hub.core.ingest import EpochHeard, clone_suspected, supersedes
from hub.core.ports import Greeting
from protocol.content import Applied
from protocol.delivery import Hello
from protocol.status import Status

LOG = logging.getLogger("rollcall.hub.units")
HUB_PROBLEM = "hub: "
"""How the problems begin that the hub has with a gallery; all others are the unit's."""

_FURTHEST_REVISION = 2**40
"""No gallery ever gets there: whoever says so is not believed."""


def serving(connection: Connection, unit_ids: Collection[str]) -> set[str]:
    """Return which of these units are known and not revoked."""
    return set(
        connection.execute(
            select(units.c.id).where(units.c.id.in_(list(unit_ids)), units.c.revoked_at.is_(None))
        ).scalars()
    )


def greet(connection: Connection, unit_id: str, hello: Hello, at: datetime) -> Greeting | None:
    """Note that a stream is alive and return what the unit should know; None for an unknown or revoked unit."""
    if not serving(connection, [unit_id]):
        return None
    _overtake(connection, unit_id, hello.gallery_revision)
    statement = insert(epochs).values(
        unit_id=unit_id, epoch=hello.epoch, high_water=0, first_heard_at=at, last_heard_at=at, boot_id=hello.boot_id
    )
    connection.execute(
        statement.on_duplicate_key_update(
            last_heard_at=statement.inserted.last_heard_at, boot_id=statement.inserted.boot_id
        )
    )
    rows = connection.execute(select(epochs).where(epochs.c.unit_id == unit_id)).all()
    heard = {row.epoch: EpochHeard(row.epoch, row.boot_id, row.first_heard_at, row.last_heard_at) for row in rows}
    mine = heard.pop(hello.epoch)
    high_water = next(row.high_water for row in rows if row.epoch == hello.epoch)
    return Greeting(high_water=high_water, clone_suspected=clone_suspected(mine, heard.values(), at))


def keep_status(connection: Connection, unit_id: str, status: Status, at: datetime) -> bool:
    """Keep a status unless a newer one is on record; False for an unknown or revoked unit."""
    if not serving(connection, [unit_id]):
        return False
    kept = connection.execute(select(unit_status.c.body).where(unit_status.c.unit_id == unit_id)).scalar()
    if not supersedes(status, _status(kept)):
        return True
    statement = insert(unit_status).values(
        unit_id=unit_id,
        session=min(status.session, 2**62),
        state=status.state,
        body=status.model_dump_json(exclude_none=True),
        received_at=at,
    )
    new = statement.inserted
    connection.execute(
        statement.on_duplicate_key_update(
            session=new.session, state=new.state, body=new.body, received_at=new.received_at
        )
    )
    return True


def _status(body: str | None) -> Status | None:
    if body is None:
        return None
    try:
        return Status.model_validate_json(body)
    except ValidationError:
        # Written by a version that knew other words: whatever comes now is newer.
        return None


def confirm_gallery(connection: Connection, unit_id: str, applied: Applied, at: datetime) -> bool:
    """Note what a unit has applied and erased; False for an unknown or revoked unit.

    What a manifest does not list is gone from the unit when it has applied it, so a confirmed revision is the receipt
    for every erasure asked for up to it.
    """
    if not serving(connection, [unit_id]):
        return False
    _overtake(connection, unit_id, applied.revision)
    problem = f"{applied.problem}: {applied.detail}".rstrip(": ") if applied.problem else None
    connection.execute(
        update(galleries)
        .where(galleries.c.unit_id == unit_id)
        .values(
            confirmed_revision=min(applied.revision, 2**62),
            confirmed_hash=applied.manifest_hash,
            confirmed_students=min(applied.students, 2**31 - 1),
            confirmed_at=at,
            # What the hub itself could not put into the gallery stays said until it can.
            problem=case((galleries.c.problem.startswith(HUB_PROBLEM), galleries.c.problem), else_=problem)
            if problem is None
            else problem,
        )
    )
    # A revision that the hub never made proves nothing about what is gone.
    made = connection.execute(
        select(galleries.c.prepared_revision).where(galleries.c.unit_id == unit_id)
    ).scalar_one_or_none()
    gone = []
    if made is not None and applied.revision <= made:
        gone.append(erasures.c.revision <= applied.revision)
    if applied.erased:
        gone.append(and_(erasures.c.student_id.in_(list(applied.erased))))
    if gone:
        connection.execute(
            update(erasures)
            .where(erasures.c.unit_id == unit_id, erasures.c.confirmed_at.is_(None), or_(*gone))
            .values(confirmed_at=at)
        )
    return True


def _overtake(connection: Connection, unit_id: str, reported: int) -> None:
    """Go beyond the revision a unit has: after a restored database it would refuse every lower one for ever."""
    ours = connection.execute(select(galleries.c.revision).where(galleries.c.unit_id == unit_id)).scalar_one_or_none()
    if ours is None or reported <= ours:
        return
    LOG.error("a unit has a later gallery; was the database restored? unit=%s has=%d ours=%d", unit_id, reported, ours)
    if reported <= _FURTHEST_REVISION:
        connection.execute(
            update(galleries)
            .where(galleries.c.unit_id == unit_id, galleries.c.revision < reported)
            .values(revision=reported + 1)
        )
