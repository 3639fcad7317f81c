"""What `rollcall-hub serve` runs: settings become links, stores and loops that know nothing of settings."""

import gc
import logging
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hub.adapters.clock import SystemClock
from hub.adapters.event_store import MySqlEventStore
from hub.adapters.gallery_store import GalleryMaking, MySqlGalleryStore
from hub.adapters.key_files import read_password
from hub.adapters.mqtt_link import MqttLink
from hub.adapters.mqtt_reasons import BrokerAddress
from hub.adapters.pack_shelf import FolderShelf
from hub.adapters.register_deriving import MySqlRegisterStore
from hub.adapters.worker_process import Pipes, hear_greeted, stop_with_parent, tell_greeted
from hub.bootstrap.office import open_database, open_keys
from hub.core.attendance_facts import SchoolDays
from hub.core.calibration import Calibration, head_points
from hub.core.errors import BrokerRefused, Fault, StoreUnavailable
from hub.core.ingest import limits
from hub.core.roles import Role, subscriptions
from hub.core.student_margins import MarginRise, rises_for
from hub.loops.calibrate import CalibrationLoop
from hub.loops.derive import DeriveLoop
from hub.loops.desk import Greeted
from hub.loops.ingest import MOST_ARRIVALS, IngestLoop, Wanting
from hub.loops.ingest_state import IngestState
from hub.loops.publisher import PublisherLoop
from hub.loops.requests import Requests
from hub.loops.retention import RetentionLoop
from hub.loops.supervisor import Loop, Supervisor
from hub.loops.workers import Workers
from hub.office import calibration
from hub.office.context import Office
from hub.office.retention import DailyRun
from hub.office.rules_of_settings import of_settings
from hub.settings import BrokerSettings, HubSettings
from protocol.content import Scope, Want
from recognition.adapters.pack_files import Pack, read_pack

LOG = logging.getLogger("rollcall.hub")
SERVICE_ACTOR = "rollcall-hub serve"
_PRESSED = 0.05
"""How full the inbox is when more comes in than is committed."""

_OTHER_CONNECTIONS = 7
"""To the database: for the desk, audits, the publisher, the derivation, a calibration, retention and one to spare."""
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 10.0


def open_link(settings: HubSettings, clock: SystemClock, role: Role) -> MqttLink:
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
    return MqttLink(address, subscriptions(settings.site, role), clock, lanes=settings.serve.lanes)


def run_workers(command: Sequence[str], count: int, stopping: threading.Event) -> None:
    """Keep `count` processes of this command serving until `stopping` is set. Raises Fault when one is refused."""
    pipes = Pipes()
    LOG.info("serving with workers=%d", count)
    Workers(count, lambda number: pipes.start(command, number), SystemClock(), stopping.wait).run()
    LOG.info("stopped all workers")


def points_of(pack: Pack, fpir: float) -> Callable[[Calibration | None, Sequence[int]], Mapping[str, Any]]:
    """Return the function from the newest calibration and a gallery's sizes to its points, as units read them."""

    def points(newest: Calibration | None, sizes: Sequence[int]) -> Mapping[str, Any]:
        return head_points(newest, pack.statistics, sizes, fpir)

    return points


def rises_of(pack: Pack, fpir: float) -> Callable[[Calibration | None, Sequence[int]], Mapping[Scope, MarginRise]]:
    """Return the function from the same to what a rejection adds to a student's margin."""

    def rises(newest: Calibration | None, sizes: Sequence[int]) -> Mapping[Scope, MarginRise]:
        return rises_for(newest, pack.statistics, sizes, fpir)

    return rises


def _nobody(_unit_id: str) -> None:
    """Told that a unit said hello: there is nobody to tell it."""


def _nothing(_unit_id: str, _want: Want) -> None:
    """Told what a unit wants: the first worker hears it too, and answers."""


