"""The quarantine: what could not be taken, seen, corrected, taken after all or set aside for good by a person."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from pydantic import ValidationError
from sqlalchemy import Connection

from hub.adapters import audit_log, quarantine_store
from hub.adapters.event_store import MySqlEventStore
from hub.adapters.quarantine_store import DISCARDED, DUPLICATE, TAKEN, Kept, Wanted
from hub.core.errors import BadInput, Conflict, NotFound
from hub.core.ingest import Arrival, Batch, Heard, read, sort_batch
from hub.office.context import Office
from protocol.delivery import EventBatch
from protocol.errors import BadEvent
from protocol.events import parse_event

_MOST_REASON = 200


def find(office: Office, wanted: Wanted) -> list[Kept]:
    """Return the rows asked for, oldest first."""
    return office.database.run(lambda connection: quarantine_store.find(connection, wanted))


def one(office: Office, row_id: str) -> Kept:
    """Return a row by its id. Raises NotFound."""
    return office.database.run(lambda connection: _one(connection, row_id))


def show_content(office: Office, row_id: str) -> Kept:
    """Return a row whose content somebody is going to read; that stands in the audit log. Raises NotFound."""

    def work(connection: Connection) -> Kept:
        kept = _one(connection, row_id)
        _record(connection, office, "quarantine.read", kept)
        return kept

    return office.database.run(work)


def export(office: Office, wanted: Wanted) -> tuple[int, bytes]:
    """Return how many rows there are and all of them as lines of JSON, content included; audited."""

    def work(connection: Connection) -> list[Kept]:
        rows = quarantine_store.find(connection, wanted)
        audit_log.record(
            connection,
            at=office.clock.now(),
            actor=office.actor,
            action="quarantine.export",
            subject="quarantine",
            detail={"rows": len(rows), "unit": wanted.label, "code": wanted.code},
        )
        return rows

    rows = office.database.run(work)
    lines = [json.dumps(as_json(row, content=True), ensure_ascii=False, sort_keys=True) for row in rows]
    return len(rows), "".join(line + "\n" for line in lines).encode()


def as_json(kept: Kept, *, content: bool) -> dict[str, Any]:
    """Return a row for scripts; with `content`, what the unit sent and what a person wrote in its place."""
    value: dict[str, Any] = {
        "id": kept.row_id,
        "unit_id": kept.unit_id,
        "unit": kept.label,
        "epoch": kept.epoch,
        "seq": kept.seq,
        "code": kept.code,
        "detail": kept.detail,
        "topic": kept.topic,
        "received_at": _iso(kept.received_at),
        "fixed": kept.fixed_body is not None,
        "resolved_at": _iso(kept.resolved_at),
        "resolved_by": kept.resolved_by,
        "outcome": kept.outcome,
    }
    if content:
        value["content"] = readable(kept.body)
        value["fixed_content"] = None if kept.fixed_body is None else readable(kept.fixed_body)
    return value


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


# ---- taking it after all -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of one row; `outcome` is None while it still cannot be taken, and `why` says the reason."""

    row_id: str
    label: str | None
    outcome: str | None
    why: str


def replay(office: Office, rows: Sequence[Kept]) -> list[Replayed]:
    """Try to take what is kept, each under its own unit, epoch and seq; return what became of each.

    Running it again is harmless. Raises StoreUnavailable: those before are done, the others wait.
    """
    store = MySqlEventStore(office.database, office.settings.zone)
    return [_replay(office, store, kept) for kept in rows]


def _replay(office: Office, store: MySqlEventStore, kept: Kept) -> Replayed:
    if kept.resolved_at is not None:
        return Replayed(kept.row_id, kept.label, kept.outcome, "was settled before")
    batch, why = _batch(office, kept)
    if batch is None:
        return Replayed(kept.row_id, kept.label, None, why)
    _claim(office, kept, office.actor)
    [taken] = store.take([batch])
    if taken.receipt is None or taken.receipt.rejected:
        _claim(office, kept, None)
        if taken.receipt is None:
            return Replayed(kept.row_id, kept.label, None, "its unit is not known here, or was revoked")
        refused = taken.receipt.rejected[0]
        return Replayed(kept.row_id, kept.label, None, f"{refused.code}: {refused.detail}")
    outcome = TAKEN if taken.receipt.accepted else DUPLICATE
    _close(office, kept, outcome, "quarantine.replay", {"outcome": outcome, "fixed": kept.fixed_body is not None})
    return Replayed(kept.row_id, kept.label, outcome, "")


