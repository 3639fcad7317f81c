"""A message on its way, in place of its bytes."""

from typing import Any

from protocol import codec
from protocol.base import Envelope
from protocol.content import Part
from protocol.delivery import EventBatch


class Parcel:
    """A message in place of its bytes. Whoever asks for its length is told about how long the bytes would be."""

    __slots__ = ("message",)

    def __init__(self, message: Envelope) -> None:
        self.message = message

    def __len__(self) -> int:
        message = self.message
        return 200 + (400 * len(message.events) if isinstance(message, EventBatch) else 100)

    def __getitem__(self, part: slice) -> bytes:
        return codec.encode(self.message)[part]


def damaged(payload: Any) -> Any:
    """Return a gallery piece with other content than was sent; anything else as it is."""
    if isinstance(payload, Parcel) and isinstance(payload.message, Part) and payload.message.data:
        return Parcel(payload.message.model_copy(update={"data": payload.message.data[::-1]}))
    return payload
