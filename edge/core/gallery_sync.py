"""From a signed head to a complete gallery: what to ask for, what to refuse, when it is whole.

Pure: bytes in, wants out. The pieces lie in the gallery store, so that an interrupted transfer goes on where it was.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydantic import ValidationError

from edge.core.backoff import delay_s
from edge.core.errors import GalleryRefused
from edge.core.ports import GalleryStore, StagedGallery
from protocol import sealing
from protocol.base import MAX_PART_BYTES, sha256_hex
from protocol.content import ContentKind, GalleryManifest, Head, HeadBody, Part, TemplateBlob, Timetable, Want, Wanted
from protocol.errors import SealBroken

_WANTS_AT_ONCE = 16
_FIRST_PATIENCE_S = 10.0
_LONGEST_PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class UnitIdentity:
    """Who this unit is and the keys by which it knows its hub."""

    site: str
    unit_id: str
    pack_id: str
    data_key: bytes = field(repr=False)
    hub_public_key: bytes


def open_head(identity: UnitIdentity, head: Head) -> HeadBody:
    """Return the body of a head.

    Raises GalleryRefused: `bad_signature`, `bad_head`, `foreign` (for another unit), `pack_mismatch`.
    """
    try:
        sealing.check_signature(identity.hub_public_key, head.body.encode(), head.signature)
        body = HeadBody.model_validate_json(head.body)
    except SealBroken as exc:
        raise GalleryRefused("bad_signature", "the gallery head is not signed by this school's hub") from exc
    except ValidationError as exc:
        raise GalleryRefused("bad_head", "the gallery head cannot be understood") from exc
    if (body.site, body.unit_id) != (identity.site, identity.unit_id):
        raise GalleryRefused("foreign", "the gallery head is for another unit")
    if body.pack_id != identity.pack_id:
        raise GalleryRefused(
            "pack_mismatch", f"the gallery was made with model pack {body.pack_id}, this unit runs {identity.pack_id}"
        )
    return body


def open_manifest(identity: UnitIdentity, head: HeadBody, sealed: bytes) -> GalleryManifest:
    """Return the manifest in its sealed bytes. Raises GalleryRefused(`bad_manifest`)."""
    try:
        content = sealing.unseal(identity.data_key, sealed, *sealing.manifest_context(identity.unit_id))
        manifest = GalleryManifest.model_validate_json(content)
    except (SealBroken, ValidationError) as exc:
        raise GalleryRefused("bad_manifest", "the list of students cannot be opened with this unit's key") from exc
    if (manifest.unit_id, manifest.revision, manifest.pack_id) != (head.unit_id, head.revision, head.pack_id):
        raise GalleryRefused("bad_manifest", "the list of students is not the one that the head names")
    return manifest


def open_timetable(identity: UnitIdentity, sealed: bytes) -> Timetable:
    """Return the timetable in its sealed bytes. Raises GalleryRefused(`bad_timetable`)."""
    try:
        content = sealing.unseal(identity.data_key, sealed, *sealing.timetable_context(identity.unit_id))
        return Timetable.model_validate_json(content)
    except (SealBroken, ValidationError) as exc:
        raise GalleryRefused("bad_timetable", "the timetable cannot be opened with this unit's key") from exc


def open_template(identity: UnitIdentity, student_id: str, sealed: bytes) -> TemplateBlob:
    """Return one student's templates. Raises GalleryRefused(`bad_template`)."""
    try:
        context = sealing.template_context(identity.unit_id, student_id, identity.pack_id)
        blob = TemplateBlob.model_validate_json(sealing.unseal(identity.data_key, sealed, *context))
    except (SealBroken, ValidationError) as exc:
        raise GalleryRefused("bad_template", "a template cannot be opened with this unit's key") from exc
    if (blob.student_id, blob.pack_id) != (student_id, identity.pack_id):
        raise GalleryRefused("bad_template", "a template is for another student or model pack")
    return blob


@dataclass(slots=True)
class _Assembly:
    count: int
    parts: dict[int, bytes] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(len(data) for data in self.parts.values())

    def next_index(self) -> int:
        return next((index for index in range(self.count) if index not in self.parts), self.count)


