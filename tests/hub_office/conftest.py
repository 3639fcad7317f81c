"""An office on a fresh database, with a clock that only moves by hand and by being read."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from deploy.database_server import Database as TestDatabase
from deploy.database_server import DatabaseServer
from hub.adapters.database import Database, DatabaseAddress
from hub.adapters.key_files import HubKeys
from hub.adapters.migrations import NEWEST
from hub.cli import app
from hub.office import tables
from hub.office.context import Office
from hub.settings import HubSettings
from tests.hub_adapters import emptied
from tests.hub_adapters.emptied import EmptiedDatabase

NOW = datetime(2026, 9, 1, 10, tzinfo=UTC)
"""12:00 in Berlin, a Tuesday."""


@dataclass
class HandClock:
    """A clock that moves a millisecond whenever it is read, so that audit entries have an order, and else by hand."""

    moment: datetime = NOW

    def now(self) -> datetime:
        self.moment += timedelta(milliseconds=1)
        return self.moment

    def monotonic_s(self) -> float:
        return self.moment.timestamp()

    def forward(self, step: timedelta) -> None:
        self.moment += step


@dataclass(frozen=True)
class OfficeUnderTest:
    """An office and ways to look behind it."""

    office: Office
    clock: HandClock
    settings_file: Path

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        with self.office.database.transaction() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    def do(self, statement: str) -> None:
        with self.office.database.transaction() as connection:
            connection.execute(text(statement))

    def count(self, table: str) -> int:
        return int(str(self.rows(f"select count(*) from {table}")[0][0]))  # noqa: S608 (a table's name in a test)

    def actions(self) -> list[str]:
        return [str(row[0]) for row in self.rows("select action from audit where action != 'db.migrate' order by seq")]

    def revision(self) -> int:
        """The gallery revision of the one unit that `add_unit` made."""
        return int(str(self.rows("select revision from galleries")[0][0]))

    def add_unit(self, room: str) -> None:
        """A unit in a room, with a gallery of revision 1."""
        with self.office.database.transaction() as connection:
            connection.execute(
                text(
                    "insert into units (id, label, room_id, data_key_sealed, added_at) "
                    "select unhex(repeat('ab', 16)), 'unit', id, 'x', now() from rooms where name = :room"
                ),
                {"room": room},
            )
        self.do(
            "insert into galleries (unit_id, revision, prepared_revision, push_count, confirmed_revision) "
            "values (unhex(repeat('ab', 16)), 1, 0, 0, 0)"
        )

    def dirty(self) -> list[tuple[str, str]]:
        """Serial numbers and days whose register has to be derived again."""
        found = self.rows(
            "select serial_number, day from dirty_students join students on students.id = student_id order by 1, 2"
        )
        return [(str(serial), str(day)) for serial, day in found]

    def clean(self) -> None:
        self.do("delete from dirty_students")


@pytest.fixture(scope="session")
def migrated_database(mariadb: DatabaseServer) -> Iterator[EmptiedDatabase]:
    """One migrated database for the run."""
    with emptied.shared(mariadb) as database:
        yield database


@pytest.fixture
def desk(migrated_database: EmptiedDatabase, tmp_path: Path) -> Iterator[OfficeUnderTest]:
    """An office with new keys on a migrated database without rows, as `rollcall-hub db migrate` leaves it."""
    migrated_database.empty()
    opened = _open(migrated_database.at, tmp_path)
    with opened.office as office:
        tables.note_migration(office, None, NEWEST, office.keys.create_missing())
        yield opened


@pytest.fixture
def fresh_desk(database: TestDatabase, tmp_path: Path) -> Iterator[OfficeUnderTest]:
    """The same on a database of the test's own, which costs seconds: for tests that change its tables."""
    opened = _open(database, tmp_path)
    with opened.office as office:
        tables.migrate(office)
        yield opened


def _open(database: TestDatabase, folder: Path) -> OfficeUnderTest:
    settings_file = _write_settings(database, folder)
    clock = HandClock()
    address = DatabaseAddress(database.host, database.port, database.name, database.user, database.password)
    office = Office(
        settings=HubSettings.model_validate(
            {
                "site": "test",
                "time_zone": "Europe/Berlin",
                "data_dir": str(folder),
                "recognition": {"pack_dir": str(folder / "no-pack")},
            }
        ),
        database=Database(address),
        keys=HubKeys(folder / "hub.key", folder / "hub_signing.key"),
        clock=clock,
        actor="tester",
    )
    return OfficeUnderTest(office, clock, settings_file)


def invoke(desk: OfficeUnderTest, *words: str) -> Result:
    """Run a command of `rollcall-hub` at this desk."""
    return CliRunner().invoke(app, ["--config", str(desk.settings_file), "--actor", "ada", *words])


def with_pack(desk: OfficeUnderTest, pack_folder: Path) -> OfficeUnderTest:
    """The same desk with a model pack."""
    recognition = desk.office.settings.recognition.model_copy(update={"pack_dir": pack_folder})
    settings = desk.office.settings.model_copy(update={"recognition": recognition})
    lines = desk.settings_file.read_text().replace(str(desk.settings_file.parent / "no-pack"), str(pack_folder))
    desk.settings_file.write_text(lines)
    return replace(desk, office=replace(desk.office, settings=settings))


def _write_settings(database: TestDatabase, folder: Path) -> Path:
    password = folder / "db.password"
    password.write_text(database.password)
    password.chmod(0o600)
    file = folder / "hub.toml"
    file.write_text(
        f"""
site = "test"
time_zone = "Europe/Berlin"
data_dir = "{folder}"

[database]
host = "{database.host}"
port = {database.port}
name = "{database.name}"
user = "{database.user}"
password_file = "{password}"

[recognition]
pack_dir = "{folder / "no-pack"}"
"""
    )
    return file
