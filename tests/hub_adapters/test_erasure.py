"""A student is erased with one of three units offline: real broker, real database, the units' own way to their hub.

The hub's loops and the units' delivery run in threads of this process; nothing stands between them but the broker, and
what units hold lies in the files that a unit has.
"""

import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from deploy.own_process import wait_until
from edge.adapters.clock_system import SystemClock as EdgeClock
from edge.adapters.mqtt_uplink import BrokerAddress as UnitsBroker
from edge.adapters.mqtt_uplink import MqttUplink
from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_gallery import SqliteGallery
from edge.adapters.sqlite_journal import SqliteJournal
from edge.core.conversation import Conversation
from edge.core.gallery_pieces import UnitIdentity
from edge.core.telling import Condition, UnitFacts
from edge.loops.delivery import DeliveryLoop
from edge.loops.gallery import GalleryKeeper
from edge.loops.health import Health
from edge.loops.recorder import Recorder
from edge.loops.surroundings import UnitSurroundings
from hub.adapters.clock import SystemClock
from hub.adapters.event_store import MySqlEventStore
from hub.adapters.gallery_store import GalleryMaking, MySqlGalleryStore
from hub.adapters.key_files import HubKeys
from hub.adapters.mqtt_link import MqttLink
from hub.adapters.mqtt_reasons import BrokerAddress
from hub.adapters.template_store import NewTemplate, insert_template
from hub.cli.erasure import sentences
from hub.core.roles import Role, subscriptions
from hub.loops.ingest import IngestLoop
from hub.loops.publisher import PublisherLoop
from hub.loops.requests import Requests
from hub.office import erasure
from hub.office.context import Office
from hub.office.erasure import ErasureStatus
from hub.settings import HubSettings
from protocol import codec, topics
from protocol.content import GalleryManifest, Head, HeadBody
from protocol.sealing import manifest_context, public_key_of, unseal
from protocol.status import Status
from tests.builders import POINTS
from tests.conftest import Broker
from tests.fakes import MemoryCsv
from tests.hub_adapters.school import DATA_KEY, HUB_KEY, SIGNING_KEY, ZONE, School
from tests.hub_core.builders import PACK, an_id

pytestmark = [pytest.mark.server, pytest.mark.system]
SITE = "erasing"
DIMENSIONS = 32
LABELS = ("room-1", "room-2", "room-3")


@contextmanager
def stepping(*steps: Callable[[], None]) -> Iterator[None]:
    """Call each of these again and again, in a thread of its own."""
    stopping = threading.Event()

    def run(step: Callable[[], None]) -> None:
        while not stopping.is_set():
            step()

    threads = [threading.Thread(target=run, args=(step,), daemon=True) for step in steps]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()


@contextmanager
def serving(school: School, store: MySqlGalleryStore, broker: Broker) -> Iterator[None]:
    """What of `rollcall-hub serve` speaks with units about galleries."""
    link = MqttLink(BrokerAddress(broker.host, broker.port, SITE), subscriptions(SITE, Role()), SystemClock())
    requests = Requests()
    ingest = IngestLoop(
        site=SITE,
        inbox=link.inboxes.desk,
        link=link,
        store=MySqlEventStore(school.database, ZONE),
        clock=SystemClock(),
        on_want=requests.want,
        on_greeted=requests.greeted,
    )
    publisher = PublisherLoop(site=SITE, link=link, store=store, clock=SystemClock(), requests=requests)
    link.start()
    try:
        with stepping(ingest.step, publisher.step):
            yield
    finally:
        link.stop()


@dataclass
class Unit:
    """A unit's folder, and the part of its program that speaks with the hub."""

    unit_id: str
    folder: Path
    broker: Broker
    known: set[str] = field(default_factory=set)

    @contextmanager
    def running(self) -> Iterator[None]:
        """The unit is on; at the end its power is cut."""
        file, clock, health = UnitFile(self.folder), EdgeClock(), Health()
        journal, csv = SqliteJournal(file, clock), MemoryCsv()
        session = journal.next_session()
        identity = UnitIdentity(SITE, self.unit_id, PACK, DATA_KEY, public_key_of(SIGNING_KEY))
        gallery = SqliteGallery(file)
        keeper = GalleryKeeper(identity, gallery, DIMENSIONS, clock, health)
        keeper.open_stored(gallery.signed_head())
        recorder = Recorder(journal, csv, health)
        will = (
            topics.up(SITE, self.unit_id, "status"),
            codec.encode(Status(state="lost", session=session, epoch="e" * 16)),
        )
        address = UnitsBroker(self.broker.host, self.broker.port, self.unit_id, 30)
        uplink = MqttUplink(address, topics.unit_filter(SITE, self.unit_id), will=will)
        live = Condition(frames_per_s=5.0, disk_free_bytes=10**9)
        delivery = DeliveryLoop(
            conversation=Conversation(
                UnitFacts(SITE, self.unit_id, "1", PACK, session),
                journal,
                clock.new_id,
                lambda: 0.0,
                UnitSurroundings(health, keeper, recorder, lambda: live),
            ),
            journal=journal,
            recorder=recorder,
            keeper=keeper,
            uplink=uplink,
            news=uplink.news,
            clock=clock,
            health=health,
        )

        def step() -> None:
            delivery.step(timeout_s=0.1)
            self.known = set(keeper.known.gallery.student_ids)

        uplink.start()
        try:
            with stepping(step):
                yield
        finally:
            uplink.stop()
            file.close()

    def holds(self, *contents: bytes) -> bool:
        """Whether any of these bytes is in any of the unit's files, whatever they are called."""
        files = [path.read_bytes() for path in self.folder.rglob("*") if path.is_file()]
        assert sum(map(len, files)) > 4096
        return any(content in file for content in contents for file in files)


