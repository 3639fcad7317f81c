"""The students and the lessons of a unit's room, from the gallery on disk."""

from dataclasses import dataclass, field

from edge.adapters.sqlite_gallery import SqliteGallery
from edge.bootstrap.identity import identity_of
from edge.core.gallery_pieces import open_manifest, open_timetable
from edge.settings import EdgeSettings
from protocol.content import ManifestEntry, TimetableLesson


@dataclass(frozen=True, slots=True)
class Room:
    """Whom the unit may name, and its timetable."""

    entries: tuple[ManifestEntry, ...] = field(default=(), repr=False)
    lessons: tuple[TimetableLesson, ...] = ()

    @property
    def names(self) -> dict[str, str]:
        """The display names by student id."""
        return {entry.student_id: entry.display_name for entry in self.entries}


def stored_room(settings: EdgeSettings, gallery: SqliteGallery) -> Room:
    """Return what the gallery on disk says, nothing without one.

    Raises GalleryRefused and KeyUnusable when it cannot be opened.
    """
    head = gallery.in_use()
    sealed = gallery.staged(head.timetable_hash) if head and head.timetable_hash else None
    lessons = open_timetable(identity_of(settings, head.pack_id), sealed).lessons if head and sealed else ()
    return Room(_stored_entries(settings, gallery), lessons)


def stored_names(settings: EdgeSettings, gallery: SqliteGallery) -> dict[str, str]:
    """Return the display names in the gallery on disk by student id, none without a gallery.

    Raises GalleryRefused and KeyUnusable when it cannot be opened.
    """
    return Room(_stored_entries(settings, gallery)).names


def _stored_entries(settings: EdgeSettings, gallery: SqliteGallery) -> tuple[ManifestEntry, ...]:
    head = gallery.in_use()
    sealed = gallery.staged(head.manifest_hash) if head else None
    if head is None or sealed is None:
        return ()
    return open_manifest(identity_of(settings, head.pack_id), head, sealed).entries
