"""The students' names, from the gallery on disk."""

from edge.adapters.sqlite_gallery import SqliteGallery
from edge.bootstrap.identity import identity_of
from edge.core.gallery_pieces import open_manifest
from edge.settings import EdgeSettings


def stored_names(settings: EdgeSettings, gallery: SqliteGallery) -> dict[str, str]:
    """Return the display names in the gallery on disk by student id, none without a gallery.

    Raises GalleryRefused and KeyUnusable when it cannot be opened.
    """
    head = gallery.in_use()
    sealed = gallery.staged(head.manifest_hash) if head else None
    if head is None or sealed is None:
        return {}
    entries = open_manifest(identity_of(settings, head.pack_id), head, sealed).entries
    return {entry.student_id: entry.display_name for entry in entries}