@dataclass
class LaterClock(SystemClock):
    """The same clock, so much later."""

    later: timedelta = timedelta()

    def now(self) -> datetime:
        return super().now() + self.later


def an_office(school: School, folder: Path, later: timedelta = timedelta()) -> Office:
    settings = {"site": SITE, "time_zone": "Europe/Berlin", "recognition": {"pack_dir": str(folder)}}
    keys = HubKeys(folder / "hub.key", folder / "hub_signing.key")
    return Office(HubSettings.model_validate(settings), school.database, keys, LaterClock(later), "tester")


def template_of(store: MySqlGalleryStore, unit_id: str, student_id: str) -> bytes:
    """Return a student's template as it travels to a unit and lies there."""
    prepared = store.head(unit_id)
    assert prepared is not None
    body = HeadBody.model_validate_json(Head.model_validate_json(prepared.payload).body)
    sealed = store.content(unit_id, "manifest", body.manifest_hash)
    assert sealed is not None
    manifest = GalleryManifest.model_validate_json(unseal(DATA_KEY, sealed, *manifest_context(unit_id)))
    [name] = [entry.template_hash for entry in manifest.entries if entry.student_id == student_id]
    assert name is not None
    blob = store.content(unit_id, "template", name)
    assert blob is not None
    return blob


def enrol(school: School, number: int) -> tuple[str, bytes]:
    """Return a new student with a consent and a template, and its vector."""
    student_id = school.student(number, enrolled=False)
    vector = np.random.default_rng(number).normal(size=DIMENSIONS).astype("<f4")
    vector /= np.linalg.norm(vector)
    new = NewTemplate(an_id(number), student_id, PACK, vector, "file", 120.0, bytes([number]) * 32)
    with school.database.transaction() as connection:
        insert_template(connection, HUB_KEY, new, SystemClock().now())
    return student_id, vector.tobytes()


def test_a_student_is_erased_with_a_unit_offline_and_on_that_one_when_it_returns(
    school: School, broker: Broker, tmp_path: Path
) -> None:
    ada, vector = enrol(school, 1)
    grace, _ = enrol(school, 2)
    units = [
        Unit(school.unit(an_id(40 + place), label=label), tmp_path / label, broker)
        for place, label in enumerate(LABELS)
    ]
    making = GalleryMaking(
        site=SITE,
        pack_id=PACK,
        hub_key=HUB_KEY,
        signing_key=SIGNING_KEY,
        points=lambda *_: POINTS.to_dict(),
        rises=lambda *_: {},
    )
    store = MySqlGalleryStore(school.database, SystemClock(), making)
    office = an_office(school, tmp_path)

    def status() -> ErasureStatus:
        return erasure.status(office, ada)

    first, second, third = units
    with serving(school, store, broker), first.running(), second.running():
        with third.running():
            assert wait_until(lambda: all(unit.known == {ada, grace} for unit in units), 30)
        theirs = {unit.unit_id: template_of(store, unit.unit_id, ada) for unit in units}
        # As it lies at a unit, and as whoever broke the seal could have written it down.
        secrets = [*theirs.values(), vector, b64encode(vector), b64encode(vector)[:-4], vector[: 4 * 4]]
        assert [unit.holds(theirs[unit.unit_id]) for unit in units] == [True, True, True]

        done = erasure.erase(office, "0001", policy="pseudonymise")
        assert done.templates_deleted == 1
        assert wait_until(lambda: status().erased == 2, 30), status()
        assert {one.label: one.state for one in status().units} == {
            "room-1": "erased",
            "room-2": "erased",
            "room-3": "waiting",
        }
        later = an_office(school, tmp_path, timedelta(minutes=10))
        lines = sentences(erasure.status(later, ada), office.settings.zone)
        assert "erased on 2 of 3, at " in lines[0]
        assert lines[1].startswith("  waiting: room-3 (offline since ")
        assert [unit.holds(*secrets) for unit in units] == [False, False, True]
        assert [unit.known for unit in (first, second)] == [{grace}, {grace}]

        with third.running():
            assert wait_until(lambda: status().complete, 30), status()
            assert third.known == {grace}
        whole = status()
        assert (whole.erased, len(whole.units)) == (3, 3)
        assert whole.completed_at == max(one.confirmed_at for one in whole.units if one.confirmed_at)
        assert [unit.holds(*secrets) for unit in units] == [False, False, False]
        # Nobody else was lost on the way.
        assert all(unit.holds(template_of(store, unit.unit_id, grace)) for unit in units)
