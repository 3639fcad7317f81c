"""Face templates in the database: sealed with the hub's key, one row for each enrolled picture."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from sqlalchemy import Connection, delete, func, insert, select

from hub.adapters.schema import templates
from hub.core.errors import HubError, StoreRefused
from protocol.errors import SealBroken
from protocol.sealing import seal, stored_template_context, unseal
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


def insert_template(connection: Connection, hub_key: bytes, template: NewTemplate, at: datetime) -> None:
    """Store a template, sealed for its student and pack."""
    content = np.ascontiguousarray(template.vector, dtype=_FLOAT).tobytes()
    context = stored_template_context(template.student_id, template.pack_id)
    connection.execute(
        insert(templates).values(
            id=template.template_id,
            student_id=template.student_id,
            pack_id=template.pack_id,
            sealed=seal(hub_key, content, *context),
            source=template.source,
            face_px=template.face_px,
            picture_sha256=template.picture_sha256,
            created_at=at,
        )
    )


def load_gallery(connection: Connection, hub_key: bytes, pack_id: str) -> list[Template]:
    """Return the templates of everybody enrolled with this pack, whether or not a consent still holds.

    Raises StoreRefused when a row cannot be opened: it was sealed with another key, or altered.
    """
    statement = (
        select(templates.c.student_id, templates.c.sealed)
        .where(templates.c.pack_id == pack_id)
        .order_by(templates.c.student_id, templates.c.created_at, templates.c.id)
    )
    vectors: dict[str, list[Vector]] = {}
    for row in connection.execute(statement):
        vectors.setdefault(row.student_id, []).append(_opened(hub_key, row.student_id, pack_id, bytes(row.sealed)))
    try:
        return [Template(student_id, pack_id, np.stack(members)) for student_id, members in vectors.items()]
    except ValueError as exc:
        raise _damaged("a template does not hold an embedding") from exc


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


def _opened(hub_key: bytes, student_id: str, pack_id: str, sealed: bytes) -> Vector:
    try:
        content = unseal(hub_key, sealed, *stored_template_context(student_id, pack_id))
    except SealBroken as exc:
        raise _damaged("a template was sealed with another hub key, or altered") from exc
    if len(content) % _FLOAT.itemsize or not content:
        raise _damaged("a template does not hold an embedding")
    return np.frombuffer(content, dtype=_FLOAT).astype(np.float32)


def _damaged(what: str) -> HubError:
    return StoreRefused(what, hint="is keys.hub_key_file the key this database was made with?")
