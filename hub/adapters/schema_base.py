"""What all tables share: names of keys, character sets, kinds of columns."""

from typing import Any

from sqlalchemy import MetaData, String

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

OPTIONS: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci"}

EXACT = "utf8mb4_bin"
"""Identifiers are compared byte by byte: "007" is not "7", and "jose" is not "josé"."""


def word(length: int) -> String:
    """Return the type of a word that people do not write."""
    return String(length, collation="ascii_bin")


def one_of(column: str, values: tuple[str, ...]) -> str:
    """Return the condition that a column holds one of these."""
    return f"{column} in ({', '.join(repr(value) for value in values)})"
