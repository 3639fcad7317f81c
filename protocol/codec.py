"""Bytes to messages and back: size first, then JSON, then the model of the channel."""

from pydantic import ValidationError

from protocol.base import MAX_MESSAGE_BYTES, Envelope
from protocol.content import Applied, Head, Part, Want
from protocol.delivery import Audit, AuditAnswer, EventBatch, Hello, Receipt, Welcome
from protocol.errors import BadMessage, TooLarge
from protocol.status import Status
from protocol.topics import Address, Direction

MODELS: dict[tuple[Direction, str], type[Envelope]] = {
    ("up", "hello"): Hello,
    ("up", "events"): EventBatch,
    ("up", "backlog"): EventBatch,
    ("up", "status"): Status,
    ("up", "want"): Want,
    ("up", "applied"): Applied,
    ("up", "audit"): Audit,
    ("down", "welcome"): Welcome,
    ("down", "receipt"): Receipt,
    ("down", "head"): Head,
    ("down", "part"): Part,
    ("down", "audit"): AuditAnswer,
}


def encode(message: Envelope) -> bytes:
    """Return the payload of a message.

    Raises TooLarge: a broker drops or refuses what is too large, and paho would send it again forever.
    """
    payload = message.to_bytes()
    if len(payload) > MAX_MESSAGE_BYTES:
        raise TooLarge(f"{type(message).__name__} has {len(payload)} bytes, at most {MAX_MESSAGE_BYTES} may be sent")
    return payload


def decode(address: Address, payload: bytes) -> Envelope:
    """Return the message that `payload` holds on this address.

    Raises TooLarge before anything is parsed, BadMessage for anything that is not a message of the channel. The text
    names fields only, never content.
    """
    if len(payload) > MAX_MESSAGE_BYTES:
        raise TooLarge(f"{len(payload)} bytes on {address.channel}, at most {MAX_MESSAGE_BYTES} are read")
    try:
        return MODELS[address.direction, address.channel].model_validate_json(payload)
    except ValidationError as exc:
        fields = sorted({".".join(str(part) for part in error["loc"]) or "JSON" for error in exc.errors()})
        raise BadMessage(f"not a {address.channel} message; wrong or missing: {', '.join(fields)[:200]}") from exc
