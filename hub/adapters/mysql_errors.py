"""What the database's error numbers mean for whoever called. Numbers, because the connector's classes vary.

The same fault arrives as InternalError, InterfaceError or OperationalError depending on where the connector noticed it.
"""

from collections.abc import Mapping

from mysql.connector import Error as ConnectorError
from mysql.connector import InternalError as ConnectorInternalError
from mysql.connector import OperationalError as ConnectorOperationalError
from mysql.connector.connection_cext import MySQLInterfaceError  # type: ignore[attr-defined]
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from hub.core.errors import BadInput, Conflict, HubError, StoreBusy, StoreRefused, StoreUnavailable

# The transaction is gone, the database lives: the same work may succeed at once.
_LOST = {
    # Only a migration meets these two: another one runs at the same moment.
    1050: "another migration is under way",
    1061: "another migration is under way",
    1047: "the cluster has no quorum",
    1053: "the database is shutting down",
    1927: "the connection was killed",
    2006: "the connection was closed",
    2013: "the connection broke",
    2055: "the connection broke",
    4031: "the connection was idle too long",
}
# The same, and whoever asks for something else need not wait for it.
_BEATEN = {
    # MariaDB, where a transaction that sees one moment changes what another changed since.
    1020: "lost against another transaction",
    1180: "the database could not commit",
    1213: "lost against another transaction",
    1317: "the statement was interrupted",
}
# The same, after as long as one waits for a lock: another attempt may wait as long again.
_LOCKED = {1205: "waited too long for a lock"}
# Nobody answers, or the database cannot take anything now: trying again at once will not help.
_UNREACHABLE = {
    1021: "the disk of the database is full",
    1040: "the database has too many connections",
    1114: "the database is full",
    1203: "the database user has too many connections",
    1290: "the database is read-only",
    1792: "the database is read-only",
    1836: "the database is read-only",
    2002: "no database listens",
    2003: "no database listens",
    2005: "the name of the database's host is not known",
}
_MIGRATE = "run: rollcall-hub db migrate"
_REFUSED = {
    1044: ("the database user may not use this database", "check database.name and the user's grants"),
    1045: ("wrong password, or unknown database user", "check database.user and database.password_file"),
    1049: ("there is no such database", "create it, or check database.name"),
    1054: ("the database has tables of another version", _MIGRATE),
    1130: ("the database does not accept connections from this machine", "check the user's host part"),
    1142: ("the database user lacks a right", "check the user's grants"),
    1146: ("the database is not migrated", _MIGRATE),
    1227: ("the database user lacks a right", "check the user's grants"),
    1862: ("the password of the database user has expired", "give the user a new password"),
    1698: ("wrong password, or unknown database user", "check database.user and database.password_file"),
    2061: ("the database does not let this user log in this way", "check how the user authenticates"),
    3118: ("the database user is locked", "unlock the account"),
    4151: ("the database user is locked", "unlock the account"),
    2026: ("the encrypted connection to the database failed", "check the database's certificate"),
}
_CONFLICTS = {
    1062: "this is already on record",
    1451: "other records refer to this one",
    1452: "this refers to something that is not on record",
}
_BAD_INPUT = {
    1264: "a number is too large",
    1292: "a time or number cannot be stored",
    1366: "a text has characters the database cannot store",
    1406: "a text is too long",
    3819: "a value is not allowed",
    4025: "a value is not allowed",
}
_TOO_LONG = {1969: "a statement took too long", 3024: "a statement took too long"}
DUPLICATE = 1062


class TransactionLost(StoreUnavailable):
    """The whole transaction was rolled back, or its outcome is unknown; trying all of it again may well succeed."""


class TransactionBeaten(TransactionLost, StoreBusy):
    """The transaction alone was rolled back, for another one or for itself; the connection lives."""


class LockHeld(TransactionBeaten):
    """Another transaction did not let go of a lock in time."""


_CLIENTS = range(2000, 3000)
"""Numbers of the client's library: the server has said nothing."""

_SERVERS_OWN = (
    OperationalError,
    InternalError,
    ConnectorOperationalError,
    ConnectorInternalError,
    MySQLInterfaceError,
)
_GAVE_UP: tuple[tuple[Mapping[int, str], type[StoreUnavailable]], ...] = (
    (_LOST, TransactionLost),
    (_BEATEN, TransactionBeaten),
    (_LOCKED, LockHeld),
    (_TOO_LONG, StoreBusy),
)


def errno_of(exc: BaseException) -> int | None:
    """Return the server's or client library's error number, if there is one."""
    cause = exc.orig if isinstance(exc, DBAPIError) else exc
    if isinstance(cause, ConnectorError | MySQLInterfaceError):
        return int(cause.errno) if cause.errno and cause.errno > 0 else None
    return None


def translate(exc: Exception, where: str) -> HubError | None:
    """Return the hub's error for a database error, or None for one that is a fault in the program.

    `where` is "user@host:port/database"; texts never hold the statement or its values, which may be personal.
    """
    if isinstance(exc, PoolTimeout):
        return StoreUnavailable(f"all connections to the database are busy ({where})")
    if isinstance(exc, PendingRollbackError):
        # Somebody went on after a statement had lost the connection.
        return TransactionLost(f"the connection broke ({where})")
    errno = errno_of(exc)
    known = _by_number(errno, where)
    if known is not None:
        return known
    answered = errno is not None and errno not in _CLIENTS
    if isinstance(exc, DBAPIError) and exc.connection_invalidated:
        return TransactionLost(f"the connection broke ({where})")
    if isinstance(exc, MySQLInterfaceError) and not answered:
        # A COMMIT that breaks comes out of the connector as the C library said it.
        return TransactionLost(f"the connection broke ({where})")
    if isinstance(exc, _SERVERS_OWN):
        # The server's own trouble, of which there are hundreds of numbers: wait, and let units keep what they have.
        # Where it has answered, what others ask of it may go well.
        kind = StoreBusy if answered else StoreUnavailable
        return kind(f"the database reports error {errno or 'without a number'} ({where})")
    return None


def _by_number(errno: int | None, where: str) -> HubError | None:
    if errno in _REFUSED:
        text, hint = _REFUSED[errno]
        return StoreRefused(f"{text} ({where})", hint=hint)
    if errno in _UNREACHABLE:
        return StoreUnavailable(
            f"{_UNREACHABLE[errno]} ({where})", hint="is it running? check [database] in the settings"
        )
    for texts, kind in _GAVE_UP:
        if errno is not None and errno in texts:
            return kind(f"{texts[errno]} ({where})")
    if errno in _CONFLICTS:
        return Conflict(_CONFLICTS[errno])
    if errno in _BAD_INPUT:
        return BadInput(_BAD_INPUT[errno])
    return None
