"""A unit's own account of its health: retained, for people to look at, never the basis of a record."""

from typing import Annotated, Literal

from pydantic import Field

from protocol.base import Envelope, Epoch, Message, PackId, Utc, Word
from protocol.events import ClockQuality


class Problem(Message):
    """Something a person should know, in plain words, with a stable code for scripts."""

    code: Word
    text: Annotated[str, Field(max_length=200)]


class Status(Envelope):
    """`lost` is the will: the broker publishes it when the connection breaks without a goodbye.

    A will whose `session` is older than the last status is stale and is ignored.
    """

    state: Literal["watching", "degraded", "stopped", "lost"]
    session: Annotated[int, Field(ge=0)]
    """Counts the starts of this unit's program; never goes back within an epoch."""
    epoch: Epoch
    at: Utc | None = None
    waiting_events: Annotated[int, Field(ge=0)] | None = None
    oldest_waiting_s: Annotated[float, Field(ge=0)] | None = None
    last_receipt_at: Utc | None = None
    dead_letters: Annotated[int, Field(ge=0)] | None = None
    gallery_revision: Annotated[int, Field(ge=0)] | None = None
    pack_id: PackId | None = None
    students: Annotated[int, Field(ge=0)] | None = None
    frames_per_s: Annotated[float, Field(ge=0)] | None = None
    disk_free_bytes: Annotated[int, Field(ge=0)] | None = None
    clock: ClockQuality | None = None
    software: Annotated[str, Field(max_length=40)] | None = None
    problems: Annotated[tuple[Problem, ...], Field(max_length=20)] = ()
