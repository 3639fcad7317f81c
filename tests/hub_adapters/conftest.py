"""A migrated database, and a school in it to write to."""

from collections.abc import Iterator

import pytest

from deploy.database_server import Database as ServerDatabase
from deploy.database_server import DatabaseServer
from hub.adapters.database import Database
from hub.adapters.migrations import migrate
from tests.hub_adapters.places import an_address
from tests.hub_adapters.school import School


@pytest.fixture(scope="session")
def migrated_database(mariadb: DatabaseServer) -> Iterator[tuple[ServerDatabase, list[str]]]:
    """One migrated database for the run, and the names of its tables."""
    fresh = mariadb.create_database()
    database = Database(an_address(fresh))
    database.run(migrate)
    database.close()
    tables = [str(row[0]) for row in mariadb.execute("SHOW TABLES", fresh)]
    yield fresh, [name for name in tables if name != "alembic_version"]
    mariadb.drop_database(fresh)


@pytest.fixture
def hub_database(migrated_database: tuple[ServerDatabase, list[str]]) -> Iterator[Database]:
    """A migrated database without rows. Migrating takes seconds, so one is emptied again and again."""
    fresh, tables = migrated_database
    connection = Database(an_address(fresh))
    with connection.transaction() as open_connection:
        open_connection.exec_driver_sql("SET foreign_key_checks = 0")
        for name in tables:
            open_connection.exec_driver_sql(f"DELETE FROM `{name}`")  # noqa: S608 (names from SHOW TABLES)
        open_connection.exec_driver_sql("SET foreign_key_checks = 1")
    yield connection
    connection.close()


@pytest.fixture
def school(hub_database: Database) -> School:
    """A room with a unit, a section with students."""
    return School(hub_database)