def _claim(office: Office, kept: Kept, by: str | None) -> None:
    office.database.run(lambda connection: quarantine_store.claim(connection, kept.row_id, by))


def _batch(office: Office, kept: Kept) -> tuple[Batch | None, str]:
    """Return what is kept as a batch with nothing wrong in it, or why it is none."""
    body = kept.body if kept.fixed_body is None else kept.fixed_body
    if kept.unit_id is None:
        return None, "nobody knows which unit sent it"
    if kept.epoch is None:
        # A whole message that was not understood.
        heard = read(Arrival(kept.topic, body, kept.received_at), office.settings.site)
        if not isinstance(heard, Heard):
            return None, f"{heard.code}: {heard.detail}"
        if not isinstance(heard.message, EventBatch):
            return None, "it holds no events; what it said is out of date"
        batch = sort_batch(heard.unit_id, heard.message, kept.received_at)
    else:
        try:
            message = EventBatch(epoch=kept.epoch, batch_id=str(uuid4()), events=(_object(body),))
        except (ValidationError, BadInput):
            return None, "invalid: not an event"
        # As received then: that is what bounds a time nobody knows.
        batch = sort_batch(kept.unit_id, message, kept.received_at)
    if batch.refused:
        first = batch.refused[0]
        return None, f"{first.code}: {first.detail}"
    return batch, ""


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise BadInput("this is not JSON") from exc
    if not isinstance(value, dict):
        raise BadInput("an event is a JSON object")
    return value


# ---- decisions -----------------------------------------------------------------------------------------------------


def fix(office: Office, row_id: str, body: bytes) -> Kept:
    """Put a corrected event beside what the unit sent; `replay` then takes it. The original stays.

    Raises NotFound, Conflict (settled already), BadInput (still not understood, or of another place in the stream).
    """

    def work(connection: Connection) -> Kept:
        kept = _open(connection, row_id)
        _check_fixed(kept, body)
        quarantine_store.put_fixed(connection, kept.row_id, body)
        _record(connection, office, "quarantine.fix", kept)
        return kept

    return office.database.run(work)


def _check_fixed(kept: Kept, body: bytes) -> None:
    if kept.epoch is None:
        raise BadInput("only a single event can be corrected; this is a whole message")
    event = _object(body)
    try:
        parse_event(event)
    except BadEvent as exc:
        raise BadInput(f"still not an event that can be taken: {exc}") from exc
    if event.get("seq") != kept.seq:
        raise BadInput(f"the event has to keep its place: seq {kept.seq}")
    original = readable(kept.body)
    sent_id = original.get("event_id") if isinstance(original, dict) else None
    if isinstance(sent_id, str) and _is_uuid(sent_id) and event.get("event_id") != sent_id:
        raise BadInput("the event has to keep its event_id, so that it cannot be taken twice")


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
    if not reason or len(reason) > _MOST_REASON:
        raise BadInput(f"say why, in 1 to {_MOST_REASON} characters")
    kept = one(office, row_id)
    if kept.resolved_at is not None:
        raise Conflict(_SETTLED.format(kept.outcome, kept.resolved_by))
    _close(office, kept, DISCARDED, "quarantine.discard", {"reason": reason})
    return kept


_SETTLED = "this was settled before: {} by {}"


def _open(connection: Connection, row_id: str) -> Kept:
    kept = _one(connection, row_id)
    if kept.resolved_at is not None:
        raise Conflict(_SETTLED.format(kept.outcome, kept.resolved_by))
    return kept


def _one(connection: Connection, row_id: str) -> Kept:
    found = quarantine_store.find(connection, Wanted(row_ids=(row_id,), resolved_too=True)) if _is_uuid(row_id) else []
    if not found:
        raise NotFound(f"nothing is kept under {row_id!r}", hint="rollcall-hub quarantine list --all shows the ids")
    return found[0]


def _close(office: Office, kept: Kept, outcome: str, action: str, detail: dict[str, Any]) -> None:
    def work(connection: Connection) -> None:
        quarantine_store.close(connection, kept.row_id, at=office.clock.now(), by=office.actor, outcome=outcome)
        _record(connection, office, action, kept, detail)

    office.database.run(work)


def _record(
    connection: Connection, office: Office, action: str, kept: Kept, detail: dict[str, Any] | None = None
) -> None:
    audit_log.record(
        connection,
        at=office.clock.now(),
        actor=office.actor,
        action=action,
        subject=f"quarantine:{kept.row_id}",
        detail={"unit_id": kept.unit_id, "epoch": kept.epoch, "seq": kept.seq, "code": kept.code, **(detail or {})},
    )
