"""The keys that may have sealed something: one for what is new, and while keys change the others beside it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from protocol.errors import SealBroken
from protocol.sealing import seal, unseal


def key_id_of(key: bytes) -> str:
    """Return 16 hex digits by which a key is told from others; they say nothing of it."""
    return hashlib.sha256(b"rollcall key id" + key).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Sealed:
    """Sealed bytes, and the id of the key they are sealed with."""

    content: bytes
    key_id: str


class KeyRing:
    """Seals with the newest key and opens with any. Any thread may use it.

    The keys are looked up again before something is sealed, and when none of those known opens something: a program
    that runs while keys change needs no restart.
    """

    def __init__(self, read: Callable[[], tuple[bytes, ...]]) -> None:
        self._read = read
        self._known: tuple[bytes, ...] = ()

    def keys(self) -> tuple[bytes, ...]:
        """Return the keys as they are now, the one that seals first. Raises KeyUnusable."""
        self._known = self._read()
        return self._known

    def seal(self, content: bytes, *context: str) -> Sealed:
        """Seal with the newest key. Raises KeyUnusable."""
        key = self.keys()[0]
        return Sealed(seal(key, content, *context), key_id_of(key))

    def opened(self, sealed: bytes, *context: str) -> bytes:
        """Return the content. Raises SealBroken when no key opens it, KeyUnusable."""
        known = self._known or self.keys()
        content = _first(known, sealed, context)
        if content is None and self.keys() != known:
            content = _first(self._known, sealed, context)
        if content is None:
            raise SealBroken("sealed with a key that is not here, for another purpose, or altered")
        return content


Keys = bytes | KeyRing
"""One key, or all that may have sealed something."""


def opened(keys: Keys, sealed: bytes, *context: str) -> bytes:
    """Return the content. Raises SealBroken, KeyUnusable."""
    return unseal(keys, sealed, *context) if isinstance(keys, bytes) else keys.opened(sealed, *context)


def sealed_with(keys: Keys, content: bytes, *context: str) -> Sealed:
    """Seal with the one key, or the newest. Raises KeyUnusable."""
    if isinstance(keys, bytes):
        return Sealed(seal(keys, content, *context), key_id_of(keys))
    return keys.seal(content, *context)


def _first(keys: tuple[bytes, ...], sealed: bytes, context: tuple[str, ...]) -> bytes | None:
    for key in keys:
        try:
            return unseal(key, sealed, *context)
        except SealBroken:
            continue
    return None
