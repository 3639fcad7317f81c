"""The original system's MySQL tables: read only, row after row, never more of a cell than is looked at."""

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import mysql.connector
from mysql.connector import Error as ConnectorError
from mysql.connector.connection_cext import MySQLInterfaceError  # type: ignore[attr-defined]

from hub.adapters.database import DatabaseAddress
from hub.adapters.mysql_errors import translate
from hub.core.errors import BadInput, HubError, StoreRefused, StoreUnavailable
from hub.core.legacy import ATTENDANCE, LONGEST_CELL, LONGEST_ENCODING, MAX_ATTENDANCE, STUDENTS, SourceRow

_HINT = "check --host, --port, --user, --password-file and --database; it needs the right to SELECT only"
_LONGEST = {"face_encoding": LONGEST_ENCODING}
_ORDER = {STUDENTS: ("id", "serial_number"), ATTENDANCE: ("timestamp", "date", "time", "student_id")}
_OURS = "hub_facts"
"""A table that only a hub has."""
_AT_ONCE = 500
_PATIENCE_S = 3600
"""How long the server waits for us while we write what it gave."""


class LegacyTables:
    """A `Source` over a database, as it was when this was opened. One thread; a context manager."""

    def __init__(self, address: DatabaseAddress) -> None:
        """Connect. Raises StoreUnavailable, StoreRefused."""
        self._where = str(address)
        try:
            self._connection = mysql.connector.connect(
                host=address.host,
                port=address.port,
                user=address.user,
                password=address.password,
                database=address.name,
                charset="utf8mb4",
                collation="utf8mb4_unicode_ci",
                connection_timeout=address.connect_timeout_s,
                autocommit=True,
            )
            self._run(f"SET SESSION net_write_timeout = {_PATIENCE_S}, wait_timeout = {_PATIENCE_S}")
            self._run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            self._run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        except (ConnectorError, MySQLInterfaceError) as exc:
            raise self._meaning(exc) from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            # Of a result that was not read to its end the rest need not come.
            self._connection.close()
        except (ConnectorError, MySQLInterfaceError):
            return

    def tables(self) -> Sequence[str]:
        """See Source. Raises StoreUnavailable, StoreRefused, BadInput for a database of a hub."""
        if self.columns(_OURS):
            raise BadInput("this is a database of a hub, not of the original system", hint=_HINT)
        return [table for table in (STUDENTS, ATTENDANCE) if self.columns(table)]

    def columns(self, table: str) -> Sequence[str]:
        """See Source; none for a table that is not there. Raises StoreUnavailable, StoreRefused."""
        statement = (
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_schema = DATABASE() AND table_name = %s ORDER BY ordinal_position"
        )
        return [_text(row[0]) for row in self._run(statement, (table,))]

    def rows(self, table: str, columns: Mapping[str, str]) -> Iterator[SourceRow]:
        """See Source. Raises BadInput, StoreUnavailable, StoreRefused."""
        wanted = ", ".join(
            f"LEFT(CAST({_quoted(column)} AS CHAR), {_LONGEST.get(name, LONGEST_CELL) + 1})"
            for name, column in columns.items()
        )
        order = ", ".join(_quoted(columns[name]) for name in _ORDER[table] if name in columns)
        statement = f"SELECT {wanted} FROM {_quoted(table)}" + (f" ORDER BY {order}" if order else "")  # noqa: S608 (quoted names)
        for number, cells in enumerate(self._streamed(statement), start=1):
            if number > MAX_ATTENDANCE:
                raise BadInput(f"table {table} has more than {MAX_ATTENDANCE} rows")
            row = {name: _text(value) for name, value in zip(columns, cells, strict=True)}
            # By what people find it with.
            where = f"id {row['id'][:40]}" if row.get("id") else f"row {number}"
            yield SourceRow(f"{table} {where}", row)

    def _streamed(self, statement: str) -> Iterator[Sequence[Any]]:
        try:
            cursor = self._connection.cursor(buffered=False)
            cursor.execute(statement)
            while rows := cursor.fetchmany(_AT_ONCE):
                yield from rows  # type: ignore[misc]
            cursor.close()
        except (ConnectorError, MySQLInterfaceError) as exc:
            raise self._meaning(exc) from exc

    def _run(self, statement: str, values: tuple[str, ...] = ()) -> list[Sequence[Any]]:
        try:
            cursor = self._connection.cursor(buffered=True)
            cursor.execute(statement, values)
            rows = list(cursor.fetchall()) if cursor.description else []
            cursor.close()
        except (ConnectorError, MySQLInterfaceError) as exc:
            raise self._meaning(exc) from exc
        return rows

    def _meaning(self, exc: Exception) -> HubError:
        meaning = translate(exc, self._where)
        if isinstance(meaning, StoreUnavailable):
            return StoreUnavailable(f"the original's database: {meaning}", hint="run the same command again to go on")
        return StoreRefused(f"the original's database: {meaning or type(exc).__name__}", hint=_HINT)


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _text(value: object) -> str:
    if value is None:
        return ""
    return bytes(value).decode(errors="replace") if isinstance(value, bytes | bytearray) else str(value)
