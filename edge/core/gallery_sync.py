"""From a signed head to a complete gallery: what to ask for, what to refuse, when it is whole.

Pure: bytes in, wants out. The pieces lie in the gallery store, so that an interrupted transfer goes on where it was.
A gallery for another model pack is fetched beside the one in use, and complete when the pack is there too.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from edge.core.assembly import Assembly
from edge.core.backoff import delay_s
from edge.core.errors import GalleryRefused
from edge.core.gallery_pieces import UnitIdentity, open_manifest, open_template, open_timetable, order, read_head
from edge.core.pack_fetch import PackFetch
from edge.core.ports import GalleryStore, StagedGallery
from protocol.base import MAX_PART_BYTES, sha256_hex
from protocol.content import ContentKind, GalleryManifest, Head, HeadBody, Part, Want, Wanted

_WANTS_AT_ONCE = 16
_FIRST_PATIENCE_S = 10.0
_LONGEST_PATIENCE_S = 120.0
_SHED_FOR_S = 300.0
"""How long nothing is asked for after a full disk gave up what had come."""


class GallerySync:
    """Follows one head at a time to a complete gallery. One thread.

    Without `packs`, galleries of another model pack are refused.
    """

    def __init__(self, identity: UnitIdentity, store: GalleryStore, packs: PackFetch | None = None) -> None:
        self._identity = identity
        self._store = store
        self._packs = packs
        self._head: HeadBody | None = None
        self._signed: bytes = b""
        self._manifest: GalleryManifest | None = None
        self._assembly = Assembly()
        # Asked for and not yet whole, when that was or something last came of it, and how often nothing did.
        self._asked: set[str] = set()
        self._asked_at_s = float("-inf")
        self._in_vain = 0
        self._now_s = float("-inf")
        self._superseded = False
        # The newest that came while the hub was thought to have the one being followed.
        self._older: Head | None = None
        # What of this transfer came to the disk, and until when to wait because the disk gave it up.
        self._staged: set[str] = set()
        self._rests_until_s = float("-inf")
        # On disk, and not with the bytes that their names are made of.
        self._damaged: set[str] = set()
        self._unlisted = False

    def on_head(self, head: Head) -> HeadBody | None:
        """Begin to follow a head; return its body when the gallery in use is already that one, and whole.

        One that is older than the head being followed is late and ignored. Raises GalleryRefused, also with `rollback`
        for one that is older than what is in use.
        """
        body = read_head(self._identity, head)
        self._check_pack(body)
        current = self._store.in_use()
        if body == current and self._is_whole(body):
            return body
        # What the hub no longer has cannot be waited for: a database that was restored counts from where it was.
        newest = self._head if self._head and not self._superseded else current
        if newest and order(body) < order(newest):
            if self._head:
                self._remember_older(head, body)
                return None
            raise GalleryRefused("rollback", f"revision {body.revision} is older than {newest.revision}, now in use")
        if self._head is None or body != self._head:
            self.abandon()
            self._head, self._signed = body, head.to_bytes()
        # The same head again means a new connection: what was asked for on the old one is lost.
        self._ask_anew()
        if self._packs and body.pack_id != self._identity.pack_id:
            self._packs.follow(body)
        elif self._packs:
            self._packs.leave()
        return None

    def on_part(self, part: Part) -> None:
        """Take in one part. Parts nobody asked for are ignored.

        Raises GalleryRefused: `corrupt` when the whole does not have its hash and `superseded` when the hub does not
        have it (both are asked for again after a while, unless a newer head comes first); `bad_manifest`,
        `bad_template` or `bad_timetable` for what the hub itself made wrong, which ends the transfer; and what
        `PackFetch.on_part` raises.
        """
        if part.kind in ("pack", "pack_file"):
            if self._packs:
                self._packs.on_part(part)
            return
        if self._head is None or part.hash not in self._missing():
            return
        if part.missing:
            self._superseded = True
            if self._older is not None:
                # Its database was restored, and it had said so before we knew.
                self.on_head(self._older)
            raise GalleryRefused("superseded", "the hub does not have a piece of the gallery being fetched")
        self._asked_at_s = max(self._asked_at_s, self._now_s)
        is_manifest = part.hash == self._head.manifest_hash
        whole = self._assembly.add(part, self._head.manifest_bytes if is_manifest else MAX_PART_BYTES)
        if whole is None:
            return
        self._check(part.hash, whole)
        self._store.stage(part.hash, whole)
        self._staged.add(part.hash)
        self._damaged.discard(part.hash)
        self._superseded = False
        self._in_vain = 0
        self._asked.discard(part.hash)
        if not self._asked:
            self._ask_anew()

    def next_want(self, now_s: float) -> Want | None:
        """Return what to ask for now; None while an answer is awaited or nothing is missing.

        The gallery comes before the pack: whom the school erased is gone before the first byte of a new model.

        Raises GalleryRefused(`bad_manifest`) when the list of students on disk is not the one that the head names, and
        what `PackFetch.next_want` raises.
        """
        self._now_s = now_s
        if self._head is None:
            return None
        missing = list(self._missing().items())[:_WANTS_AT_ONCE]
        if now_s < self._rests_until_s:
            return None
        patience_s = delay_s(self._in_vain, first_s=_FIRST_PATIENCE_S, most_s=_LONGEST_PATIENCE_S, jitter=1.0)
        if missing and now_s - self._asked_at_s >= patience_s:
            self._asked_at_s = now_s
            self._asked = {content_hash for content_hash, _ in missing}
            self._in_vain += 1
            return Want(
                items=tuple(
                    Wanted(kind=kind, hash=content_hash, from_part=self._assembly.next_index(content_hash))
                    for content_hash, kind in missing
                )
            )
        return self._packs.next_want(now_s) if self._packs else None

    def complete(self) -> StagedGallery | None:
        """Return the gallery when every piece of it, and its pack, is on disk.

        The caller swaps it in and calls `abandon`.
        """
        if self._head is None or self._missing() or self._manifest is None:
            return None
        if self._head.pack_id != self._identity.pack_id and not (self._packs and self._packs.ready):
            return None
        hashes = tuple(entry.template_hash for entry in self._manifest.entries if entry.template_hash)
        return StagedGallery(self._head, self._signed, hashes)

    def abandon(self) -> None:
        """Stop following the head."""
        self._head, self._manifest, self._older = None, None, None
        self._superseded = False
        self._staged.clear()
        self._assembly.clear()
        self._ask_anew()
        if self._packs:
            self._packs.pause()

    def piece(self, content_hash: str) -> bytes | None:
        """Return a piece that is on disk, None for one that lacks or is damaged: either is fetched again."""
        sealed = self._store.staged(content_hash)
        if sealed is None or sha256_hex(sealed) == content_hash:
            return sealed
        self._damaged.add(content_hash)
        return None

    def lost_templates(self) -> bool:
        """Return, once, whether students of the gallery in use lost their templates: the newest list lacks them."""
        unlisted, self._unlisted = self._unlisted, False
        return unlisted

    def _check_pack(self, head: HeadBody) -> None:
        if head.pack_id == self._identity.pack_id or (self._packs and self._packs.can_follow(head)):
            return
        raise GalleryRefused(
            "pack_mismatch",
            f"the gallery was made with model pack {head.pack_id}, this unit runs {self._identity.pack_id}",
        )

    def _remember_older(self, head: Head, body: HeadBody) -> None:
        if self._older is None or order(body) >= order(read_head(self._identity, self._older)):
            self._older = head

    def _is_whole(self, head: HeadBody) -> bool:
        """Return False when pieces of the gallery in use lack, or are for another pack than the one that runs."""
        if head.pack_id != self._identity.pack_id:
            return False
        sealed = self.piece(head.manifest_hash)
        if sealed is None:
            return False
        try:
            named = _named(head, open_manifest(self._identity, head, sealed))
        except GalleryRefused:
            # Not damaged, but of no use: fetching the same bytes again would not help.
            return True
        return self._present(named) == set(named)

    def _present(self, content_hashes: Iterable[str]) -> set[str]:
        return self._store.has(list(content_hashes)) - self._damaged

    def _ask_anew(self) -> None:
        self._asked.clear()
        self._asked_at_s, self._in_vain = float("-inf"), 0

    def _missing(self) -> dict[str, ContentKind]:
        """Return the hashes still to fetch, in the order in which to fetch them."""
        head = self._head
        if head is None:
            return {}
        named = _named(head, self._manifest) if self._manifest is not None else {}
        held = self._store.has([head.manifest_hash, *named])
        self._note_shed({head.manifest_hash, *named} - held)
        if head.manifest_hash not in held - self._damaged:
            return {head.manifest_hash: "manifest"}
        if self._manifest is None:
            sealed = self.piece(head.manifest_hash)
            if sealed is None:
                return {head.manifest_hash: "manifest"}
            with self._ending_when_refused():
                manifest = open_manifest(self._identity, head, sealed)
            self._forget_unlisted(head, manifest)
            self._manifest = manifest
            return self._missing()
        return {content_hash: kind for content_hash, kind in named.items() if content_hash not in held - self._damaged}

    def _note_shed(self, lacking: set[str]) -> None:
        """Rest when a full disk gave up what had come: asked for at once, it would be given up again."""
        if self._staged & lacking:
            self._staged.clear()
            self._rests_until_s = self._now_s + _SHED_FOR_S

    def _forget_unlisted(self, head: HeadBody, manifest: GalleryManifest) -> None:
        """Delete what a transfer left that was given up: its students may have been erased meanwhile.

        While a new pack is on its way, which may take hours, also the templates in use of whom the new list lacks.
        Whoever is listed without a template keeps theirs until then.
        """
        keep = {head.manifest_hash, *_named(head, manifest)}
        gone: set[str] = set()
        current = self._store.in_use()
        if current is not None:
            try:
                sealed = self.piece(current.manifest_hash)
                in_use = open_manifest(self._identity, current, sealed) if sealed is not None else None
            except GalleryRefused:
                in_use = None
            if in_use is None:
                # Nobody knows what of it is still in use; the swap deletes all that the new list lacks.
                return
            if head.pack_id != self._identity.pack_id:
                listed = {entry.student_id for entry in manifest.entries}
                unlisted = [entry.template_hash for entry in in_use.entries if entry.student_id not in listed]
                gone = {content_hash for content_hash in unlisted if content_hash}
            keep |= {current.manifest_hash, *_named(current, in_use)} - gone
        held = self._store.held()
        self._store.drop(held - keep)
        self._unlisted = self._unlisted or bool(gone & held)

    def _check(self, content_hash: str, whole: bytes) -> None:
        """Open a piece before it is kept, so that only what can be used ever reaches the disk."""
        head = self._head
        if head is None:
            return
        identity = replace(self._identity, pack_id=head.pack_id)
        with self._ending_when_refused():
            if content_hash == head.manifest_hash:
                open_manifest(identity, head, whole)
            elif content_hash == head.timetable_hash:
                open_timetable(identity, whole)
            elif self._manifest is not None:
                for entry in self._manifest.entries:
                    if entry.template_hash == content_hash:
                        open_template(identity, entry.student_id, whole)

    @contextmanager
    def _ending_when_refused(self) -> Iterator[None]:
        """End the transfer when a piece with the right hash cannot be opened: again would bring the same bytes."""
        try:
            yield
        except GalleryRefused:
            self.abandon()
            raise


def _named(head: HeadBody, manifest: GalleryManifest) -> dict[str, ContentKind]:
    """Return what a gallery consists of besides its list: what is needed first comes first."""
    named: dict[str, ContentKind] = {}
    if head.timetable_hash:
        named[head.timetable_hash] = "timetable"
    return named | {entry.template_hash: "template" for entry in manifest.entries if entry.template_hash}
