"""The hub under a fleet that comes back: events a second into the database, and what a live event waits meanwhile.

Real processes: a broker and a database of our own, the hub as it is served, simulated units. Beside it, in the
same run and into the same table, the loop anybody would write first: `executemany`, a thousand rows a commit.
"""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import mysql.connector

from deploy.bench.contest import Contest
from deploy.bench.figures import Target
from deploy.bench.fleet import Plan
from deploy.bench.fleet_unit import BATCH_EVENTS, FleetUnit, unit_id_of
from deploy.bench.servant import read_memory_mb
from deploy.database_server import Database as ServerDatabase
from deploy.environment import PROJECT, program_environment
from deploy.own_process import ServerFailed, ServerMissing
from deploy.private_servers import PrivateMariaDb, PrivateMosquitto
from deploy.programs import Program
from hub.adapters.clock import SystemClock
from hub.adapters.database import Database, DatabaseAddress
from hub.adapters.gallery_revisions import seal_data_key
from hub.adapters.migrations import migrate
from hub.adapters.schema import events, rooms, units
from hub.core.ingest import Batch, sort_batch
from protocol.base import canonical_bytes
from protocol.codec import decode
from protocol.delivery import EventBatch
from protocol.topics import up

SITE = "bench"
RATE = Target(ratio=0.5, at_least=20_000.0)
LIVE = Target(at_most=2.0)
LIVE_UNITS = 20
_BARE_ROWS = 1000
_FLEET_TIMEOUT_S = 900
_MARIADB = (
    # Of usual size for a server; nothing of how safely it commits is changed.
    "--innodb-buffer-pool-size=512M",
    "--innodb-log-file-size=256M",
)


def measure_ingest(contest: Contest) -> None:
    """Measure the bare loop, one and two workers, and the drain of a large backlog with live events."""
    folder = contest.scratch / "ingest"
    try:
        with (
            PrivateMariaDb(folder / "mariadb", options=_MARIADB) as mariadb,
            PrivateMosquitto(folder / "broker") as broker,
        ):
            _measure(contest, Place(folder, contest.pack, mariadb, broker))
    except (ServerMissing, ServerFailed) as exc:
        contest.report.missing("hub ingest", str(exc))


@dataclass(frozen=True, slots=True)
class Place:
    """Where everything is."""

    folder: Path
    pack: Path
    mariadb: PrivateMariaDb
    broker: PrivateMosquitto
    hub_key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)


