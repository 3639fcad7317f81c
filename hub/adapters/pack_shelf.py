"""The hub's model pack, offered to units that have another one: its list of files, and their bytes part by part."""

import logging
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from hub.core.ports import PackPart
from protocol.base import MAX_PART_BYTES, sha256_hex
from protocol.content import ContentKind, PackFile, PackList
from recognition.adapters.pack_files import MANIFEST_NAME, Pack, sha256_of

LOG = logging.getLogger("rollcall.hub.packs")


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a file was when its hash was last computed."""

    mtime_ns: int
    size_bytes: int


class FolderShelf:
    """`hub.core.ports.PackShelf` of one verified pack. One thread.

    Every file that the manifest names is offered, and the manifest itself: a unit takes the variant of its settings and
    what else it needs. Nothing else of the folder can be asked for. A part is read when it is wanted; a file that was
    changed since it was verified is read again, and given out only if it is still the same.
    """

    def __init__(self, pack: Pack) -> None:
        """Take the list of a pack that `read_pack` has just verified."""
        self._folder = pack.folder
        self._files: dict[str, PackFile] = {}
        self._seen: dict[str, _Seen | None] = {}
        self._other: dict[str, _Seen] = {}
        """What a file is that was found to be another one."""
        self.listed = self._list(pack)
        """The list as it travels; None when the pack has a file that is too large to travel."""

    def _list(self, pack: Pack) -> bytes | None:
        try:
            manifest = (pack.folder / MANIFEST_NAME).read_bytes()
            files = [PackFile(path=MANIFEST_NAME, sha256=sha256_hex(manifest), bytes=len(manifest))]
            files += [
                PackFile(path=name, sha256=file.sha256, bytes=file.size_bytes)
                for name, file in sorted(pack.manifest.files.items())
            ]
            listed = PackList(pack_id=pack.pack_id, files=tuple(files)).to_bytes()
        except (ValidationError, OSError) as exc:
            LOG.warning("the pack is not offered to units pack=%s reason=%s", pack.pack_id, type(exc).__name__)
            return None
        for file in files:
            self._files[file.sha256] = file
            self._seen[file.path] = _look(self._folder / file.path)
        return listed if len(listed) <= MAX_PART_BYTES else None

    def part(self, kind: ContentKind, content_hash: str, index: int) -> PackPart | None:
        """Return a part; None when there is no such content, no such part, or the file is not what it was."""
        if self.listed is None:
            return None
        if kind == "pack":
            whole = sha256_hex(self.listed) == content_hash and index == 0
            return PackPart(0, 1, self.listed) if whole else None
        file = self._files.get(content_hash)
        if file is None:
            return None
        count = -(-file.bytes // MAX_PART_BYTES)
        if index >= count or not self._unchanged(file):
            return None
        at = index * MAX_PART_BYTES
        try:
            with (self._folder / file.path).open("rb") as stream:
                stream.seek(at)
                data = stream.read(MAX_PART_BYTES)
        except OSError as exc:
            LOG.warning("a file of the pack cannot be read file=%s reason=%s", file.path, exc.strerror)
            return None
        return PackPart(index, count, data) if len(data) == min(MAX_PART_BYTES, file.bytes - at) else None

    def _unchanged(self, file: PackFile) -> bool:
        path = self._folder / file.path
        now = _look(path)
        if now is None or now == self._other.get(file.path):
            return False
        if now == self._seen[file.path]:
            return True
        # Touched, or replaced while this program runs: hashed once more, not for each part.
        try:
            same = now.size_bytes == file.bytes and sha256_of(path) == file.sha256
        except OSError:
            same = False
        if same:
            self._seen[file.path] = now
        else:
            self._other[file.path] = now
            LOG.warning("a file of the pack was changed; restart the service to offer the new one file=%s", file.path)
        return same


def _look(path: Path) -> _Seen | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return _Seen(found.st_mtime_ns, found.st_size)
