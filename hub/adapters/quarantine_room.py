"""How much the quarantine holds at most, and what becomes of the rest: counted, and its place in the stream kept."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.mysql import insert

from hub.adapters.schema import quarantine, quarantine_dropped, refused_places, units
from hub.core.ingest import Refused

MOST_OF_UNIT, MOST_BYTES_OF_UNIT = 1000, 16 * 1024 * 1024
"""What waits at most of one unit: enough to see what is wrong with it."""

MOST_IN_ALL, MOST_BYTES_IN_ALL = 20_000, 256 * 1024 * 1024


class Room:
    """How much more may wait for a person. Two transactions at once may both fill what is left: a little over is fine.

    Rows that are settled do not count: a person has looked at each of them.
    """

    def __init__(self, connection: Connection) -> None:
        held = connection.execute(
            select(quarantine.c.unit_id, func.count().label("rows"), func.sum(quarantine.c.body_bytes).label("bytes"))
            .where(quarantine.c.resolved_at.is_(None))
            .group_by(quarantine.c.unit_id)
        ).all()
        self._of_unit = {row.unit_id: (int(row.rows), int(row.bytes)) for row in held}
        self._in_all = (sum(rows for rows, _ in self._of_unit.values()), sum(b for _, b in self._of_unit.values()))

    def take(self, unit_id: str | None, size: int) -> bool:
        """Take room for a body of `size` bytes; False when there is none."""
        rows, held = self._of_unit.get(unit_id, (0, 0))
        all_rows, all_held = self._in_all
        if rows >= MOST_OF_UNIT or held + size > MOST_BYTES_OF_UNIT:
            return False
        if all_rows >= MOST_IN_ALL or all_held + size > MOST_BYTES_IN_ALL:
            return False
        self._of_unit[unit_id], self._in_all = (rows + 1, held + size), (all_rows + 1, all_held + size)
        return True


def keep_places(connection: Connection, dropped: Iterable[Refused]) -> None:
    """Keep where events stood that found no room, until `forget_places`."""
    statement = insert(refused_places)
    connection.execute(
        statement.on_duplicate_key_update(seq=refused_places.c.seq),
        [{"unit_id": event.unit_id, "epoch": event.epoch, "seq": event.seq} for event in dropped],
    )


def forget_places(connection: Connection, high_waters: Mapping[tuple[str, str], int]) -> None:
    """Forget places that the marks of these streams, by unit and epoch, have passed."""
    for (unit_id, epoch), high_water in high_waters.items():
        passed = (refused_places.c.unit_id == unit_id, refused_places.c.epoch == epoch)
        connection.execute(refused_places.delete().where(*passed, refused_places.c.seq <= high_water))


def count_dropped(connection: Connection, dropped: Sequence[tuple[str | None, datetime]]) -> None:
    """Count what found no room, given as unit and moment."""
    unit_ids = sorted({unit_id for unit_id, _ in dropped if unit_id is not None})
    # Of units only: anybody who may publish could name any number of others.
    known = {row.id for row in connection.execute(select(units.c.id).where(units.c.id.in_(unit_ids))).all()}
    rows = [
        {
            "unit_id": unit_id,
            "dropped": sum(1 for one, _ in dropped if one == unit_id),
            "dropped_at": max(at for one, at in dropped if one == unit_id),
        }
        for unit_id in unit_ids
        if unit_id in known
    ]
    if not rows:
        return
    statement = insert(quarantine_dropped)
    connection.execute(
        statement.on_duplicate_key_update(
            dropped=quarantine_dropped.c.dropped + statement.inserted.dropped,
            dropped_at=func.greatest(quarantine_dropped.c.dropped_at, statement.inserted.dropped_at),
        ),
        rows,
    )


def dropped(connection: Connection) -> dict[str, tuple[int, datetime]]:
    """Return how much of each unit found no room, and when that was last."""
    found = connection.execute(select(quarantine_dropped))
    return {row.unit_id: (row.dropped, row.dropped_at) for row in found}
