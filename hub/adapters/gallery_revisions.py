"""What every change that concerns galleries writes: that each unit should have a newer one; and units' keys, sealed.

Apart from `gallery_store`, which computes with templates: most commands only ask for a new revision.
"""

from datetime import datetime

from sqlalchemy import Connection, select, update

from hub.adapters.key_ring import Keys, sealed_with
from hub.adapters.schema import galleries, units


def touch_galleries(connection: Connection, at: datetime, *, room_id: str | None = None) -> None:  # noqa: ARG001
    """Move the gallery revision of every unit, or of the units in one room.

    To be called by every change of consents, templates, lessons, students or rooms. `serve` prepares and announces
    the new revision within seconds after the caller's COMMIT, and never before it. The numbers move inside the
    database (never read, added and written back), so no change can swallow another.
    """
    statement = update(galleries).values(revision=galleries.c.revision + 1)
    if room_id is not None:
        # A subquery and not a list of units: a unit added a moment ago is included.
        statement = statement.where(galleries.c.unit_id.in_(select(units.c.id).where(units.c.room_id == room_id)))
    connection.execute(statement)


def data_key_context(unit_id: str) -> tuple[str, ...]:
    """Return what a unit's data key in the database is bound to."""
    return "unit key", unit_id


def seal_data_key(hub_key: Keys, unit_id: str, data_key: bytes) -> bytes:
    """Return a unit's data key as it lies in the database. Raises KeyUnusable."""
    return sealed_with(hub_key, data_key, *data_key_context(unit_id)).content
