"""Keeps sealed templates in memory for a while: units ask for them within seconds after a new gallery."""

from collections import OrderedDict

_CACHE_BYTES = 64 * 1024 * 1024


class ContentCache:
    """Sealed content by unit and hash, bounded in bytes; the least recently used goes first. One thread."""

    def __init__(self, most_bytes: int = _CACHE_BYTES) -> None:
        self._most_bytes = most_bytes
        self._held: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._bytes = 0

    def put(self, unit_id: str, content_hash: str, content: bytes) -> None:
        """Keep content."""
        self._bytes += len(content) - len(self._held.pop((unit_id, content_hash), b""))
        self._held[unit_id, content_hash] = content
        while self._bytes > self._most_bytes:
            _, gone = self._held.popitem(last=False)
            self._bytes -= len(gone)

    def get(self, unit_id: str, content_hash: str) -> bytes | None:
        """Return content that is kept."""
        if (unit_id, content_hash) in self._held:
            self._held.move_to_end((unit_id, content_hash))
        return self._held.get((unit_id, content_hash))

    def forget(self, unit_id: str) -> None:
        """Drop everything of a unit: whoever left its gallery must not be served from memory."""
        for key in [key for key in self._held if key[0] == unit_id]:
            self._bytes -= len(self._held.pop(key))
