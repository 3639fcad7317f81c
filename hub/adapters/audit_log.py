"""The append-only record of what people and rules decided."""

import json
import secrets
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection

from hub.adapters import audit_chain_store
from hub.core.audit_chain import ChainEntry
from protocol.identifiers import uuid7

Json = str | int | float | bool | None | list["Json"] | Mapping[str, "Json"]
FORGET = "audit.forget"
"""The action of what says that older entries were deleted."""

_LONGEST_ACTOR = 100


def new_id(at: datetime) -> str:
    """Return a new identifier that sorts by the moment it was made."""
    return str(uuid7(int(at.timestamp() * 1000), secrets.token_bytes(10)))


def record(  # noqa: PLR0913 (each is a column)
    connection: Connection,
    *,
    at: datetime,
    actor: str,
    action: str,
    subject: str,
    detail: Mapping[str, Json],
    object_: str = "",
) -> None:
    """Append one entry in the caller's transaction.

    `action` is a stable word such as `student.add`; `subject` an identifier such as `student:<uuid>`, `object_` what
    else it is about, such as `lesson:<uuid>`. `detail` holds identifiers and numbers: a name or a vector in it could
    never be erased again, so the caller leaves them out.

    On a connection of `Database` the entry is written with all others of the transaction right before its commit
    (`audit_chain_store` says why), so the transaction itself does not read it back. On any other it is written now.
    Raises the database's errors, translated where the transaction ends.
    """
    text = json.dumps(detail, ensure_ascii=False, sort_keys=True)
    entry = ChainEntry(new_id(at), at, actor[:_LONGEST_ACTOR], action, subject, object_, text)
    pending = audit_chain_store.pending(connection)
    if pending is None:
        audit_chain_store.append(connection, [entry])
    else:
        pending.append(entry)


def forget_before(connection: Connection, moment: datetime, *, at: datetime, actor: str, most: int = 5000) -> int:
    """Delete the oldest entries, those before `moment`, up to `most` of them; return how many.

    Only from the beginning of the chain: the first entry that is younger stays, and all after it. The hash of the last
    one deleted is kept, so that the rest can still be verified, and the deletion is itself recorded.
    To be called again until it returns less than `most`; READ COMMITTED, as everything here.
    """
    gone, last = audit_chain_store.forget_before(connection, moment, at, most)
    if gone:
        detail: Mapping[str, Json] = {"entries": gone, "up_to": last.seq}
        record(connection, at=at, actor=actor, action=FORGET, subject="audit", detail=detail)
    return gone
