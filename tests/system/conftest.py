"""A whole school for the system tests: separate processes, real broker, real database, real models."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.own_process import ServerMissing
from deploy.stage import Stage
from tests.conftest import missing_server, note_server


@pytest.fixture
def stage(tmp_path: Path, pack_folder: Path, pytestconfig: pytest.Config) -> Iterator[Stage]:
    """Broker, database and a migrated hub that is not started yet."""
    school = Stage(tmp_path / "school", pack_folder)
    try:
        school.start_servers()
    except ServerMissing as error:
        missing_server(error)
    note_server(pytestconfig, school.broker.version(), school.database.version())
    try:
        yield school
    finally:
        school.close()
