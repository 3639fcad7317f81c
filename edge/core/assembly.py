"""Pieces put together from their parts, in memory: parts are not signed, so nothing of them is believed before."""

from dataclasses import dataclass, field

from edge.core.errors import GalleryRefused
from protocol.base import sha256_hex
from protocol.content import Part


@dataclass(slots=True)
class _Begun:
    count: int
    parts: dict[int, bytes] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(len(data) for data in self.parts.values())

    def next_index(self) -> int:
        return next((index for index in range(self.count) if index not in self.parts), self.count)


@dataclass(slots=True)
class Assembly:
    """The pieces that are begun, by their hashes. One thread."""

    _begun: dict[str, _Begun] = field(default_factory=dict)

    def add(self, part: Part, most_bytes: int) -> bytes | None:
        """Return the piece that this part completes, None while others lack.

        Raises GalleryRefused(`corrupt`) when the whole does not have its hash, or is larger than `most_bytes`.
        """
        begun = self._begun.get(part.hash)
        if begun is None or part.count != begun.count:
            self._begun[part.hash] = begun = _Begun(part.count)
        begun.parts[part.index] = part.data
        # Somebody who can write to the broker must not fill the memory.
        is_too_large = begun.size > most_bytes
        if begun.next_index() < begun.count and not is_too_large:
            return None
        del self._begun[part.hash]
        whole = b"" if is_too_large else b"".join(begun.parts[index] for index in range(begun.count))
        if sha256_hex(whole) != part.hash:
            # Not asked for at once: whoever sends it altered may always do so.
            raise GalleryRefused("corrupt", "a piece of the gallery arrived altered")
        return whole

    def next_index(self, content_hash: str) -> int:
        """Return the first part of a piece that lacks."""
        begun = self._begun.get(content_hash)
        return begun.next_index() if begun else 0

    def clear(self) -> None:
        """Forget everything that is begun."""
        self._begun.clear()
