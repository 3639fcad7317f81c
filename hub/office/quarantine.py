"""The quarantine: what could not be taken, seen, corrected or set aside for good by a person."""

import base64
import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from hub.adapters import audit_log, erased_notes, quarantine_rows
from hub.adapters.quarantine_rows import MOST_REASON, PAGE, Kept, Line, Wanted
from hub.adapters.quarantine_store import DISCARDED, sent_id
from hub.core.errors import BadInput, Conflict, NotFound
from hub.office.context import Office
from protocol.errors import BadEvent
from protocol.events import parse_event


def page(office: Office, wanted: Wanted, number: int = 1) -> tuple[list[Line], int]:
    """Return one page of the rows asked for, oldest first and without content, and how many rows there are."""

    def work(connection: Connection) -> tuple[list[Line], int]:
        some = quarantine_rows.lines(connection, wanted, skip=(number - 1) * PAGE)
        return some, quarantine_rows.count(connection, wanted)

    return office.database.run(work)


def find(office: Office, wanted: Wanted) -> list[Line]:
    """Return all rows asked for, oldest first and without content."""
    return office.database.run(lambda connection: list(_lines(connection, wanted)), isolation="REPEATABLE READ")


def _lines(connection: Connection, wanted: Wanted) -> Iterator[Line]:
    skip = 0
    while some := quarantine_rows.lines(connection, wanted, skip=skip):
        yield from some
        skip += len(some)


def one(office: Office, row_id: str) -> Kept:
    """Return a row by its id. Raises NotFound."""
    return office.database.run(lambda connection: _one(connection, row_id))


def show_content(office: Office, row_id: str) -> Kept:
    """Return a row whose content somebody is going to read; that stands in the audit log. Raises NotFound."""

    def work(connection: Connection) -> Kept:
        kept = _one(connection, row_id)
        record(connection, office, "quarantine.read", kept)
        return kept

    return office.database.run(work)


def export(office: Office, wanted: Wanted) -> tuple[int, bytes]:
    """Return how many rows there are and all of them as lines of JSON, content included; audited."""

    def work(connection: Connection) -> list[bytes]:
        found = (quarantine_rows.one(connection, line.row_id) for line in [*_lines(connection, wanted)])
        rows = [_exported(kept) for kept in found if kept is not None]
        audit_log.record(
            connection,
            at=office.clock.now(),
            actor=office.actor,
            action="quarantine.export",
            subject="quarantine",
            detail={"rows": len(rows), "unit": wanted.label, "code": wanted.code},
        )
        return rows

    # Of one moment, as in `find`: what is settled meanwhile would move the pages.
    rows = office.database.run(work, isolation="REPEATABLE READ")
    return len(rows), b"".join(rows)


def _exported(kept: Kept) -> bytes:
    return json.dumps(with_content(kept), ensure_ascii=False, sort_keys=True).encode() + b"\n"


def as_json(kept: Line) -> dict[str, Any]:
    """Return a row for scripts, without its content."""
    return {
        "id": kept.row_id,
        "unit_id": kept.unit_id,
        "unit": kept.label,
        "epoch": kept.epoch,
        "seq": kept.seq,
        "code": kept.code,
        "detail": kept.detail,
        "topic": kept.topic,
        "received_at": _iso(kept.received_at),
        "fixed": kept.fixed,
        "resolved_at": _iso(kept.resolved_at),
        "resolved_by": kept.resolved_by,
        "outcome": kept.outcome,
    }


def with_content(kept: Kept) -> dict[str, Any]:
    """Return a row for scripts, with what the unit sent and what a person wrote in its place."""
    fixed = None if kept.fixed_body is None else readable(kept.fixed_body)
    return {**as_json(kept), "content": readable(kept.body), "fixed_content": fixed}


def _iso(at: Any) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")


def readable(body: bytes) -> Any:
    """Return content as JSON where it is, else as text, else in base64."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


# ---- decisions -----------------------------------------------------------------------------------------------------


def fix(office: Office, row_id: str, body: bytes) -> Kept:
    """Put a corrected event beside what the unit sent; `replay` then takes it. The original stays.

    Raises NotFound, Conflict (settled already), BadInput (still not understood, or of another place in the stream).
    """

    def work(connection: Connection) -> Kept:
        kept = _open(connection, row_id)
        _check_fixed(kept, body)
        [clean] = erased_notes.drop_from(connection, [body])
        if not quarantine_rows.put_fixed(connection, kept.row_id, clean):
            raise _settled(_one(connection, row_id))
        record(connection, office, "quarantine.fix", kept)
        return kept

    return office.database.run(work)


def _check_fixed(kept: Kept, body: bytes) -> None:
    if kept.epoch is None:
        raise BadInput("only a single event can be corrected; this is a whole message")
    event = event_of(body)
    try:
        parse_event(event)
    except BadEvent as exc:
        raise BadInput(f"still not an event that can be taken: {exc}") from exc
    if event.get("seq") != kept.seq:
        raise BadInput(f"the event has to keep its place: seq {kept.seq}")
    if sent_id(kept.body) not in {None, event.get("event_id")}:
        raise BadInput("the event has to keep its event_id, so that it cannot be taken twice")


def event_of(body: bytes) -> dict[str, Any]:
    """Return content as the JSON object that an event is. Raises BadInput."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise BadInput("this is not JSON") from exc
    if not isinstance(value, dict):
        raise BadInput("an event is a JSON object")
    return value


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def discard(office: Office, row_id: str, reason: str) -> Kept:
    """Settle a row for good without taking it: it stays on record, with who decided and why.

    Raises NotFound, Conflict (settled already), BadInput (no reason).
    """
    reason = reason.strip()
    if not reason or len(reason) > MOST_REASON:
        raise BadInput(f"say why, in 1 to {MOST_REASON} characters")

    def work(connection: Connection) -> Kept:
        kept = _one(connection, row_id)
        at = office.clock.now()
        if not quarantine_rows.discard(connection, kept, reason, at=at, by=office.actor, outcome=DISCARDED):
            raise _settled(_one(connection, row_id))
        # Without the reason: a name in it could never be erased from the audit log.
        record(connection, office, "quarantine.discard", kept)
        return kept

    return office.database.run(work)


def _settled(kept: Line) -> Conflict:
    if kept.resolved_at is None:
        return Conflict(
            f"{kept.resolved_by} has begun to take this after all",
            hint=f"wait for that; if it broke off: rollcall-hub quarantine replay {kept.row_id}, and then decide",
        )
    return Conflict(f"this was settled before: {kept.outcome} by {kept.resolved_by}")


def _open(connection: Connection, row_id: str) -> Kept:
    kept = _one(connection, row_id)
    if kept.resolved_at is not None:
        raise _settled(kept)
    return kept


def _one(connection: Connection, row_id: str) -> Kept:
    kept = quarantine_rows.one(connection, row_id) if _is_uuid(row_id) else None
    if kept is None:
        raise NotFound(f"nothing is kept under {row_id!r}", hint="rollcall-hub quarantine list --all shows the ids")
    return kept


def record(
    connection: Connection, office: Office, action: str, kept: Line, detail: dict[str, Any] | None = None
) -> None:
    """Write in the audit log what was done with a row."""
    audit_log.record(
        connection,
        at=office.clock.now(),
        actor=office.actor,
        action=action,
        subject=f"quarantine:{kept.row_id}",
        detail={"unit_id": kept.unit_id, "epoch": kept.epoch, "seq": kept.seq, "code": kept.code, **(detail or {})},
    )
