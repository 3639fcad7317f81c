"""A school on the bench: private broker and database, a hub, and units with scripted eyes, each part restartable."""

import hashlib
import os
import signal
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from sqlalchemy import Connection

from deploy.own_process import wait_until
from deploy.private_servers import MosquittoSettings
from deploy.stage import HUB_RUNS, PACK, Stage
from hub.adapters import gallery_revisions, roster_store, template_store
from hub.adapters.template_store import NewTemplate
from hub.bootstrap.office import open_office
from hub.office import consents, rooms, sections, students, tables, units
from hub.office.context import Office
from hub.settings import load_settings
from recognition.adapters.pack_files import read_manifest
from tests.faults import records
from tests.faults.bench_unit import BenchUnit
from tests.faults.checker import HubRecord, Verdict, judge
from tests.faults.parts import BenchMariaDb, BenchMosquitto, Part, settings_variables
from tests.faults.proxy import FINE, Proxy
from tests.faults.scripted_eyes import vector_of

ROOM, SECTION = "Room 12", "7a"
STUDENTS = 20


class School(Stage):
    """Broker, database, hub and `count` units. Use it as a context manager: all of it runs inside.

    With `lines`, the units' way to the broker and the hub's way to the database lead through a proxy each.
    """

    def __init__(
        self,
        folder: Path,
        pack: Path = PACK,
        *,
        count: int = 1,
        seed: int = 0,
        lines: bool = False,
        mosquitto: MosquittoSettings | None = None,
        database_options: Sequence[str] = (),
        hub_settings: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(folder, pack)
        self.broker: BenchMosquitto = BenchMosquitto(folder / "broker", settings=mosquitto or MosquittoSettings())
        self.database: BenchMariaDb = BenchMariaDb(folder / "database", options=database_options)
        self.hub: Part = self.make_hub("hub")
        self.units: list[BenchUnit] = []
        self.broker_line: Proxy | None = None
        self.database_line: Proxy | None = None
        self._count, self._seed, self._lines = count, seed, lines
        self._hub_settings = dict(hub_settings or {})
        self._stack = ExitStack()
        self._office: Office | None = None

    def make_hub(self, name: str) -> Part:
        """Return a hub process with the school's settings, not started."""
        folder = self.folder / "hub"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        arguments = ["--", "--config", str(folder / "hub.toml"), "serve"]
        return Part(name, folder, "tests.faults.scripted_hub", arguments, HUB_RUNS)

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        return self

    def _open(self) -> None:
        self.broker.start()
        self.database.start()
        self._write_hub_settings()
        tables.migrate(self.office_in_process)
        enrol_students(self.office_in_process, self.pack)
        if self._lines:
            self.broker_line = self._stack.enter_context(Proxy(self.broker.port, self._seed))
            self.database_line = self._stack.enter_context(Proxy(self.database.port, self._seed + 1))
            self._hub_settings["database__port"] = self.database_line.port
        self.hub.variables = settings_variables("hub", self._hub_settings)
        for number in range(self._count):
            self.new_unit(f"unit-{number + 1}", self._seed * 100 + number)
        self.hub.start()

    def close(self) -> None:
        """Stop everything that runs."""
        for unit in self.units:
            unit.program.kill()
        self.hub.stop()
        # Nobody needs what they would save.
        self.broker.kill()
        self.database.kill()
        super().close()
        if self._office is not None:
            self._office.database.close()
        self._stack.close()

    @property
    def office_in_process(self) -> Office:
        """The hub's office in this process: a command of its own would take a second each."""
        if self._office is None:
            settings = load_settings(self.folder / "hub" / "hub.toml", {})
            self._office = open_office(settings, "bench")
        return self._office

    def broker_signal(self, number: signal.Signals) -> None:
        """Send the broker a signal, to freeze it and let it go on."""
        os.kill(self.broker.pid, number)

    def hub_signal(self, number: signal.Signals) -> None:
        """Send the hub a signal."""
        self.hub.signal(number)

    def database_signal(self, number: signal.Signals) -> None:
        """Send the database a signal, to freeze it and let it go on."""
        os.kill(self.database.pid, number)

    @property
    def unit(self) -> BenchUnit:
        """The first unit."""
        return self.units[0]

    def new_unit(self, label: str, seed: int) -> BenchUnit:
        """Add a unit, not started."""
        folder = self.folder / label
        port = self.broker_line.port if self.broker_line is not None else self.broker.port
        new = units.NewUnit(
            label=label,
            room=ROOM,
            folder=folder,
            broker_host=self.broker.host,
            broker_port=port,
            pack_dir=self.pack,
            data_dir=Path("data"),
            camera="0",
        )
        made = units.add(self.office_in_process, new)
        unit = BenchUnit(label, made["unit_id"], folder, port, seed)
        self.units.append(unit)
        return unit

    def run_units(self) -> None:
        """Start every unit and wait until each recognises somebody."""
        for unit in self.units:
            unit.begin()
        for unit in self.units:
            if not wait_until(lambda unit=unit: unit.committed() > 0, 60):  # type: ignore[misc]
                raise AssertionError(f"{unit.label} writes nothing down:\n{unit.program.words()[-2000:]}")

    def at_hub(self) -> int:
        """Return how many events the hub has."""
        return int(self.query("SELECT COUNT(*) FROM events")[0][0])

    def statuses(self) -> dict[str, dict[str, Any]]:
        """Return each unit's line of `rollcall-hub unit list`, by label."""
        return {line["label"]: line for line in units.everyone(self.office_in_process)}

    def settle(self, *, galleries: bool = True) -> tuple[list[str], Verdict]:
        """Let everything run without faults until nothing waits; return what was wrong and the judge's verdict."""
        for proxy in (self.broker_line, self.database_line):
            if proxy is not None:
                proxy.weather, proxy.snare = FINE, None
        for server in (self.broker, self.database):
            server.start()
        self.hub.extra = []
        if not self.hub.ready:
            self.hub.stop()
            self.hub.start()
        return self._finish_units(), self.verdict(galleries=galleries)

    def _finish_units(self) -> list[str]:
        if not self.units:
            return []
        with ThreadPoolExecutor(len(self.units)) as pool:
            return [problem for problem in pool.map(BenchUnit.finish, self.units) if problem is not None]

    def hub_record(self) -> HubRecord:
        """Return what the hub holds."""
        return records.read_hub(self.database.server, self.database.server.database(self.database.database))

    def verdict(self, *, galleries: bool = True, settled: bool = True) -> Verdict:
        """Return the judge's verdict on what is there now."""
        hub = self.hub_record()
        if not galleries:
            hub = type(hub)(hub.events, hub.quarantined)
        return judge([unit.record() for unit in self.units], hub, settled=settled)


def enrol_students(office: Office, pack: Path, count: int = STUDENTS) -> None:
    """Add a room, a section and students who agreed, with made-up templates of this pack, through the hub's stores."""
    rooms.add_room(office, ROOM)
    sections.add_section(office, SECTION)
    for number in range(1, count + 1):
        form = {"serial_number": f"{number:04d}", "name": f"Student {number}", "section": SECTION}
        students.add_student(office, form)
        consents.give_consent(office, {"serial_number": f"{number:04d}", "given_by": "the bench"})
    add_templates(office, pack, range(1, count + 1))


def add_templates(office: Office, pack: Path, numbers: Iterable[int] = range(1, STUDENTS + 1)) -> None:
    """Give the students of these numbers a made-up template of this pack."""
    manifest = read_manifest(pack)

    def work(connection: Connection) -> None:
        at = office.clock.now()
        serials = [f"{number:04d}" for number in numbers]
        for serial, student in roster_store.find_students(connection, serials).items():
            vector = vector_of(int(serial), manifest.embedder.dimensions)
            sha256 = hashlib.sha256(f"{serial} {manifest.pack_id}".encode()).digest()
            template = NewTemplate(str(uuid4()), student.student_id, manifest.pack_id, vector, "bench", 120.0, sha256)
            template_store.insert_template(connection, office.keys.hub_key(), template, at)
        gallery_revisions.touch_galleries(connection, at)

    office.database.run(work)


def student_id(school: School, number: int) -> str:
    """Return a student's id."""
    found = school.query(f"SELECT LOWER(HEX(id)) FROM students WHERE serial_number = '{number:04d}'")[0][0]  # noqa: S608
    text = str(found)
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def now_utc() -> datetime:
    """Return what time it really is."""
    return datetime.now(UTC)  # noqa: TID251 (the bench is outside of the programs)


def with_file(data_dir: Path, work: Callable[[sqlite3.Connection], None]) -> None:
    """Change a stopped unit's database file from outside."""
    connection = sqlite3.connect(data_dir / records.UNIT_FILE)
    try:
        work(connection)
        connection.commit()
    finally:
        connection.close()