def _collect_garbage_seldom() -> None:
    """Leave what is there for good out of every search for garbage, and search less often.

    Thousands of events are in hand at a time and none of them is in a circle; looking through them again and again
    took a tenth of the time they took.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


class Service:
    """`rollcall-hub serve`: everything that runs in one process, ready to be run once by the main thread."""

    def __init__(
        self,
        settings: HubSettings,
        stopping: threading.Event,
        role: Role | None = None,
        *,
        lifeline: int | None = None,
        greeted: int | None = None,
    ) -> None:
        """Read keys, pack and passwords; nothing is connected. Raises KeyUnusable, PackError.

        A worker has pipes to its parent and to the first worker (`hub.adapters.worker_process`).
        """
        self._stopping = stopping
        self._role = role or Role()
        self._greeted = greeted
        if lifeline is not None:
            stop_with_parent(lifeline, stopping)
        self._clock = SystemClock()
        self._settings = settings
        self._keys = open_keys(settings)
        # A ring reads its keys when something is opened: one that cannot be used is to end this before it connects.
        self._keys.hub_key()
        self._pack = read_pack(settings.recognition.pack_dir)
        self._shelf = FolderShelf(self._pack)
        self._daily = DailyRun()
        self._database = open_database(settings.database, at_least=settings.serve.lanes + _OTHER_CONNECTIONS)
        self._link = open_link(settings, self._clock, self._role)
        self._making = GalleryMaking(
            site=settings.site,
            pack_id=self._pack.pack_id,
            hub_key=self._keys.ring(),
            signing_key=self._keys.signing_key(),
            points=points_of(self._pack, settings.recognition.fpir),
            rises=rises_of(self._pack, settings.recognition.fpir),
            wrong_room_scope=settings.recognition.wrong_room_scope,
            pack_list=self._shelf.listed,
        )
        self._galleries = MySqlGalleryStore(self._database, self._clock, self._making)

    def run(self) -> None:
        """Serve until `stopping` is set.

        Waits for a database or broker that cannot be reached. Raises StoreRefused, BrokerRefused for one that does
        not let us in.
        """
        try:
            if self._wait_for_database():
                _collect_garbage_seldom()
                self._link.start()
                role = self._role
                LOG.info(
                    "serving site=%s pack=%s worker=%d of=%d",
                    self._settings.site,
                    self._pack.pack_id,
                    role.number,
                    role.of,
                )
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

    def _retention(self) -> bool:
        office = Office(self._settings, self._database, self._keys, self._clock, actor=SERVICE_ACTOR)
        return self._daily.step(office)

    def _loops(self) -> list[Loop]:
        requests = Requests()
        if not self._role.first:
            return self._ingest(on_greeted=_nobody if self._greeted is None else tell_greeted(self._greeted))
        if self._greeted is not None:
            hear_greeted(self._greeted, requests.greeted)
        return [*self._ingest(on_want=requests.want, on_greeted=requests.greeted), *self._once(requests)]

    def _ingest(self, *, on_greeted: Greeted, on_want: Wanting = _nothing) -> list[Loop]:
        """Return the loops that take what units say: for each lane of events, for audits, and for everything else."""
        state = IngestState(self._clock, lambda: self._database.repeated)
        inboxes = self._link.inboxes
        named = {"desk": inboxes.desk, "audits": inboxes.audits}
        named |= {f"lane {place}": lane for place, lane in enumerate(inboxes.lanes, start=1)}
        return [
            IngestLoop(
                site=self._settings.site,
                inbox=inbox,
                link=self._link,
                store=MySqlEventStore(self._database, self._settings.zone),
                clock=self._clock,
                on_want=on_want,
                on_greeted=on_greeted,
                state=state,
                limits=lambda: limits(state.units_heard(), inboxes.pressure),
                name=name,
                # One audit reads as much as many batches: whoever is to stop is not kept waiting by several.
                most=1 if inbox is inboxes.audits else MOST_ARRIVALS,
            )
            for name, inbox in named.items()
        ]

    def _once(self, requests: Requests) -> list[Loop]:
        """Return the loops that only one process runs."""
        register = MySqlRegisterStore(
            self._database, SchoolDays(self._settings.zone), of_settings(self._settings.attendance)
        )
        return [
            PublisherLoop(
                site=self._settings.site,
                link=self._link,
                store=self._galleries,
                clock=self._clock,
                requests=requests,
                shelf=self._shelf,
            ),
            DeriveLoop(
                store=register,
                clock=self._clock,
                pause=self._stopping.wait,
                pressed=lambda: self._link.inboxes.pressure > _PRESSED,
            ),
            CalibrationLoop(check=self._calibrate, pause=self._stopping.wait),
            RetentionLoop(step=self._retention, pause=self._stopping.wait),
        ]
