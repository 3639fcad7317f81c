"""Values written out as literals, and long statements made of them: see `event_rows` for why."""

from binascii import unhexlify
from datetime import UTC, datetime

from mysql.connector.connection_cext import CMySQLConnection
from sqlalchemy import Connection


def run_text(connection: Connection, statement: str) -> None:
    """Run a long statement that binds nothing and returns no rows.

    Past the cursor, which looks through every statement for semicolons: for these that takes as long as parsing the
    events did.
    """
    driver: CMySQLConnection = connection.connection.driver_connection  # type: ignore[assignment]
    driver.cmd_query(statement.encode())


def uuid_text(text: str) -> str:
    """Return a UUID as a literal of 16 bytes. Raises ValueError for anything that is not hexadecimal digits."""
    digits = text.replace("-", "")
    # Nothing but hexadecimal digits can come out, whatever went in.
    unhexlify(digits)
    return f"x'{digits}'"


def word_text(text: str) -> str:
    """Return a text as a literal, whatever is in it."""
    return f"x'{text.encode().hex()}'"


def time_text(moment: datetime) -> str:
    """Return an aware moment as a literal in UTC."""
    utc = moment.astimezone(UTC)
    # `isoformat` takes three times as long, and every event has a time.
    fraction = str(1_000_000 + utc.microsecond)[1:]
    return f"'{utc.year}-{utc.month}-{utc.day} {utc.hour}:{utc.minute}:{utc.second}.{fraction}'"
