"""A unit from its settings: everything opened, wired and ready to run."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edge.adapters.clock_system import SystemClock
from edge.adapters.control_socket import ControlServer
from edge.adapters.mqtt_uplink import MqttUplink
from edge.bootstrap.cameras import rhythm_of
from edge.bootstrap.delivery import open_line
from edge.bootstrap.disk import Disk, open_disk
from edge.bootstrap.identity import identity_of
from edge.bootstrap.loops import main_loops, side_loops
from edge.bootstrap.orders import Orders, Parts, Watchers
from edge.bootstrap.packs import noting, open_eyes_in_use, open_packs
from edge.bootstrap.telling import unit_status
from edge.bootstrap.vision import open_vision
from edge.core.identities import Eyes
from edge.core.ports import Clock
from edge.core.vision import Totals
from edge.loops.capture import CaptureLoop
from edge.loops.control import ControlDesk
from edge.loops.copying import CopyKeeper
from edge.loops.delivery import DeliveryLoop
from edge.loops.gallery import GalleryKeeper, NewPacks
from edge.loops.health import Health
from edge.loops.mailbox import Mailbox
from edge.loops.marking import MarkDesk
from edge.loops.overlay import LookSink
from edge.loops.recorder import Recorder
from edge.loops.supervisor import Supervisor
from edge.loops.vision import VisionLoop
from edge.settings import EdgeSettings
from protocol.events import Event

_REAL_PARTS = Parts()


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit that is ready to run."""

    supervisor: Supervisor
    delivery: DeliveryLoop
    mailbox: Mailbox
    recorder: Recorder
    totals: Totals
    uplink: MqttUplink
    clock: Clock
    health: Health

    def run(self) -> bool:
        """Run until stopped or until a recording is over; return False when something failed."""
        self.uplink.start()
        try:
            return self.supervisor.run()
        finally:
            self.uplink.stop()


@contextmanager
def open_unit(
    settings: EdgeSettings,
    orders: Orders,
    on_events: Callable[[list[Event]], None] = lambda _events: None,
    overlay: LookSink | None = None,
    parts: Parts = _REAL_PARTS,
) -> Iterator[Unit]:
    """Build everything, and give it back at the end.

    Raises EdgeError and RecognitionError: whatever is wrong with settings, keys, models, disk or a running twin is
    found here, before the first frame. Camera and network are not: they may come later.
    """
    clock, health = SystemClock(), Health()
    with open_disk(settings, clock, health) as disk, ControlServer(settings.storage.data_dir) as counter:
        if counter.trouble:
            health.problem("no_commands", f"commands cannot reach the running unit: {counter.trouble}")
        yield _assemble(settings, disk, orders, Watchers(on_events, overlay, counter), parts)


def _assemble(settings: EdgeSettings, disk: Disk, orders: Orders, watchers: Watchers, parts: Parts) -> Unit:
    clock, health, trial = disk.clock, disk.health, threading.Event()
    packs = open_packs(settings, noting(trial, parts.open_eyes))
    eyes = open_eyes_in_use(settings, parts, packs, disk.gallery, health)
    packs.runs(eyes.embedder.pack_id)
    keeper = _open_keeper(settings, disk, eyes, NewPacks(packs, orders.begin_anew))
    copying = CopyKeeper(disk.csv, lambda: keeper.known.names, health, clock)
    recorder = Recorder(disk.journal, copying, health, disk.storage, clock.monotonic_s)
    vision = open_vision(settings, disk, eyes, watchers.overlay)
    mailbox = Mailbox(clock.monotonic_s)
    camera = parts.open_camera(settings, clock)
    watching = VisionLoop(
        mailbox, vision, recorder, disk.journal, clock, lambda: keeper.known, not camera.lossless, watchers.on_events
    )
    line = open_line(settings, disk, watching, keeper, trial)
    watching.recover()
    rhythm = rhythm_of(settings, mailbox, clock, health)
    capture = CaptureLoop(camera, mailbox, health, orders.stop, random.random, rhythm)
    marks = MarkDesk(recorder, lambda: keeper.known.names, lambda: keeper.known.lessons, clock)
    desk = ControlDesk(
        disk.journal, disk.csv, lambda: keeper.known.names, lambda: unit_status(disk, line.uplink, watching), marks
    )
    loops = main_loops(settings, capture, watching, line, orders) + side_loops(disk, copying, watchers.counter, desk)
    supervisor = Supervisor(loops, orders.stop, on_failure=orders.hurry.set)
    return Unit(supervisor, line.delivery, mailbox, recorder, vision.totals, line.uplink, clock, health)


def _open_keeper(settings: EdgeSettings, disk: Disk, eyes: Eyes, packs: NewPacks) -> GalleryKeeper:
    """Return the gallery's keeper with the gallery that is on disk. Raises KeyUnusable and StorageFailed."""
    keeper = GalleryKeeper(
        identity_of(settings, eyes.embedder.pack_id),
        disk.gallery,
        eyes.embedder.dimensions,
        disk.clock,
        disk.health,
        packs if settings.recognition.accept_packs else None,
    )
    keeper.open_stored(disk.gallery.signed_head())
    return keeper
