"""Which statements a piece of work sends, and which of them the database answers by looking at whole tables."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, event

from hub.adapters.database import Database


def statements(database: Database, work: Callable[[Connection], object]) -> list[tuple[str, Any]]:
    """Return every statement of a transaction with its parameters; what it changes is rolled back."""
    said: list[tuple[str, Any]] = []

    def hear(*told: Any) -> None:
        said.append((str(told[2]), told[3]))

    with database.transaction() as connection:
        event.listen(connection, "before_cursor_execute", hear)
        work(connection)
        event.remove(connection, "before_cursor_execute", hear)
        connection.rollback()
    return said


def full_scans(database: Database, work: Callable[[Connection], object], tables: set[str]) -> list[str]:
    """Return what is read of these tables without an index (or all of an index) by the statements of a transaction."""
    found = []
    explained = 0
    for statement, parameters in statements(database, work):
        if not statement.lstrip().lower().startswith(("select", "delete", "update")):
            continue
        explained += 1
        with database.transaction() as connection:
            plan = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).mappings().all()
        found += [
            f"{row['table']} by {row['type']} of {row['rows']} rows: {' '.join(statement.split())[:300]}"
            for row in plan
            if row["table"] in tables and row["type"] in {"ALL", "index"}
        ]
    assert explained
    return found
