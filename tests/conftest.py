"""Fixtures that every test folder shares: real servers, the compiled model pack, the folder of shared data.

A test that uses one of them need not carry the marker: it is added here from the fixtures it asks for.

- `mariadb`, `database`, `broker`: one server for the whole run. Their content is shared, so a test uses its own
  database and its own site name in topics.
- `own_broker`, `own_mariadb`: the test's own server, for tests that stop, kill and restart it.
"""

import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import hypothesis
import pytest

from deploy.database_server import Database, DatabaseServer
from deploy.environment import PROJECT, developers_broker, developers_mysql, servers_are_required, shared_data_folder
from deploy.mqtt_answer import broker_version
from deploy.own_process import ServerMissing
from deploy.private_servers import MosquittoSettings, PrivateMariaDb, PrivateMosquitto

# No test fails for being slow on a busy machine: speed is compared by `make bench`, in one run.
hypothesis.settings.register_profile("rollcall", deadline=None)
# For `make check`, which is run before every commit: `make test` looks further.
hypothesis.settings.register_profile("check", deadline=None, max_examples=25)
hypothesis.settings.load_profile("rollcall")

PACK = PROJECT / "build" / "packs" / "dlib"
PACK_TIMEOUT_S = 600

MARKER_BY_FIXTURE = {
    "mariadb": "server",
    "database": "server",
    "broker": "server",
    "own_broker": "server",
    "own_mariadb": "server",
    "pack_folder": "model",
    "shared_folder": "shared",
}

# The shared database server outlives every test: whoever looks at crashes has one of their own, which writes as a
# school's does.
NEVER_KILLED = ("--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync", "--sync-frm=0")

# These start processes, fill disks or wait for real time-outs: right for `make test`, too slow for `make check`.
MACHINE_FOLDERS = frozenset({"deploy_servers", "edge_adapters", "edge_cli", "recognition_build"})

LONG_FOLDERS = {
    name: place
    for place, name in enumerate(
        (
            "system",
            "faults",
            "recognition_build",
            "recognition_adapters",
            "recognition_evaluation",
            "simulation",
            "deploy_bench",
            "recognition_core",
            "hub_adapters",
        )
    )
}

_versions = pytest.StashKey[set[str]]()
_Server = TypeVar("_Server", PrivateMosquitto, PrivateMariaDb)
_ran = pytest.StashKey[set[str]]()


@dataclass(frozen=True, slots=True)
class Broker:
    """Where a broker listens."""

    host: str
    port: int


@pytest.hookimpl(tryfirst=True)  # before `-m` decides what to leave out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by what it needs."""
    # Those with long files first: otherwise one process works through the last of them while the others have nothing.
    items.sort(key=lambda item: LONG_FOLDERS.get(item.path.parent.name, len(LONG_FOLDERS)))
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in MARKER_BY_FIXTURE:
                item.add_marker(MARKER_BY_FIXTURE[fixture])
        if item.path.parent.name in MACHINE_FOLDERS:
            item.add_marker("machine")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember each test that really ran against a server, passed or failed."""
    report = yield
    if call.when == "call" and not report.skipped and item.get_closest_marker("server"):
        item.config.stash.setdefault(_ran, set()).add(item.nodeid)
    return report


class Workers:
    """Brings together what tests in several processes (pytest-xdist) noted for the line at the end."""

    def pytest_testnodedown(self, node: Any, error: object | None) -> None:  # noqa: ARG002 (the plugin's signature)
        """Add what one process noted."""
        noted: dict[str, list[str]] = getattr(node, "workeroutput", {})
        for key, name in ((_ran, "ran"), (_versions, "versions")):
            together: set[str] = node.config.stash.setdefault(key, set())
            together.update(noted.get(name, []))


def pytest_configure(config: pytest.Config) -> None:
    """Listen to other processes, should there be any."""
    if config.pluginmanager.hasplugin("xdist"):
        config.pluginmanager.register(Workers())


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a process of several: hand on what was noted."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        for key, name in ((_ran, "ran"), (_versions, "versions")):
            noted: set[str] = session.config.stash.setdefault(key, set())
            output[name] = sorted(noted)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say at the end how many tests had real servers, so that a run without any cannot pass for one."""
    ran = len(config.stash.setdefault(_ran, set()))
    if ran:
        versions: set[str] = config.stash.setdefault(_versions, set())
        names = ", ".join(sorted(versions, reverse=True))
        terminalreporter.write_line(f"{ran} tests ran against real servers ({names})")
    else:
        terminalreporter.write_line("no test ran against real servers")


