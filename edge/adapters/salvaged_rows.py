"""Which of the rows found in a damaged file are ours, and which of several versions holds."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from edge.adapters.sqlite_pages import Cell, FoundRow, PageReader, Value
from protocol.base import canonical_bytes, sha256_hex
from protocol.content import Head
from protocol.events import Stamp

_EPOCH = re.compile(r"[0-9a-f]{16}")
_MOST = 2**62


@dataclass(frozen=True, slots=True)
class KnownEvent:
    """Where an event's newest version is."""

    cell: Cell
    number: int
    epoch: str
    seq: int


@dataclass(frozen=True, slots=True)
class EventRow:
    """A row of `events` that proved itself."""

    epoch: str
    seq: int
    event_id: str
    kind: str
    at: str
    body: str
    sha256: bytes
    delivered_at: str | None


@dataclass(slots=True)
class Found:
    """Everything that could be read."""

    events: dict[str, KnownEvent] = field(default_factory=dict)
    """By event id."""
    displaced: dict[str, int] = field(default_factory=dict)
    """Events whose place another one has, or whose stream nobody knows: their seq in the new stream, by event id."""
    streams: dict[str, int] = field(default_factory=dict)
    """Last seq of each earlier stream, oldest first."""
    letters: dict[tuple[str, int], tuple[str, str, str]] = field(default_factory=dict)
    """Code, detail and moment by epoch and seq."""
    open_intervals: dict[str, tuple[str, str, str, str]] = field(default_factory=dict)
    content: dict[str, tuple[str, bytes, int]] = field(default_factory=dict)
    gallery: tuple[int, bytes, str, str | None] | None = None
    session: int | None = None
    copied_up_to: int = 0
    """Number of the last event that is in the CSV copy for sure."""
    erase_due: bool = False
    """Something was deleted that may still stand in the damaged files."""

    def in_order(self) -> list[str]:
        """Return the events' ids in the order in which they were written down."""
        return sorted(self.events, key=lambda event_id: (self.events[event_id].number, event_id))


def find_rows(pages: PageReader) -> Found:
    """Read everything and decide."""
    found = Found()
    streams: dict[str, tuple[int, int]] = {}
    closed: set[str] = set()
    for row in pages.rows():
        event = event_of(row)
        if event:
            # Versions come oldest first. In a row that was moved or delivered later, the newer one is true.
            found.events[event.event_id] = KnownEvent(row.cell, row.number, event.epoch, event.seq)
            closed.update(_closes(event))
        elif row.newest:
            # Of the rest, only what was not deleted since.
            _take_small(found, row)
            streams.update(_stream_of(row))
    _settle_places(found, streams)
    found.open_intervals = {key: row for key, row in found.open_intervals.items() if key not in closed}
    gallery = found.gallery
    if gallery and not {gallery[2], gallery[3] or gallery[2]} <= set(found.content):
        found.gallery = None
    return found


def event_of(row: FoundRow) -> EventRow | None:
    """Return the row as an event, None when it is none or does not prove itself."""
    match row.values:
        case (None, str(epoch), int(), str(), str(), str(), str(body), bytes(sha256), delivered_at):
            pass
        case _:
            return None
    raw = body.encode()
    if sha256_hex(raw) != sha256.hex():
        return None
    # The hash covers the body: what stands beside it is taken from there.
    content = _parsed(raw)
    match content:
        case {"event_id": str(event_id), "seq": int(seq), "kind": str(kind), "at": str(at)}:
            moment = _moment(at)
        case _:
            return None
    known = delivered_at if isinstance(delivered_at, str) and (not delivered_at or _moment(delivered_at)) else None
    return EventRow(epoch, seq, event_id, kind, moment or at, body, sha256, known)


def moved_event(pages: PageReader, known: KnownEvent, to: tuple[str, int] | None) -> EventRow | None:
    """Return the event again, at another place when `to` names one."""
    row = pages.again(known.cell)
    event = event_of(row) if row else None
    if event is None or to is None:
        return event
    body = canonical_bytes(json.loads(event.body) | {"seq": to[1]})
    sha256 = bytes.fromhex(sha256_hex(body))
    return EventRow(to[0], to[1], event.event_id, event.kind, event.at, body.decode(), sha256, None)


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None


def _moment(text: str) -> str | None:
    try:
        return datetime.fromisoformat(text).isoformat()
    except ValueError:
        return None


def _closes(event: EventRow) -> set[str]:
    interval = json.loads(event.body).get("interval_id") if event.kind == "left" else None
    return {interval} if isinstance(interval, str) else set()


def _stream_of(row: FoundRow) -> dict[str, tuple[int, int]]:
    match row.values:
        case (None, str(epoch), int(last_seq), int(), int()) if _EPOCH.fullmatch(epoch) and 0 <= last_seq < _MOST:
            return {epoch: (row.number, last_seq)}
        case _:
            return {}


def _settle_places(found: Found, streams: Mapping[str, tuple[int, int]]) -> None:
    """Decide who stands where: a place belongs to the event that was written there last."""
    taken: dict[tuple[str, int], str] = {}
    for event_id in reversed(found.in_order()):
        event = found.events[event_id]
        unknown = event.epoch not in streams if streams else not _EPOCH.fullmatch(event.epoch)
        if unknown or (event.epoch, event.seq) in taken or not 0 < event.seq < _MOST:
            found.displaced[event_id] = 0
        else:
            taken[event.epoch, event.seq] = event_id
    found.displaced = {event_id: n for n, event_id in enumerate(reversed(found.displaced), 1)}
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for (epoch, seq), event_id in taken.items():
        first[epoch] = min(first.get(epoch, _MOST), found.events[event_id].number)
        last[epoch] = max(last.get(epoch, 0), seq)
    for epoch in sorted(last, key=lambda name: (streams.get(name, (0, 0))[0], first[name])):
        found.streams[epoch] = max(last[epoch], streams.get(epoch, (0, 0))[1])


def _take_small(found: Found, row: FoundRow) -> None:
    match row.values:
        case (None, str(epoch), int(seq), str(code), str(detail), str(at)) if _moment(at):
            found.letters[epoch, seq] = code, detail, at
        case (str(interval), str(student), str(first), str(last)) if _is_stamp(first) and _is_stamp(last):
            found.open_intervals[interval] = interval, student, first, last
        case (str(name), bytes(sealed), *rest) if len(rest) <= 1 and sha256_hex(sealed) == name:
            found.content[name] = name, sealed, int(not rest or rest[0] != 0)
        case (None, int(revision), bytes(head), str(manifest), str() | None as timetable) if _is_head(head):
            found.gallery = revision, head, manifest, timetable
        case ("session", str(count)) if count.isdecimal():
            found.session = int(count)
        case ("copied_up_to", str(number)) if number.isdecimal():
            found.copied_up_to = int(number)
        case ("erase_due", str()):
            found.erase_due = True
        case _:
            pass


def _is_stamp(text: str) -> bool:
    try:
        Stamp.model_validate_json(text)
    except ValidationError:
        return False
    return True


def _is_head(raw: Value) -> bool:
    try:
        Head.model_validate_json(raw if isinstance(raw, bytes) else b"")
    except ValidationError:
        return False
    return True
