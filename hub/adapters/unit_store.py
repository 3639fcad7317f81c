"""What units say of themselves, in MySQL: which streams are alive, their status, the gallery they have applied."""

import logging
from collections.abc import Collection
from datetime import datetime, timedelta

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select, update
from sqlalchemy.dialects.mysql import insert

from hub.adapters import stream_marks
from hub.adapters.schema import epochs, erasures, galleries, unit_status, units
from hub.core.ingest import EpochHeard, clone_suspected, supersedes
from hub.core.ports import Greeting
from protocol.content import Applied
from protocol.delivery import Hello
from protocol.status import Status

LOG = logging.getLogger("rollcall.hub.units")
HUB_PROBLEM = "hub: "
"""How the problems begin that the hub has with a gallery; all others are the unit's."""

_LATELY = timedelta(minutes=10)
"""Longer than it matters whether another stream of a unit was heard beside one."""

_LATE = timedelta(minutes=1)
"""By so much two messages of a unit may overtake each other."""

_FURTHEST_REVISION = 2**40
_FURTHEST_GENERATION = 2**20
"""No gallery ever gets there: whoever says so is not believed."""


def serving(connection: Connection, unit_ids: Collection[str]) -> set[str]:
    """Return which of these units are known and not revoked."""
    query = select(units.c.id).where(units.c.id.in_(sorted(unit_ids)), units.c.revoked_at.is_(None))
    return set(connection.execute(query).scalars())


def greet(connection: Connection, unit_id: str, hello: Hello, at: datetime) -> Greeting | None:
    """Note that a stream is alive and return what the unit should know; None for an unknown or revoked unit."""
    if not serving(connection, [unit_id]):
        return None
    known = select(epochs.c.epoch).where(epochs.c.unit_id == unit_id, epochs.c.epoch == hello.epoch)
    if (
        connection.execute(known).first() is None
        and stream_marks.begun_lately(connection, unit_id, at) >= stream_marks.MOST_NEW_A_DAY
    ):
        return Greeting(high_water=0, clone_suspected=False, too_many_streams=True)
    _overtake(connection, unit_id, None, hello.gallery_revision)
    returned = _hear(connection, unit_id, hello, at)
    lately = or_(epochs.c.epoch == hello.epoch, epochs.c.last_heard_at > at - _LATELY)
    rows = connection.execute(select(epochs).where(epochs.c.unit_id == unit_id, lately)).all()
    # A stream that never said hello is an old one whose events a unit still had on its disk: nobody speaks with it.
    heard = {
        row.epoch: EpochHeard(row.epoch, row.boot_id, row.first_heard_at, row.last_heard_at)
        for row in rows
        if row.boot_id is not None
    }
    mine = heard.pop(hello.epoch)
    high_water = next(row.high_water for row in rows if row.epoch == hello.epoch)
    cloned = returned or clone_suspected(mine, heard.values(), at)
    if cloned:
        connection.execute(
            update(epochs).where(epochs.c.unit_id == unit_id, epochs.c.epoch == hello.epoch).values(cloned_at=at)
        )
    return Greeting(high_water=high_water, clone_suspected=cloned)


def _hear(connection: Connection, unit_id: str, hello: Hello, at: datetime) -> bool:
    """Note a hello; tell whether its boot is one that another boot of the same stream has followed.

    A boot that is over never speaks again: then two machines have copies of one file.
    """
    first = insert(epochs).values(
        unit_id=unit_id,
        epoch=hello.epoch,
        high_water=0,
        highest_seq=0,
        first_heard_at=at,
        last_heard_at=at,
        boot_id=hello.boot_id,
    )
    connection.execute(first.on_duplicate_key_update(epoch=epochs.c.epoch))
    mine = (epochs.c.unit_id == unit_id, epochs.c.epoch == hello.epoch)
    row = connection.execute(select(epochs).where(*mine).with_for_update()).one()
    changes = {"boot_id": hello.boot_id, "last_heard_at": max(at, row.last_heard_at)}
    if row.boot_id not in {None, hello.boot_id}:
        changes["previous_boot_id"] = row.boot_id
    connection.execute(update(epochs).where(*mine).values(**changes))
    return bool(row.boot_id != hello.boot_id and row.previous_boot_id == hello.boot_id)


def keep_status(connection: Connection, unit_id: str, status: Status, at: datetime) -> bool:
    """Keep a status unless a newer one is on record; False for an unknown or revoked unit."""
    if not serving(connection, [unit_id]):
        return False
    kept = connection.execute(select(unit_status.c.body).where(unit_status.c.unit_id == unit_id)).scalar()
    if not supersedes(status, status_of(kept)):
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


def status_of(body: str | None) -> Status | None:
    """Return a status on record; None where there is none that this program understands."""
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
    # Before ours is moved beyond what the unit has.
    was_made = _was_made(connection, unit_id, applied)
    _overtake(connection, unit_id, applied.generation, applied.revision)
    problem = f"{applied.problem}: {applied.detail}".rstrip(": ") if applied.problem else None
    connection.execute(
        update(galleries)
        .where(galleries.c.unit_id == unit_id, _is_newer(applied, at))
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
    gone = []
    if was_made:
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


def _is_newer(applied: Applied, at: datetime) -> ColumnElement[bool]:
    """Tell whether what a unit says follows what is on record, and did not only arrive after it.

    Revisions count on through all generations. A unit that lost its gallery has an older one indeed, but it needs some
    time to say so.
    """
    known = galleries.c
    return or_(
        known.confirmed_at.is_(None),
        known.confirmed_revision <= applied.revision,
        known.confirmed_at < at - _LATE,
    )


def _was_made(connection: Connection, unit_id: str, applied: Applied) -> bool:
    """Tell whether a unit has a gallery that this hub made: any other proves nothing about what is gone."""
    columns = (galleries.c.generation, galleries.c.prepared_revision, galleries.c.manifest_hash)
    made = connection.execute(select(*columns).where(galleries.c.unit_id == unit_id)).one_or_none()
    if made is None or applied.generation != made.generation:
        return False
    if applied.revision == made.prepared_revision:
        # A database that was restored gives the same number a second time.
        return bool(applied.manifest_hash == made.manifest_hash)
    return applied.revision < int(made.prepared_revision)


def _overtake(connection: Connection, unit_id: str, generation: int | None, revision: int) -> None:
    """Go beyond the gallery a unit has: after a restored database it would refuse every lower one for ever.

    `generation` is None where a unit says only the revision: what it has is then of the generation that ours is.
    """
    columns = select(galleries.c.generation, galleries.c.revision).where(galleries.c.unit_id == unit_id)
    ours = connection.execute(columns).one_or_none()
    if ours is None:
        return
    theirs = (ours.generation if generation is None else generation, revision)
    if theirs <= (ours.generation, ours.revision):
        return
    LOG.error(
        "a unit has a later gallery; was the database restored? unit=%s has=%d.%d ours=%d.%d",
        unit_id,
        *theirs,
        ours.generation,
        ours.revision,
    )
    if theirs[0] <= _FURTHEST_GENERATION and revision <= _FURTHEST_REVISION:
        connection.execute(
            update(galleries)
            .where(
                galleries.c.unit_id == unit_id,
                # Still behind: another process may have heard the same.
                or_(
                    galleries.c.generation < theirs[0],
                    and_(galleries.c.generation == theirs[0], galleries.c.revision < revision),
                ),
            )
            # The revision counts on, whatever the generation: members and erasures are noted by it alone.
            .values(generation=theirs[0], revision=func.greatest(galleries.c.revision, revision) + 1)
        )
