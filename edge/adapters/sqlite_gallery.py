"""The gallery on the unit's disk: every piece sealed as it came, swapped in one transaction."""

from collections.abc import Collection, Sequence

from pydantic import ValidationError

from edge.adapters.salvage import erase_damaged
from edge.adapters.sqlite_file import UnitFile
from edge.core.ports import StagedGallery
from protocol.content import Head, HeadBody


class SqliteGallery:
    """`edge.core.ports.GalleryStore` in the unit's database file. Any thread."""

    def __init__(self, file: UnitFile) -> None:
        self._file = file

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
        """Delete pieces, so that nothing of them stays in the file."""
        if not content_hashes:
            return
        with self._file.writing() as db:
            for content_hash in content_hashes:
                db.execute("DELETE FROM content WHERE hash = ?", [content_hash])
        self._file.erase_deleted()

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
            unlisted = {row[0] for row in db.execute("SELECT hash FROM content").fetchall()} - listed
            for content_hash in unlisted:
                db.execute("DELETE FROM content WHERE hash = ?", [content_hash])
            db.execute("UPDATE content SET in_use = 1 WHERE in_use = 0")
        self._file.erase_deleted()
        if unlisted:
            # A damaged record that was set aside holds the pieces of then.
            erase_damaged(self._file.path.parent)

    def drop_staged(self) -> int:
        """Delete what a transfer has brought so far and the gallery in use does not need; return how many pieces."""
        with self._file.writing() as db:
            return db.execute("DELETE FROM content WHERE in_use = 0").rowcount
