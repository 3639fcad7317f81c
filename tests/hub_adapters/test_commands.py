"""The commands for database, units and galleries, as an operator runs them, against a real MariaDB."""

import json
import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, update
from typer.testing import CliRunner

from deploy.database_server import Database as ServerDatabase
from hub.adapters.clock import SystemClock
from hub.adapters.database import Database
from hub.adapters.migrations import NEWEST
from hub.adapters.mysql_errors import TransactionLost
from hub.adapters.quarantine_store import keep_refused
from hub.adapters.schema import audit, epochs, galleries, rooms, unit_status, units
from hub.adapters.unit_store import keep_status
from hub.bootstrap.office import open_office
from hub.cli import app
from hub.core.errors import StoreUnavailable
from hub.core.ingest import Refused
from hub.office.context import Office
from hub.settings import load_settings
from protocol.sealing import public_key_of
from protocol.status import Status
from tests.hub_adapters.emptied import EmptiedDatabase
from tests.hub_adapters.places import an_address, write_settings
from tests.hub_core.builders import EPOCH, START, an_id

pytestmark = pytest.mark.server


class Operator:
    """Runs commands with a settings file."""

    def __init__(self, folder: Path, database: ServerDatabase) -> None:
        self.folder = folder
        self.settings = write_settings(folder, database)
        self.database = Database(an_address(database))
        self.code = 0
        self.out = self.err = ""

    def run(self, *arguments: str) -> str:
        result = CliRunner().invoke(app, ["--config", str(self.settings), "--actor", "ada", *arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        self.code, self.out, self.err = result.exit_code, result.stdout, result.stderr
        return self.out

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json"))

    def rows(self, table: Any) -> list[dict[str, Any]]:
        with self.database.transaction() as connection:
            return [dict(row._mapping) for row in connection.execute(table.select())]

    def add_unit(self, label: str = "door-12", *more: str) -> dict[str, Any]:
        made: dict[str, Any] = self.json("unit", "add", label, "--room", "12", "--out", str(self.folder / label), *more)
        return made


@pytest.fixture
def operator(tmp_path: Path, migrated_database: EmptiedDatabase, hub_database: Database) -> Any:
    person = Operator(tmp_path, migrated_database.at)
    person.run("db", "migrate")
    assert person.code == 0
    with hub_database.transaction() as connection:
        connection.execute(rooms.insert().values(id=an_id(1), name="12"))
    yield person
    person.database.close()


def test_migrate_makes_tables_and_keys_and_says_to_keep_a_copy(tmp_path: Path, database: ServerDatabase) -> None:
    person = Operator(tmp_path, database)
    person.run("db", "check")
    assert (person.code, "db migrate" in person.err) == (1, True)
    assert "version" in person.run("db", "migrate")
    assert "KEEP A COPY" in person.err
    assert stat.S_IMODE((tmp_path / "hub.key").stat().st_mode) == 0o600
    assert person.json("db", "migrate")["created_keys"] == []
    assert person.json("db", "check")["version"] == NEWEST
    assert [row["action"] for row in person.rows(audit)] == ["db.migrate"]
    person.database.close()


def test_a_unit_gets_an_identity_keys_and_settings(operator: Operator) -> None:
    made = operator.add_unit("door-12", "--broker-host", "broker.school", "--camera", "picamera2")
    folder = operator.folder / "door-12"
    settings = tomllib.loads((folder / "edge.toml").read_text(encoding="utf-8"))
    assert settings == {
        "site": "test-site",
        "unit_id": made["unit_id"],
        "label": "door-12",
        "broker": {"host": "broker.school", "port": 1883},
        "keys": {"data_key_file": "unit.key", "hub_key_file": "hub.pub"},
        "recognition": {"pack_dir": "/var/lib/rollcall/packs/dlib"},
        "storage": {"data_dir": "/var/lib/rollcall/edge", "time_zone": "Europe/Berlin"},
        "camera": {"kind": "picamera2", "source": "0"},
    }
    key = folder / "unit.key"
    assert (stat.S_IMODE(key.stat().st_mode), key.stat().st_size) == (0o600, 32)
    assert (folder / "hub.pub").read_bytes() == public_key_of((operator.folder / "hub_signing.key").read_bytes())
    [unit] = operator.rows(units)
    assert key.read_bytes() not in bytes(unit["data_key_sealed"])
    assert operator.rows(galleries)[0]["revision"] == 1
    entry = next(row for row in operator.rows(audit) if row["action"] == "unit.add")
    assert (entry["actor"], entry["subject"]) == ("ada", f"unit:{made['unit_id']}")


@pytest.mark.parametrize(
    ("camera", "expected"),
    [
        ("0", {"kind": "opencv", "source": "0"}),
        ("/dev/v4l/by-id/usb-1", {"kind": "opencv", "source": "/dev/v4l/by-id/usb-1"}),
        ("rtsp://camera.school/1", {"kind": "opencv", "source": "rtsp://camera.school/1"}),
        ("lesson.mp4", {"kind": "replay", "source": "lesson.mp4"}),
    ],
)
def test_a_camera_is_written_down_as_what_it_is(operator: Operator, camera: str, expected: dict[str, str]) -> None:
    operator.add_unit("door-12", "--camera", camera)
    settings = tomllib.loads((operator.folder / "door-12" / "edge.toml").read_text(encoding="utf-8"))
    assert settings["camera"] == expected


def test_a_lost_hub_key_is_not_replaced_by_one_that_opens_nothing(operator: Operator) -> None:
    operator.add_unit()
    (operator.folder / "hub.key").rename(operator.folder / "elsewhere")
    operator.run("db", "migrate")
    assert operator.code == 1
    assert "bring hub.key and hub_signing.key back" in operator.err
    assert not (operator.folder / "hub.key").exists()


def test_a_label_with_quotes_and_newer_letters_survives_the_settings_file(operator: Operator) -> None:
    label = 'Tür "12" \\ 😀'
    operator.json("unit", "add", label, "--room", "12", "--out", str(operator.folder / "u"))
    assert tomllib.loads((operator.folder / "u" / "edge.toml").read_text(encoding="utf-8"))["label"] == label


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("door-13", "--room", "none", "--out", "new"), "there is no room 'none'"),
        (("door-12", "--room", "12", "--out", "new"), "there is a unit 'door-12' already"),
        (("door-13", "--room", "12", "--out", "door-12"), "holds a unit already"),
        ((" ", "--room", "12", "--out", "new"), "a label has"),
    ],
)
def test_a_unit_that_cannot_be_added_leaves_nothing_behind(
    operator: Operator, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(operator.folder)
    operator.add_unit()
    operator.run("unit", "add", *arguments)
    assert operator.code == 1
    assert said in operator.err
    assert len(operator.rows(units)) == 1
    assert not (operator.folder / "new" / "unit.key").exists()


def test_units_are_listed_with_what_is_really_known(operator: Operator) -> None:
    assert "no units yet" in operator.run("unit", "list")
    unit_id = operator.add_unit()["unit_id"]
    assert "never heard of yet" in operator.run("unit", "list")
    status = Status(state="watching", session=1, epoch=EPOCH, waiting_events=3)
    with operator.database.transaction() as connection:
        keep_status(connection, unit_id, status, START)
        connection.execute(
            epochs.insert().values(
                unit_id=unit_id, epoch=EPOCH, high_water=0, first_heard_at=START, last_heard_at=START
            )
        )
    [line] = operator.json("unit", "list")
    assert line["waiting_events"] == 3
    assert line["last_heard"] == "2026-09-01T06:00:00Z"
    assert operator.rows(unit_status)


def says(operator: Operator, unit_id: str, **changed: Any) -> None:
    """A unit says now how it is."""
    status = Status.model_validate({"state": "watching", "session": 1, "epoch": EPOCH} | changed)
    with operator.database.transaction() as connection:
        keep_status(connection, unit_id, status, SystemClock().now())


def test_the_fleet_is_shown_truthfully_and_a_job_can_watch_it(operator: Operator) -> None:
    assert "no units yet" in operator.run("units", "--check")
    stuck, well = operator.add_unit("door-12")["unit_id"], operator.add_unit("door-13")["unit_id"]
    with operator.database.transaction() as connection:
        connection.execute(update(galleries).values(confirmed_revision=1))
    says(operator, stuck, waiting_events=340, progress_s=720.0, oldest_waiting_s=900.0, temperature_c=61.0)
    says(operator, well, waiting_events=0, progress_s=0.0, disk="ok", clock="synced")
    shown = operator.run("units")
    assert operator.code == 0
    assert "nothing has arrived for 12 min while 340 events wait" in " ".join(shown.split())
    first, second = operator.json("units")
    assert (first["state"], second["state"]) == ("problem", "ok")
    assert [one["code"] for one in first["troubles"]] == ["stuck"]
    assert (first["temperature_c"], first["progress_s"], first["disk"]) == (61.0, 720.0, None)
    assert [row["label"] for row in operator.json("units", "--problems")] == ["door-12"]
    operator.run("units", "--check", "--json")
    assert operator.code == 1
    says(operator, stuck, waiting_events=2, progress_s=1.0)
    operator.run("units", "--check")
    assert operator.code == 0
    assert "No unit has a problem." in operator.run("units", "--problems")


def test_what_waits_in_quarantine_and_a_copied_card_are_seen_at_the_unit(operator: Operator) -> None:
    unit_id = operator.add_unit()["unit_id"]
    now = SystemClock().now()
    says(operator, unit_id)
    with operator.database.transaction() as connection:
        keep_refused(connection, [(Refused(unit_id, EPOCH, 1, "invalid", "", b"{}", "0" * 64), now)])
        connection.execute(
            epochs.insert().values(
                unit_id=unit_id, epoch=EPOCH, high_water=0, first_heard_at=now, last_heard_at=now, cloned_at=now
            )
        )
    [line] = operator.json("unit", "list")
    assert line["quarantined"] == 1
    assert [one["code"] for one in line["troubles"]] == ["cloned", "quarantined"]
    assert "1 message waits for your decision" in " ".join(operator.run("units").split())


def test_a_push_waits_for_confirmations_and_names_who_did_not(operator: Operator) -> None:
    unit_id = operator.add_unit()["unit_id"]
    lines = operator.json("gallery", "push", "--timeout", "0")
    assert operator.code == 3
    assert [line["current"] for line in lines] == [False]
    assert "door-12 has not confirmed revision 1" in operator.err
    assert operator.rows(galleries)[0]["push_count"] == 1
    with operator.database.transaction() as connection:
        connection.execute(update(galleries).values(confirmed_revision=1, confirmed_students=4))
    assert "1 of 1 units have their gallery" in operator.run("gallery", "push", "--unit", "door-12")
    assert operator.code == 0
    [line] = operator.json("gallery", "status")
    assert (line["unit_id"], line["current"], line["confirmed_students"]) == (unit_id, True, 4)
    assert [row["action"] for row in operator.rows(audit)].count("gallery.push") == 2


def test_a_push_to_a_unit_nobody_knows_is_refused(operator: Operator) -> None:
    operator.run("gallery", "push", "--unit", "none")
    assert (operator.code, "there is no unit 'none'" in operator.err) == (1, True)
    operator.run("gallery", "push", "--unit", "none", "--all")
    assert operator.code == 2


def test_a_database_that_cannot_be_reached_is_exit_code_three(operator: Operator) -> None:
    text = operator.settings.read_text(encoding="utf-8")
    port = operator.database.address.port
    operator.settings.write_text(text.replace(f"port = {port}", "port = 1"), encoding="utf-8")
    operator.run("unit", "list")
    assert operator.code == 3
    assert "no database listens" in operator.err


def test_a_wrong_password_is_exit_code_one_with_a_hint(operator: Operator) -> None:
    (operator.folder / "database.password").write_text("wrong", encoding="utf-8")
    operator.run("unit", "list")
    assert operator.code == 1
    assert "database.password_file" in operator.err
    assert "Traceback" not in operator.err


def test_a_missing_settings_file_and_a_wrong_option_are_told_apart(tmp_path: Path) -> None:
    missing = CliRunner().invoke(app, ["--config", str(tmp_path / "none.toml"), "unit", "list"])
    assert (missing.exit_code, "there is no settings file" in missing.stderr) == (1, True)
    assert CliRunner().invoke(app, ["unit", "list", "--colour"]).exit_code == 2


def test_an_office_closes_its_connections(operator: Operator) -> None:
    with open_office(load_settings(operator.settings, {}), "ada") as office:
        assert isinstance(office, Office)
        office.database.check_schema()


@pytest.mark.parametrize("name", ["hub.key", "hub_signing.key"])
def test_a_lost_key_is_not_replaced_while_units_know_it(operator: Operator, name: str) -> None:
    operator.add_unit()
    (operator.folder / name).unlink()
    operator.run("db", "migrate")
    assert operator.code == 1
    assert "hub.key" in operator.err
    assert "hub_signing.key" in operator.err
    assert not (operator.folder / name).exists()


def losing_the_answer(monkeypatch: pytest.MonkeyPatch, *, before_commit: bool, stays_away: bool) -> None:
    """The first transaction that holds a unit breaks before or after its commit; later ones may find nobody."""
    real = Database.transaction
    broken: list[bool] = []

    @contextmanager
    def transaction(self: Database, *arguments: Any) -> Iterator[Connection]:
        if broken and stays_away:
            raise StoreUnavailable("no database listens")
        with real(self, *arguments) as connection:
            yield connection
            lose = not broken and connection.execute(units.select()).first() is not None
            if lose and before_commit:
                broken.append(True)
                raise TransactionLost("the connection broke")
        if lose:
            broken.append(True)
            raise TransactionLost("the connection broke")

    monkeypatch.setattr(Database, "transaction", transaction)


@pytest.mark.parametrize(
    ("before_commit", "stays_away", "expected"),
    [(False, False, (0, True, 1)), (True, False, (3, False, 0)), (False, True, (3, True, 1))],
    ids=["committed", "rolled back", "nobody knows"],
)
def test_a_lost_answer_to_the_commit_never_costs_a_unit_its_only_key(
    operator: Operator,
    monkeypatch: pytest.MonkeyPatch,
    before_commit: bool,
    stays_away: bool,
    expected: tuple[int, bool, int],
) -> None:
    with monkeypatch.context() as patch:
        losing_the_answer(patch, before_commit=before_commit, stays_away=stays_away)
        operator.run("unit", "add", "door-12", "--room", "12", "--out", str(operator.folder / "door-12"))
    kept = (operator.folder / "door-12" / "unit.key").exists()
    assert (operator.code, kept, len(operator.rows(units))) == expected
    assert ("unit list" in operator.err) is stays_away