def missing_server(error: ServerMissing) -> NoReturn:
    """Fail or skip, as ROLLCALL_REQUIRE_SERVERS says."""
    if servers_are_required():
        pytest.fail(str(error))
    pytest.skip(str(error))


def note_server(config: pytest.Config, *versions: str) -> None:
    """Remember which servers ran, for the line at the end."""
    config.stash.setdefault(_versions, set()).update(versions)


@contextmanager
def running(server: _Server, config: pytest.Config) -> Iterator[_Server]:
    """Start `server`, note its version for the summary, stop it afterwards."""
    try:
        server.start()
    except ServerMissing as error:
        missing_server(error)
    with server:
        note_server(config, server.version())
        yield server


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Broker]:
    """One broker for the whole run, or the developer's own. Use a site name of your own in topics."""
    address = developers_broker()
    if address is not None:
        host, _, port = address.rpartition(":")
        note_server(pytestconfig, broker_version(host, int(port)))
        yield Broker(host, int(port))
        return
    with running(PrivateMosquitto(tmp_path_factory.mktemp("broker")), pytestconfig) as server:
        yield Broker(server.host, server.port)


@pytest.fixture
def own_broker(tmp_path: Path, pytestconfig: pytest.Config) -> Iterator[PrivateMosquitto]:
    """A broker of the test's own, to stop, kill and start again; it keeps retained messages over that."""
    server = PrivateMosquitto(tmp_path / "broker", settings=MosquittoSettings(persistence=True))
    with running(server, pytestconfig):
        yield server


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[DatabaseServer]:
    """One database server for the whole run, or the developer's own."""
    address = developers_mysql()
    if address is not None:
        server = DatabaseServer.from_address(address)
        pytestconfig.stash.setdefault(_versions, set()).add(server.version())
        yield server
        return
    with running(PrivateMariaDb(tmp_path_factory.mktemp("mariadb"), options=NEVER_KILLED), pytestconfig) as own:
        yield own.server


@pytest.fixture
def own_mariadb(tmp_path: Path, pytestconfig: pytest.Config) -> Iterator[PrivateMariaDb]:
    """A database server of the test's own, to stop, kill and start again; its data stay over that."""
    with running(PrivateMariaDb(tmp_path / "mariadb"), pytestconfig) as server:
        yield server


@pytest.fixture
def database(mariadb: DatabaseServer) -> Iterator[Database]:
    """A fresh, empty database; it is deleted afterwards."""
    fresh = mariadb.create_database()
    yield fresh
    mariadb.drop_database(fresh)


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The folder of test data that is not part of the project."""
    folder = shared_data_folder()
    if not folder.is_dir():
        pytest.skip(f"the shared test data are not at {folder}; name their folder in ROLLCALL_SHARED")
    return folder


@pytest.fixture(scope="session")
def pack_folder() -> Path:
    """The compiled model pack `dlib`, built now if it is not there or of another format (about half a minute)."""
    PACK.parent.mkdir(parents=True, exist_ok=True)
    with (PACK.parent / ".lock").open("w") as lock:
        # Two test runs at once must not build into the same folder.
        flock(lock, LOCK_EX)
        _build_pack()
    return PACK


def _build_pack() -> None:
    command = [sys.executable, "-m", "recognition.build", "dlib", str(PACK)]
    done = subprocess.run(
        command,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=PACK_TIMEOUT_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        pytest.fail(f"the model pack could not be built (exit {done.returncode}):\n{done.stdout}\n{done.stderr}")
