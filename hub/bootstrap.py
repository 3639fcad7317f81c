"""The composition root: settings become databases, keys, links and loops that know nothing of settings."""

import logging
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from hub.adapters.clock import SystemClock
from hub.adapters.database import Database, DatabaseAddress
from hub.adapters.event_store import MySqlEventStore
from hub.adapters.gallery_store import GalleryMaking, MySqlGalleryStore
from hub.adapters.key_files import HubKeys, read_password
from hub.adapters.mqtt_link import MqttLink
from hub.adapters.mqtt_reasons import BrokerAddress
from hub.adapters.register_deriving import MySqlRegisterStore
from hub.core.attendance import Rules, SchoolDays
from hub.core.calibration import Calibration, head_points
from hub.core.errors import BrokerRefused, Fault, StoreUnavailable
from hub.loops.calibrate import CalibrationLoop
from hub.loops.derive import DeriveLoop
from hub.loops.ingest import IngestLoop
from hub.loops.publisher import PublisherLoop, Requests
from hub.loops.supervisor import Supervisor
from hub.office import calibration
from hub.office.context import Office
from hub.settings import BrokerSettings, DatabaseSettings, HubSettings
from protocol.topics import UP_CHANNELS, hub_filter
from recognition.adapters.pack_files import Pack, read_pack

LOG = logging.getLogger("rollcall.hub")
SERVICE_ACTOR = "rollcall-hub serve"
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 10.0


def open_database(settings: DatabaseSettings) -> Database:
    """Return the database; nothing is connected yet. Raises KeyUnusable when the password file cannot be read."""
    return Database(
        DatabaseAddress(
            host=settings.host,
            port=settings.port,
            name=settings.name,
            user=settings.user,
            password=read_password(settings.password_file),
            connect_timeout_s=settings.connect_timeout_s,
            read_timeout_s=settings.read_timeout_s,
            write_timeout_s=settings.write_timeout_s,
            pool_size=settings.pool_size,
        )
    )


def open_keys(settings: HubSettings) -> HubKeys:
    """Return the hub's keys; the files are read when a key is first needed."""
    return HubKeys(settings.keys.hub_key_file, settings.keys.signing_key_file)


def open_office(settings: HubSettings, actor: str) -> Office:
    """Return what operators' commands work with; use it as a context manager. Raises KeyUnusable."""
    return Office(
        settings=settings,
        database=open_database(settings.database),
        keys=open_keys(settings),
        clock=SystemClock(),
        actor=actor,
    )


def open_link(settings: HubSettings, clock: SystemClock) -> MqttLink:
    """Return the connection to the broker, not started yet. Raises KeyUnusable."""
    broker: BrokerSettings = settings.broker
    address = BrokerAddress(
        host=broker.host,
        port=broker.port,
        # Never the same for two processes: the broker would end one connection for the other, back and forth.
        client_id=f"hub-{settings.site}-{secrets.token_hex(4)}",
        username=broker.username,
        password=read_password(broker.password_file),
        keepalive_s=broker.keepalive_s,
    )
    return MqttLink(address, [hub_filter(settings.site, channel) for channel in UP_CHANNELS], clock)


def points_of(pack: Pack, fpir: float) -> Callable[[Calibration | None, Sequence[int]], Mapping[str, Any]]:
    """Return the function from the newest calibration and a gallery's sizes to its points, as units read them."""

    def points(newest: Calibration | None, sizes: Sequence[int]) -> Mapping[str, Any]:
        return head_points(newest, pack.statistics, sizes, fpir)

    return points


class Service:
    """`rollcall-hub serve`: everything that runs, ready to be run once by the main thread."""

    def __init__(self, settings: HubSettings, stopping: threading.Event) -> None:
        """Read keys, pack and passwords; nothing is connected. Raises KeyUnusable, PackError."""
        self._stopping = stopping
        self._clock = SystemClock()
        self._settings = settings
        self._keys = open_keys(settings)
        self._pack = read_pack(settings.recognition.pack_dir)
        self._database = open_database(settings.database)
        self._link = open_link(settings, self._clock)
        self._making = GalleryMaking(
            site=settings.site,
            pack_id=self._pack.pack_id,
            hub_key=self._keys.hub_key(),
            signing_key=self._keys.signing_key(),
            points=points_of(self._pack, settings.recognition.fpir),
            wrong_room_scope=settings.recognition.wrong_room_scope,
        )
        self._galleries = MySqlGalleryStore(self._database, self._clock, self._making)

    def run(self) -> None:
        """Serve until `stopping` is set.

        Waits for a database or broker that cannot be reached. Raises StoreRefused, BrokerRefused for one that does
        not let us in.
        """
        try:
            if self._wait_for_database():
                self._link.start()
                LOG.info("serving site=%s pack=%s", self._settings.site, self._pack.pack_id)
                Supervisor(self._loops(), self._wrong, self._stopping).run()
        finally:
            self._link.stop()
            self._database.close()
            LOG.info("stopped")

    def _wait_for_database(self) -> bool:
        """Return True when the database has our tables, False when we are to stop before that."""
        pause_s, told = _FIRST_PAUSE_S, False
        while not self._stopping.is_set():
            try:
                self._database.check_schema()
                self._galleries.check_key()
            except StoreUnavailable as exc:
                if not told:
                    LOG.warning("waiting for the database reason=%r", str(exc))
                    told = True
                self._stopping.wait(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            else:
                LOG.info("database connected address=%s", self._database.address)
                return True
        return False

    def _wrong(self) -> Exception | None:
        if not self._link.alive:
            return Fault("the thread that drives the connection to the broker ended")
        # Only before it ever let us in: later a broker may be in the middle of being set up anew.
        if self._link.connections == 0 and self._link.refused_for_good:
            return BrokerRefused(
                f"{self._link.refusal} ({self._settings.broker.host}:{self._settings.broker.port})",
                hint="check broker.username and broker.password_file",
            )
        return None

    def _calibrate(self) -> Calibration | None:
        office = Office(self._settings, self._database, self._keys, self._clock, actor=SERVICE_ACTOR)
        outcome = calibration.calibrate(office, self._pack, only_if_due=True)
        return None if outcome is None else outcome.calibration

    def _loops(self) -> list[IngestLoop | PublisherLoop | DeriveLoop | CalibrationLoop]:
        settings, clock, requests = self._settings, self._clock, Requests()
        rules = settings.attendance
        days = SchoolDays(settings.zone, rules.day_from, rules.day_until)
        register = MySqlRegisterStore(
            self._database,
            days,
            Rules(
                early=timedelta(minutes=rules.early_min),
                late_after=timedelta(minutes=rules.late_after_min),
                covered_share=rules.covered_share,
            ),
        )
        return [
            IngestLoop(
                site=settings.site,
                inbox=self._link,
                link=self._link,
                store=MySqlEventStore(self._database, settings.zone),
                clock=clock,
                on_want=requests.want,
                on_greeted=requests.greeted,
            ),
            PublisherLoop(
                site=settings.site,
                link=self._link,
                store=self._galleries,
                clock=clock,
                requests=requests,
            ),
            DeriveLoop(store=register, clock=clock, pause=self._stopping.wait),
            CalibrationLoop(check=self._calibrate, pause=self._stopping.wait),
        ]
