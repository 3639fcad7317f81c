"""A migrated database for a generated school."""

from collections.abc import Iterator

import pytest

from deploy.database_server import DatabaseServer
from tests.hub_adapters import emptied
from tests.hub_adapters.emptied import EmptiedDatabase


@pytest.fixture(scope="session")
def migrated(mariadb: DatabaseServer) -> Iterator[EmptiedDatabase]:
    """The migrated database of this process; a test empties it before it begins."""
    with emptied.shared(mariadb) as database:
        yield database
