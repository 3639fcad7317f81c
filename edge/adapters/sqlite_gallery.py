"""The gallery on the unit's disk: every piece sealed as it came, swapped in one transaction."""

from collections.abc import Sequence

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
        return Head.model_validate_json(row[0]) if row else None

    def in_use(self) -> HeadBody | None:
        """Return the head of the gallery in use."""
        head = self.signed_head()
        return HeadBody.model_validate_json(head.body) if head else None

    def stage(self, content_hash: str, sealed: bytes) -> None:
        """Keep a piece that has arrived."""
        with self._file.writing() as db:
            db.execute(
                "INSERT INTO content (hash, sealed) VALUES (?, ?) ON CONFLICT (hash) DO NOTHING",
                [content_hash, sealed],
            )

    def staged(self, content_hash: str) -> bytes | None:
        """Return a piece that is on disk."""
        with self._file.reading() as db:
            row = db.execute("SELECT sealed FROM content WHERE hash = ?", [content_hash]).fetchone()
        return bytes(row[0]) if row else None

    def has(self, content_hashes: Sequence[str]) -> set[str]:
        """Return those of the hashes that are on disk."""
        with self._file.reading() as db:
            present = {row[0] for row in db.execute("SELECT hash FROM content")}
        return present.intersection(content_hashes)

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
            present = [row[0] for row in db.execute("SELECT hash FROM content").fetchall()]
            for content_hash in set(present) - listed:
                db.execute("DELETE FROM content WHERE hash = ?", [content_hash])
        self._file.erase_deleted()
