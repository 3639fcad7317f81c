"""Log lines on stderr, one a line, as `level=... logger=... event key=value`: what systemd's journal keeps."""

import logging
import time


def set_up(level: int = logging.INFO) -> None:
    """Send the log of this process to stderr, with times in UTC."""
    formatter = logging.Formatter(
        "%(asctime)s.%(msecs)03dZ level=%(levelname)s logger=%(name)s %(message)s", datefmt="%Y-%m-%dT%H:%M:%S"
    )
    formatter.converter = time.gmtime
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # Libraries speak only when something is wrong; statements and messages they would quote may be personal.
    for library in ("sqlalchemy", "alembic", "mysql", "paho"):
        logging.getLogger(library).setLevel(logging.WARNING)
    # A connection that cannot be given back because the database died: we have said so in a sentence, and the pool
    # would add a traceback for each.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
