"""Migration steps that look first whether they are done, so that a migration that died can be run again."""

from alembic import op
from sqlalchemy import Index, MetaData, inspect
from sqlalchemy.schema import CreateIndex, CreateTable


def create_tables(metadata: MetaData) -> None:
    """Create the tables that are not there, in the order their foreign keys need, each with its indexes."""
    connection = op.get_bind()
    for table in metadata.sorted_tables:
        # Keys and checks are part of this one statement; indexes are statements of their own.
        connection.execute(CreateTable(table, if_not_exists=True))
        present = {index["name"] for index in inspect(connection).get_indexes(table.name)}
        for index in sorted(table.indexes, key=_name):
            if _name(index) not in present:
                connection.execute(CreateIndex(index))


def _name(index: Index) -> str:
    return str(index.name)
