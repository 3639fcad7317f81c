"""One door to MySQL or MariaDB: connections with fixed session settings, whole transactions, errors by what to do."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from mysql.connector import Error as ConnectorError
from mysql.connector.connection_cext import MySQLInterfaceError  # type: ignore[attr-defined]
from sqlalchemy import URL, Connection, create_engine, text
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from hub.adapters import audit_chain_store
from hub.adapters.migrations import NEWEST, recorded_version
from hub.adapters.mysql_errors import LockHeld, TransactionLost, translate
from hub.core.errors import StoreRefused

Isolation = Literal["READ COMMITTED", "REPEATABLE READ"]
Result = TypeVar("Result")
_POOL_WAIT_S = 10
_LOCK_WAIT_S = 5
"""For a lock that another transaction holds: shorter than for an answer, or it looked like a lost connection."""
_FIRST_PAUSE_S = 0.02


@dataclass(frozen=True)
class DatabaseAddress:
    """Where the database is and how patient to be, in seconds."""

    host: str
    port: int
    name: str
    user: str
    password: str = field(repr=False)
    connect_timeout_s: int = 5
    read_timeout_s: int = 30
    write_timeout_s: int = 30
    idle_timeout_s: int = 60
    """After which the database ends a connection that says nothing: a transaction has no longer pauses than seconds,
    and the locks of a process that froze or of a machine that lost its power are let go of. Others are made anew."""
    pool_size: int = 5

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}/{self.name}"


def _lock_wait_s(address: DatabaseAddress) -> int:
    return max(1, min(_LOCK_WAIT_S, address.read_timeout_s - 1))


class Database:
    """Transactions on the hub's database. Any thread may use it; each transaction has a connection of its own.

    READ COMMITTED is the default: what a statement reads is current, and there are no gap locks, over which
    inserting hub processes would deadlock. What must see one moment asks for `snapshot`.
    """

    def __init__(self, address: DatabaseAddress, *, pause: Callable[[float], None] = time.sleep) -> None:
        self.address = address
        self._pause = pause
        self._counting = threading.Lock()
        self.repeated = 0
        """Transactions that were lost against another one or with their connection, and were run again."""
        self._engine = create_engine(
            URL.create(
                "mysql+mysqlconnector", address.user, address.password, address.host, address.port, address.name
            ),
            connect_args={
                "charset": "utf8mb4",
                # The one collation that both MySQL and MariaDB accept here.
                "collation": "utf8mb4_unicode_ci",
                "time_zone": "+00:00",
                "sql_mode": "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO",
                "connection_timeout": address.connect_timeout_s,
                "read_timeout": address.read_timeout_s,
                "write_timeout": address.write_timeout_s,
                "init_command": f"SET SESSION innodb_lock_wait_timeout = {_lock_wait_s(address)},"
                f" wait_timeout = {address.idle_timeout_s}",
                "use_pure": False,
            },
            isolation_level="READ COMMITTED",
            pool_size=address.pool_size,
            max_overflow=0,
            pool_timeout=_POOL_WAIT_S,
            # A connection that died while idle is replaced before a transaction begins on it.
            pool_pre_ping=True,
            pool_recycle=1800,
            hide_parameters=True,
        )

    @contextmanager
    def transaction(self, isolation: Isolation = "READ COMMITTED") -> Iterator[Connection]:
        """Give a connection in a transaction; commit at the end, roll back when an error leaves the block.

        What was recorded in the audit log is chained and written right before the commit, or forgotten with the rest.

        Raises StoreUnavailable (try all of it again), StoreRefused (stop), Conflict and BadInput for what the
        database found wrong with the data. After StoreUnavailable the outcome of a commit is unknown.
        """
        try:
            with self._engine.connect() as connection:
                if isolation != "READ COMMITTED":
                    connection.execution_options(isolation_level=isolation)
                waiting = audit_chain_store.collect(connection)
                with connection.begin():
                    yield connection
                    # Last of all: it takes a lock that every other writer needs too.
                    audit_chain_store.append(connection, waiting)
        except (DBAPIError, PendingRollbackError, PoolTimeout, ConnectorError, MySQLInterfaceError) as exc:
            meaning = translate(exc, str(self.address))
            if meaning is None:
                raise
            raise meaning from exc

    def run(
        self,
        work: Callable[[Connection], Result],
        *,
        attempts: int = 5,
        isolation: Isolation = "READ COMMITTED",
        patient: bool = True,
    ) -> Result:
        """Run `work` in a transaction and return its result; a lost transaction is run again from the start.

        `work` must be safe to run again, also after a commit whose answer was lost. Who is not `patient` does not wait
        a second time for a lock that another transaction holds. Raises as `transaction`.
        """
        for attempt in range(1, attempts + 1):
            try:
                with self.transaction(isolation) as connection:
                    return work(connection)
            except TransactionLost as exc:
                if attempt == attempts or (isinstance(exc, LockHeld) and not patient):
                    raise
                with self._counting:
                    self.repeated += 1
                # Jitter: two processes that collided must not collide again in step.
                self._pause(_FIRST_PAUSE_S * 2**attempt * (0.5 + secrets.randbelow(1000) / 1000))
        raise AssertionError("attempts must be at least 1")

    def check_schema(self) -> None:
        """Raise StoreRefused unless the tables are of exactly this program's version; StoreUnavailable as ever."""
        recorded, expected = self.run(recorded_version), NEWEST
        if recorded is None:
            raise StoreRefused(f"the database is not migrated ({self.address})", hint="run: rollcall-hub db migrate")
        if recorded != expected:
            raise StoreRefused(
                f"the database has version {recorded} of the tables, this program needs {expected} ({self.address})",
                hint="run: rollcall-hub db migrate; if that does not help, this program is older than the database",
            )

    def server_version(self) -> str:
        """Return what the server calls itself. Raises as `transaction`."""
        return str(self.run(lambda connection: connection.execute(text("select version()")).scalar_one()))

    def close(self) -> None:
        """Close the idle connections. Errors of connections that are dead already do not matter here."""
        try:
            self._engine.dispose()
        except (DBAPIError, ConnectorError, MySQLInterfaceError):
            return
