"""Versions of the hub's tables, applied by Alembic from inside the program: no alembic.ini, no command of its own.

MySQL commits at every DDL statement, so a migration can die half-way. Every step therefore looks first whether it is
done already (`steps`), and running a migration again completes it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from hub.core.errors import StoreUnavailable

CONNECTION = "connection"
"""Where `env.py` finds the connection in the configuration's attributes."""

_WAIT_S = 25
"""Below the connection's read timeout, so that the answer is ours and not a lost connection."""


NEWEST = "0005"
"""The newest version this program knows, and the only one it works with. A test holds it against the folder."""


def recorded_version(connection: Connection) -> str | None:
    """Return the version the database says it has; None for a database that was never migrated to its end."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("select version_num from alembic_version")).scalar_one_or_none()
    return found


def migrate(connection: Connection) -> tuple[str | None, str]:
    """Bring the tables to the newest version; return the versions before and after. Safe to run again at any time.

    Two at once take turns: each would otherwise note its own steps in the table of versions, and neither could be read
    any more. Raises StoreUnavailable when another one does not come to its end.
    """
    # Imported here: every command looks at the version, and Alembic is a fifth of what a command would import.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes[CONNECTION] = connection
    with _alone(connection):
        before = recorded_version(connection)
        command.upgrade(config, "head")
        after = recorded_version(connection)
    if after != NEWEST:
        raise AssertionError(f"the program was packaged with other migrations: they lead to {after}, not {NEWEST}")
    return before, after


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
