"""A unit's own account of its health: retained, for people to look at, never the basis of a record."""

from typing import Annotated, Literal

from pydantic import Field

from protocol.base import Envelope, Epoch, Message, PackId, ShortWord, Utc, Uuid, Word
from protocol.events import ClockQuality


class Problem(Message):
    """Something a person should know, in plain words, with a stable code for scripts."""

    code: Word
    text: Annotated[str, Field(max_length=200)]


class Status(Envelope):
    """`lost` is the will: the broker publishes it when the connection breaks without a goodbye.

    A will whose `session` is older than the last status is stale and is ignored.
    """

    state: Literal["watching", "degraded", "stopped", "lost"] | ShortWord
    """A word that a reader does not know is shown as it is."""
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
    disk: Literal["ok", "low", "full", "read_only"] | ShortWord | None = None
    """`low`: something is no longer stored so that attendance can be; the problems say what."""
    held_events: Annotated[int, Field(ge=0)] | None = None
    """Events in memory only, because the disk takes nothing."""
    progress_s: Annotated[float, Field(ge=0)] | None = None
    """How long ago the hub last took something while something waited, by a clock that is never set; 0 when nothing
    waits. A unit that is connected and does not get on is known by this."""
    temperature_c: Annotated[float, Field(ge=-100, le=300)] | None = None
    throttled: Annotated[tuple[Word, ...], Field(max_length=8)] | None = None
    """What slows the processor down now, such as `under_voltage` or `too_hot`; empty: nothing does."""
    boot_id: Uuid | None = None
    up_s: Annotated[float, Field(ge=0)] | None = None
    """Since this program started."""
    clock: ClockQuality | None = None
    software: Annotated[str, Field(max_length=40)] | None = None
    problems: Annotated[tuple[Problem, ...], Field(max_length=20)] = ()
