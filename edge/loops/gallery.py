"""The gallery in use: opened at start from disk, replaced when a newer one is complete, handed to recognition."""

import logging

from pydantic import ValidationError

from edge.core.errors import GalleryRefused
from edge.core.gallery_sync import GallerySync, UnitIdentity, open_head, open_manifest, open_template, open_timetable
from edge.core.known import KnownStudents, know, knows_nobody
from edge.core.ports import Clock, GalleryStore, StagedGallery
from edge.loops.health import Health
from protocol.content import Applied, GalleryManifest, Head, HeadBody, Part, Want
from recognition.core.errors import PackMismatch

log = logging.getLogger(__name__)

_ERASED_AT_MOST = 2000


class GalleryKeeper:
    """Owns the gallery. The delivery thread calls everything; `known` may be read from any thread."""

    def __init__(
        self, identity: UnitIdentity, store: GalleryStore, dimensions: int, clock: Clock, health: Health
    ) -> None:
        self._identity = identity
        self._store = store
        self._dimensions = dimensions
        self._clock = clock
        self._health = health
        self._sync = GallerySync(identity, store)
        # Replaced as a whole: a reader sees the old one or the new one, never a mixture.
        self.known: KnownStudents = knows_nobody(identity.pack_id, dimensions)
        self._opened: HeadBody | None = None

    def open_stored(self, signed_head: Head | None) -> None:
        """Open the gallery on disk, so that recognition starts without a network.

        A gallery that cannot be opened (another model pack, another key) is reported and not used.
        """
        if signed_head is None:
            return
        try:
            self._use(open_head(self._identity, signed_head))
        except GalleryRefused as exc:
            self._health.problem("gallery_unusable", str(exc))

    def on_head(self, head: Head) -> Applied | None:
        """Take note of a head; return what to tell the hub at once (it is in use already, or refused)."""
        try:
            current = self._sync.on_head(head)
            if current and current != self._opened:
                # On disk, and could not be opened at the start: the hub must not take it for used.
                self._use(current)
        except GalleryRefused as exc:
            return self._refused(exc)
        self._health.fine("gallery_refused")
        return self._applied(current, ()) if current else None

    def on_part(self, part: Part) -> Applied | None:
        """Take in a piece; return the receipt when the gallery is complete and in use, or why it is refused."""
        try:
            self._sync.on_part(part)
        except GalleryRefused as exc:
            return self._refused(exc)
        return self.finish_if_complete()

    def finish_if_complete(self) -> Applied | None:
        """Put a complete gallery into use."""
        try:
            staged = self._sync.complete()
            return self._put_into_use(staged) if staged else None
        except GalleryRefused as exc:
            self._sync.abandon()
            return self._refused(exc)

    def next_want(self, now_s: float) -> Want | Applied | None:
        """Return what to ask the hub for now, or why what lies on disk for this gallery is refused."""
        try:
            return self._sync.next_want(now_s)
        except GalleryRefused as exc:
            return self._refused(exc)

    def _put_into_use(self, staged: StagedGallery) -> Applied:
        before = self._template_owners(self._store.in_use())
        # Opened before it is swapped in: what cannot be opened never replaces what works.
        known = self._open(staged.head)
        self._store.swap(staged)
        self.known, self._opened = known, staged.head
        self._sync.abandon()
        self._health.fine("gallery_unusable")
        self._health.fine("gallery_refused")
        after = self._template_owners(staged.head)
        log.info("gallery in use revision=%d students=%d", known.revision, known.templates)
        return self._applied(staged.head, tuple(sorted(before - after))[:_ERASED_AT_MOST])

    def _use(self, head: HeadBody) -> None:
        """Open the gallery that is on disk and use it."""
        self.known, self._opened = self._open(head), head
        self._health.fine("gallery_unusable")

    def _template_owners(self, head: HeadBody | None) -> set[str]:
        """Return who has a template in a gallery that is on disk."""
        try:
            manifest = self._manifest(head) if head else None
        except GalleryRefused:
            # Left by another key or pack: nobody can say whose templates they were.
            return set()
        return {entry.student_id for entry in manifest.entries if entry.template_hash} if manifest else set()

    def _manifest(self, head: HeadBody) -> GalleryManifest:
        return open_manifest(self._identity, head, self._piece(head.manifest_hash))

    def _open(self, head: HeadBody) -> KnownStudents:
        manifest = self._manifest(head)
        blobs = [
            open_template(self._identity, entry.student_id, self._piece(entry.template_hash))
            for entry in manifest.entries
            if entry.template_hash
        ]
        timetable = head.timetable_hash
        lessons = open_timetable(self._identity, self._piece(timetable)).lessons if timetable else ()
        try:
            return know(head, manifest, blobs, lessons, self._dimensions)
        except (ValueError, ValidationError, PackMismatch) as exc:
            raise GalleryRefused("bad_template", f"the gallery does not fit this unit: {exc}") from exc

    def _piece(self, content_hash: str) -> bytes:
        sealed = self._store.staged(content_hash)
        if sealed is None:
            raise GalleryRefused("incomplete", "a piece of the gallery is missing on disk")
        return sealed

    def _applied(self, head: HeadBody, erased: tuple[str, ...]) -> Applied:
        return Applied(
            revision=head.revision,
            manifest_hash=head.manifest_hash,
            students=self.known.templates,
            erased=erased,
            at=self._clock.stamp().at,
        )

    def _refused(self, exc: GalleryRefused) -> Applied | None:
        if exc.code in ("corrupt", "superseded"):
            # Heals by itself: the piece is asked for again, or a newer head is on its way.
            log.info("gallery piece discarded reason=%s", exc.code)
            return None
        self._health.problem("gallery_refused", str(exc))
        in_use = self._store.in_use()
        return Applied(
            revision=in_use.revision if in_use else 0,
            manifest_hash=in_use.manifest_hash if in_use else None,
            students=self.known.templates,
            problem=exc.code,
            detail=str(exc)[:200],
            at=self._clock.stamp().at,
        )
