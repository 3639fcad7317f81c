"""How the hub's values lie in MySQL: UUIDs as 16 bytes, times as UTC without a zone, microseconds kept."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BINARY, Dialect
from sqlalchemy.dialects.mysql import DATETIME
from sqlalchemy.types import TypeDecorator, TypeEngine


class UuidColumn(TypeDecorator[str]):
    """A UUID in its text form, stored as BINARY(16)."""

    impl = BINARY(16)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:  # noqa: ARG002 (SQLAlchemy's signature)
        """Text to bytes."""
        return None if value is None else UUID(value).bytes

    def process_result_value(self, value: Any | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Bytes to text."""
        if value is None:
            return None
        # As `UUID` prints it, in a quarter of its time: a day's register has tens of thousands.
        digits = bytes(value).hex()
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class UtcColumn(TypeDecorator[datetime]):
    """An aware datetime, stored as naive UTC DATETIME(6).

    The connector writes an aware datetime without converting it (12:00+05:00 would be stored as 12:00), so the
    conversion happens here and only here.
    """

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = DATETIME(fsp=6)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Aware to naive UTC. Raises ValueError for a datetime without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone must not reach the database")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Naive UTC to aware."""
        return None if value is None else value.replace(tzinfo=UTC)
