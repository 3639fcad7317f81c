"""Of whom templates and photos are kept longer than they may be, and templates that another pack has replaced."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, or_, select

from hub.adapters import consent_store, erasure_store, photo_store
from hub.adapters.erasure_store import FacesDeleted
from hub.adapters.schema import galleries, photos, students, templates, units
from hub.core.roster_consent import PHOTOS, RECOGNITION, Scope, lapsed_at
from protocol.content import Head, HeadBody

Why = Literal["left", "lapsed"]


@dataclass(frozen=True, slots=True)
class FacesDue:
    """A student of whom templates, photos or both are due, and why."""

    student_id: str
    why: Why
    templates: bool
    photos: bool


@dataclass(frozen=True, slots=True)
class Packs:
    """Model packs that may be recognised with: of the galleries that units have, and the one of the settings."""

    of_units: frozenset[str]
    chosen: str


def due(
    connection: Connection,
    now: datetime,
    *,
    lapsed: datetime,
    left: date | None,
    student_ids: Collection[str] | None = None,
) -> list[FacesDue]:
    """Return whose templates and photos are due: nothing allows them since `lapsed`, or they left before `left`.

    `now` is the clock, which tells what is allowed. What nobody ever agreed to counts from when it was stored.
    `student_ids`: only of these.
    """
    found = _all_due(connection, now, lapsed, left)
    return found if student_ids is None else [one for one in found if one.student_id in student_ids]


def hold(connection: Connection, student_ids: Collection[str]) -> frozenset[str]:
    """Let nobody change these students until the transaction ends; return which of them there are."""
    theirs = select(students.c.id).where(students.c.id.in_(sorted(student_ids))).order_by(students.c.id)
    return frozenset(connection.execute(theirs.with_for_update()).scalars())


def _all_due(connection: Connection, now: datetime, lapsed: datetime, left: date | None) -> list[FacesDue]:
    gone = _left(connection, left)
    templates_of = _lapsed(connection, templates, RECOGNITION, now, lapsed)
    photos_of = _lapsed(connection, photos, PHOTOS, now, lapsed)
    found = [FacesDue(student_id, "left", templates=True, photos=True) for student_id in sorted(gone)]
    for student_id in sorted((templates_of | photos_of) - gone):
        found.append(FacesDue(student_id, "lapsed", student_id in templates_of, student_id in photos_of))
    return found


def delete_due(connection: Connection, due_ones: Iterable[FacesDue]) -> dict[FacesDue, FacesDeleted]:
    """Delete what is due, and return how much it was; the caller holds `look_alike_store.lock`."""
    deleted = {}
    for one in due_ones:
        deleted[one] = FacesDeleted(
            erasure_store.delete_templates(connection, [one.student_id]) if one.templates else 0,
            photo_store.delete_of(connection, [one.student_id]) if one.photos else 0,
        )
    return deleted


def count_of(connection: Connection, due_ones: Collection[FacesDue]) -> tuple[int, int]:
    """Return how many templates and how many photos are due."""
    counted = []
    for table, ids in (
        (templates, [one.student_id for one in due_ones if one.templates]),
        (photos, [one.student_id for one in due_ones if one.photos]),
    ):
        statement = select(func.count()).select_from(table).where(table.c.student_id.in_(ids))
        counted.append(connection.execute(statement).scalar_one() if ids else 0)
    return counted[0], counted[1]


def _left(connection: Connection, before: date | None) -> set[str]:
    if before is None:
        return set()
    has_faces = or_(
        exists().where(templates.c.student_id == students.c.id), exists().where(photos.c.student_id == students.c.id)
    )
    return set(connection.execute(select(students.c.id).where(students.c.left_on < before, has_faces)).scalars())


def _lapsed(connection: Connection, kept: object, scope: Scope, now: datetime, before: datetime) -> set[str]:
    table = templates if kept is templates else photos
    stored = {
        row.student_id: row.newest
        for row in connection.execute(
            select(table.c.student_id, func.max(table.c.created_at).label("newest")).group_by(table.c.student_id)
        )
    }
    without = stored.keys() - consent_store.students_with(connection, now, scope=scope)
    said = consent_store.consents_of(connection, without)
    found = set()
    for student_id in without:
        about = [consent for consent in said.get(student_id, []) if scope in consent.scope]
        since = lapsed_at(about, scope, now) if about else stored[student_id]
        if since is not None and since <= before:
            found.add(student_id)
    return found


# ---- packs ---------------------------------------------------------------------------------------------------------


def packs_in_use(connection: Connection) -> set[str]:
    """Return the model packs of the galleries that units have, as announced to them."""
    heads = select(galleries.c.head).join(units, units.c.id == galleries.c.unit_id)
    found = set()
    for head in connection.execute(heads.where(units.c.revoked_at.is_(None), galleries.c.head.is_not(None))).scalars():
        try:
            found.add(HeadBody.model_validate_json(Head.model_validate_json(bytes(head)).body).pack_id)
        except ValidationError:
            # Of a version that this one does not know: it is not known either which pack that is.
            return set()
    return found


def count_replaced(connection: Connection, packs: Packs, before: datetime) -> int:
    """Return how many templates `delete_replaced` would delete."""
    if not packs.of_units:
        return 0
    statement = select(func.count()).select_from(templates).where(_replaced(packs, before))
    return connection.execute(statement).scalar_one()


def delete_replaced(connection: Connection, packs: Packs, before: datetime, most: int) -> int:
    """Delete up to `most` templates of packs that no unit has and the settings do not name; return how many.

    Only of students who have newer templates of a pack that units have, from before a moment: until then somebody may
    go back to the old pack. A new pack's wait for the units to have it, however long that takes.
    """
    if not packs.of_units:
        return 0
    ids = connection.execute(select(templates.c.id).where(_replaced(packs, before)).limit(most)).scalars().all()
    if ids:
        connection.execute(delete(templates).where(templates.c.id.in_(ids)))
    return len(ids)


def _replaced(packs: Packs, before: datetime) -> ColumnElement[bool]:
    other = templates.alias("other")
    return and_(
        templates.c.pack_id.not_in(sorted(packs.of_units | {packs.chosen})),
        exists().where(
            other.c.student_id == templates.c.student_id,
            other.c.pack_id.in_(sorted(packs.of_units)),
            other.c.created_at <= before,
            other.c.created_at > templates.c.created_at,
        ),
    )
