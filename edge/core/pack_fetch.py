"""From a gallery's head to a whole model pack: what to ask for next, what to refuse, when it is there.

Pure: bytes in, wants out. The files lie in the pack store and grow part by part, so that an interrupted transfer goes
on where it was. Their names and hashes come in a list that the signed head names, so nothing unsigned is trusted.
"""

from dataclasses import dataclass

from pydantic import ValidationError

from edge.core.backoff import delay_s
from edge.core.errors import GalleryRefused
from edge.core.ports import PackStore
from protocol.base import MAX_PART_BYTES, sha256_hex
from protocol.content import PACK_PARTS_AT_ONCE, HeadBody, PackFile, PackList, Part, Want, Wanted

MANIFEST_NAME = "manifest.json"
_FIRST_PATIENCE_S = 30.0
_LONGEST_PATIENCE_S = 600.0
_REFUSED_FOR_S = 3600.0
"""How long until a pack that does not fit is tried again: somebody may have freed space."""


@dataclass(frozen=True, slots=True)
class _Target:
    pack_id: str
    list_hash: str
    list_bytes: int


class PackFetch:
    """Fetches one pack at a time. One thread."""

    def __init__(self, store: PackStore) -> None:
        self._store = store
        self._target: _Target | None = None
        self._following = False
        self._list: PackList | None = None
        self._needed: tuple[PackFile, ...] | None = None
        self._kept: set[str] = set()
        # The part from which was asked, when that was or something last came of it, and how often nothing did.
        self._asked_from = 0
        self._asked_at_s = float("-inf")
        self._in_vain = 0
        self._now_s = float("-inf")
        self._refused_until_s = float("-inf")

    def can_follow(self, head: HeadBody) -> bool:
        """Return whether the pack of this head is here, or can be fetched."""
        return self._store.has(head.pack_id) or head.pack_hash is not None

    def follow(self, head: HeadBody) -> None:
        """Fetch the pack of this head; again means that what was asked for is lost, and that what was refused may go.

        What is kept of other packs on their way is deleted.
        """
        target = _Target(head.pack_id, head.pack_hash or "", head.pack_bytes or MAX_PART_BYTES)
        if target != self._target:
            self._store.abandon(besides=head.pack_id)
            self._target, self._list = target, None
        # Looked at again, like the list's files: what was on disk may have been found damaged since.
        self._needed = None
        self._kept.clear()
        self._following = True
        self._refused_until_s = float("-inf")
        self._ask_anew()

    def pause(self) -> None:
        """Ask for nothing more until `follow` is called; what is on disk stays."""
        self._following = False

    def leave(self) -> None:
        """Delete what is kept of packs on their way: the one that runs is the one to have."""
        self._following = False
        self._target, self._list = None, None
        self._store.abandon(besides=None)

    @property
    def ready(self) -> bool:
        """True when the pack being followed is on disk, whole."""
        return self._target is not None and self._store.has(self._target.pack_id)

    def next_want(self, now_s: float) -> Want | None:
        """Return what to ask for now; None while an answer is awaited, or nothing is missing.

        Raises GalleryRefused as `on_part` does.
        """
        self._now_s = now_s
        target = self._target
        if target is None or not self._following or now_s < self._refused_until_s or self.ready:
            return None
        if not target.list_hash:
            # It was here, and the hub does not offer it.
            return None
        patience_s = delay_s(self._in_vain, first_s=_FIRST_PATIENCE_S, most_s=_LONGEST_PATIENCE_S, jitter=1.0)
        if now_s - self._asked_at_s < patience_s:
            return None
        if self._list is None:
            wanted = Wanted(kind="pack", hash=target.list_hash)
        else:
            file = self._next_file(target, self._list)
            if file is None:
                return None
            self._asked_from = self._parts_kept(target, file)
            wanted = Wanted(kind="pack_file", hash=file.sha256, from_part=self._asked_from)
        self._asked_at_s = now_s
        self._in_vain += 1
        return Want(items=(wanted,))

    def on_part(self, part: Part) -> None:
        """Take in one part; those that nobody asked for, or that come out of their order, are ignored.

        Raises GalleryRefused: `corrupt` and `superseded` as `GallerySync.on_part`; `bad_pack` when the hub's own list
        is wrong; what `PackStore.plan` raises, which is tried again after an hour or with the next head.
        """
        target = self._target
        if target is None or not self._following or self._now_s < self._refused_until_s or self.ready:
            return
        if self._list is None:
            if part.hash == target.list_hash:
                self._take_list(target, part)
            return
        file = self._next_file(target, self._list)
        if file is None or part.hash != file.sha256:
            return
        if part.missing:
            raise GalleryRefused("superseded", "the hub does not have a file of the model pack being fetched")
        index = self._parts_kept(target, file)
        if part.index == index:
            self._take_part(target, file, part)

    def _take_list(self, target: _Target, part: Part) -> None:
        if part.missing:
            raise GalleryRefused("superseded", "the hub does not have the list of the model pack being fetched")
        if part.count != 1 or len(part.data) != target.list_bytes or sha256_hex(part.data) != target.list_hash:
            raise GalleryRefused("corrupt", "the list of a model pack arrived altered")
        try:
            found = PackList.model_validate_json(part.data)
        except ValidationError as exc:
            raise self._refused("bad_pack", "the list of a model pack cannot be understood") from exc
        if found.pack_id != target.pack_id or not any(file.path == MANIFEST_NAME for file in found.files):
            raise self._refused("bad_pack", "the list of a model pack is for another one, or lacks its manifest")
        self._list = found
        self._ask_anew()

    def _take_part(self, target: _Target, file: PackFile, part: Part) -> None:
        count = -(-file.bytes // MAX_PART_BYTES)
        at = part.index * MAX_PART_BYTES
        if part.count != count or len(part.data) != min(MAX_PART_BYTES, file.bytes - at):
            raise GalleryRefused("corrupt", "a part of a model pack has another size than it should have")
        try:
            self._store.put(target.pack_id, file.path, at, part.data)
        except GalleryRefused as exc:
            raise self._refused(exc.code, str(exc)) from exc
        self._in_vain = 0
        self._asked_at_s = max(self._asked_at_s, self._now_s)
        last = part.index + 1 == count
        if last and not self._store.check(target.pack_id, file):
            raise GalleryRefused("corrupt", "a file of a model pack arrived altered, or this disk damaged it")
        if last or part.index + 1 - self._asked_from >= PACK_PARTS_AT_ONCE:
            self._ask_anew()
        if last and self._list is not None:
            self._kept.add(file.path)
            # Finishes the pack with its last file.
            self._next_file(target, self._list)

    def _next_file(self, target: _Target, listed: PackList) -> PackFile | None:
        """Return the file to fetch, or to go on with; puts the pack into its place when there is none."""
        # The manifest says what the other files are for, and so which of them this unit needs.
        manifest = tuple(file for file in listed.files if file.path == MANIFEST_NAME)
        for file in manifest if self._needed is None else self._needed:
            if file.path in self._kept and self._store.length(target.pack_id, file.path) == file.bytes:
                # A full disk may have given it up.
                continue
            if self._store.length(target.pack_id, file.path) < file.bytes:
                return file
            # Whole before a restart, or longer than it should be.
            if not self._store.check(target.pack_id, file):
                return file
            self._kept.add(file.path)
        if self._needed is None:
            self._plan(listed)
            return self._next_file(target, listed)
        self._store.finish(listed)
        return None

    def _plan(self, listed: PackList) -> None:
        try:
            self._needed = self._store.plan(listed)
        except GalleryRefused as exc:
            raise self._refused(exc.code, str(exc)) from exc

    def _parts_kept(self, target: _Target, file: PackFile) -> int:
        return self._store.length(target.pack_id, file.path) // MAX_PART_BYTES

    def _refused(self, code: str, text: str) -> GalleryRefused:
        self._refused_until_s = self._now_s + _REFUSED_FOR_S
        self._ask_anew()
        return GalleryRefused(code, text)

    def _ask_anew(self) -> None:
        self._asked_at_s, self._in_vain = float("-inf"), 0