class GallerySync:
    """Follows one head at a time to a complete gallery. One thread."""

    def __init__(self, identity: UnitIdentity, store: GalleryStore) -> None:
        self._identity = identity
        self._store = store
        self._head: HeadBody | None = None
        self._signed: bytes = b""
        self._manifest: GalleryManifest | None = None
        self._assemblies: dict[str, _Assembly] = {}
        # Asked for and not yet whole, when that was, and how often nothing came of it.
        self._asked: set[str] = set()
        self._asked_at_s = float("-inf")
        self._in_vain = 0

    @property
    def busy(self) -> bool:
        """True while a gallery is being fetched."""
        return self._head is not None

    def on_head(self, head: Head) -> HeadBody | None:
        """Begin to follow a head; return its body when the gallery in use is already that one.

        One that is older than the head being followed is late and ignored. Raises GalleryRefused, also with `rollback`
        for a lower revision than is in use that is not a signed reset.
        """
        body = open_head(self._identity, head)
        current = self._store.in_use()
        if body == current:
            return body
        newest = self._head or current
        if newest and body.revision < newest.revision and not body.reset:
            if self._head:
                return None
            raise GalleryRefused("rollback", f"revision {body.revision} is older than {newest.revision}, now in use")
        if self._head is None or body != self._head:
            self.abandon()
            self._head, self._signed = body, head.to_bytes()
        # The same head again means a new connection: what was asked for on the old one is lost.
        self._ask_anew()
        return None

    def on_part(self, part: Part) -> None:
        """Take in one part. Parts nobody asked for are ignored.

        Raises GalleryRefused: `corrupt` when the whole does not have its hash and `superseded` when the hub does not
        have it (both are asked for again after a while, unless a newer head comes first); `bad_manifest`,
        `bad_template` or `bad_timetable` for what the hub itself made wrong, which ends the transfer.
        """
        if self._head is None or part.hash not in self._missing():
            return
        if part.missing:
            raise GalleryRefused("superseded", "the hub does not have a piece of the gallery being fetched")
        whole = self._assemble(part, self._head)
        if whole is None:
            return
        self._check(part.hash, whole)
        self._store.stage(part.hash, whole)
        self._in_vain = 0
        self._asked.discard(part.hash)
        if not self._asked:
            self._ask_anew()

    def _assemble(self, part: Part, head: HeadBody) -> bytes | None:
        """Return the piece that this part completes, None while others lack."""
        assembly = self._assemblies.get(part.hash)
        if assembly is None or part.count != assembly.count:
            self._assemblies[part.hash] = assembly = _Assembly(part.count)
        assembly.parts[part.index] = part.data
        # Parts are not signed: somebody who can write to the broker must not fill the memory with them.
        is_too_large = assembly.size > (head.manifest_bytes if part.hash == head.manifest_hash else MAX_PART_BYTES)
        if assembly.next_index() < assembly.count and not is_too_large:
            return None
        del self._assemblies[part.hash]
        whole = b"" if is_too_large else b"".join(assembly.parts[index] for index in range(assembly.count))
        if sha256_hex(whole) != part.hash:
            # Not asked for at once: whoever sends it altered may always do so.
            raise GalleryRefused("corrupt", "a piece of the gallery arrived altered")
        return whole

    def next_want(self, now_s: float) -> Want | None:
        """Return what to ask for now; None while an answer is awaited or nothing is missing.

        Raises GalleryRefused(`bad_manifest`) when the list of students on disk is not the one that the head names.
        """
        patience_s = delay_s(self._in_vain, first_s=_FIRST_PATIENCE_S, most_s=_LONGEST_PATIENCE_S, jitter=1.0)
        if self._head is None or now_s - self._asked_at_s < patience_s:
            return None
        missing = list(self._missing().items())[:_WANTS_AT_ONCE]
        if not missing:
            return None
        self._asked_at_s = now_s
        self._asked = {content_hash for content_hash, _ in missing}
        self._in_vain += 1
        return Want(items=tuple(self._wanted(kind, content_hash) for content_hash, kind in missing))

    def complete(self) -> StagedGallery | None:
        """Return the gallery when every piece of it is on disk; the caller swaps it in and calls `abandon`."""
        if self._head is None or self._missing() or self._manifest is None:
            return None
        manifest = self._store.staged(self._head.manifest_hash)
        if manifest is None:
            return None
        timetable = self._store.staged(self._head.timetable_hash) if self._head.timetable_hash else None
        hashes = tuple(entry.template_hash for entry in self._manifest.entries if entry.template_hash)
        return StagedGallery(self._head, self._signed, manifest, timetable, hashes)

    def abandon(self) -> None:
        """Stop following the head."""
        self._head, self._manifest = None, None
        self._assemblies.clear()
        self._ask_anew()

    def _ask_anew(self) -> None:
        self._asked.clear()
        self._asked_at_s, self._in_vain = float("-inf"), 0

    def _wanted(self, kind: ContentKind, content_hash: str) -> Wanted:
        assembly = self._assemblies.get(content_hash)
        return Wanted(kind=kind, hash=content_hash, from_part=assembly.next_index() if assembly else 0)

    def _missing(self) -> dict[str, ContentKind]:
        """Return the hashes still to fetch, in the order in which to fetch them."""
        head = self._head
        if head is None:
            return {}
        if self._manifest is None:
            sealed = self._store.staged(head.manifest_hash)
            if sealed is None:
                return {head.manifest_hash: "manifest"}
            with self._ending_when_refused():
                self._manifest = open_manifest(self._identity, head, sealed)
        wanted: dict[str, ContentKind] = {}
        if head.timetable_hash:
            wanted[head.timetable_hash] = "timetable"
        wanted |= {entry.template_hash: "template" for entry in self._manifest.entries if entry.template_hash}
        present = self._store.has(list(wanted))
        return {content_hash: kind for content_hash, kind in wanted.items() if content_hash not in present}

    def _check(self, content_hash: str, whole: bytes) -> None:
        """Open a piece before it is kept, so that only what can be used ever reaches the disk."""
        head, identity = self._head, self._identity
        if head is None:
            return
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
