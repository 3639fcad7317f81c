"""Migration steps that look first whether they are done, so that a migration that died can be run again."""

from collections.abc import Sequence
from typing import Any

from alembic import op
from sqlalchemy import Column, Index, MetaData, Table, inspect
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable


def create_tables(metadata: MetaData) -> None:
    """Create the tables that are not there, in the order their foreign keys need, each with its indexes."""
    connection = op.get_bind()
    for table in metadata.sorted_tables:
        # Keys and checks are part of this one statement; indexes are statements of their own.
        connection.execute(CreateTable(table, if_not_exists=True))
        create_indexes(table)


def create_indexes(table: Table) -> None:
    """Create the indexes of a table that are not there."""
    connection = op.get_bind()
    present = {index["name"] for index in inspect(connection).get_indexes(table.name)}
    for index in sorted(table.indexes, key=_name):
        if _name(index) not in present:
            connection.execute(CreateIndex(index))


def add_columns(table: str, columns: Sequence[Column[Any]]) -> None:
    """Add the columns that a table lacks, each in a statement of its own; rows are not rewritten.

    A column is empty or has a server default: the program of the version before goes on writing rows without it.
    """
    connection = op.get_bind()
    present = {column["name"] for column in inspect(connection).get_columns(table)}
    # A table of its own for the compiler: a column knows its type's SQL only inside a table.
    holder = Table(table, MetaData(), *columns)
    for column in holder.columns:
        if column.name not in present:
            described = CreateColumn(column).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {described}")


def _name(index: Index) -> str:
    return str(index.name)
