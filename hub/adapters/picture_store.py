"""Single pictures of a student: the vector of each, and deleting one. `template_store` has everybody's at once."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from sqlalchemy import Connection, delete, select

from hub.adapters.key_ring import Keys, opened
from hub.adapters.schema import photos, templates
from protocol.errors import SealBroken
from protocol.sealing import stored_template_context
from recognition.core.face import Vector

_FLOAT = np.dtype("<f4")


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """What is enrolled of one picture."""

    picture_sha256: bytes
    created_at: datetime
    vector: Vector


@dataclass(frozen=True, slots=True)
class PictureDeleted:
    """What was deleted of one picture: a template of each model pack, and the picture itself if it was kept."""

    templates: int = 0
    photos: int = 0


def members(connection: Connection, hub_key: Keys, student_id: str, pack_id: str) -> list[Member]:
    """Return what is enrolled of a student with a pack, oldest first; what cannot be opened is left out."""
    statement = (
        select(templates.c.sealed, templates.c.picture_sha256, templates.c.created_at)
        .where(templates.c.student_id == student_id, templates.c.pack_id == pack_id)
        .order_by(templates.c.created_at, templates.c.id)
    )
    found = []
    for row in connection.execute(statement):
        try:
            content = opened(hub_key, bytes(row.sealed), *stored_template_context(student_id, pack_id))
        except SealBroken:
            continue
        vector = np.frombuffer(content, dtype=_FLOAT).astype(np.float32)
        found.append(Member(bytes(row.picture_sha256), row.created_at, vector))
    return found


def delete_picture(connection: Connection, student_id: str, picture_sha256: bytes) -> PictureDeleted:
    """Delete what was made of one picture of a student, with every pack, and the picture if it was kept."""
    gone = [
        connection.execute(
            delete(table).where(table.c.student_id == student_id, table.c.picture_sha256 == picture_sha256)
        ).rowcount
        for table in (templates, photos)
    ]
    return PictureDeleted(*gone)
