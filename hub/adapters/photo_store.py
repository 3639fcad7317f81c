"""Pictures that students were enrolled with, in the database: sealed with the hub's key for this student.

Kept only of whom the consent says so (`hub.core.roster_consent`, scope `photos`); whoever calls `keep` has looked.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.mysql import insert

from hub.adapters.key_ring import Keys, opened, sealed_with
from hub.adapters.schema import photos
from hub.core.errors import BadInput, StoreRefused
from protocol.errors import SealBroken
from protocol.sealing import stored_photo_context

MAX_PHOTO_BYTES = 12_000_000
"""What fits into a row and into one packet to the database, with room to spare."""


@dataclass(frozen=True, slots=True, eq=False)
class NewPhoto:
    """A picture file about to be kept, as it was given."""

    photo_id: str
    student_id: str
    content: bytes
    source: str

    @property
    def picture_sha256(self) -> bytes:
        """Names the picture, as the templates made from it do."""
        return hashlib.sha256(self.content).digest()


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A picture that was kept, opened."""

    photo_id: str
    student_id: str
    content: bytes
    source: str
    picture_sha256: bytes
    created_at: datetime


def keep(connection: Connection, hub_key: Keys, photo: NewPhoto, at: datetime) -> None:
    """Keep a picture; the same one of the same student is kept once.

    Raises BadInput for one that is too large, KeyUnusable.
    """
    if len(photo.content) > MAX_PHOTO_BYTES:
        raise BadInput(f"the picture has more than {MAX_PHOTO_BYTES // 1_000_000} MB", hint="make it smaller first")
    sha256 = photo.picture_sha256
    sealed = sealed_with(hub_key, photo.content, *stored_photo_context(photo.student_id, sha256.hex()))
    statement = insert(photos).values(
        id=photo.photo_id,
        student_id=photo.student_id,
        sealed=sealed.content,
        key_id=sealed.key_id,
        source=photo.source,
        picture_sha256=sha256,
        created_at=at,
    )
    connection.execute(statement.on_duplicate_key_update(id=photos.c.id))


def load(connection: Connection, hub_key: Keys, student_id: str) -> Iterator[Photo]:
    """Yield the pictures of a student, oldest first, one in memory at a time.

    Raises StoreRefused for one that cannot be opened: it was sealed with another key, or altered.
    """
    mine = select(photos.c.id).where(photos.c.student_id == student_id).order_by(photos.c.created_at, photos.c.id)
    for photo_id in connection.execute(mine).scalars().all():
        row = connection.execute(select(photos).where(photos.c.id == photo_id)).one_or_none()
        if row is None:
            continue
        sha256 = bytes(row.picture_sha256)
        try:
            content = opened(hub_key, bytes(row.sealed), *stored_photo_context(student_id, sha256.hex()))
        except SealBroken as exc:
            raise StoreRefused(
                f"a kept picture was sealed with another hub key, or altered (photo {photo_id})",
                hint="is keys.hub_key_file the key this database was made with?",
            ) from exc
        yield Photo(photo_id, student_id, content, row.source, sha256, row.created_at)


def count(connection: Connection, student_id: str) -> int:
    """Return how many pictures of a student are kept."""
    return connection.execute(
        select(func.count()).select_from(photos).where(photos.c.student_id == student_id)
    ).scalar_one()


def delete_of(connection: Connection, student_ids: Iterable[str]) -> int:
    """Delete the pictures of these students; return how many there were."""
    wanted = sorted(set(student_ids))
    if not wanted:
        return 0
    return int(connection.execute(delete(photos).where(photos.c.student_id.in_(wanted))).rowcount)
