"""Versions of the hub's tables, applied by Alembic from inside the program: no alembic.ini, no command of its own.

MySQL commits at every DDL statement, so a migration can die half-way. Every step therefore looks first whether it is
done already (`steps`), and running a migration again completes it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from hub.core.errors import StoreUnavailable

CONNECTION = "connection"
"""Where `env.py` finds the connection in the configuration's attributes."""

_WAIT_S = 25
"""Below the connection's read timeout, so that the answer is ours and not a lost connection."""


def _configuration() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def expected_version() -> str:
    """Return the newest version this program knows."""
    head = ScriptDirectory.from_config(_configuration()).get_current_head()
    if head is None:
        raise AssertionError("the program was packaged without its migrations")
    return head


def recorded_version(connection: Connection) -> str | None:
    """Return the version the database says it has; None for a database that was never migrated to its end."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return MigrationContext.configure(connection).get_current_revision()


def migrate(connection: Connection) -> tuple[str | None, str]:
    """Bring the tables to the newest version; return the versions before and after. Safe to run again at any time.

    Two at once take turns: each would otherwise note its own steps in the table of versions, and neither could be read
    any more. Raises StoreUnavailable when another one does not come to its end.
    """
    with _alone(connection):
        before = recorded_version(connection)
        config = _configuration()
        config.attributes[CONNECTION] = connection
        command.upgrade(config, "head")
        return before, expected_version()


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    # A lock of the server and not of a table: it outlives the commits that MySQL makes at every DDL statement, and
    # goes with the connection when this process dies.
    name = connection.execute(text("select left(concat('rollcall-migrate-', database()), 64)")).scalar_one()
    if connection.execute(text("select get_lock(:name, :wait)"), {"name": name, "wait": _WAIT_S}).scalar() != 1:
        raise StoreUnavailable("the tables are being migrated by somebody else", hint="try again in a minute")
    try:
        yield
    finally:
        connection.execute(text("select release_lock(:name)"), {"name": name})
