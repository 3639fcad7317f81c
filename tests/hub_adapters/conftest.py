"""A migrated database, and a school in it to write to."""

from collections.abc import Iterator

import pytest

from deploy.database_server import DatabaseServer
from hub.adapters.database import Database
from tests.hub_adapters import emptied
from tests.hub_adapters.emptied import EmptiedDatabase
from tests.hub_adapters.places import an_address
from tests.hub_adapters.school import School


@pytest.fixture(scope="session")
def migrated_database(mariadb: DatabaseServer) -> Iterator[EmptiedDatabase]:
    """One migrated database for the run."""
    with emptied.shared(mariadb) as database:
        yield database


@pytest.fixture
def hub_database(migrated_database: EmptiedDatabase) -> Iterator[Database]:
    """A migrated database without rows."""
    migrated_database.empty()
    connection = Database(an_address(migrated_database.at))
    yield connection
    connection.close()


@pytest.fixture
def school(hub_database: Database) -> School:
    """A room with a unit, a section with students."""
    return School(hub_database)
