"""The gallery on the unit's disk: every piece sealed as it came, swapped in one transaction."""

from collections.abc import Collection, Sequence

from pydantic import ValidationError

from edge.adapters.damaged_files import DamagedFiles
from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_library import Database
from edge.core.errors import StorageFull
from edge.core.ports import StagedGallery
from protocol.content import Head, HeadBody

ERASE_DUE = "erase_due"
"""Stands in the record from a deletion until nothing of what was deleted is on this disk."""


def note_erasure(db: Database) -> None:
    """Note, in the transaction that deletes, that what it deletes must be erased."""
    # Counted up: an erasure that was noted while an earlier one was carried out is not taken for done.
    db.execute(
        """INSERT INTO meta (name, value) VALUES (?, '1')
           ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)""",
        [ERASE_DUE],
    )


class SqliteGallery:
    """`edge.core.ports.GalleryStore` in the unit's database file. Any thread."""

    def __init__(self, file: UnitFile) -> None:
        self._file = file
        self._damaged = DamagedFiles(file.path.parent)

    def signed_head(self) -> Head | None:
        """Return the signed head of the gallery in use; its signature is checked again at each start."""
        with self._file.reading() as db:
            row = db.execute("SELECT signed_head FROM gallery").fetchone()
        try:
            return Head.model_validate_json(row[0]) if row else None
        except ValidationError:
            # Damaged on this disk: as good as none, and the hub announces it again.
            return None

    def in_use(self) -> HeadBody | None:
        """Return the head of the gallery in use."""
        head = self.signed_head()
        try:
            return HeadBody.model_validate_json(head.body) if head else None
        except ValidationError:
            return None

    def stage(self, content_hash: str, sealed: bytes) -> None:
        """Keep a piece that has arrived; it replaces one of that name that was damaged on this disk."""
        with self._file.writing() as db:
            db.execute(
                """INSERT INTO content (hash, sealed) VALUES (?, ?)
                ON CONFLICT (hash) DO UPDATE SET sealed = excluded.sealed""",
                [content_hash, sealed],
            )

    def staged(self, content_hash: str) -> bytes | None:
        """Return a piece that is on disk."""
        with self._file.reading() as db:
            row = db.execute("SELECT sealed FROM content WHERE hash = ?", [content_hash]).fetchone()
        return bytes(row[0]) if row else None

    def has(self, content_hashes: Sequence[str]) -> set[str]:
        """Return those of the hashes that are on disk."""
        return self.held().intersection(content_hashes)

    def held(self) -> set[str]:
        """Return the hashes of everything on disk."""
        with self._file.reading() as db:
            return {row[0] for row in db.execute("SELECT hash FROM content")}

    def drop(self, content_hashes: Collection[str]) -> None:
        """Delete pieces, and erase them: see `remains`."""
        if not content_hashes:
            return
        with self._file.writing() as db:
            _delete(db, content_hashes)
        self.remains()

    def swap(self, gallery: StagedGallery) -> None:
        """Make the staged gallery the one in use and delete what it does not list."""
        head = gallery.head
        listed = {head.manifest_hash, *gallery.template_hashes}
        if head.timetable_hash:
            listed.add(head.timetable_hash)
        with self._file.writing() as db:
            db.table("gallery").upsert(
                {
                    "slot": 1,
                    "revision": head.revision,
                    "signed_head": gallery.signed_head,
                    "manifest_hash": head.manifest_hash,
                    "timetable_hash": head.timetable_hash,
                },
                pk="slot",
            )
            _delete(db, {row[0] for row in db.execute("SELECT hash FROM content").fetchall()} - listed)
            db.execute("UPDATE content SET in_use = 1 WHERE in_use = 0")
        self.remains()

    def drop_staged(self) -> int:
        """Delete what a transfer has brought so far and the gallery in use does not need; return how many pieces."""
        with self._file.writing() as db:
            dropped = db.execute("DELETE FROM content WHERE in_use = 0").rowcount
            if dropped:
                note_erasure(db)
        return dropped

    def remains(self) -> str:
        """Return where something that was deleted can still be read on this disk, for a person; empty when nowhere.

        Does what is quick about it; damaged files are for `erase_damaged`. What is due is noted with the deletion, so
        that a start goes on with it.
        """
        due = self._erasure_due()
        if due is None:
            return ""
        if not self._file.erase_deleted():
            return "what was deleted can still be read in unit.db-wal: end what reads the record, or free some space"
        # A damaged record that was set aside holds the pieces of then.
        if left := self._damaged.left():
            return left
        try:
            with self._file.writing() as db:
                db.execute("DELETE FROM meta WHERE name = ? AND value = ?", [ERASE_DUE, due])
        except StorageFull as exc:
            return str(exc)
        return ""

    def erase_damaged(self) -> bool:
        """Overwrite a part of the damaged files where that is due; return False when there is no more to do at once.

        Takes seconds on a slow card. One thread, which nobody waits for.
        """
        return self._erasure_due() is not None and self._damaged.erase_some()

    def try_erasing_again(self) -> None:
        """Also what could not be overwritten before."""
        self._damaged.try_again()

    def _erasure_due(self) -> str | None:
        with self._file.reading() as db:
            row = db.execute("SELECT value FROM meta WHERE name = ?", [ERASE_DUE]).fetchone()
        return str(row[0]) if row else None


def _delete(db: Database, content_hashes: Collection[str]) -> None:
    for content_hash in content_hashes:
        db.execute("DELETE FROM content WHERE hash = ?", [content_hash])
    if content_hashes:
        note_erasure(db)
