"""Model packs in the unit's data folder: `packs/<pack id>` whole, `packs/<pack id>.part` on their way."""

import errno
import hashlib
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edge.adapters.disk_files import disk_error, sync_folder
from edge.adapters.pack_room import FOLDER_NAME, PART, check_disk, check_memory
from edge.core.errors import GalleryRefused
from protocol.content import PackFile, PackList
from recognition.adapters.pack_files import MANIFEST_NAME, Manifest, read_manifest
from recognition.core.errors import RecognitionError

log = logging.getLogger(__name__)

_PACK_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\Z")
"""Without dots: no pack can be called like another one that is on its way, and no name leads out of the folder."""
_SYNC_EVERY_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class PackNeeds:
    """What this unit's settings need of a pack."""

    variant: str
    detector: str
    liveness: bool


class PackFolder:
    """`edge.core.ports.PackStore` on a disk. One thread.

    `own` is the folder of the pack in the settings: it counts as here, and nothing in it is ever changed. `try_open`
    opens the models of a folder and raises RecognitionError when it cannot.
    """

    def __init__(self, data_dir: Path, own: Path, needs: PackNeeds, try_open: Callable[[Path], object]) -> None:
        self._folder = data_dir / FOLDER_NAME
        self._own = own
        self._needs = needs
        self._try_open = try_open
        self._found: dict[str, Path] = {}
        self._unusable: dict[str, str] = {}
        self._unsynced: dict[Path, int] = {}
        self._running: str | None = None
        self._own_id: str | None = None

    def place(self, pack_id: str) -> Path | None:
        """Return where a whole pack lies, None when it is not here. Its files' checksums are for `read_pack`."""
        if pack_id not in self._found or not self._found[pack_id].is_dir():
            self._found.pop(pack_id, None)
            if self._own_id is None:
                self._own_id = _id_of(self._own) or ""
            if self._own_id == pack_id:
                self._found[pack_id] = self._own
            elif _PACK_ID.match(pack_id) and _id_of(self._folder / pack_id) == pack_id:
                self._found[pack_id] = self._folder / pack_id
        return self._found.get(pack_id)

    def runs(self, pack_id: str) -> None:
        """Note which pack the program runs: it is never deleted."""
        self._running = pack_id

    def distrust(self, pack_id: str, why: str) -> None:
        """Note that a pack could not be opened at the start.

        One that was fetched is looked at again, file by file, and what is damaged is fetched again. One that is as it
        should be and cannot be opened is refused from now on: it would be tried again and again.
        """
        self._found.pop(pack_id, None)
        whole, part = self._folder / pack_id, self._part(pack_id)
        if not self._is_damaged(whole):
            self._unusable[pack_id] = why
            return
        log.warning("model pack is damaged, what lacks is fetched again pack=%s", pack_id)
        with self._disk(whole):
            shutil.rmtree(part, ignore_errors=True)
            whole.rename(part)

    def _is_damaged(self, folder: Path) -> bool:
        try:
            manifest = read_manifest(folder)
        except RecognitionError:
            return folder.is_dir()
        if self._needs.variant not in manifest.embedder.variants:
            return False
        with self._disk(folder):
            # Also the variant of settings that have changed since the pack was fetched.
            return not all(_is_as_listed(folder / name, manifest.files[name].sha256) for name in self._needed(manifest))

    def has(self, pack_id: str) -> bool:
        """Return whether this pack lies here whole."""
        return self.place(pack_id) is not None

    def dimensions(self, pack_id: str) -> int:
        """Return the length of a vector of a pack that lies here whole. Raises GalleryRefused(`pack_unusable`)."""
        place = self.place(pack_id)
        if place is None:
            raise GalleryRefused("pack_unusable", f"model pack {pack_id} is not on this disk any more")
        return self._manifest(place, pack_id).embedder.dimensions

    def length(self, pack_id: str, path: str) -> int:
        """Return how many bytes of a file of a pack on its way are kept."""
        try:
            return (self._part(pack_id) / path).stat().st_size
        except FileNotFoundError:
            return 0
        except OSError as exc:
            raise disk_error(exc, self._part(pack_id)) from exc

    def put(self, pack_id: str, path: str, at: int, data: bytes) -> None:
        """Cut a file of a pack on its way to `at` bytes and add these; one that is shorter by now stays as it is.

        Raises GalleryRefused(`pack_no_space`) when too little is left beside it: others fill the disk meanwhile.
        """
        target = self._part(pack_id) / path
        # It may be gone at any moment: a full disk gives up what is on its way (`drop_unfinished`).
        with self._disk(target), suppress(FileNotFoundError):
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            check_disk(target.parent, pack_id, len(data))
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                if os.fstat(descriptor).st_size < at:
                    # What came before was given up: it is asked for again, and this with it.
                    return
                stream.truncate(at)
                stream.seek(at)
                stream.write(data)
                stream.flush()
                waiting = self._unsynced.get(target, 0) + len(data)
                if waiting >= _SYNC_EVERY_BYTES:
                    os.fsync(stream.fileno())
                    waiting = 0
                self._unsynced[target] = waiting

    def check(self, pack_id: str, file: PackFile) -> bool:
        """Return whether a file has the size and hash it should have, and is safe on disk; if not, it is deleted."""
        target = self._part(pack_id) / file.path
        with self._disk(target), suppress(FileNotFoundError):
            if target.stat().st_size == file.bytes and _is_as_listed(target, file.sha256):
                with target.open("rb") as stream:
                    os.fsync(stream.fileno())
                self._unsynced.pop(target, None)
                return True
            target.unlink()
        return False

    def plan(self, pack: PackList) -> tuple[PackFile, ...]:
        """Return the files this unit needs of a pack whose manifest is kept, and make room for them.

        Deletes packs that nobody needs. Raises GalleryRefused: `pack_unusable`, `pack_no_space`, `pack_no_memory`.
        """
        manifest = self._manifest(self._part(pack.pack_id), pack.pack_id)
        self._check_suits(manifest)
        listed = {file.path: file for file in pack.files}
        needed = [listed[MANIFEST_NAME]]
        for name in sorted(self._needed(manifest)):
            file = listed.get(name)
            if file is None or file.sha256 != manifest.files[name].sha256:
                raise GalleryRefused("pack_unusable", f"model pack {pack.pack_id} and the list of its files differ")
            needed.append(file)
        self._delete_packs(besides={pack.pack_id, self._running})
        self._check_room(pack.pack_id, needed)
        return tuple(needed)

    def finish(self, pack: PackList) -> None:
        """Put a pack whose needed files are all kept into its place, at once or not at all."""
        part, whole = self._part(pack.pack_id), self._folder / pack.pack_id
        with self._disk(whole), suppress(FileNotFoundError):
            sync_folder(part)
            shutil.rmtree(whole, ignore_errors=True)
            part.rename(whole)
            sync_folder(self._folder)
            self._found.pop(pack.pack_id, None)
            log.info("model pack fetched pack=%s", pack.pack_id)

    def trial(self, pack_id: str) -> None:
        """Open the models of a whole pack once. Raises GalleryRefused(`pack_unusable`)."""
        place = self.place(pack_id)
        why = self._unusable.get(pack_id)
        if why is None and place is not None:
            try:
                self._try_open(place)
            except RecognitionError as exc:
                why = str(exc)
                self._unusable[pack_id] = why
                log.warning("model pack cannot be opened pack=%s reason=%s", pack_id, exc)
        if why is not None or place is None:
            raise GalleryRefused("pack_unusable", f"model pack {pack_id} cannot be opened on this unit: {why}")

    def abandon(self, besides: str | None) -> None:
        """Delete what is kept of packs on their way, besides this one."""
        for leftover in self._folder.glob(f"*{PART}"):
            if leftover.name != f"{besides}{PART}":
                shutil.rmtree(leftover, ignore_errors=True)

    def _part(self, pack_id: str) -> Path:
        if not _PACK_ID.match(pack_id):
            raise GalleryRefused("pack_unusable", f"{pack_id} is not a name of a model pack")
        return self._folder / f"{pack_id}{PART}"

    def _delete_packs(self, besides: set[str | None]) -> None:
        with suppress(FileNotFoundError):
            for folder in sorted(self._folder.iterdir()):
                if folder.name.removesuffix(PART) not in besides:
                    shutil.rmtree(folder, ignore_errors=True)
                    self._found.pop(folder.name, None)

    def _manifest(self, folder: Path, pack_id: str) -> Manifest:
        try:
            manifest = read_manifest(folder)
        except RecognitionError as exc:
            raise GalleryRefused("pack_unusable", f"model pack {pack_id} is for another version: {exc}") from exc
        if manifest.pack_id != pack_id:
            raise GalleryRefused("pack_unusable", f"the model pack offered as {pack_id} is {manifest.pack_id}")
        return manifest

    def _check_suits(self, manifest: Manifest) -> None:
        needs, lacks = self._needs, ""
        if needs.variant not in manifest.embedder.variants:
            lacks = f"variant {needs.variant}"
        elif needs.detector not in manifest.detectors or needs.detector not in manifest.embedder.landmarks:
            lacks = f"detector {needs.detector}"
        elif needs.liveness and manifest.liveness is None:
            lacks = "the liveness networks"
        if lacks:
            raise GalleryRefused("pack_unusable", f"model pack {manifest.pack_id} lacks {lacks}, which this unit uses")

    def _needed(self, manifest: Manifest) -> set[str]:
        # All but the embedder's variants, of which a unit opens one.
        variants = manifest.embedder.variants
        return set(manifest.files) - set(variants.values()) | {variants[self._needs.variant]}

    def _check_room(self, pack_id: str, needed: list[PackFile]) -> None:
        whole = sum(file.bytes for file in needed)
        lacking = whole - sum(min(file.bytes, self.length(pack_id, file.path)) for file in needed)
        with self._disk(self._folder):
            check_disk(self._folder, pack_id, lacking)
        check_memory(pack_id, whole)

    @staticmethod
    @contextmanager
    def _disk(path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise disk_error(exc, path) from exc


def _id_of(folder: Path) -> str | None:
    try:
        return read_manifest(folder).pack_id
    except RecognitionError:
        return None


def _is_as_listed(path: Path, sha256: str) -> bool:
    """Tell whether a file is there with this content. What the disk cannot read is not. Raises OSError."""
    try:
        return path.is_file() and _hash_of(path) == sha256
    except OSError as exc:
        # Of the blocks of this file: written anew, it lies elsewhere.
        if exc.errno != errno.EIO:
            raise
        return False


def _hash_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
