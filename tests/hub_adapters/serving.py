"""A hub that serves as a process of its own, and a unit made by hand that speaks with it."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.environment import PROJECT
from deploy.own_process import wait_until
from deploy.private_servers import PrivateMariaDb
from hub.adapters.clock import SystemClock
from hub.adapters.database import Database
from hub.adapters.migrations import migrate
from hub.adapters.mqtt_link import MqttLink
from hub.adapters.mqtt_reasons import BrokerAddress
from hub.adapters.schema import consents
from protocol.base import Envelope
from protocol.codec import decode, encode
from protocol.delivery import Hello, Welcome
from protocol.topics import parse, unit_filter, up
from tests.hub_adapters.places import an_address, write_settings
from tests.hub_adapters.school import HUB_KEY, SIGNING_KEY
from tests.hub_core.builders import BOOT, EPOCH, PACK, START, an_id

SITE = "test-site"


class Unit:
    """Speaks as a unit does, over the hub's own link turned around."""

    def __init__(self, unit_id: str, port: int) -> None:
        self.unit_id = unit_id
        address = BrokerAddress("127.0.0.1", port, f"unit-{unit_id}-{time.monotonic_ns()}", keepalive_s=5)
        self.link = MqttLink(address, [unit_filter(SITE, unit_id)], SystemClock())
        self.heard: list[Envelope] = []

    def say(self, channel: str, message: Envelope) -> None:
        assert wait_until(
            lambda: self.link.publish(up(SITE, self.unit_id, channel).topic, encode(message)), timeout_s=30
        )

    def hears(self, kind: type[Envelope], fits: Callable[[Any], bool] = lambda _: True) -> Any:
        """Return the first message of a kind that fits, from now or before."""

        def arrived() -> bool:
            self.listen(0.2)
            return any(isinstance(message, kind) and fits(message) for message in self.heard)

        assert wait_until(arrived, timeout_s=40), f"no {kind.__name__} among {[type(one) for one in self.heard]}"
        return next(message for message in self.heard if isinstance(message, kind) and fits(message))

    def listen(self, timeout_s: float) -> None:
        """Add what has arrived to what was heard."""
        self.heard += [decode(parse(one.topic), one.payload) for one in self.link.take(100, timeout_s)]

    def is_welcomed(self) -> None:
        """Say hello until somebody answers: a hello that nobody heard is gone."""

        def answered() -> bool:
            self.say("hello", a_hello())
            self.listen(1)
            return any(isinstance(message, Welcome) for message in self.heard)

        assert wait_until(answered, timeout_s=40)


class Place:
    """A folder with settings, keys and a hub that can be started and stopped."""

    def __init__(self, folder: Path, mariadb: PrivateMariaDb, broker_port: int, pack: Path, more: str = "") -> None:
        database = mariadb.create_database()
        self.settings = write_settings(folder, database, broker_port=broker_port, more=more)
        text = self.settings.read_text(encoding="utf-8").replace('"pack"', json.dumps(str(pack)))
        self.settings.write_text(text, encoding="utf-8")
        for name, content in (("hub.key", HUB_KEY), ("hub_signing.key", SIGNING_KEY)):
            (folder / name).write_bytes(content)
            (folder / name).chmod(0o600)
        self.database = Database(an_address(database))
        self.log = folder / "serve.log"

    @contextmanager
    def serving(self, *options: str) -> Iterator[subprocess.Popen[bytes]]:
        with self.log.open("ab") as output:
            command = [sys.executable, "-m", "hub", "--config", str(self.settings), "serve", *options]
            process = subprocess.Popen(command, cwd=PROJECT, stderr=output, stdout=output)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            begun = time.monotonic()
            try:
                process.wait(15)
            finally:
                process.kill()
                process.wait()
            assert time.monotonic() - begun < 10

    def says(self, text: str, timeout_s: float = 40) -> bool:
        return wait_until(lambda: text in self.log.read_text(encoding="utf-8"), timeout_s)

    def command(self, *arguments: str) -> Any:
        command = [sys.executable, "-m", "hub", "--config", str(self.settings), *arguments, "--json"]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def count(self, table: Any) -> int:
        with self.database.transaction() as connection:
            return len(connection.execute(table.select()).all())


def a_hello() -> Hello:
    return Hello(
        epoch=EPOCH,
        boot_id=BOOT,
        last_seq=0,
        delivered_seq=0,
        gallery_revision=0,
        pack_id=PACK,
        software="1",
        clock="synced",
        at=START,
    )


def a_school(place: Place, folder: Path) -> tuple[str, str, bytes]:
    """Add a room, a student with consent and a unit by the commands; return unit, student and the unit's key."""
    place.database.run(migrate)
    place.command("room", "add", "12")
    place.command("student", "add", "--serial", "0001", "--name", "Ada Lovelace")
    with place.database.transaction() as connection:
        student_id = str(connection.exec_driver_sql("select lower(hex(id)) from students").scalar_one())
        student_id = "-".join((student_id[:8], student_id[8:12], student_id[12:16], student_id[16:20], student_id[20:]))
        connection.execute(
            consents.insert().values(
                id=an_id(9), student_id=student_id, given_at=START.replace(year=2020), given_by="x"
            )
        )
    unit = place.command("unit", "add", "door-12", "--room", "12", "--out", str(folder))
    return unit["unit_id"], student_id, (folder / "unit.key").read_bytes()
