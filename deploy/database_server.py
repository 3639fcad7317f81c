"""A MySQL or MariaDB server that tests may fill: where it is, who we are there, and fresh databases on it."""

import secrets
from contextlib import closing
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

import mysql.connector

from deploy.own_process import ServerFailed

CHARSET = "utf8mb4"
COLLATION = "utf8mb4_unicode_ci"
PREFIX = "rollcall"
CONNECT_TIMEOUT_S = 5

Row = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Database:
    """One database and how the program reaches it."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    name: str

    @property
    def url(self) -> str:
        """The address in SQLAlchemy's form, with the password."""
        return (
            f"mysql+mysqlconnector://{quote(self.user, safe='')}:{quote(self.password, safe='')}"
            f"@{self.host}:{self.port}/{self.name}?charset={CHARSET}&collation={COLLATION}"
        )


@dataclass(frozen=True, slots=True)
class DatabaseServer:
    """A server on which `user` may create databases whose names begin with `rollcall`."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)

    @classmethod
    def from_address(cls, address: str) -> "DatabaseServer":
        """Read `mysql://user:password@host:port`; raise ServerFailed when it is not of that form."""
        parts = urlsplit(address)
        try:
            port = parts.port or 3306
        except ValueError:
            port = 0
        if parts.scheme != "mysql" or not parts.hostname or not parts.username or not port:
            raise ServerFailed("ROLLCALL_TEST_MYSQL must look like mysql://user:password@host:port")
        return cls(parts.hostname, port, unquote(parts.username), unquote(parts.password or ""))

    def database(self, name: str) -> Database:
        """Describe the database `name`, whether it exists or not."""
        return Database(self.host, self.port, self.user, self.password, name)

    def create_database(self, name: str | None = None) -> Database:
        """Create an empty database; without a name, one that nobody else has."""
        database = self.database(name or f"{PREFIX}_{secrets.token_hex(6)}")
        self.execute(f"CREATE DATABASE `{database.name}` CHARACTER SET {CHARSET} COLLATE {COLLATION}")
        return database

    def drop_database(self, database: Database) -> None:
        """Delete `database`; one that is gone already is no error."""
        self.execute(f"DROP DATABASE IF EXISTS `{database.name}`")

    def execute(self, statement: str, database: Database | None = None) -> list[Row]:
        """Run one statement, commit it and return its rows. Raises ServerFailed."""
        try:
            return self._execute(statement, None if database is None else database.name)
        except mysql.connector.Error as exc:
            raise ServerFailed(f"the database server at {self.host}:{self.port} refused a statement: {exc}") from exc

    def version(self) -> str:
        """Return the product and version, for example `MariaDB 10.11.19`."""
        text = str(self.execute("SELECT VERSION()")[0][0])
        return f"{'MariaDB' if 'MariaDB' in text else 'MySQL'} {text.split('-')[0]}"

    def _execute(self, statement: str, database: str | None) -> list[Row]:
        connection = mysql.connector.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            database=database,
            charset=CHARSET,
            collation=COLLATION,
            autocommit=True,
            connection_timeout=CONNECT_TIMEOUT_S,
        )
        with closing(connection), closing(connection.cursor()) as cursor:
            cursor.execute(statement)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []
