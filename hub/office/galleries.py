"""Galleries as an operator sees them: which unit has what, and asking for them to be announced again."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from hub.adapters import audit_log
from hub.adapters.schema import erasures, galleries, units
from hub.core.errors import NotFound
from hub.office.context import Office


@dataclass(frozen=True, slots=True)
class GalleryLine:
    """One unit's gallery on record."""

    unit_id: str
    label: str
    generation: int
    revision: int
    prepared_revision: int
    confirmed_revision: int
    confirmed_at: datetime | None
    confirmed_students: int | None
    problem: str | None
    waiting_erasures: int

    @property
    def current(self) -> bool:
        """Whether the unit has said that it has exactly what it should have."""
        return self.confirmed_revision == self.revision and self.problem is None

    def as_row(self) -> dict[str, Any]:
        """Return the line for a table or JSON."""
        return {
            "unit_id": self.unit_id,
            "label": self.label,
            "generation": self.generation,
            "revision": self.revision,
            "prepared_revision": self.prepared_revision,
            "confirmed_revision": self.confirmed_revision,
            "confirmed_at": self.confirmed_at,
            "confirmed_students": self.confirmed_students,
            "waiting_erasures": self.waiting_erasures,
            "problem": self.problem,
            "current": self.current,
        }


def status(office: Office, unit_ids: list[str] | None = None) -> list[GalleryLine]:
    """Return the galleries of all units that are not revoked, or of these, by label."""
    return office.database.run(lambda connection: _lines(connection, unit_ids))


def _lines(connection: Connection, unit_ids: list[str] | None) -> list[GalleryLine]:
    waiting: dict[str, int] = {}
    for row in connection.execute(select(erasures.c.unit_id).where(erasures.c.confirmed_at.is_(None))):
        waiting[row.unit_id] = waiting.get(row.unit_id, 0) + 1
    query = (
        select(galleries, units.c.label)
        .join(units, units.c.id == galleries.c.unit_id)
        .where(units.c.revoked_at.is_(None))
        .order_by(units.c.label)
    )
    if unit_ids is not None:
        query = query.where(units.c.id.in_(unit_ids))
    return [
        GalleryLine(
            unit_id=row.unit_id,
            label=row.label,
            generation=row.generation,
            revision=row.revision,
            prepared_revision=row.prepared_revision,
            confirmed_revision=row.confirmed_revision,
            confirmed_at=row.confirmed_at,
            confirmed_students=row.confirmed_students,
            problem=row.problem,
            waiting_erasures=waiting.get(row.unit_id, 0),
        )
        for row in connection.execute(query)
    ]


def reset(office: Office, labels: list[str] | None) -> list[str]:
    """Begin a new generation of these units' galleries, or of everybody's; return the units' ids.

    A unit takes the gallery of a new generation whatever it has. Raises NotFound for a label no unit has.
    """
    return office.database.run(lambda connection: _reset(connection, office, labels))


def _reset(connection: Connection, office: Office, labels: list[str] | None) -> list[str]:
    found = {
        row.label: str(row.id)
        for row in connection.execute(
            select(units.c.id, units.c.label).where(units.c.revoked_at.is_(None)).order_by(units.c.label)
        )
    }
    for label in labels or ():
        if label not in found:
            raise NotFound(f"there is no unit {label!r}", hint="rollcall-hub unit list shows them")
    unit_ids = [unit_id for label, unit_id in found.items() if labels is None or label in labels]
    connection.execute(
        update(galleries)
        .where(galleries.c.unit_id.in_(unit_ids))
        # The revision counts on: nothing that is noted by it may be counted twice.
        .values(generation=galleries.c.generation + 1, revision=galleries.c.revision + 1)
    )
    for unit_id in unit_ids:
        audit_log.record(
            connection,
            at=office.clock.now(),
            actor=office.actor,
            action="gallery.reset",
            subject=f"unit:{unit_id}",
            detail={},
        )
    return unit_ids


def push(office: Office, label: str | None) -> list[str]:
    """Ask `serve` to announce a unit's gallery again, or everybody's; return the units' ids.

    Raises NotFound for a label no unit has.
    """
    return office.database.run(lambda connection: _push(connection, office, label))


def _push(connection: Connection, office: Office, label: str | None) -> list[str]:
    query = select(units.c.id).where(units.c.revoked_at.is_(None)).order_by(units.c.id)
    if label is not None:
        query = query.where(units.c.label == label)
    unit_ids = list(connection.execute(query).scalars())
    if label is not None and not unit_ids:
        raise NotFound(f"there is no unit {label!r}", hint="rollcall-hub unit list shows them")
    connection.execute(
        update(galleries).where(galleries.c.unit_id.in_(unit_ids)).values(push_count=galleries.c.push_count + 1)
    )
    for unit_id in unit_ids:
        audit_log.record(
            connection,
            at=office.clock.now(),
            actor=office.actor,
            action="gallery.push",
            subject=f"unit:{unit_id}",
            detail={},
        )
    return unit_ids
