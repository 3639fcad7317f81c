"""Face templates in the database: sealed with the hub's key, one row for each enrolled picture."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from sqlalchemy import Connection, delete, func, insert, select

from hub.adapters.key_ring import Keys, opened, sealed_with
from hub.adapters.schema import templates
from hub.core.errors import StoreRefused
from protocol.errors import SealBroken
from protocol.sealing import stored_template_context
from recognition.core.face import Vector
from recognition.core.gallery import Template

_FLOAT = np.dtype("<f4")


@dataclass(frozen=True, slots=True, eq=False)
class NewTemplate:
    """One picture's template, about to be stored."""

    template_id: str
    student_id: str
    pack_id: str
    vector: Vector
    source: str
    face_px: float
    picture_sha256: bytes


@dataclass(frozen=True, slots=True)
class PictureLine:
    """An enrolled picture, without anything that could be compared with a face."""

    template_id: str
    pack_id: str
    source: str
    face_px: float
    picture_sha256: bytes
    created_at: datetime


@dataclass(frozen=True, slots=True)
class GalleryMark:
    """Changes whenever templates of the pack are added or deleted."""

    templates: int
    newest: datetime | None


def insert_template(connection: Connection, hub_key: Keys, template: NewTemplate, at: datetime) -> None:
    """Store a template, sealed for its student and pack. Raises KeyUnusable."""
    content = np.ascontiguousarray(template.vector, dtype=_FLOAT).tobytes()
    sealed = sealed_with(hub_key, content, *stored_template_context(template.student_id, template.pack_id))
    connection.execute(
        insert(templates).values(
            id=template.template_id,
            student_id=template.student_id,
            pack_id=template.pack_id,
            sealed=sealed.content,
            key_id=sealed.key_id,
            source=template.source,
            face_px=template.face_px,
            picture_sha256=template.picture_sha256,
            created_at=at,
        )
    )


@dataclass(frozen=True, slots=True, eq=False)
class StoredGallery:
    """The templates of everybody enrolled with a pack, whether or not a consent still holds."""

    templates: list[Template]
    damaged: tuple[str, ...]
    """Students of whom a template cannot be opened or is none: nothing of theirs is among the templates."""


def read_gallery(connection: Connection, hub_key: Keys, pack_id: str) -> StoredGallery:
    """Return the templates of a pack; what is damaged is named and left out, as in units' galleries.

    Raises StoreRefused when there are templates and not one can be opened: the key is of another database.
    """
    statement = (
        select(templates.c.student_id, templates.c.sealed)
        .where(templates.c.pack_id == pack_id)
        .order_by(templates.c.student_id, templates.c.created_at, templates.c.id)
    )
    vectors: dict[str, list[Vector]] = {}
    damaged: set[str] = set()
    for row in connection.execute(statement):
        vector = _opened(hub_key, row.student_id, pack_id, bytes(row.sealed))
        if vector is None:
            damaged.add(row.student_id)
        else:
            vectors.setdefault(row.student_id, []).append(vector)
    if damaged and not vectors:
        raise StoreRefused(
            "no template can be opened: they were sealed with another hub key, or altered",
            hint="is keys.hub_key_file the key this database was made with?",
        )
    found = []
    for student_id, members in vectors.items():
        try:
            template = Template(student_id, pack_id, np.stack(members))
        except ValueError:
            damaged.add(student_id)
            continue
        if student_id not in damaged:
            found.append(template)
    return StoredGallery(found, tuple(sorted(damaged)))


def load_gallery(connection: Connection, hub_key: Keys, pack_id: str) -> list[Template]:
    """Return the templates of `read_gallery`: damaged ones are left out. Raises StoreRefused."""
    return read_gallery(connection, hub_key, pack_id).templates


def gallery_mark(connection: Connection, pack_id: str) -> GalleryMark:
    """Return a value that tells whether a gallery read earlier is still what is stored."""
    row = connection.execute(
        select(func.count().label("number"), func.max(templates.c.created_at).label("newest")).where(
            templates.c.pack_id == pack_id
        )
    ).one()
    return GalleryMark(row.number, row.newest)


def owner_of_picture(connection: Connection, pack_id: str, picture_sha256: bytes) -> str | None:
    """Return the student for whom this very file is enrolled, or None."""
    found: str | None = connection.execute(
        select(templates.c.student_id)
        .where(templates.c.pack_id == pack_id, templates.c.picture_sha256 == picture_sha256)
        .limit(1)
    ).scalar()
    return found


def enrolled(connection: Connection, student_ids: Collection[str]) -> list[str]:
    """Return which of these students have a template, of any pack, in a fixed order."""
    theirs = select(templates.c.student_id).distinct().where(templates.c.student_id.in_(sorted(student_ids)))
    return sorted(connection.execute(theirs).scalars())


def list_pictures(connection: Connection, student_id: str) -> list[PictureLine]:
    """Return a student's enrolled pictures, oldest first."""
    statement = select(templates).where(templates.c.student_id == student_id).order_by(templates.c.created_at)
    return [
        PictureLine(row.id, row.pack_id, row.source, row.face_px, bytes(row.picture_sha256), row.created_at)
        for row in connection.execute(statement)
    ]


def delete_templates(connection: Connection, student_id: str) -> int:
    """Delete all templates of a student, of every pack; return how many there were."""
    return int(connection.execute(delete(templates).where(templates.c.student_id == student_id)).rowcount)


def _opened(hub_key: Keys, student_id: str, pack_id: str, sealed: bytes) -> Vector | None:
    try:
        content = opened(hub_key, sealed, *stored_template_context(student_id, pack_id))
    except SealBroken:
        return None
    if len(content) % _FLOAT.itemsize or not content:
        return None
    return np.frombuffer(content, dtype=_FLOAT).astype(np.float32)
