"""The gallery in use: opened at start from disk, replaced when a newer one is complete, handed to recognition."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from pydantic import ValidationError

from edge.core.errors import GalleryRefused
from edge.core.gallery_pieces import UnitIdentity, open_head, open_manifest, open_template, open_timetable
from edge.core.gallery_sync import GallerySync
from edge.core.known import KnownStudents, know, knows_nobody
from edge.core.pack_fetch import PackFetch
from edge.core.ports import Clock, GalleryStore, PackStore, StagedGallery
from edge.loops.health import Health
from protocol.content import Applied, GalleryManifest, Head, HeadBody, Part, TemplateBlob, Want
from recognition.core.errors import PackMismatch

log = logging.getLogger(__name__)

_ERASED_AT_MOST = 2000


@dataclass(frozen=True, slots=True)
class NewPacks:
    """How a unit comes to another model pack: where packs lie, and how the program is told to open itself anew."""

    store: PackStore
    reopen: Callable[[], None]


@dataclass(frozen=True, slots=True, eq=False)
class _Opened:
    """A gallery as recognition uses it, and how many of its pieces lack or are damaged on this disk."""

    known: KnownStudents
    lost: int


class GalleryKeeper:
    """Owns the gallery. The delivery thread calls everything; `known` may be read from any thread.

    Without `packs`, galleries of another model pack are refused. A gallery's number is the hub's receipt for every
    erasure up to it: the hub hears none while something that was deleted can still be read on this disk.
    """

    def __init__(
        self,
        identity: UnitIdentity,
        store: GalleryStore,
        dimensions: int,
        clock: Clock,
        health: Health,
        packs: NewPacks | None = None,
    ) -> None:
        self._identity = identity
        self._store = store
        self._dimensions = dimensions
        self._clock = clock
        self._health = health
        self._packs = packs
        self._untold: Applied | None = None
        """What the hub hears when everything that was deleted is erased."""
        self._erased: set[str] = set()
        """Whose templates were deleted, and the hub not told yet."""
        self._sync = GallerySync(identity, store, PackFetch(packs.store) if packs else None)
        # Replaced as a whole: a reader sees the old one or the new one, never a mixture.
        self.known: KnownStudents = knows_nobody(identity.pack_id, dimensions)
        self._opened: HeadBody | None = None
        # Gallery and pack on disk are the new ones, and this program still runs the old ones.
        self._ending = False

    def open_stored(self, signed_head: Head | None) -> None:
        """Open the gallery on disk, so that recognition starts without a network.

        A gallery that cannot be opened (another model pack, another key) is reported and not used. Of one that is
        damaged in part the rest is used, and what lacks is fetched again.
        """
        # What a kill or a power cut left of an erasure is done now, also without a network.
        self._is_erased()
        if signed_head is None:
            return
        try:
            self._use(open_head(self._identity, signed_head))
        except GalleryRefused as exc:
            self._health.problem("gallery_unusable", str(exc))

    def on_head(self, head: Head) -> Applied | None:
        """Take note of a head; return what to tell the hub at once (it is in use already, or refused)."""
        if self._ending:
            return None
        try:
            current = self._sync.on_head(head)
            if current and current != self._opened:
                # On disk, and could not be opened at the start: the hub must not take it for used.
                self._use(current)
        except GalleryRefused as exc:
            return self._refused(exc)
        self._health.fine("gallery_refused")
        return self._told(self._applied(current)) if current else None

    def on_part(self, part: Part) -> Applied | None:
        """Take in a piece; return the receipt when the gallery is complete and in use, or why it is refused."""
        if self._ending:
            return None
        try:
            self._sync.on_part(part)
        except GalleryRefused as exc:
            return self._refused(exc)
        return self.finish_if_complete()

    def finish_if_complete(self) -> Applied | None:
        """Put a complete gallery into use."""
        if self._ending:
            return None
        try:
            staged = self._sync.complete()
            said = self._put_into_use(staged) if staged else None
        except GalleryRefused as exc:
            self._sync.abandon()
            return self._refused(exc)
        finally:
            self._forget_erased()
        return self._told(said)

    def next_want(self, now_s: float) -> Want | Applied | None:
        """Return what to ask the hub for now, or why what lies on disk for this gallery is refused."""
        if self._ending:
            return None
        try:
            return self._sync.next_want(now_s)
        except GalleryRefused as exc:
            return self._refused(exc)
        finally:
            self._forget_erased()

    def _put_into_use(self, staged: StagedGallery) -> Applied | None:
        head = staged.head
        before = self._template_owners(self._store.in_use())
        # Opened before it is swapped in: what cannot be opened never replaces what works.
        opened = self._open(head, self._dimensions_of(head))
        if opened.lost:
            # Damaged since it was staged: it is asked for again.
            return None
        if self._packs and head.pack_id != self._identity.pack_id:
            self._change_pack(staged, self._packs)
            return None
        self._store.swap(staged)
        self.known, self._opened = opened.known, head
        self._sync.abandon()
        for code in ("gallery_unusable", "gallery_refused", "gallery_damaged"):
            self._health.fine(code)
        after = self._template_owners(head)
        self._erased = (self._erased | before) - after
        log.info("gallery in use revision=%d students=%d", opened.known.revision, opened.known.templates)
        return self._applied(head)

    def _change_pack(self, staged: StagedGallery, packs: NewPacks) -> None:
        """Change to another model pack: with the swap, gallery and pack on disk are the new ones.

        What runs are the old pack and the old templates, which belong together, until the program has opened itself
        anew. The hub hears of it after that: the head comes again with the connection.
        """
        packs.store.trial(staged.head.pack_id)
        self._ending = True
        try:
            self._store.swap(staged)
        except BaseException:
            self._ending = False
            raise
        log.info("model pack changes from=%s to=%s", self._identity.pack_id, staged.head.pack_id)
        packs.reopen()

    def _dimensions_of(self, head: HeadBody) -> int:
        if self._packs and head.pack_id != self._identity.pack_id:
            return self._packs.store.dimensions(head.pack_id)
        return self._dimensions

    def _use(self, head: HeadBody) -> None:
        """Open the gallery that is on disk and use what is intact of it."""
        opened = self._open(head, self._dimensions)
        self.known, self._opened = opened.known, head
        self._health.fine("gallery_unusable")
        if opened.lost:
            text = f"{opened.lost} pieces of the gallery are damaged on this disk: they are fetched again from the hub"
            self._health.problem("gallery_damaged", text)

    def _forget_erased(self) -> None:
        """Take whom the newest list lacks out of memory too: their templates are gone from the disk."""
        current = self._opened
        if self._sync.lost_templates() and current:
            try:
                self.known = self._open(current, self._dimensions).known
            except GalleryRefused:
                # It was open until now. Rather nobody than somebody who was erased.
                self.known = knows_nobody(self._identity.pack_id, self._dimensions)

    def _template_owners(self, head: HeadBody | None) -> set[str]:
        """Return who has a template in a gallery that is on disk."""
        try:
            manifest = self._manifest(head) if head else None
        except GalleryRefused:
            # Left by another key: nobody can say whose templates they were.
            return set()
        return {entry.student_id for entry in manifest.entries if entry.template_hash} if manifest else set()

    def _manifest(self, head: HeadBody) -> GalleryManifest | None:
        sealed = self._sync.piece(head.manifest_hash)
        return open_manifest(self._identity, head, sealed) if sealed is not None else None

    def _open(self, head: HeadBody, dimensions: int) -> _Opened:
        """Open what is intact on disk. Raises GalleryRefused for what is intact and of no use."""
        manifest = self._manifest(head)
        if manifest is None:
            return _Opened(knows_nobody(head.pack_id, dimensions), lost=1)
        lost = 0
        identity = replace(self._identity, pack_id=head.pack_id)
        blobs: list[TemplateBlob] = []
        for entry in manifest.entries:
            if entry.template_hash:
                sealed = self._sync.piece(entry.template_hash)
                lost += sealed is None
                blobs += [open_template(identity, entry.student_id, sealed)] if sealed is not None else []
        sealed = self._sync.piece(head.timetable_hash) if head.timetable_hash else None
        lost += bool(head.timetable_hash) and sealed is None
        lessons = open_timetable(identity, sealed).lessons if sealed is not None else ()
        try:
            return _Opened(know(head, manifest, blobs, lessons, dimensions), lost)
        except (ValueError, ValidationError, PackMismatch) as exc:
            raise GalleryRefused("bad_template", f"the gallery does not fit this unit: {exc}") from exc

    def _told(self, said: Applied | None) -> Applied | None:
        """Return what the hub may hear now: the newest word, once nothing that was deleted can be read any more."""
        self._untold = said or self._untold
        if not self._is_erased() or self._untold is None:
            return None
        told, self._untold = self._untold, None
        if not told.problem:
            self._erased.clear()
        return told

    def _is_erased(self) -> bool:
        where = self._store.remains()
        if where:
            self._health.problem("erasure_waits", where)
        else:
            self._health.fine("erasure_waits")
        return not where

    def _applied(self, head: HeadBody) -> Applied:
        return Applied(
            revision=head.revision,
            generation=head.generation,
            manifest_hash=head.manifest_hash,
            students=self.known.templates,
            erased=tuple(sorted(self._erased))[:_ERASED_AT_MOST],
            at=self._clock.stamp().at,
        )

    def _refused(self, exc: GalleryRefused) -> Applied | None:
        if exc.code in ("corrupt", "superseded"):
            # Heals by itself: the piece is asked for again, or a newer head is on its way.
            log.info("gallery piece discarded reason=%s", exc.code)
            return None
        self._health.problem("gallery_refused", str(exc))
        in_use = self._store.in_use()
        said = Applied(
            revision=in_use.revision if in_use else 0,
            generation=in_use.generation if in_use else 0,
            manifest_hash=in_use.manifest_hash if in_use else None,
            students=self.known.templates,
            problem=exc.code,
            detail=str(exc)[:200],
            at=self._clock.stamp().at,
        )
        return self._told(said)
