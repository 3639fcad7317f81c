"""Seals and signatures: only the right reader opens them, and nothing can be altered or exchanged."""

import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import sealing
from protocol.errors import SealBroken
from tests.builders import OTHER_UNIT, PACK, UNIT, student

KEY, OTHER_KEY = b"k" * 32, b"j" * 32
CONTEXTS = st.lists(st.text(max_size=8), max_size=3).map(tuple)
Sealed = tuple[bytes, tuple[str, ...]]
SEALED = st.tuples(st.binary(max_size=40), CONTEXTS)


@settings(max_examples=50)
@given(st.binary(max_size=300), CONTEXTS)
def test_what_is_sealed_can_be_opened_again(content: bytes, context: tuple[str, ...]) -> None:
    sealed = sealing.seal(KEY, content, *context)
    assert sealing.unseal(KEY, sealed, *context) == content
    assert len(sealed) == len(content) + sealing.OVERHEAD_BYTES


@settings(max_examples=50)
@given(st.binary(max_size=60), st.data())
def test_one_altered_bit_is_noticed(content: bytes, data: st.DataObject) -> None:
    sealed = bytearray(sealing.seal(KEY, content, "a"))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealBroken):
        sealing.unseal(KEY, bytes(sealed), "a")


@settings(max_examples=50)
@given(st.binary(max_size=80))
def test_bytes_that_nobody_sealed_are_refused(noise: bytes) -> None:
    with pytest.raises(SealBroken):
        sealing.unseal(KEY, noise, "a")


@settings(max_examples=50)
@given(st.binary(max_size=60), st.integers(0, 88))
def test_a_seal_that_was_cut_short_is_refused(content: bytes, keep: int) -> None:
    sealed = sealing.seal(KEY, content, "a")
    if keep < len(sealed):
        with pytest.raises(SealBroken):
            sealing.unseal(KEY, sealed[:keep], "a")


def test_another_key_does_not_open_a_seal() -> None:
    with pytest.raises(SealBroken):
        sealing.unseal(OTHER_KEY, sealing.seal(KEY, b"x", "a"), "a")


@settings(max_examples=50)
@given(CONTEXTS, CONTEXTS)
def test_another_context_does_not_open_a_seal(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    sealed = sealing.seal(KEY, b"x", *one)
    if one != other:
        with pytest.raises(SealBroken):
            sealing.unseal(KEY, sealed, *other)


@pytest.mark.parametrize(
    ("one", "other"), [(("ab", "c"), ("a", "bc")), (("a", ""), ("a",)), (("", "a"), ("a", "")), ((), ("",))]
)
def test_contexts_that_read_alike_are_kept_apart(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    with pytest.raises(SealBroken):
        sealing.unseal(KEY, sealing.seal(KEY, b"x", *one), *other)


def test_equal_content_for_an_equal_reader_has_equal_bytes() -> None:
    """A unit fetches a template once, by the hash of its sealed bytes."""
    assert sealing.seal(KEY, b"x", "a") == sealing.seal(KEY, b"x", "a")


@settings(max_examples=50)
@given(SEALED, SEALED)
def test_no_two_contents_share_a_nonce(one: Sealed, other: Sealed) -> None:
    """A nonce that is used twice gives AES-GCM away."""
    nonces = [sealing.seal(KEY, content, *context)[1:13] for content, context in (one, other)]
    assert (nonces[0] == nonces[1]) == (one == other)


def test_content_that_looks_like_the_end_of_a_context_gets_a_nonce_of_its_own() -> None:
    """Context and content were hashed one after the other, so that text could wander from one to the other."""
    wandered = b"\x00\x00\x00\x01b\x00rest"
    assert sealing.seal(KEY, wandered[1:], "a")[1:13] != sealing.seal(KEY, b"rest", "a", "b")[1:13]
    assert sealing.seal(KEY, wandered, "a")[1:13] != sealing.seal(KEY, b"rest", "a", "b")[1:13]
    assert sealing.seal(KEY, b"\x00\x00\x01b\x00rest")[1:13] != sealing.seal(KEY, b"rest", "b")[1:13]


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_of_another_length_is_a_mistake_of_the_caller(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        sealing.seal(b"k" * length, b"x")
    with pytest.raises(ValueError, match="32 bytes"):
        sealing.unseal(b"k" * length, sealing.seal(KEY, b"x"))


def test_the_key_itself_is_never_used_to_encrypt() -> None:
    """Nonce and content have keys of their own, derived from it."""
    sealed = sealing.seal(KEY, b"x")
    assert sealed[1:13] != hmac.digest(KEY, b"\x00x", "sha256")[:12]


def test_pieces_of_different_purposes_units_and_students_cannot_be_exchanged() -> None:
    contexts = {
        sealing.manifest_context(UNIT),
        sealing.manifest_context(OTHER_UNIT),
        sealing.timetable_context(UNIT),
        sealing.template_context(UNIT, student(1), PACK),
        sealing.template_context(UNIT, student(2), PACK),
        sealing.template_context(UNIT, student(1), "other"),
        sealing.template_context(OTHER_UNIT, student(1), PACK),
        sealing.stored_template_context(student(1), PACK),
    }
    assert len(contexts) == 8


def test_a_signature_holds_for_its_content_and_its_key_only() -> None:
    public = sealing.public_key_of(KEY)
    signature = sealing.sign(KEY, b"content")
    assert len(signature) == 64
    sealing.check_signature(public, b"content", signature)
    for key, content, claimed in (
        (public, b"Content", signature),
        (sealing.public_key_of(OTHER_KEY), b"content", signature),
        (public, b"content", sealing.sign(OTHER_KEY, b"content")),
        (public, b"content", signature[:-1]),
        (public, b"content", b""),
        (b"short", b"content", signature),
    ):
        with pytest.raises(SealBroken):
            sealing.check_signature(key, content, claimed)
