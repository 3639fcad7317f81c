"""One migrated database that is emptied again and again: migrating takes seconds, deleting some rows milliseconds."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from deploy.database_server import Database as ServerDatabase
from deploy.database_server import DatabaseServer
from hub.adapters.database import Database
from hub.adapters.migrations import migrate
from tests.hub_adapters.places import an_address

FRESH_HEAD = "INSERT INTO audit_head (name, seq, hash) VALUES ('head', 0, repeat('\\0', 32))"
"""The one row that a migration of an empty database leaves."""


@dataclass
class EmptiedDatabase:
    """A migrated database of this test run."""

    at: ServerDatabase
    _tables: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self._database = Database(an_address(self.at))
        self._database.run(migrate)
        with self._database.transaction() as connection:
            found = [str(row[0]) for row in connection.exec_driver_sql("SHOW TABLES")]
        self._tables = [name for name in found if name != "alembic_version"]
        self._filled = " UNION ALL ".join(
            f"(SELECT '{name}' FROM `{name}` LIMIT 1)"  # noqa: S608 (names from SHOW TABLES)
            for name in self._tables
        )

    def empty(self) -> None:
        """Leave what a migration of an empty database leaves."""
        with self._database.transaction() as connection:
            connection.exec_driver_sql("SET foreign_key_checks = 0")
            for name in [str(row[0]) for row in connection.exec_driver_sql(self._filled)]:
                connection.exec_driver_sql(f"DELETE FROM `{name}`")  # noqa: S608 (names from SHOW TABLES)
            connection.exec_driver_sql("SET foreign_key_checks = 1")
            connection.exec_driver_sql(FRESH_HEAD)

    def close(self) -> None:
        self._database.close()


_SHARED: dict[tuple[str, int], EmptiedDatabase] = {}


@contextmanager
def shared(server: DatabaseServer) -> Iterator[EmptiedDatabase]:
    """Give the one migrated database that this process has on a server; whoever asked first deletes it."""
    place = (server.host, server.port)
    if place in _SHARED:
        yield _SHARED[place]
        return
    made = _SHARED[place] = EmptiedDatabase(server.create_database())
    try:
        yield made
    finally:
        del _SHARED[place]
        made.close()
        server.drop_database(made.at)
