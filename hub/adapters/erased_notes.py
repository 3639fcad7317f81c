"""What people wrote at units of somebody who was erased: taken out of what is on record, and of what comes late.

An event keeps the hash of what its unit sent, so that one that comes again is still known as the same.
"""

import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, func, or_, select, update

from hub.adapters import roster_store
from hub.adapters.quarantine_rows import SET_ASIDE
from hub.adapters.schema import events, quarantine
from hub.core.ingest import Refused, Verdict

_NOTE = "note"
_HAS_NOTE = b'"note"'
_ID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def drop_from_new(connection: Connection, verdicts: Sequence[Verdict]) -> None:
    """Take the notes of erased students out of events before they are inserted. Without marks, nothing is asked."""
    noted = [
        (verdict, place, row.event.student_id)
        for verdict in verdicts
        for place, row in enumerate(verdict.new)
        if row.event.kind == "mark" and row.event.note
    ]
    if not noted:
        return
    # Whoever is not erased is not before this transaction ends: an erasure then finds the event on record.
    erased = roster_store.hold_unerased(connection, {student_id for *_, student_id in noted})
    for verdict, place, student_id in noted:
        if student_id in erased:
            row = verdict.new[place]
            verdict.new[place] = row._replace(body=_without_notes(row.body, erased))


def drop_from_refused(connection: Connection, refused: Sequence[Refused]) -> list[Refused]:
    """Return refused events without notes of erased students."""
    bodies = drop_from(connection, [one.body for one in refused])
    return [replace(one, body=body) for one, body in zip(refused, bodies, strict=True)]


def drop_from(connection: Connection, bodies: Sequence[bytes]) -> list[bytes]:
    """Return what units sent, events or whole messages, without notes of erased students; b"" for what is no JSON."""
    named = {found.decode() for body in bodies if _HAS_NOTE in body for found in _ID.findall(body)}
    erased = roster_store.hold_unerased(connection, named) if named else set()
    return [_without_notes(body, erased) for body in bodies]


def delete_of(connection: Connection, student_id: str) -> None:
    """Delete what was written of a student in events and in quarantine."""
    theirs = (events.c.student_id == student_id, events.c.kind == "mark")
    for row in connection.execute(select(events.c.event_id, events.c.body).where(*theirs)).all():
        event = json.loads(row.body)
        if event.pop(_NOTE, ""):
            this = update(events).where(events.c.event_id == row.event_id)
            connection.execute(this.values(body=_text(event).decode()))
    kept = (quarantine.c.body, quarantine.c.fixed_body)
    about = or_(*(func.instr(column, student_id) > 0 for column in kept))
    for one in connection.execute(select(quarantine.c.id, quarantine.c.detail, *kept).where(about)).all():
        body = _without_notes(bytes(one.body), {student_id})
        fixed = None if one.fixed_body is None else _without_notes(bytes(one.fixed_body), {student_id})
        clean = {"body": body, "fixed_body": fixed, "body_bytes": len(body), "detail": one.detail.split(SET_ASIDE)[0]}
        connection.execute(update(quarantine).where(quarantine.c.id == one.id).values(clean))


def _without_notes(body: bytes, erased: Collection[str]) -> bytes:
    if not any(student_id.encode() in body for student_id in erased):
        return body
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return b""  # nobody can take an event out of it any more
    noted = [event for event in _events_of(value) if event.get("student_id") in erased and _NOTE in event]
    if not any(event.pop(_NOTE) for event in noted):
        return body
    return _text(value)


def _text(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")


def _events_of(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the events of a message, or of what is one itself."""
    if not isinstance(value, dict):
        return
    yield value
    several = value.get("events")
    yield from (one for one in several if isinstance(one, dict)) if isinstance(several, list) else ()
