"""Identifiers that are computed, not looked up. Randomness and time are given by the caller."""

from uuid import UUID

_RANDOM_BYTES = 10


def uuid7(unix_ms: int, random_bytes: bytes) -> UUID:
    """Return a UUID version 7 (RFC 9562, section 5.7) from a time in milliseconds and ten random bytes.

    A clock before 1970 gives time 0: the identifier stays unique, only its order is lost.
    Raises ValueError when there are not exactly ten random bytes.
    """
    if len(random_bytes) != _RANDOM_BYTES:
        raise ValueError(f"need {_RANDOM_BYTES} random bytes, got {len(random_bytes)}")
    value = (max(0, unix_ms) & ((1 << 48) - 1)) << 80 | int.from_bytes(random_bytes)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)
