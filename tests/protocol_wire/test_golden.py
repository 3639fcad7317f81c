"""The bytes on the wire do not change unnoticed."""

import pytest

from protocol import codec
from tests.protocol_wire.samples import ENVELOPES, EVERYTHING, address_of
from tests.protocol_wire.write_golden import GOLDEN, golden_bytes


@pytest.mark.parametrize("name", EVERYTHING)
def test_a_message_is_written_byte_for_byte_as_its_golden_file_says(name: str) -> None:
    """After a change that is meant: `python -m tests.protocol_wire.write_golden`."""
    assert golden_bytes(name) == (GOLDEN / f"{name}.json").read_bytes()


def test_there_is_no_golden_file_without_a_message() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(EVERYTHING)


@pytest.mark.parametrize("name", ENVELOPES)
def test_a_golden_file_is_read_as_the_message_it_was_written_from(name: str) -> None:
    channel, message = ENVELOPES[name]
    assert codec.decode(address_of(channel), (GOLDEN / f"{name}.json").read_bytes()) == message


@pytest.mark.parametrize("name", EVERYTHING)
def test_every_message_comes_back_from_its_golden_file_unchanged(name: str) -> None:
    message = EVERYTHING[name]
    assert type(message).model_validate_json((GOLDEN / f"{name}.json").read_bytes()) == message
