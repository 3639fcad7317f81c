"""The append-only record of what people and rules decided."""

import json
import secrets
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, insert

from hub.adapters.schema import audit
from protocol.identifiers import uuid7

Json = str | int | float | bool | None | list["Json"] | Mapping[str, "Json"]


def new_id(at: datetime) -> str:
    """Return a new identifier that sorts by the moment it was made."""
    return str(uuid7(int(at.timestamp() * 1000), secrets.token_bytes(10)))


def record(
    connection: Connection, *, at: datetime, actor: str, action: str, subject: str, detail: Mapping[str, Json]
) -> None:
    """Append one entry in the caller's transaction.

    `action` is a stable word such as `student.add`; `subject` an identifier such as `student:<uuid>`. `detail` holds
    identifiers and numbers: a name or a vector in it could never be erased again, so the caller leaves them out.
    Raises the database's errors, translated where the transaction ends.
    """
    connection.execute(
        insert(audit).values(
            id=new_id(at),
            at=at,
            actor=actor[:100],
            action=action,
            subject=subject,
            detail=json.dumps(detail, ensure_ascii=False, sort_keys=True),
        )
    )