def _measure(contest: Contest, place: Place) -> None:
    effort = contest.effort
    contest.say(f"bare executemany, {effort.ingest_events} events")
    bare = "bare executemany"
    bare_rate = measure_bare(place, effort.ingest_events)
    contest.report.add(f"hub ingest: {bare}", bare_rate, "events/s")
    batches = max(1, effort.ingest_events // (BATCH_EVENTS * min(100, effort.fleet_units)))
    for workers in (1, 2):
        contest.say(f"hub ingest, {workers} workers")
        plan = _plan(place, units=min(100, effort.fleet_units), batches=batches, in_flight=4)
        run = measure_fleet(place, plan, workers)
        name = f"hub ingest, {workers} worker{'s' if workers > 1 else ''}"
        if not run.complete:
            contest.report.missing(name, f"{run.fleet['unanswered']} batches were never answered")
            continue
        target = RATE if workers == 1 else None
        contest.report.compare_rate(name, run.rate, (bare, bare_rate), target, unit="events/s")
        contest.report.add(f"{name}, processor time of the hub", run.hub_us, "us/event")
        contest.report.add(f"{name}, processor time of the database", run.database_us, "us/event")
    _measure_drain(contest, place)


def _measure_drain(contest: Contest, place: Place) -> None:
    effort = contest.effort
    plan = _plan(
        place,
        units=effort.fleet_units,
        batches=effort.backlog_batches,
        in_flight=1,
        live_units=min(LIVE_UNITS, effort.fleet_units),
    )
    total = plan.units * plan.batches * BATCH_EVENTS
    name = f"backlog of {total} events from {plan.units} units"
    contest.say(name)
    run = measure_fleet(place, plan, workers=1)
    if not run.complete:
        contest.report.missing(name, f"{run.fleet['unanswered']} batches were never answered")
        return
    contest.report.add(f"{name}, drained", run.rate, "events/s")
    for share in ("p50", "p99"):
        value = run.fleet[f"live_{share}_s"]
        target = LIVE if share == "p99" else None
        contest.report.add(f"{name}: live event to receipt meanwhile, {share}", value, "s", target)
    contest.report.add(f"{name}: live events", run.fleet["live"], "events")
    for who, memory_mb in run.memory_mb.items():
        contest.report.add(f"{name}: memory of the {who}", memory_mb, "MB")


def _plan(place: Place, **values: Any) -> Plan:
    return Plan(host=place.broker.host, port=place.broker.port, site=SITE, first_unit=0, **values)


# ---- the loop anybody would write ----------------------------------------------------------------------------------


def measure_bare(place: Place, count: int) -> float:
    """Return the events a second of `executemany` into the events table, made ready before; one connection."""
    with fresh_database(place, units_there=1) as database:
        rows = [row for _ in range(count // BATCH_EVENTS) for row in _rows(_UNIT_OF_BARE)]
        columns = [column.name for column in events.columns if column.name in rows[0]]
        statement = (
            f"INSERT INTO events ({', '.join(columns)})"  # noqa: S608 (names of columns)
            f" VALUES ({', '.join(['%s'] * len(columns))})"
        )
        values = [tuple(row[name] for name in columns) for row in rows]
        connection = mysql.connector.connect(
            host=database.host,
            port=database.port,
            user=database.user,
            password=database.password,
            database=database.name,
            charset="utf8mb4",
            collation="utf8mb4_unicode_ci",
        )
        try:
            cursor = connection.cursor()
            begun_s = time.monotonic()
            for at in range(0, len(values), _BARE_ROWS):
                cursor.executemany(statement, values[at : at + _BARE_ROWS])
                connection.commit()
            return len(values) / (time.monotonic() - begun_s)
        finally:
            connection.close()


_UNIT_OF_BARE = FleetUnit(0, SystemClock().now())


def _rows(unit: FleetUnit) -> Iterator[dict[str, Any]]:
    batch = _sorted(unit)
    for row in batch.rows:
        event = row.event
        at = event.at.replace(tzinfo=None)
        yield {
            "event_id": UUID(event.event_id).bytes,
            "unit_id": UUID(row.unit_id).bytes,
            "epoch": row.epoch,
            "seq": event.seq,
            "kind": event.kind,
            "student_id": None if row.student_id is None else UUID(row.student_id).bytes,
            "at_claimed": at,
            "at_corrected": at,
            "received_at": at,
            "clock": event.clock,
            "boot_id": UUID(event.boot_id).bytes,
            "boottime_ns": event.boottime_ns,
            "body": row.body.decode(),
            "payload_sha256": bytes.fromhex(row.sha256),
        }


def _sorted(unit: FleetUnit) -> Batch:
    """Return the unit's next batch as the hub reads it. Raises ValueError when the hub would refuse some of it."""
    _, payload = unit.batch()
    message = decode(up(SITE, unit.unit_id, "backlog"), payload)
    if not isinstance(message, EventBatch):
        raise TypeError("not a batch")
    batch = sort_batch(unit.unit_id, message, unit.first_at)
    if batch.refused or any(
        row.body != canonical_bytes(raw) for row, raw in zip(batch.rows, message.events, strict=True)
    ):
        raise ValueError("the simulated units do not send what units send")
    return batch


# ---- the hub -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FleetRun:
    """What the fleet saw, and what the run cost."""

    fleet: dict[str, Any]
    hub_us: float
    database_us: float
    memory_mb: dict[str, float]

    @property
    def complete(self) -> bool:
        """Whether everything was committed and answered."""
        return bool(self.fleet["seconds"]) and not self.fleet["unanswered"]

    @property
    def rate(self) -> float:
        """Events committed and confirmed in a second."""
        return float(self.fleet["committed"] / self.fleet["seconds"])


def measure_fleet(place: Place, plan: Plan, workers: int) -> FleetRun:
    """Let a fleet send to a hub with so many workers, into an empty database. Raises ServerFailed."""
    with fresh_database(place, units_there=plan.units) as database:
        settings = write_hub(place, database)
        arguments = ["--config", str(settings), "serve", "--workers", str(workers)]
        with Program("hub", place.folder / "hub", "hub", arguments, "broker connected") as hub:
            while hub.words().count("broker connected") < workers:
                time.sleep(0.05)
            before = cpu_s(family(hub.pid)), cpu_s([place.mariadb.pid])
            fleet = _run_fleet(plan)
            hub_s, database_s = (
                cpu_s(family(hub.pid)) - before[0],
                cpu_s([place.mariadb.pid]) - before[1],
            )
            memory = {
                "hub": sum(memory_mb(one) for one in family(hub.pid)),
                "broker": memory_mb(place.broker.pid),
                "database": memory_mb(place.mariadb.pid),
            }
    committed = max(1, fleet["committed"])
    return FleetRun(fleet, hub_s / committed * 1e6, database_s / committed * 1e6, memory)


def _run_fleet(plan: Plan) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.bench.fleet"],
        cwd=PROJECT,
        env=program_environment(),
        input=json.dumps(asdict(plan)),
        capture_output=True,
        text=True,
        timeout=_FLEET_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise ServerFailed(f"the simulated fleet ended with {done.returncode}: {done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@contextmanager
def fresh_database(place: Place, *, units_there: int) -> Iterator[ServerDatabase]:
    """Give a migrated database in which a fleet of so many units is known; it is dropped afterwards."""
    made = place.mariadb.create_database()
    database = Database(DatabaseAddress(made.host, made.port, made.name, made.user, made.password))
    try:
        database.run(migrate)
        room_id, added_at = str(UUID(int=1)), SystemClock().now()
        with database.transaction() as connection:
            connection.execute(rooms.insert().values(id=room_id, name="1"))
            connection.execute(
                units.insert(),
                [
                    {
                        "id": unit_id_of(number),
                        "label": f"unit-{number}",
                        "room_id": room_id,
                        "data_key_sealed": seal_data_key(place.hub_key, unit_id_of(number), secrets.token_bytes(32)),
                        "added_at": added_at,
                    }
                    for number in range(units_there)
                ],
            )
        yield made
    finally:
        database.close()
        place.mariadb.server.drop_database(made)


def write_hub(place: Place, database: ServerDatabase) -> Path:
    """Write the folder of a hub; return its settings file."""
    folder = place.folder / "hub"
    folder.mkdir(parents=True, exist_ok=True)
    secret_files = {"hub.key": place.hub_key, "hub_signing.key": secrets.token_bytes(32)}
    secret_files["database.password"] = database.password.encode()
    for name, content in secret_files.items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)
    path = folder / "hub.toml"
    path.write_text(
        _SETTINGS.format(
            site=SITE,
            host=database.host,
            port=database.port,
            name=database.name,
            user=database.user,
            broker_port=place.broker.port,
            pack=place.pack,
        ),
        encoding="utf-8",
    )
    return path


_SETTINGS = """\
site = "{site}"
time_zone = "Europe/Berlin"
data_dir = "data"

[database]
host = "{host}"
port = {port}
name = "{name}"
user = "{user}"
password_file = "database.password"

[broker]
port = {broker_port}

[recognition]
pack_dir = "{pack}"
"""


# ---- processes -----------------------------------------------------------------------------------------------------


def family(process: int) -> list[int]:
    """Return a process and those it started. Raises OSError when it is gone."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii").split()
    return [process, *(int(child) for child in children)]


def cpu_s(processes: list[int]) -> float:
    """Return the processor time that these have used, in seconds."""
    ticks = 0
    for process in processes:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mb(process: int) -> float:
    """Return the most memory that a process has had."""
    return read_memory_mb(Path(f"/proc/{process}/status"))["peak"]
