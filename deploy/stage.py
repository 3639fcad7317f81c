"""A whole school on one machine, for the demonstration and the system tests: broker, database, hub, units.

Everything lies in one scratch folder and ends with this program. Hub and units are separate processes and are spoken to
as their operators do: through their commands and settings files.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.environment import PROJECT
from deploy.own_process import wait_until
from deploy.private_servers import MosquittoSettings, PrivateMariaDb, PrivateMosquitto
from deploy.programs import CommandFailed, Program, read_json, run_command

PACK = PROJECT / "build" / "packs" / "dlib"
SITE = "demo"
HUB_RUNS = "serving site="
UNIT_RUNS = "unit runs"


@dataclass(slots=True)
class StagedUnit:
    """A unit's folder, as `unit add` wrote it."""

    label: str
    folder: Path

    @property
    def settings(self) -> Path:
        """Its settings file."""
        return self.folder / "edge.toml"

    @property
    def csv_folder(self) -> Path:
        """Where its daily CSV files are."""
        return self.folder / "data" / "csv"

    def program(self, camera: Mapping[str, str]) -> Program:
        """Return the unit's daemon with this camera; start it with `start`."""
        arguments = ["run", *self._choose(), "--json"]
        return Program("unit", self.folder, "edge", arguments, UNIT_RUNS, camera_variables(camera))

    def command(self, *arguments: str, allowed: tuple[int, ...] = (0,), camera: Mapping[str, str] | None = None) -> Any:
        """Run a command of the unit; return what it printed as JSON when `--json` is among the arguments."""
        done = run_command(
            "edge",
            [arguments[0], *self._choose(), *arguments[1:]],
            folder=self.folder,
            variables=camera_variables(camera or {}),
            allowed=allowed,
        )
        return read_json(done) if "--json" in arguments else done.stdout

    def events(self) -> list[dict[str, Any]]:
        """Return everything the unit has written down, with `delivery`."""
        events: list[dict[str, Any]] = self.command("events", "--limit", "1000000", "--json")
        return events

    def _choose(self) -> list[str]:
        return ["--config", str(self.settings)]


def camera_variables(camera: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables that set keys of a unit's settings: `camera` keys, or `group__key`."""
    return {
        f"ROLLCALL_EDGE_{key.upper() if '__' in key else 'CAMERA__' + key.upper()}": value
        for key, value in camera.items()
    }


@dataclass(slots=True)
class Stage:
    """Servers and hub in `folder`. Use it as a context manager."""

    folder: Path
    pack: Path = PACK
    broker: PrivateMosquitto = field(init=False)
    database: PrivateMariaDb = field(init=False)
    hub: Program = field(init=False)

    def __post_init__(self) -> None:
        """Lay out the folder."""
        # The broker keeps nothing over a restart: whatever survives, survives because of us.
        self.broker = PrivateMosquitto(self.folder / "broker", settings=MosquittoSettings(persistence=False))
        self.database = PrivateMariaDb(self.folder / "database")
        hub_folder = self.folder / "hub"
        self.hub = Program("hub", hub_folder, "hub", ["--config", str(hub_folder / "hub.toml"), "serve"], HUB_RUNS)

    def __enter__(self) -> "Stage":
        self.start_servers()
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def start_servers(self) -> None:
        """Start broker and database, write the hub's settings, bring the database to the current schema."""
        self.broker.start()
        self.database.start()
        self._write_hub_settings()
        self.office("db", "migrate")

    def close(self) -> None:
        """Stop everything that runs."""
        for process in (self.hub, self.broker, self.database):
            process.stop()

    def office(self, *arguments: str, allowed: tuple[int, ...] = (0,)) -> Any:
        """Run an operator's command; return what it printed as JSON when `--json` is among the arguments."""
        hub_folder = self.folder / "hub"
        settings = ["--config", str(hub_folder / "hub.toml"), "--actor", "demo"]
        done = run_command("hub", [*settings, *arguments], folder=hub_folder, allowed=allowed)
        return read_json(done) if "--json" in arguments else done.stdout

    def add_unit(self, label: str, room: str) -> StagedUnit:
        """Add a unit and return its folder."""
        folder = self.folder / label
        self.office(
            "unit", "add", label, "--room", room, "--out", str(folder), "--pack-dir", str(self.pack),
            "--data-dir", "data", "--camera", "0", "--broker-host", self.broker.host,
            "--broker-port", str(self.broker.port),
        )  # fmt: skip
        return StagedUnit(label, folder)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement in the hub's database."""
        server = self.database.server
        return server.execute(statement, server.database(self.database.database))

    def register(self, day: str) -> dict[str, Any]:
        """Return the register of one day as `register show --json` prints it."""
        sheet: dict[str, Any] = self.office("register", "show", "--date", day, "--json")
        return sheet

    def wait_for_gallery(self, timeout_s: int = 60) -> None:
        """Push galleries until every unit has confirmed. Raises CommandFailed."""
        self.office("gallery", "push", "--timeout", str(timeout_s))

    def _write_hub_settings(self) -> None:
        folder = self.folder / "hub"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        password = folder / "database.password"
        password.write_text(self.database.password + "\n", encoding="utf-8")
        password.chmod(0o600)
        (folder / "hub.toml").write_text(
            f"""\
site = "{SITE}"
time_zone = "UTC"
data_dir = "data"

[database]
host = "{self.database.host}"
port = {self.database.port}
name = "{self.database.database}"
user = "{self.database.user}"
password_file = "database.password"

[broker]
host = "{self.broker.host}"
port = {self.broker.port}

[keys]
hub_key_file = "hub.key"
signing_key_file = "hub_signing.key"

[recognition]
pack_dir = "{self.pack}"
""",
            encoding="utf-8",
        )


__all__ = ["CommandFailed", "Stage", "StagedUnit", "wait_until"]
