"""Migration steps that look first whether they are done, so that a migration that died can be run again."""

from collections.abc import Mapping, Sequence
from typing import Any

from alembic import op
from sqlalchemy import Column, Index, MetaData, Table, inspect
from sqlalchemy.schema import CreateColumn, CreateTable


def create_tables(metadata: MetaData) -> None:
    """Create the tables that are not there, in the order their foreign keys need, each with its indexes."""
    connection = op.get_bind()
    for table in metadata.sorted_tables:
        # Keys and checks are part of this one statement; indexes are statements of their own.
        connection.execute(CreateTable(table, if_not_exists=True))
        create_indexes(table)


def create_indexes(table: Table) -> None:
    """Create the indexes of a table that are not there, all in one statement: the table is gone through once."""
    connection = op.get_bind()
    if not table.indexes:
        return
    present = {index["name"] for index in inspect(connection).get_indexes(table.name)}
    missing = [index for index in sorted(table.indexes, key=_name) if _name(index) not in present]
    if missing:
        added = ", ".join(_added(index) for index in missing)
        connection.exec_driver_sql(f"ALTER TABLE {table.name} {added}")


def _added(index: Index) -> str:
    columns = ", ".join(column.name for column in index.columns)
    return f"ADD {'UNIQUE ' if index.unique else ''}INDEX {index.name} ({columns})"


def add_columns(table: str, columns: Sequence[Column[Any]]) -> None:
    """Add the columns that a table lacks, all in one statement; rows are not rewritten.

    A column is empty or has a server default: the program of the version before goes on writing rows without it.
    """
    connection = op.get_bind()
    present = {column["name"] for column in inspect(connection).get_columns(table)}
    # A table of its own for the compiler: a column knows its type's SQL only inside a table.
    holder = Table(table, MetaData(), *columns)
    missing = [column for column in holder.columns if column.name not in present]
    if missing:
        added = ", ".join(
            f"ADD COLUMN {CreateColumn(column).compile(dialect=connection.dialect)}" for column in missing
        )
        connection.exec_driver_sql(f"ALTER TABLE {table} {added}")


def add_foreign_keys(table: str, statements: Mapping[str, str]) -> None:
    """Add the foreign keys that a table lacks, each by the statement given for its name."""
    connection = op.get_bind()
    present = {key["name"] for key in inspect(connection).get_foreign_keys(table)}
    for name, statement in statements.items():
        if name not in present:
            connection.exec_driver_sql(statement)


def _name(index: Index) -> str:
    return str(index.name)
