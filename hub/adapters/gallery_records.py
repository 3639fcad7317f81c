"""Keeps a prepared gallery on record: its content, whose template the unit was given, and what it has to delete."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError
from sqlalchemy import Connection, delete, null, select, update
from sqlalchemy.dialects.mysql import insert

from hub.adapters.schema import erasures, galleries, gallery_members
from hub.adapters.unit_store import HUB_PROBLEM
from hub.core.galleries import Gallery, dropped
from protocol.content import GalleryManifest
from protocol.errors import SealBroken
from protocol.sealing import manifest_context, unseal


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A gallery built from one moment of the records, beside what was prepared before."""

    gallery: Gallery
    data_key: bytes
    prepared_revision: int
    prepared_head: bytes | None
    prepared_manifest: bytes | None


def keep_new(connection: Connection, unit_id: str, snapshot: Snapshot, now: datetime) -> None:
    """Keep a gallery of a newer revision than the one prepared; does nothing when another process was faster."""
    gallery = snapshot.gallery
    kept = connection.execute(
        update(galleries)
        # Another process may have been faster, with this revision or a later one.
        .where(galleries.c.unit_id == unit_id, galleries.c.prepared_revision < gallery.revision)
        .values(
            prepared_revision=gallery.revision,
            prepared_at=now,
            head=gallery.head,
            manifest=gallery.manifest,
            manifest_hash=gallery.manifest_hash,
            timetable=gallery.timetable,
            timetable_hash=gallery.timetable_hash,
        )
    )
    if kept.rowcount:
        had = set(
            connection.execute(
                select(gallery_members.c.student_id).where(
                    gallery_members.c.unit_id == unit_id, gallery_members.c.until_revision.is_(None)
                )
            ).scalars()
        )
        _note_members(connection, unit_id, had, gallery)
        gone = dropped(had, gallery.recognisable) + dropped(_listed_before(unit_id, snapshot), gallery.listed)
        _note_erasures(connection, unit_id, gone, gallery, now)


def _note_members(connection: Connection, unit_id: str, had: set[str], gallery: Gallery) -> None:
    gone = dropped(had, gallery.recognisable)
    if gone:
        connection.execute(
            update(gallery_members)
            .where(
                gallery_members.c.unit_id == unit_id,
                gallery_members.c.until_revision.is_(None),
                gallery_members.c.student_id.in_(gone),
            )
            .values(until_revision=gallery.revision)
        )
    come = dropped(gallery.recognisable, had)
    if come:
        connection.execute(
            insert(gallery_members),
            [{"unit_id": unit_id, "student_id": one, "from_revision": gallery.revision} for one in come],
        )


def _listed_before(unit_id: str, snapshot: Snapshot) -> set[str]:
    if snapshot.prepared_manifest is None:
        return set()
    try:
        content = unseal(snapshot.data_key, bytes(snapshot.prepared_manifest), *manifest_context(unit_id))
        return {entry.student_id for entry in GalleryManifest.model_validate_json(content).entries}
    except (SealBroken, ValidationError):
        # A manifest of another version; who had a template is known from `gallery_members` all the same.
        return set()


def _note_erasures(
    connection: Connection, unit_id: str, gone: Collection[str], gallery: Gallery, now: datetime
) -> None:
    if gone:
        statement = insert(erasures).values(unit_id=unit_id, revision=gallery.revision, asked_at=now)
        connection.execute(
            statement.on_duplicate_key_update(
                revision=statement.inserted.revision, asked_at=statement.inserted.asked_at, confirmed_at=null()
            ),
            [{"student_id": student_id} for student_id in sorted(set(gone))],
        )
    if gallery.recognisable:
        # Whose template is back before the unit ever deleted it: there is nothing to be confirmed any more.
        connection.execute(
            delete(erasures).where(
                erasures.c.unit_id == unit_id,
                erasures.c.confirmed_at.is_(None),
                erasures.c.student_id.in_(sorted(gallery.recognisable)),
            )
        )


def keep_same(connection: Connection, unit_id: str, gallery: Gallery) -> None:
    """Keep a newer timetable or head beside the manifest that is prepared."""
    connection.execute(
        update(galleries)
        .where(galleries.c.unit_id == unit_id, galleries.c.prepared_revision == gallery.revision)
        .values(head=gallery.head, timetable=gallery.timetable, timetable_hash=gallery.timetable_hash)
    )


def touch_one(connection: Connection, unit_id: str, revision: int) -> None:
    """Move one unit's revision, unless somebody has moved it already."""
    connection.execute(
        update(galleries)
        .where(galleries.c.unit_id == unit_id, galleries.c.revision == revision)
        .values(revision=galleries.c.revision + 1)
    )


def note_problem(connection: Connection, unit_id: str, problem: str | None) -> None:
    """Keep what the hub could not put into a unit's gallery, or that nothing is missing any more."""
    statement = update(galleries).where(galleries.c.unit_id == unit_id)
    if problem is None:
        statement = statement.where(galleries.c.problem.startswith(HUB_PROBLEM))
    connection.execute(statement.values(problem=None if problem is None else f"{HUB_PROBLEM}{problem}"))
