"""A unit's batch, taken apart: each event understood, with the exact text that is kept, or refused.

Every event costs a few microseconds here, and a hub takes tens of thousands in a second: a batch is read as a whole,
and only one with something wrong in it is read event by event.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, NamedTuple

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from protocol.base import canonical_bytes, sha256_hex
from protocol.delivery import EventBatch
from protocol.errors import BadEvent
from protocol.events import Event, parse_event

MAX_DETAIL = 200
_MAX_BODY = 60_000
# A clock that was never set says 1970; MySQL's own times end in 9999 and begin in 1000.
_FIRST_YEAR, _LAST_YEAR = 1970, 2200
_MAX_BOOTTIME_NS = 2**61
# Floats of this size are written alike by everyone; others come with exponents or digits that differ.
_PLAIN_FROM, _PLAIN_UNTIL = 1e-3, 1e15

_EVENTS: TypeAdapter[list[Event]] = TypeAdapter(
    list[Annotated[Event, Field(discriminator="kind")]], config=ConfigDict(hide_input_in_errors=True)
)


class EventRow(NamedTuple):
    """An event that was understood, with the exact text that is kept."""

    unit_id: str
    epoch: str
    event: Event
    body: bytes
    sha256: str

    @property
    def place(self) -> tuple[str, str, int]:
        """Where it stands in the stream of its unit."""
        return self.unit_id, self.epoch, self.event.seq

    @property
    def student_id(self) -> str | None:
        """Whom it is about, if it is about one student."""
        event = self.event
        # By kind: asking pydantic's classes costs as much as all the rest of a row.
        if event.kind == "seen" or event.kind == "left" or event.kind == "mark":  # noqa: PLR1714 (narrows the type)
            return event.student_id
        return None


@dataclass(frozen=True, slots=True)
class Refused:
    """An event that will never be taken, kept in quarantine."""

    unit_id: str
    epoch: str
    seq: int
    code: str
    detail: str
    body: bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch with its events sorted into understood and refused."""

    unit_id: str
    epoch: str
    batch_id: str
    rows: tuple[EventRow, ...]
    refused: tuple[Refused, ...]
    received_at: datetime


def sort_batch(unit_id: str, batch: EventBatch, received_at: datetime) -> Batch:
    """Return the batch with each event understood or refused: one poison event never holds back the others."""
    rows = _read_together(unit_id, batch)
    refused: list[Refused] = []
    if rows is None:
        rows, refused = _read_each(unit_id, batch)
    return Batch(unit_id, batch.epoch, batch.batch_id, tuple(rows), tuple(refused), received_at)


def _read_together(unit_id: str, batch: EventBatch) -> list[EventRow] | None:
    """Return every event of a batch in which nothing is wrong, or None."""
    try:
        bodies = [_canonical(raw) for raw in batch.events]
        events = _EVENTS.validate_json(b"[" + b",".join(bodies) + b"]")
        for event, body in zip(events, bodies, strict=True):
            _check_storable(event, body)
    except (ValidationError, BadEvent, ValueError):
        return None
    epoch = batch.epoch
    return [EventRow(unit_id, epoch, event, body, sha256_hex(body)) for event, body in zip(events, bodies, strict=True)]


def _read_each(unit_id: str, batch: EventBatch) -> tuple[list[EventRow], list[Refused]]:
    rows, refused = [], []
    for raw in batch.events:
        body = _body(raw)
        sha256 = sha256_hex(body)
        try:
            event = parse_event(raw)
            _check_storable(event, body)
        except BadEvent as exc:
            detail = str(exc)[:MAX_DETAIL]
            refused.append(Refused(unit_id, batch.epoch, raw["seq"], exc.code, detail, body, sha256))
        else:
            rows.append(EventRow(unit_id, batch.epoch, event, body, sha256))
    return rows, refused


def _body(raw: Mapping[str, Any]) -> bytes:
    try:
        return canonical_bytes(raw)
    except ValueError:
        # Infinities and half characters are no JSON. `parse_event` refuses them; quarantine keeps this form.
        return json.dumps(raw, sort_keys=True).encode()


def _canonical(raw: Mapping[str, Any]) -> bytes:
    """Return what `protocol.base.canonical_bytes` returns, in a third of the time for what units usually send.

    Raises ValueError as it does.
    """
    if [*raw] != sorted(raw):
        return canonical_bytes(raw)
    for value in raw.values():
        kind = type(value)
        if kind is float:
            if value and not _PLAIN_FROM <= abs(value) < _PLAIN_UNTIL:
                return canonical_bytes(raw)
        elif kind is not str and kind is not int and kind is not bool:
            return canonical_bytes(raw)
    try:
        return to_json(raw)
    except PydanticSerializationError:
        return canonical_bytes(raw)


def _check_storable(event: Event, body: bytes) -> None:
    """Raise BadEvent for what the protocol allows and the tables cannot hold: it would fail at every attempt."""
    if len(body) > _MAX_BODY:
        raise BadEvent("too_large", f"an event of {len(body)} bytes, at most {_MAX_BODY} are kept")
    fits = _FIRST_YEAR <= event.at.year <= _LAST_YEAR and event.boottime_ns < _MAX_BOOTTIME_NS
    if fits and event.kind == "coverage":
        fits = _FIRST_YEAR <= event.since.year <= _LAST_YEAR
    if fits and event.kind == "anchor":
        fits = _FIRST_YEAR <= event.utc.year <= _LAST_YEAR
    if not fits:
        raise BadEvent("invalid", "a time outside of what any clock says")
