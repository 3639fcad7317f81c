"""Encryption and signatures of what travels and of what lies on disks: AES-256-GCM and Ed25519.

A seal is deterministic: equal content for an equal reader gives equal bytes, so that the bytes have one SHA-256 and a
unit fetches a template once. The nonce is made from the content by HMAC (as in RFC 8452's reasoning about misuse):
two different contents share a nonce with a chance of 2^-96 x pairs, and equal contents may share one, since they give
the same ciphertext and tell an observer only that they are equal.
"""

import hashlib
import hmac

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from protocol.errors import SealBroken

KEY_BYTES = 32
_FORMAT = b"\x01"
_NONCE_BYTES = 12
_TAG_BYTES = 16
OVERHEAD_BYTES = len(_FORMAT) + _NONCE_BYTES + _TAG_BYTES


def _subkey(key: bytes, purpose: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes, this one {len(key)}")
    return hmac.digest(key, b"rollcall " + purpose, hashlib.sha256)


def _context(parts: tuple[str, ...]) -> bytes:
    # Lengths keep ("ab", "c") and ("a", "bc") apart; the count keeps a context apart from content that follows it.
    texts = [part.encode() for part in parts]
    return len(texts).to_bytes(4) + b"".join(len(text).to_bytes(4) + text for text in texts)


def seal(key: bytes, content: bytes, *context: str) -> bytes:
    """Encrypt `content` with a 32-byte key, bound to `context` (such as student and pack), which is not stored.

    Layout: format byte 1, 12 bytes nonce, ciphertext, 16 bytes tag. Raises ValueError for a key of another length.
    """
    bound = _context(context)
    nonce = hmac.digest(_subkey(key, b"nonce"), bound + content, hashlib.sha256)[:_NONCE_BYTES]
    return _FORMAT + nonce + AESGCM(_subkey(key, b"content")).encrypt(nonce, content, bound)


def unseal(key: bytes, sealed: bytes, *context: str) -> bytes:
    """Return the content of `seal` for the same key and context.

    Raises SealBroken for altered bytes, another key or another context; ValueError for a key of another length.
    """
    if len(sealed) < OVERHEAD_BYTES or sealed[:1] != _FORMAT:
        raise SealBroken("these bytes are not sealed in a format known here")
    nonce, encrypted = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    try:
        return AESGCM(_subkey(key, b"content")).decrypt(nonce, encrypted, _context(context))
    except InvalidTag as exc:
        raise SealBroken("sealed with another key, for another purpose, or altered") from exc


def sign(private_key: bytes, content: bytes) -> bytes:
    """Return the Ed25519 signature (64 bytes) of `content` by the 32-byte private key."""
    return Ed25519PrivateKey.from_private_bytes(private_key).sign(content)


def public_key_of(private_key: bytes) -> bytes:
    """Return the 32-byte public key that belongs to a 32-byte private key."""
    return Ed25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()


def check_signature(public_key: bytes, content: bytes, signature: bytes) -> None:
    """Raise SealBroken unless `signature` over `content` is by the owner of the public key."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, content)
    except (InvalidSignature, ValueError) as exc:
        raise SealBroken("not signed by this school's hub, or altered") from exc


MANIFEST = "manifest"
TEMPLATE = "template"
TIMETABLE = "timetable"
PHOTO = "photo"


def manifest_context(unit_id: str) -> tuple[str, ...]:
    """Return what a sealed manifest is bound to."""
    return MANIFEST, unit_id


def timetable_context(unit_id: str) -> tuple[str, ...]:
    """Return what a sealed timetable is bound to."""
    return TIMETABLE, unit_id


def template_context(unit_id: str, student_id: str, pack_id: str) -> tuple[str, ...]:
    """Return what a template sealed for a unit is bound to."""
    return TEMPLATE, unit_id, student_id, pack_id


def stored_template_context(student_id: str, pack_id: str) -> tuple[str, ...]:
    """Return what a template in the hub's database is bound to."""
    return TEMPLATE, student_id, pack_id


def stored_photo_context(student_id: str, picture_sha256: str) -> tuple[str, ...]:
    """Return what a picture in the hub's database is bound to; `picture_sha256` of the picture, in hexadecimal."""
    return PHOTO, student_id, picture_sha256
