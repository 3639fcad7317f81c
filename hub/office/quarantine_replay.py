"""Taking after all what waits in quarantine: read anew, and stored like anything that a unit sends."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from pydantic import ValidationError
from sqlalchemy import Connection

from hub.adapters import quarantine_rows
from hub.adapters.event_store import MySqlEventStore
from hub.adapters.quarantine_rows import Kept, Line
from hub.adapters.quarantine_store import DUPLICATE, TAKEN
from hub.core.errors import BadInput
from hub.core.ingest import MOVED, Arrival, Batch, Heard, read, sort_batch
from hub.office.context import Office
from hub.office.quarantine import event_of, one, record
from protocol.delivery import EventBatch


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
    store = MySqlEventStore(office.database, office.settings.zone, replayed_at=office.clock.now())
    return [_replay(office, store, kept) for kept in rows]


def _replay(office: Office, store: MySqlEventStore, kept: Kept) -> Replayed:
    batch, why = _batch(office, kept)
    if kept.resolved_at is not None or (batch is not None and not _claim(office, kept)):
        return Replayed(kept.row_id, kept.label, one(office, kept.row_id).outcome, "was settled before")
    if batch is None:
        return Replayed(kept.row_id, kept.label, None, why)
    [taken] = store.take([batch])
    rejected = () if taken.receipt is None else taken.receipt.rejected
    refused = next((event for event in rejected if event.code != MOVED), None)
    if taken.receipt is None or taken.too_many_streams or refused is not None:
        office.database.run(lambda connection: quarantine_rows.give_up(connection, kept.row_id, office.actor))
        why = "its unit is not known here, or was revoked"
        if refused is not None:
            why = f"{refused.code}: {refused.detail}"
        elif taken.too_many_streams:
            why = "its unit began too many streams today: replay it tomorrow"
        return Replayed(kept.row_id, kept.label, None, why)
    # What its unit numbered anew since is on record too, in another stream.
    outcome = TAKEN if taken.receipt.accepted else DUPLICATE
    detail = {"outcome": outcome, "fixed": kept.fixed}
    _close(office, kept, outcome, detail)
    return Replayed(kept.row_id, kept.label, one(office, kept.row_id).outcome, "")


def _claim(office: Office, kept: Line) -> bool:
    return office.database.run(lambda connection: quarantine_rows.claim(connection, kept.row_id, office.actor))


def _close(office: Office, kept: Line, outcome: str, detail: dict[str, Any]) -> None:
    """Settle a row whose event is on record, unless the transaction that took it did so."""

    def work(connection: Connection) -> None:
        at = office.clock.now()
        quarantine_rows.close(connection, kept.row_id, at=at, by=office.actor, outcome=outcome)
        record(connection, office, "quarantine.replay", kept, detail)

    office.database.run(work)


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
            message = EventBatch(epoch=kept.epoch, batch_id=str(uuid4()), events=(event_of(body),))
        except (ValidationError, BadInput):
            return None, "invalid: not an event"
        # As received then: that is what bounds a time nobody knows.
        batch = sort_batch(kept.unit_id, message, kept.received_at)
    if batch.refused:
        first = batch.refused[0]
        return None, f"{first.code}: {first.detail}"
    return batch, ""
